// SPDX-License-Identifier: Apache-2.0
// What happens before main on a Cortex-M4F, and the two functions that GCC may call in any program.
#include <cstddef>
#include <cstdint>

extern "C" {
extern std::uint32_t stack_top, data_begin, data_end, data_source, bss_begin, bss_end;  // cortex_m4.ld
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

[[noreturn]] void reset() {
  // Without this the first floating-point instruction faults: full access to coprocessors 10 and 11.
  auto* const cpacr = reinterpret_cast<volatile std::uint32_t*>(0xE000ED88);
  *cpacr = *cpacr | (0xFU << 20);
  asm volatile("dsb\n isb" ::: "memory");

  const std::uint32_t* source = &data_source;
  for (std::uint32_t* at = &data_begin; at != &data_end; ++at) *at = *source++;
  for (std::uint32_t* at = &bss_begin; at != &bss_end; ++at) *at = 0;
  main();
  for (;;) asm volatile("wfi");
}

[[noreturn]] void fault() {
  for (;;) asm volatile("bkpt");
}

[[gnu::section(".vectors"), gnu::used]] const void* const vectors[16] = {
    &stack_top,
    reinterpret_cast<const void*>(&reset),  // reset
    reinterpret_cast<const void*>(&fault),  // NMI
    reinterpret_cast<const void*>(&fault),  // hard fault
    reinterpret_cast<const void*>(&fault),  // memory management
    reinterpret_cast<const void*>(&fault),  // bus fault
    reinterpret_cast<const void*>(&fault),  // usage fault
};
}
