// SPDX-License-Identifier: Apache-2.0
/// @file subnormals.hpp Subnormals flushed to zero, as a host program might have set it.
#ifndef PTQ_TESTS_SUPPORT_SUBNORMALS_HPP
#define PTQ_TESTS_SUPPORT_SUBNORMALS_HPP

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

#include <cstdint>

namespace test {

/// From now on subnormals are flushed to zero, as operands and as results, or are not: what -ffast-math does
/// at the start of a program. False where that is nothing to be set.
inline bool flush_subnormals([[maybe_unused]] bool flush) {
#if defined(__SSE__)
  constexpr unsigned bits = 0x8040u;
  _mm_setcsr((_mm_getcsr() & ~bits) | (flush ? bits : 0u));
  return true;
#elif defined(__aarch64__)
  constexpr std::uint64_t bit = std::uint64_t{1} << 24;
  std::uint64_t mode = 0;
  __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
  mode = (mode & ~bit) | (flush ? bit : 0u);
  __asm__ volatile("msr fpcr, %0" : : "r"(mode));
  return true;
#elif defined(__ARM_FP)
  constexpr std::uint32_t bit = 1u << 24;
  std::uint32_t mode = 0;
  __asm__ volatile("vmrs %0, fpscr" : "=r"(mode));
  mode = (mode & ~bit) | (flush ? bit : 0u);
  __asm__ volatile("vmsr fpscr, %0" : : "r"(mode));
  return true;
#else
  return false;
#endif
}

/// Whether they are.
inline bool are_subnormals_flushed() {
#if defined(__SSE__)
  return (_mm_getcsr() & 0x8040u) != 0;
#elif defined(__aarch64__)
  std::uint64_t mode = 0;
  __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
  return (mode >> 24 & 1u) != 0;
#elif defined(__ARM_FP)
  std::uint32_t mode = 0;
  __asm__ volatile("vmrs %0, fpscr" : "=r"(mode));
  return (mode >> 24 & 1u) != 0;
#else
  return false;
#endif
}

}  // namespace test

#endif  // PTQ_TESTS_SUPPORT_SUBNORMALS_HPP
