// SPDX-License-Identifier: Apache-2.0
/// @file semihosting.hpp Text and an exit status, from a program that has no system: the debugger or the
/// emulator around it has one. Without one the first call stops the processor. Source: Arm, "Semihosting for
/// AArch32 and AArch64" (operations and ARM's instruction); RISC-V International, "RISC-V Semihosting" (its
/// three instructions).
#ifndef PTQ_EXAMPLES_EMBEDDED_SEMIHOSTING_HPP
#define PTQ_EXAMPLES_EMBEDDED_SEMIHOSTING_HPP

#include <cstdint>

namespace semihosting {

/// Asks for an operation with an argument, whose meaning the operation says.
inline void call(std::uintptr_t operation, const void* argument) {
#if defined(__riscv)
  register std::uintptr_t number asm("a0") = operation;
  register const void* parameter asm("a1") = argument;
  // In one piece of memory and not compressed: that is how it is told from a breakpoint.
  asm volatile(
      ".balign 16\n .option push\n .option norvc\n slli x0, x0, 0x1f\n ebreak\n srai x0, x0, 7\n .option pop"
      : "+r"(number)
      : "r"(parameter)
      : "memory");
#else
  register std::uintptr_t number asm("r0") = operation;
  register const void* parameter asm("r1") = argument;
  asm volatile("bkpt 0xab" : "+r"(number) : "r"(parameter) : "memory");
#endif
}

/// Prints text that ends with 0.
inline void print(const char* text) {
  constexpr std::uintptr_t write0 = 0x04;
  call(write0, text);
}

/// Prints a whole number in decimal.
inline void print(std::int32_t number) {
  char digits[12];
  char* at = &digits[11];
  *at = '\0';
  auto rest = static_cast<std::uint32_t>(number);
  if (number < 0) rest = 0u - rest;
  do {
    *--at = static_cast<char>('0' + rest % 10);
    rest /= 10;
  } while (rest != 0);
  if (number < 0) *--at = '-';
  print(at);
}

/// Ends the program with an exit status, of which hosts keep the lowest eight bits.
[[noreturn]] inline void exit(int status) {
  constexpr std::uintptr_t exit_extended = 0x20;
  constexpr std::uintptr_t application_exit = 0x20026;
  const std::uintptr_t block[2] = {application_exit, static_cast<std::uintptr_t>(status)};
  for (;;) call(exit_extended, block);
}

}  // namespace semihosting

#endif  // PTQ_EXAMPLES_EMBEDDED_SEMIHOSTING_HPP
