// SPDX-License-Identifier: Apache-2.0
// clang calls memset and memcpy by the names of the ARM ABI, which come with a C library.
#include <cstddef>

extern "C" {
void* memset(void* to, int value, std::size_t n);
void* memcpy(void* to, const void* from, std::size_t n);

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
}
