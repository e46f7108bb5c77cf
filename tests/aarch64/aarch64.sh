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
# Headers of other libraries come last: there are some of this machine among them.
export doctest="-idirafter /usr/include -DDOCTEST_CONFIG_NO_EXCEPTIONS_BUT_WITH_ALL_ASSERTS"
rm -rf "$folder"
mkdir -p "$folder"
cd "$folder"

# here COMPILER FLAG...: what this machine prints.
here() {
  "$@" $common "$tests/same_bits/checksum.cpp" -o here
  ./here >here.expected
}

# checksum FLAG...: what AArch64 prints; of a plain build also with subnormals flushed to zero (-ffast-math does that by itself)
# and with the portable kernels.
checksum() {
  local name="checksum $*" mode
  "$foreign" $common -static "$@" "$tests/same_bits/checksum.cpp" -o "$name"
  "$run" "./$name" >"$name.out"
  [[ $* != -O2 ]] || for mode in flush portable; do "$run" "./$name" $mode >"$name $mode.out"; done
}

# kernels FLAG...: tests the NEON kernels; those of histograms, which flags do not touch, once.
kernels() {
  local name="kernels $*" sources=("$tests"/kernels/{isa,kernel_sets,set_doors}_test.cpp)
  [[ $* != -O2 ]] || sources+=("$tests/calibration/collector_test.cpp")
  "$foreign" $common $doctest -static "$@" "${sources[@]}" main.o -o "$name"
  "$run" "./$name" >"$name.txt" || { cat "$name.txt" && exit 255; }
  grep -q "has no neon" "$name.txt" && { echo "$name: there are no NEON kernels" && exit 255; }
  echo "$name: $(tail -n 2 "$name.txt" | head -n 1)"
}
export -f here checksum kernels

"$foreign" $common $doctest -c "$tests/support/main.cpp" -o main.o
xargs -P "$(nproc)" -I{} bash -euo pipefail -c '{}' <<END
kernels -O3 -ffast-math
checksum -O3 -ffast-math
kernels -O2
here "$compiler" -O1
checksum -O3 -ffast-math -DPTQ_PORTABLE
checksum -O2
END

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
