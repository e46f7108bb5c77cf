#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# quickstart.sh [--with-openvino]
# Builds the command ptq into build/ and quantizes two trained networks with it: a digit classifier and a small
# transformer. It ends with a table of what accuracy is left. Results: build/quickstart/.
# --with-openvino builds OpenVINO in, which runs graphs that the command's own engine does not cover.
set -euo pipefail
if [[ $# -gt 1 || ${1:---with-openvino} != --with-openvino ]]; then
  echo "usage: ${0##*/} [--with-openvino]" >&2
  exit 2
fi
cd "$(dirname "$0")/.."

source examples/install_packages.sh
install_packages cmake ninja-build g++ libcli11-dev libeigen3-dev libprotozero-dev libyaml-cpp-dev nlohmann-json3-dev \
  libstb-dev zlib1g-dev

if [[ ! -f build/build.ninja && ! -f build/Makefile ]]; then
  cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release -DPTQ_BUILD_TESTS=OFF -DPTQ_BUILD_BENCHMARKS=OFF \
    -DPTQ_BUILD_EXAMPLES=OFF >/dev/null
fi
if [[ $# -gt 0 ]]; then
  source examples/install_openvino.sh
  install_packages python3-venv
  install_openvino build/openvino
  cmake -S . -B build -DOpenVINO_DIR="$openvino_dir" >/dev/null
fi
echo "Building the command: a few minutes"
cmake --build build --target ptq_cli | tail -n 1

run() {
  echo
  echo "\$ $*"
  "$@"
}

run build/ptq quantize -e examples/specs/weight_only.yaml \
  model_path=examples/models/lenet-digits/model.safetensors results_dir=build/quickstart/weight_only

# Activations too: calibrate, write an ONNX graph with Q/DQ, and see what accuracy is left. The specification says int8 and
# minmax; other dtypes and algorithms are overrides.
quantize_and_evaluate() { # MODEL TEST_INPUTS SCALE RESULTS [OVERRIDE ...]
  local folder=examples/models/$1 data=dataset.quant_calibration_dataset
  local spec=(-e examples/specs/static.yaml "model_path=$folder/model.onnx" "results_dir=$4" "${@:5}")
  run build/ptq quantize "${spec[@]}" "$data.inputs=$folder/calib.npy" "$data.scale=$3"
  run build/ptq evaluate "${spec[@]}" "evaluate.inputs=$folder/$2" "evaluate.labels=$folder/test_labels.npy" \
    "evaluate.scale=$3" | tee "$4/accuracy.txt"
}

table_row() { printf '%-17s  %-10s  %-9s  %11s  %15s  %9s  %10s  %8s\n' "$@"; }
table=$(table_row model dtype algorithm "top-1 float" "top-1 quantized" agreement "logit SQNR" size)

add_row() { # MODEL DTYPE ALGORITHM RESULTS
  local figures
  mapfile -t figures < <(awk -F '  +' '/^(top-1|agreement|output SQNR)/ { print $2 }' "$4/accuracy.txt")
  table+=$'\n'$(table_row "$1" "$2" "$3" "${figures[@]}" "$(($(stat -c %s "$4"/*.onnx) / 1000)) KB")
}

static() { # MODEL TEST_INPUTS SCALE
  local dtype algorithm results
  for setting in "int8 minmax" "int8 entropy" "fp8_e4m3fn minmax" "fp8_e5m2 minmax"; do
    read -r dtype algorithm <<<"$setting"
    results=build/quickstart/$1-$dtype-$algorithm
    mkdir -p "$results"
    if [[ $setting == "int8 minmax" ]]; then
      quantize_and_evaluate "$@" "$results"
    else
      quantize_and_evaluate "$@" "$results" "quantize.algorithm=$algorithm" \
        quantize.layers.{0,1}.{weights,activations}".dtype=$dtype" >/dev/null 2> >(grep -vE '^ptq: (warning|note): ' >&2) # as above
    fi
    add_row "$1" "$dtype" "$algorithm" "$results"
  done
}
static lenet-digits test_images.npy 0.00392156862745098 # pixels: 1 / 255
static pitch-transformer test_inputs.npy 1

printf '\n%s\n' "$table"
