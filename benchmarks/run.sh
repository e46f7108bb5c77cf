#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# benchmarks/run.sh [MODEL]: the figures of the README, in a few minutes: builds for release, then prints the kernels beside
# memcpy, what each dtype costs MODEL (a small one of examples/), and other programs on the same arrays.
# What it prints and two pictures are left in build/figures/. Measure while the machine does nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."
model=${1:-examples/models/lenet-digits/model.safetensors}
build=build/release figures=build/figures venv=build/peers
mkdir -p "$figures"

cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DPTQ_BUILD_CLI=OFF -DPTQ_BUILD_EXAMPLES=OFF -DPTQ_BUILD_TESTS=OFF \
  -DPTQ_BUILD_BENCHMARKS=ON >/dev/null
cmake --build "$build" --target quantize_speed dtype_choice ptq_peer >/dev/null

"$build/benchmarks/quantize/quantize_speed" --summary --svg "$figures/speed.svg" | tee "$figures/speed.md"
echo
"$build/benchmarks/dtype_choice/dtype_choice" "$model" --svg "$figures/dtype_choice.svg" | tee "$figures/dtype_choice.txt"
echo
# PyTorch and TorchAO are large, and another program's venv may have them: PTQ_PEERS_PYTHON names its interpreter.
python=${PTQ_PEERS_PYTHON:-}
if [[ -z $python ]]; then
  [[ -x $venv/bin/python ]] || python3 -m venv "$venv"
  python=$venv/bin/python
  "$python" -m pip install --quiet --disable-pip-version-check numpy==2.4.6 ml-dtypes==0.6.0 onnx==1.23.2 onnxruntime==1.32.0 ||
    { echo "PyPI does not give the other programs: they are not compared" && exit 0; }
  timeout 600 "$python" -m pip install --quiet --disable-pip-version-check torch==2.13.0 torchao==0.18.0 ||
    echo "PyPI does not give PyTorch and TorchAO in ten minutes: they are not compared"
fi
"$python" benchmarks/peers/peers.py "$build/benchmarks/peers/libptq_peer.so" | tee "$figures/peers.md"
