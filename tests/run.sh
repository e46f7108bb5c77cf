#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds everything with warnings as errors and runs every test, in every row. As root it installs what it needs
# (Debian 12); without root it lists what is missing and exits 1. A build tree that exists is used again.
set -euo pipefail
cd "$(dirname "$0")/.."

source examples/install_packages.sh
wine=()
[[ $(uname -m) != x86_64 ]] || wine=(wine64)  # else what is for Windows is built, and not run
install_packages cmake ninja-build g++ clang-14 clang-19 libclang-rt-19-dev clang-format-19 clang-tidy-19 python3-venv \
  libeigen3-dev libxtensor-dev libyaml-cpp-dev nlohmann-json3-dev libcli11-dev doctest-dev libbenchmark-dev \
  libprotozero-dev libstb-dev zlib1g-dev gcc-arm-none-eabi libstdc++-arm-none-eabi-dev libnewlib-dev g++-s390x-linux-gnu qemu-user \
  g++-mingw-w64-x86-64-posix "${wine[@]}"

source examples/install_openvino.sh
install_openvino build/openvino || echo "PyPI does not give OpenVINO: its engine is not built, its tests are skipped"

# The quickstart's tree leaves out what is named here.
cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release -DPTQ_BUILD_TESTS=ON -DPTQ_BUILD_EXAMPLES=ON \
  -DPTQ_BUILD_BENCHMARKS=ON ${openvino_dir:+"-DOpenVINO_DIR=$openvino_dir"}
cmake --build build
exec ctest --test-dir build --output-on-failure --parallel "$(nproc)"
