#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh [quick]
# Builds everything with warnings as errors and runs every test, in every row; quick: a few minutes of it, by one compiler,
# without rows, sweeps, real models and what downloads anything. As root it installs what it needs (Debian 12); without root
# it lists what is missing and exits 1. A build tree that exists is used again.
set -euo pipefail
if [[ $# -gt 1 || ${1:-quick} != quick ]]; then
  echo "usage: ${0##*/} [quick]" >&2
  exit 2
fi
cd "$(dirname "$0")/.."

source examples/install_packages.sh
packages=(cmake ninja-build g++ clang-format-19 python3-venv libeigen3-dev libxtensor-dev libyaml-cpp-dev nlohmann-json3-dev
  libcli11-dev doctest-dev libprotozero-dev libstb-dev zlib1g-dev)
if [[ ${1:-} == quick ]]; then
  install_packages "${packages[@]}"
  cmake --preset quick
  cmake --build --preset quick
  exec ctest --preset quick --parallel "$(nproc)"
fi
packages+=(clang-14 clang-19 libclang-rt-19-dev clang-tidy-19 libbenchmark-dev gcc-arm-none-eabi libstdc++-arm-none-eabi-dev
  libnewlib-dev qemu-system-arm gcc-riscv64-unknown-elf qemu-system-misc
  g++-aarch64-linux-gnu g++-s390x-linux-gnu qemu-user g++-mingw-w64-x86-64-posix libopenmpi-dev openmpi-bin)
[[ $(uname -m) != x86_64 ]] || packages+=(wine64)  # elsewhere programs for Windows are built, and not run
install_packages "${packages[@]}"

source examples/install_openvino.sh
install_openvino build/openvino || echo "PyPI does not give OpenVINO: its engine is not built, its tests are skipped"

# The quickstart's tree leaves out what is named here.
cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release -DPTQ_BUILD_TESTS=ON -DPTQ_BUILD_EXAMPLES=ON \
  -DPTQ_BUILD_BENCHMARKS=ON -DPTQ_MPI=ON ${openvino_dir:+"-DOpenVINO_DIR=$openvino_dir"}
cmake --build build
exec ctest --test-dir build --output-on-failure --parallel "$(nproc)"
