#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# machine.sh MACHINE FOLDER PROGRAM: builds checks.cpp for a machine of examples/embedded/machines.txt by several compilers,
# runs it in QEMU, and compares what it prints with what PROGRAM does, the same source on this machine. FOLDER is for what is
# built. Exits 77 where something is not installed.
set -euo pipefail
machine=$1 folder=$2 expected=$("$3")
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
mkdir -p "$folder"
cd "$folder"

# runs COMPILER FLAG...: an image for which all is as expected; ends with its exit status otherwise.
number=0
runs() {
  local image="image $((++number))" status=0
  echo "$machine by $*"
  "$here/image.sh" "$machine" "$1" "$here/checks.cpp" "$image" "${@:2}" "-I$root/include" "-I$root/tests"
  "$here/qemu.sh" "$machine" "$image.elf" >"$image.txt" || status=$?
  ((status == 0)) || { cat "$image.txt" && exit $status; }
  [[ $(<"$image.txt") == "$expected" ]] || { echo "other results than here, $expected:" && cat "$image.txt" && exit 1; }
}

single=("-I$root/single_include" -DPTQ_TEST_SINGLE_HEADER)
runs gcc
runs clang++-19 -ffast-math "${single[@]}"
# What takes longer is built for the machines where it may make a difference: other optimisation, vectors, another clang.
[[ $machine != m4f && $machine != m55 && $machine != rv32imafc ]] || runs gcc -O2 -ffast-math "${single[@]}"
[[ $machine != m4f && $machine != m0 ]] || runs clang++-14
