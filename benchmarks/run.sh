#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# benchmarks/run.sh [MODEL]: the figures of the README, in about five minutes and the building: kernels beside memcpy, what each
# dtype costs MODEL (a small one of examples/), calibration beside plain loops, other programs on the same arrays and the same
# checkpoint, the command beside cp, and static quantization beside ONNX Runtime. Goals and spreads stand beside what is seen.
# All that it prints and two pictures are left in build/figures/. Measure while the machine does nothing else.
#
# ROUNDS=N in the environment: medians of N rounds (9); 1 to see that all parts run.
set -euo pipefail
cd "$(dirname "$0")/.."
model=${1:-examples/models/lenet-digits/model.safetensors}
rounds=${ROUNDS:-9} build=build/release figures=build/figures venv=build/peers
few=$(((rounds + 2) / 3))  # of what takes seconds
mkdir -p "$figures"
# No disk is to be measured, where there is memory for 3.2 GB of floats, a copy, and the codes.
memory=$figures
if [[ -w /dev/shm && $(df --output=avail -B1G /dev/shm | tail -1) -ge 12 ]]; then memory=/dev/shm; fi

cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DPTQ_BUILD_EXAMPLES=OFF -DPTQ_BUILD_TESTS=OFF -DPTQ_BUILD_BENCHMARKS=ON >/dev/null
cmake --build "$build" --parallel "$(nproc)" --target quantize_speed dtype_choice ptq_peer ptq_cli >/dev/null

# part NAME COMMAND...: its output, on the terminal and in a file.
part() {
  local name=$1
  shift
  "$@" | tee "$figures/$name"
  echo
}
scratch=$(mktemp -d -p "$memory")
trap 'rm -rf "$scratch"' EXIT

part speed.md "$build/benchmarks/quantize/quantize_speed" --summary --rounds "$((2 * rounds))" --svg "$figures/speed.svg"
part dtype_choice.txt "$build/benchmarks/dtype_choice/dtype_choice" "$model" --rounds "$rounds" --svg "$figures/dtype_choice.svg"
if cmake --build "$build" --target benchmark_calibration >/dev/null 2>&1; then
  part calibration.md python3 benchmarks/calibration/calibration_speed.py "$build/benchmarks/calibration/benchmark_calibration" "$rounds"
else
  echo "Searches of thresholds are not timed: that needs Debian's libbenchmark-dev"
fi

# PyTorch and TorchAO are large, and another program's venv may have them: PTQ_PEERS_PYTHON names its interpreter.
python=${PTQ_PEERS_PYTHON:-}
if [[ -z $python ]]; then
  [[ -x $venv/bin/python ]] || python3 -m venv "$venv"
  python=$venv/bin/python
  "$python" -m pip install --quiet --disable-pip-version-check numpy==2.4.6 ml-dtypes==0.6.0 onnx==1.23.2 onnxruntime==1.32.0 ||
    python=
  [[ -z $python ]] || timeout 600 "$python" -m pip install --quiet --disable-pip-version-check torch==2.13.0 torchao==0.18.0 ||
    echo "PyPI does not give PyTorch and TorchAO in ten minutes: they are not compared"
fi
if [[ -n $python ]]; then
  part peers.md "$python" benchmarks/peers/peers.py "$build/benchmarks/peers/libptq_peer.so" --rounds "$rounds"
  part whole_checkpoint.md "$python" benchmarks/peers/whole_checkpoint.py "$build/ptq" --rounds "$few" --folder "$memory"
  if "$python" -c 'import onnx, onnxruntime' 2>/dev/null; then
    part static_models.md "$python" benchmarks/calibration/static_models.py "$build/ptq" "$few"
  else
    echo "Static quantization is not compared: $python has no onnx and onnxruntime"
  fi
  "$python" benchmarks/peers/whole_checkpoint.py --make "$scratch/small.safetensors"
  part checkpoint.md python3 benchmarks/command/checkpoint.py "$build/ptq" "$scratch/small.safetensors" --folder "$memory" --rounds "$rounds"
else
  echo "PyPI does not give the other programs: they are not compared"
fi
part large_checkpoint.md python3 benchmarks/command/checkpoint.py "$build/ptq" --layers 48 --folder "$memory" --rounds "$few"
# Holes take no room on a disk; in memory they do, once read.
part memory.txt python3 benchmarks/command/checkpoint.py "$build/ptq" --sparse 20 --folder "$figures"
