#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# machine.sh MACHINE FOLDER: builds the test program for a machine of examples/embedded/machines.txt by each
# compiler, and runs it in QEMU. FOLDER is for what is built. Exits 77 where something is not installed.
set -euo pipefail
machine=$1 folder=$2
here=$(cd "$(dirname "$0")" && pwd)
read -r _ board _ < <(grep "^$machine " "$here/../../examples/embedded/machines.txt")
qemu=(qemu-system-arm)
[[ $machine != rv32* ]] || qemu=(qemu-system-riscv32 -bios none)
qemu+=(-M "$board" -display none -monitor none -serial none -chardev stdio,id=text,signal=off)
command -v "$qemu" >/dev/null || { echo "skipped: $qemu is not installed" && exit 77; }
mkdir -p "$folder"
cd "$folder"

# build_and_run COMPILER FLAG...
build_and_run() {
  local compiler=$1 name
  name="$*"
  name=${name//[^-+ =a-zA-Z0-9_.]/-}
  shift
  echo "$machine $name:"
  "$here/image.sh" "$machine" "$compiler" "$here/image.cpp" "$name" "$@"
  timeout 20 "${qemu[@]}" -semihosting-config enable=on,target=native,chardev=text -kernel "$name.elf" </dev/null
}

build_and_run gcc "-DPTQ_CORE=<ptq/core.hpp>" "-I$here/../../include"
build_and_run clang++-19 "-DPTQ_CORE=<ptq/ptq_core.hpp>" "-I$here/../../single_include"
