#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# refused.sh FOLDER: the linker script refuses each program that has what firmware must not have, and says why. FOLDER is for
# what is built.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
cd "$1"

# refuses MACHINE REASON FLAG...: 77 where the machine's compiler is not installed.
refuses() {
  local machine=$1 reason=$2 status=0
  shift 2
  "$here/image.sh" "$machine" gcc "$here/refused.cpp" refused "$@" >refused.txt 2>&1 || status=$?
  ((status != 77)) || { cat refused.txt && exit 77; }
  if ((status == 0)) || ! grep -q "$reason" refused.txt; then
    echo "NOT refused as \"$reason\": $machine $*"
    cat refused.txt
    exit 1
  fi
  echo "$reason: $machine $*"
}

for name in malloc _malloc_r free _sbrk _Znwj _Znaj _ZdlPv _ZdlPvj; do refuses m4f "a heap is linked" -DCALLED=$name; done
for name in __cxa_throw __cxa_allocate_exception _Unwind_Resume; do refuses m4f "exceptions are linked" -DCALLED=$name; done
for name in __cxa_guard_acquire __cxa_pure_virtual abort; do refuses m4f "the C++ run time is linked" -DCALLED=$name; done
for name in printf puts _ZSt4cout _ZNSt8ios_base4InitC1Ev; do
  refuses m4f "streams are linked" -fno-builtin -DCALLED=$name
done
for machine in m0 m4f rv32imac rv32imafc; do
  for operation in + - "*" /; do
    refuses $machine "double arithmetic is linked" "-DSTATEMENT=volatile float x = 1; x = x $operation 0.1"
  done
  refuses $machine "double arithmetic is linked" "-DSTATEMENT=volatile double x = 1; return x < 2"
  for type in float unsigned "long long"; do  # conversions alone
    refuses $machine "double arithmetic is linked" "-DSTATEMENT=volatile $type x = 1; volatile double y = x; (void)y"
    refuses $machine "double arithmetic is linked" "-DSTATEMENT=volatile double x = 1; volatile $type y = x; (void)y"
  done
done
refuses rv32imac "double arithmetic is linked" "-DSTATEMENT=volatile long double x = 1; x = x * x"
refuses m4f "takes RAM for the whole run" "-DSTATEMENT=static volatile int zero; zero = zero + 1"
refuses m4f "takes RAM for the whole run" "-DSTATEMENT=static volatile int one = 1; one = one + 1"
refuses m4f "initialised at run time" "-DSTATEMENT=" "-DOBJECT=int answer = main()"
