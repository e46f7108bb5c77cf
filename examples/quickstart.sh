#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the command ptq into build/ and quantizes a trained digit classifier with it. Results: build/quickstart/.
set -euo pipefail
cd "$(dirname "$0")/.."

source examples/install_packages.sh
install_packages cmake ninja-build g++ libcli11-dev libeigen3-dev libprotozero-dev libyaml-cpp-dev nlohmann-json3-dev \
  zlib1g-dev

if [[ ! -f build/CMakeCache.txt ]]; then
  cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release -DPTQ_BUILD_TESTS=OFF -DPTQ_BUILD_BENCHMARKS=OFF \
    -DPTQ_BUILD_EXAMPLES=OFF >/dev/null
fi
echo "Building the command"
cmake --build build --target ptq_cli | tail -n 1

run() {
  echo
  echo "\$ $*"
  "$@"
}

run build/ptq quantize -e examples/specs/weight_only.yaml \
  model_path=examples/models/lenet-digits/model.safetensors results_dir=build/quickstart/weight_only
