// SPDX-License-Identifier: Apache-2.0
// A program that the linker script refuses, for what refused.sh puts into it.
#if defined(CALLED)  // stands for what a library has, which is not here
extern "C" [[gnu::noinline]] void CALLED() {
  asm volatile("");
}
#define STATEMENT CALLED()
#endif

extern "C" int main() {
  STATEMENT;
  return 0;
}

#if defined(OBJECT)
OBJECT;
#endif
