#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# image.sh MACHINE COMPILER SOURCE OUTPUT [FLAG ...]: OUTPUT.elf, an image of SOURCE for a machine of
# examples/embedded/machines.txt, by its `gcc` or a clang, with GCC's own library and nothing else. Exits 77 where a compiler
# or the headers are not installed.
set -euo pipefail
machine=$1 compiler=$2 source=$3 output=$4
shift 4
firmware=$(cd "$(dirname "$0")/../../examples/embedded" && pwd)
read -r _ _ flash ram ram_size cpu < <(grep "^$machine " "$firmware/machines.txt")

flags=($cpu -std=c++20 -Os -Wall -Wextra -Werror -ffreestanding -fno-exceptions -fno-rtti -fno-threadsafe-statics
  -fno-unwind-tables -fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections)
gcc=arm-none-eabi-g++
[[ $machine != rv32* ]] || gcc=riscv64-unknown-elf-g++
target=
case $compiler-$machine in
  clang*-rv32*) target=riscv32-unknown-elf ;;
  clang*-m0) target=thumbv6m-none-eabi ;;
  clang*) target=arm-none-eabi ;;  # -mcpu tells the rest
  gcc-*) compiler=$gcc ;;
esac
for needed in "$compiler" "$gcc"; do
  command -v "$needed" >/dev/null || { echo "skipped: $needed is not installed" && exit 77; }
done
headers=$(echo /usr/include/newlib/c++/*)
for needed in "$headers/arm-none-eabi" /usr/include/newlib/stdint.h; do
  [[ -e $needed ]] || { echo "skipped: libstdc++-arm-none-eabi-dev or libnewlib-dev is not installed" && exit 77; }
done
if [[ -n $target || $machine == rv32* ]]; then  # ARM's GCC is the only one with a C++ library for no system
  flags+=(${target:+--target=$target} -isystem "$headers" -isystem "$headers/arm-none-eabi" -isystem /usr/include/newlib)
fi
[[ $target != *arm* && $target != thumb* ]] || flags+=(-fshort-enums)  # as GCC has them there

objects=()
for file in "$source" "$firmware/startup.cpp"; do
  objects+=("$output.$(basename "$file").o")
  "$compiler" "${flags[@]}" "$@" -c "$file" -o "${objects[-1]}"
done
memory=--defsym=flash_begin=$flash,--defsym=ram_begin=$ram,--defsym=ram_size=$ram_size
"$gcc" $cpu -nostdlib -Wl,--gc-sections,--no-warn-execstack -T "$firmware/firmware.ld" -Wl,"$memory" "${objects[@]}" -lgcc \
  -o "$output.elf"
"${gcc%g++}size" -A "$output.elf" | awk '/^\.(text|data|bss)/ {print $1, $2}'
