// SPDX-License-Identifier: Apache-2.0
/// @file isa.hpp Which instruction set the kernels use: the best that the machine has, found once. Tests and
/// programs can force another.
#ifndef PTQ_KERNELS_ISA_HPP
#define PTQ_KERNELS_ISA_HPP

#include "ptq/detail/platform.hpp"

namespace ptq::inline v0_1 {

enum class isa : unsigned char {
  portable,  ///< plain C++, the same on every machine
  avx2,      ///< x86-64 with AVX2, FMA and F16C
  avx512,    ///< x86-64 with AVX-512 F, BW, VL and DQ
  neon,      ///< AArch64
};

inline constexpr isa all_isas[] = {isa::portable, isa::avx2, isa::avx512, isa::neon};

constexpr const char* name_of(isa set) noexcept {
  constexpr const char* names[] = {"portable", "avx2", "avx512", "neon"};
  return names[static_cast<unsigned char>(set)];
}

/// The instruction set of a name; null if it is the name of none.
constexpr const isa* find_isa(const char* name) noexcept {
  for (const isa& set : all_isas) {
    const char* a = name;
    const char* b = name_of(set);
    while (*a != '\0' && *a == *b) {
      ++a;
      ++b;
    }
    if (*a == *b) return &set;
  }
  return nullptr;
}

namespace detail {

inline constexpr unsigned char isa_unknown = 0xff;

/// One for all translation units, whatever their flags. Not a std::atomic, which is no header of firmware.
inline constinit unsigned char chosen_isa = isa_unknown;

}  // namespace detail

inline namespace PTQ_BUILD {

/// Whether the machine has the instruction set, and this build its kernels.
inline bool is_available(isa set) noexcept {
#if PTQ_NATIVE_X86
  __builtin_cpu_init();
  const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  // clang before 19 cannot be asked for F16C: bit 29 of ecx.
  // NOLINTBEGIN(misc-const-correctness): assembly writes them
  unsigned leaf = 1;
  unsigned features = 0;
  // NOLINTEND(misc-const-correctness)
  // volatile: else g++ asks ahead in each call of a kernel, which may take longer than all the rest (a
  // hypervisor answers).
  __asm__ volatile("cpuid" : "+a"(leaf), "=c"(features) : : "ebx", "edx");
  const bool has_f16c = (features & (1u << 29)) != 0;
  if (set == isa::avx2) return has_avx2 && has_f16c;
  if (set == isa::avx512) {
    return has_avx2 && has_f16c && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  }
#elif PTQ_NATIVE_NEON
  if (set == isa::neon) return true;
#endif
  return set == isa::portable;
}

/// The best that is available.
inline isa best_isa() noexcept {
  if (is_available(isa::avx512)) return isa::avx512;
  if (is_available(isa::avx2)) return isa::avx2;
  return is_available(isa::neon) ? isa::neon : isa::portable;
}

/// All kernels use this one from now on. It must be available.
inline void force_isa(isa set) noexcept {
  PTQ_ASSERT(is_available(set));
  __atomic_store_n(&detail::chosen_isa, static_cast<unsigned char>(set), __ATOMIC_RELAXED);
}

/// All kernels use the best from now on, as they do at the start of the program.
inline void choose_best_isa() noexcept {
  force_isa(best_isa());
}

}  // namespace PTQ_BUILD

#if PTQ_NATIVE
namespace detail {
inline namespace PTQ_BUILD {

/// The best, where none is chosen: another thread may have forced one meanwhile. No kernel shall contain
/// this.
[[gnu::noinline, gnu::cold]] inline isa choose_first_isa() noexcept {
  const isa best = best_isa();
  unsigned char chosen = isa_unknown;
  const bool is_first = __atomic_compare_exchange_n(&chosen_isa, &chosen, static_cast<unsigned char>(best),
                                                    false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  return is_first ? best : static_cast<isa>(chosen);
}

}  // namespace PTQ_BUILD
}  // namespace detail
#endif

inline namespace PTQ_BUILD {

/// The one that kernels use.
inline isa active_isa() noexcept {
#if PTQ_NATIVE
  const unsigned char chosen = __atomic_load_n(&detail::chosen_isa, __ATOMIC_RELAXED);
  return chosen != detail::isa_unknown ? static_cast<isa>(chosen) : detail::choose_first_isa();
#else
  return isa::portable;
#endif
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_KERNELS_ISA_HPP
