#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds one program with several compilers and flags and compares what it prints; then links units with different flags
# into one program, in both orders.
#
# Usage: same_bits.sh FOLDER COMPILER...     FOLDER is for what is built
set -euo pipefail
folder=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
tests=$(dirname "$here")
export common="-std=c++20 -I $tests/../include -I $tests -DPTQ_GOLDEN_DIR=\"$tests/golden\""
export here
rm -rf "$folder"
mkdir -p "$folder"
cd "$folder"

# One line a program: its name, its compiler, its flags.
programs() {
  local fast="-O3 -ffast-math -march=native"
  for compiler in "$@"; do
    if ! command -v "$compiler" >/dev/null; then
      echo "$compiler is not installed: nothing can be said of its builds" >&2
      return 1
    fi
    echo "checksum $compiler -O0"
    echo "checksum $compiler -O2"
    echo "checksum $compiler $fast"
    echo "checksum $compiler $fast -DPTQ_PORTABLE"
    [[ $compiler == *clang++-14 ]] || echo "linked $compiler -O2"  # the linker's work, which takes long to compile
    [[ $compiler != *clang++-19 ]] || echo "checksum $compiler -O2 -freciprocal-math"
  done
}

# checksum COMPILER FLAGS...: prints the checksums of a build; of the plain one also with subnormals flushed to zero
# (-ffast-math does that by itself), and of optimised ones by other kernel sets that the machine has.
checksum() {
  local compiler=$1 name
  name="checksum $*"
  shift
  "$compiler" $common "$@" "$here/checksum.cpp" -o "$name.exe"
  "./$name.exe" >"$name.out"
  # No kernel asks for the instruction sets when it is called: a hypervisor may take longer to answer than it to compute.
  if objdump -d "$name.exe" | awk '/>:$/ {kernel = /3ptq.*7kernels/} kernel && /\tcpuid/ {found = 1} END {exit !found}'; then
    echo "kernels of $name ask the processor"
    return 1
  fi
  mode() {
    "./$name.exe" "$@" >"$name $*.out" || { (($? == 77)) && rm "$name $*.out" && echo "not here: $*"; }
  }
  # What runs above is the best set; the portable one has a build of its own, too.
  [[ $* != -O2 ]] || { mode flush && mode portable; }
  [[ $* == -O0 || $* == *PORTABLE* ]] || mode avx2
}

# linked COMPILER FLAGS...: a unit with the flags, and one with -ffast-math besides, in both orders. The linker takes
# shared functions from the first.
linked() {
  local compiler=$1 name
  name="linked $*"
  shift
  unit() {
    "$compiler" $common "${@:2}" -DFEW_TILES="few_tiles_$1" -DMANY_TILES="many_tiles_$1" -c "$here/unit.cpp" -o "$name $1.o"
  }
  unit normal "$@"
  unit fast "$@" -ffast-math -march=native
  "$compiler" $common "$@" -c "$here/linked.cpp" -o "$name main.o"
  "$compiler" "$name normal.o" "$name fast.o" "$name main.o" -o "$name normal first.exe"
  "$compiler" "$name fast.o" "$name normal.o" "$name main.o" -o "$name fast first.exe"
  for order in "normal first" "fast first"; do
    "./$name $order.exe" >"$name, $order.out" || echo "differs from constant evaluation" >>"$name, $order.out"
  done
}
export -f checksum linked

list=$(programs "$@")
xargs -P "$(nproc)" -I{} bash -euo pipefail -c '{}' <<<"$list"

expected=(checksum*.out)
cat "${expected[0]}"
failed=0
compare() {
  if cmp -s "$1" "$2"; then
    echo "the same: $2"
  else
    echo "DIFFERENT: $2"
    cat "$2"
    failed=1
  fi
}
for output in checksum*.out; do compare "${expected[0]}" "$output"; done
grep -h float32 "${expected[0]}" "${expected[0]}" >units.expected
for output in linked*.out; do compare units.expected "$output"; done
exit $failed
