#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# aarch64.sh FOLDER COMPILER: builds the checksums of tests/same_bits for this machine and for AArch64, by several flags, with
# NEON kernels and without, and compares what they print; and tests the NEON kernels themselves. FOLDER is for what is built.
set -euo pipefail
folder=$1 compiler=$2
export foreign=aarch64-linux-gnu-g++ run=qemu-aarch64
for needed in "$foreign" "$run"; do
  command -v "$needed" >/dev/null || { echo "skipped: $needed is not installed" && exit 77; }
done
here=$(cd "$(dirname "$0")" && pwd)
tests=$(dirname "$here")
export tests
export common="-std=c++20 -I $tests/../include -I $tests -DPTQ_GOLDEN_DIR=\"$tests/golden\""
rm -rf "$folder"
mkdir -p "$folder"
cd "$folder"

# here COMPILER FLAG...: what this machine prints.
here() {
  "$@" $common "$tests/same_bits/checksum.cpp" -o here
  ./here >here.expected
}

# checksum FLAG...: what AArch64 prints; also with subnormals flushed to zero (-ffast-math does that by itself), and with the
# portable kernels.
checksum() {
  local name="checksum $*" mode
  "$foreign" $common -static "$@" "$tests/same_bits/checksum.cpp" -o "$name"
  "$run" "./$name" >"$name.out"
  for mode in flush portable; do "$run" "./$name" $mode >"$name $mode.out"; done
}

# firmware FLAG...: what firmware computes is what the compiler computed for it, on this architecture too.
firmware() {
  "$foreign" $common -static "$@" "$tests/embedded/checks.cpp" -o firmware
  "$run" ./firmware
}

# object FILE: compiles a part of the tests of the NEON kernels, without those. Headers of other libraries come last: there are
# some of this machine among them.
object() {
  "$foreign" $common -O1 -DPTQ_SEPARATE_KERNELS -DDOCTEST_CONFIG_NO_EXCEPTIONS_BUT_WITH_ALL_ASSERTS -c "$tests/$1" \
    -idirafter /usr/include
}

# kernels FLAG...: tests NEON kernels that are compiled with these flags.
kernels() {
  local name="kernels $*"
  "$foreign" $common -DPTQ_SEPARATE_KERNELS -static "$@" kernels.cpp ./*.o -o "$name"
  "$run" "./$name" >"$name.txt" || { cat "$name.txt" && return 1; }
  if grep "has no neon" "$name.txt"; then return 1; fi
  echo "$name: $(tail -n 2 "$name.txt" | head -n 1)"
}
export -f here checksum firmware object
printf '#define PTQ_KERNEL_SOURCES\n#include "ptq/core.hpp"\n' >kernels.cpp

xargs -P "$(nproc)" -I{} bash -euo pipefail -c '{}' <<END
checksum -O3 -ffast-math
checksum -O2 -DPTQ_PORTABLE
firmware -O1
here "$compiler" -O0
checksum -O2
object kernels/kernel_sets_test.cpp
object kernels/set_doors_test.cpp
object kernels/isa_test.cpp
object calibration/collector_test.cpp
object support/main.cpp
END

kernels -O0
kernels -O2
kernels -O3 -ffast-math

failed=0
cat here.expected
for output in checksum*.out; do
  if cmp -s here.expected "$output"; then
    echo "the same: $output"
  else
    echo "DIFFERENT: $output"
    cat "$output"
    failed=1
  fi
done
exit $failed
