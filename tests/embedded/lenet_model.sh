#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# lenet_model.sh PTQ EXAMPLES FOLDER: the command makes examples/embedded/lenet_model.h, byte for byte, as the guide says.
# `--update` as a fourth argument writes it.
set -euo pipefail
ptq=$1 examples=$2 folder=$3
model=$examples/models/lenet-digits
data=dataset.quant_calibration_dataset
mkdir -p "$folder"
"$ptq" quantize -e "$examples/specs/static.yaml" model_path="$model/model.onnx" results_dir="$folder" \
  $data.inputs="$model/calib.npy" $data.scale=0.00392156862745098 >/dev/null
"$ptq" export "$folder/quantized_model_modelopt.onnx" --format c-header --name lenet -o "$folder" >/dev/null
[[ ${4:-} != --update ]] || cp "$folder/quantized_model_modelopt.h" "$examples/embedded/lenet_model.h"
diff "$examples/embedded/lenet_model.h" "$folder/quantized_model_modelopt.h"
