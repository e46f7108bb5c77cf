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

# Activations too: calibrate, write an ONNX graph with Q/DQ, and see what accuracy is left.
static() {
  local model=examples/models/$1 inputs=$2 scale=$3 results=build/quickstart/$1
  run build/ptq quantize -e examples/specs/static.yaml model_path="$model/model.onnx" results_dir="$results" \
    dataset.quant_calibration_dataset.inputs="$model/calib.npy" dataset.quant_calibration_dataset.scale="$scale"
  run build/ptq evaluate -e examples/specs/static.yaml model_path="$model/model.onnx" results_dir="$results" \
    evaluate.inputs="$model/$inputs" evaluate.labels="$model/test_labels.npy" evaluate.scale="$scale"
}
static lenet-digits test_images.npy 0.00392156862745098 # pixels: 1 / 255
static pitch-transformer test_inputs.npy 1
