#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# qemu.sh MACHINE IMAGE [OPTION ...]: runs an image for a machine of examples/embedded/machines.txt, with its output and its
# exit status. Options are QEMU's. Exits 77 where that is not installed.
set -euo pipefail
machine=$1 image=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
read -r _ board _ < <(grep "^$machine " "$here/../../examples/embedded/machines.txt")
qemu=(qemu-system-arm)
[[ $machine != rv32* ]] || qemu=(qemu-system-riscv32 -bios none)
command -v "$qemu" >/dev/null || { echo "skipped: $qemu is not installed" && exit 77; }
exec timeout 120 "${qemu[@]}" -M "$board" -display none -monitor none -serial none -chardev stdio,id=text,signal=off \
  -semihosting-config enable=on,target=native,chardev=text "$@" -kernel "$image" </dev/null
