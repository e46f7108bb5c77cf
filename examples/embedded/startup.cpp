// SPDX-License-Identifier: Apache-2.0
// What happens before main on a Cortex-M or a RISC-V, and the functions that compilers may call in any
// program.
#include <cstddef>
#include <cstdint>

#include "semihosting.hpp"

extern "C" {
extern std::uint32_t stack_top[], data_begin[], data_end[], bss_begin[], bss_end[];  // firmware.ld
extern const std::uint32_t data_source[];
int main();

void* memset(void* to, int value, std::size_t n) {
  auto* bytes = static_cast<unsigned char*>(to);
  for (std::size_t i = 0; i < n; ++i) bytes[i] = static_cast<unsigned char>(value);
  return to;
}

void* memcpy(void* to, const void* from, std::size_t n) {
  auto* bytes = static_cast<unsigned char*>(to);
  const auto* source = static_cast<const unsigned char*>(from);
  for (std::size_t i = 0; i < n; ++i) bytes[i] = source[i];
  return to;
}

/// Begins with a stack and with an FPU, where there is one; RAM holds what was in it.
[[noreturn, gnu::used]] void begin() {
  // Compilers may take two objects for different, but not the one for the first: hence `<`.
  const std::uint32_t* source = data_source;
  for (std::uint32_t* at = data_begin; at < data_end; ++at) *at = *source++;
  for (std::uint32_t* at = bss_begin; at < bss_end; ++at) *at = 0;
  semihosting::exit(main());
}

/// What the processor cannot execute.
[[noreturn, gnu::used, gnu::aligned(4)]] void fault() {
  semihosting::print("fault\n");
  semihosting::exit(99);
}

#if defined(__riscv)

/// The processor begins here, at the first instruction of flash: a stack, the handler of faults, and the FPU,
/// which is off.
[[noreturn, gnu::naked, gnu::section(".start")]] void reset() {
  asm volatile(
      ".option push\n .option arch, +zicsr\n"
      "la sp, stack_top\n"
      "la t0, fault\n csrw mtvec, t0\n"
      "li t0, 0x6000\n csrs mstatus, t0\n"
      ".option pop\n"
      "j begin");
}

#else

[[noreturn]] void reset() {
#if defined(__ARM_FP)
  // Without this the first floating-point instruction faults: full access to coprocessors 10 and 11.
  auto* const cpacr = reinterpret_cast<volatile std::uint32_t*>(0xE000ED88);
  *cpacr = *cpacr | (0xFU << 20);
  asm volatile("dsb\n isb" ::: "memory");
#endif
  begin();
}

/// The processor begins here: the top of the stack, and whom to call for a reset, then for each kind of
/// fault.
[[gnu::section(".start"), gnu::used]] const void* const vectors[16] = {
    stack_top,
    reinterpret_cast<const void*>(&reset),  // reset
    reinterpret_cast<const void*>(&fault),  // NMI
    reinterpret_cast<const void*>(&fault),  // hard fault
    reinterpret_cast<const void*>(&fault),  // memory management
    reinterpret_cast<const void*>(&fault),  // bus fault
    reinterpret_cast<const void*>(&fault),  // usage fault
    reinterpret_cast<const void*>(&fault),  // secure fault
};

// clang calls memset and memcpy by the names of the ARM ABI, which come with a C library.
void __aeabi_memclr(void* to, std::size_t n) {
  memset(to, 0, n);
}
void __aeabi_memcpy(void* to, const void* from, std::size_t n) {
  memcpy(to, from, n);
}
[[gnu::alias("__aeabi_memclr")]] void __aeabi_memclr4(void* to, std::size_t n);
[[gnu::alias("__aeabi_memclr")]] void __aeabi_memclr8(void* to, std::size_t n);
[[gnu::alias("__aeabi_memcpy")]] void __aeabi_memcpy4(void* to, const void* from, std::size_t n);
[[gnu::alias("__aeabi_memcpy")]] void __aeabi_memcpy8(void* to, const void* from, std::size_t n);

#endif
}
