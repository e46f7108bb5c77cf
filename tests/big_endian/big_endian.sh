#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# big_endian.sh FOLDER COMPILER: builds tests/same_bits for this machine and for s390x and compares what both print; then sees
# to it that nothing that reads or writes files compiles for s390x. FOLDER is for what is built.
set -euo pipefail
folder=$1 compiler=$2 foreign=s390x-linux-gnu-g++ run=qemu-s390x
for needed in "$foreign" "$run"; do
  command -v "$needed" >/dev/null || { echo "skipped: $needed is not installed" && exit 77; }
done
here=$(cd "$(dirname "$0")" && pwd)
tests=$(dirname "$here")
flags=(-std=c++20 -O2 -I "$tests/../include" -I "$tests")
mkdir -p "$folder"
cd "$folder"

# checksums NAME COMPILER FLAG...: the program that prints checksums of two units, one of them built with -ffast-math.
checksums() {
  local name=$1 with=$2
  shift 2
  "$with" "${flags[@]}" -DFEW_TILES=few_tiles_normal -DMANY_TILES=many_tiles_normal -c "$tests/same_bits/unit.cpp" -o "$name-normal.o"
  "$with" "${flags[@]}" -ffast-math -DFEW_TILES=few_tiles_fast -DMANY_TILES=many_tiles_fast -c "$tests/same_bits/unit.cpp" \
    -o "$name-fast.o"
  "$with" "${flags[@]}" "$@" "$tests/same_bits/linked.cpp" "$name-normal.o" "$name-fast.o" -o "$name"
}
checksums here "$compiler" &
checksums there "$foreign" -static &
wait -n && wait -n
./here >here.out
"$run" ./there >there.out
diff -u here.out there.out
echo "the same bits on s390x: $(head -n 1 there.out)"

"$foreign" "${flags[@]}" -fsyntax-only -x c++ - <<<'#include "ptq/ptq.hpp"'  # which reads no files
for header in ptq/formats/{numpy/npy,zip,safetensors/data,checkpoint/stored_tensor,torch/tensors}.hpp; do
  if "$foreign" "${flags[@]}" -fsyntax-only -x c++ - <<<"#include \"$header\"" 2>words.txt; then
    echo "$header compiles for a big-endian machine, where it would read files wrongly"
    exit 1
  fi
  grep -q "ptq reads and writes files on little-endian machines only" words.txt || { cat words.txt && exit 1; }
done
