#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# constant_weights.sh INCLUDE OUTPUT COMPILER [FLAGS...]: constant weights are codes and scales in .rodata, and nothing else.
set -euo pipefail
include=$1 object=$2
shift 2
command -v "$1" > /dev/null || { echo "skipped: $1 is not installed"; exit 77; }

"$@" -std=c++20 -O1 -DPTQ_PORTABLE -Wall -Wextra -Werror -I"$include" \
     -c "$(dirname "$0")/constant_weights.cpp" -o "$object"
# Two tensors of 16,384 codes; 64 and 256 scales.
wanted=$((2 * 16384 + 4 * (64 + 256)))
size -A "$object" | awk -v wanted=$wanted '
  $1 ~ /^\.rodata/ { constants += $2 }
  $1 ~ /^\.(text|data|bss|init_array|ctors|tdata|tbss)/ { other += $2; print }
  END { print constants " bytes of constants, of which codes and scales are " wanted
        exit constants != wanted || other != 0 }'
