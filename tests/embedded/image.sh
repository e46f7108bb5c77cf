#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# image.sh COMPILER SOURCE OUTPUT [FLAG ...]: a Cortex-M4F image of SOURCE, by arm-none-eabi-g++ or a clang, with GCC's own
# library and nothing else; prints its sizes. The code has a budget.
set -euo pipefail
compiler=$1 source=$2 output=$3
shift 3
here=$(cd "$(dirname "$0")" && pwd)
firmware=$here/../../examples/embedded

cpu=(-mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16)
flags=("${cpu[@]}" -std=c++20 -Os -Wall -Wextra -Werror -ffreestanding -fno-exceptions -fno-rtti -fno-threadsafe-statics
  -fno-unwind-tables -fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections)
sources=("$source" "$firmware/startup.cpp")
if [[ $compiler == clang* ]]; then  # it has no C++ library for this machine: it takes GCC's
  flags+=(--target=thumbv7em-none-eabihf)
  sources+=("$here/aeabi.cpp")
  while read -r folder; do flags+=(-isystem "$folder"); done < <(
    arm-none-eabi-g++ "${cpu[@]}" -E -Wp,-v -x c++ /dev/null 2>&1 | sed -n 's/^ \//\//p')
fi

objects=()
for file in "${sources[@]}"; do
  objects+=("$output.$(basename "$file").o")
  "$compiler" "${flags[@]}" "$@" -c "$file" -o "${objects[-1]}"
done
arm-none-eabi-g++ "${cpu[@]}" -nostdlib -Wl,--gc-sections -T "$firmware/cortex_m4.ld" "${objects[@]}" -lgcc -o "$output.elf"
arm-none-eabi-size -A "$output.elf" | awk -v budget=40000 '
  /^\.(text|data|bss)/
  $1 == ".text" && $2 > budget { print "the code is larger than " budget " bytes"; exit 1 }'
