#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# runs.sh FOLDER: runs.cpp on each kind of machine, by compilers and flags that leave more or less to the machine's own
# instructions. FOLDER is for what is built. Exits 77 where something is not installed.
set -euo pipefail
folder=$1
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$folder"
cd "$folder"

# build_and_run MACHINE COMPILER FLAG...
build_and_run() {
  echo "$*:"
  "$here/image.sh" "$1" "$2" "$here/runs.cpp" "$1" "-I$here/../../include" "-I$here/.." "-I$here/../../examples/embedded" "${@:3}"
  "$here/qemu.sh" "$1" "$1.elf"
}

for machine in m0 m4f m55; do
  build_and_run $machine gcc -O2
  build_and_run $machine clang++-19 -O2 -ffast-math
done
for machine in m4f m55; do build_and_run $machine gcc -O3 -ffast-math; done
build_and_run m4f gcc -O0
build_and_run m7 gcc -O2
build_and_run m33 gcc -O2
build_and_run rv32imafc gcc -O2
