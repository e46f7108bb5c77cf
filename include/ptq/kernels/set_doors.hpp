// SPDX-License-Identifier: Apache-2.0
/// @file set_doors.hpp The bodies of `kernel_set`: what is known at run time only is chosen here, once for
/// all instruction sets.
#ifndef PTQ_KERNELS_SET_DOORS_HPP
#define PTQ_KERNELS_SET_DOORS_HPP

#include "ptq/detail/platform.hpp"

#if PTQ_NATIVE

#include <cstddef>
#include <cstdint>

#include "ptq/backend/recipe.hpp"
#include "ptq/dtype/fp8_e4m3fn.hpp"
#include "ptq/dtype/fp8_e5m2.hpp"
#include "ptq/dtype/int8.hpp"
#include "ptq/kernels/fp8_rounding.hpp"
#include "ptq/kernels/kernel_set.hpp"
#include "ptq/numeric/element_type.hpp"

#if PTQ_HAS_SET_BODIES && PTQ_NATIVE_X86
#include "ptq/kernels/x86_avx2.hpp"
#include "ptq/kernels/x86_avx512.hpp"
#include "ptq/kernels/x86_histogram.hpp"
#elif PTQ_HAS_SET_BODIES && PTQ_NATIVE_NEON
#include "ptq/kernels/neon.hpp"
#include "ptq/kernels/neon_histogram.hpp"
#endif

namespace ptq::inline v0_1 {
namespace kernels {
inline namespace PTQ_SET_BUILD {

#if PTQ_HAS_SET_BODIES

namespace doors {

inline unsigned char* bytes(void* memory) noexcept {
  return static_cast<unsigned char*>(memory);
}
inline const unsigned char* bytes(const void* memory) noexcept {
  return static_cast<const unsigned char*>(memory);
}

template <class Set, element_type Type>
void encode_int8(arithmetic how, const void* values, std::size_t n, const factors& by, void* codes,
                 bool streams) noexcept {
  if (how == arithmetic::divide)
    Set::template encode_int8<Type, arithmetic::divide>(bytes(values), n, by, bytes(codes), streams);
  else
    Set::template encode_int8<Type, arithmetic::multiply_by_reciprocal>(bytes(values), n, by, bytes(codes),
                                                                        streams);
}

template <class Set, element_type Type>
void encode_fp8(const fp8_rounding& format, arithmetic how, const void* values, std::size_t n,
                const factors& by, void* codes, bool streams) noexcept {
  if (how == arithmetic::divide)
    Set::template encode_fp8<Type, arithmetic::divide>(format, bytes(values), n, by, bytes(codes), streams);
  else
    Set::template encode_fp8<Type, arithmetic::multiply_by_reciprocal>(format, bytes(values), n, by,
                                                                       bytes(codes), streams);
}

/// Calls f.operator()<Type>() with a half type.
template <class F>
void with_half(element_type type, const F& f) noexcept {
  if (type == element_type::float16)
    f.template operator()<element_type::float16>();
  else
    f.template operator()<element_type::bfloat16>();
}

}  // namespace doors

template <isa Which>
std::uint32_t kernel_set<Which>::amax(const float* values, std::size_t n) noexcept {
  return set_of<Which>::type::amax(values, n);
}
template <isa Which>
std::uint16_t kernel_set<Which>::amax_halves(const void* values, std::size_t n) noexcept {
  return set_of<Which>::type::amax_halves(values, n);
}
template <isa Which>
void kernel_set<Which>::amax_each(const float* values, std::size_t n, float* amax) noexcept {
  set_of<Which>::type::amax_each(values, n, amax);
}
template <isa Which>
void kernel_set<Which>::amax_rows(const float* values, std::size_t rows, std::size_t columns,
                                  float* amax) noexcept {
  set_of<Which>::type::amax_rows(values, rows, columns, amax);
}

template <isa Which>
void kernel_set<Which>::scales(float* amax_then_scales, std::size_t n, const recipe& numbers,
                               element_type source) noexcept {
  const bool rounds = numbers.halves != half_rounding::nothing;
  set_of<Which>::type::scales(amax_then_scales, n, numbers, rounds ? source : element_type::float32);
}
template <isa Which>
bool kernel_set<Which>::invert(arithmetic how, const float* scales, std::size_t n, float* inverses) noexcept {
  return set_of<Which>::type::invert(how, scales, n, inverses);
}
template <isa Which>
void kernel_set<Which>::repeat(const float* factors, std::size_t rows, std::size_t columns,
                               float* out) noexcept {
  set_of<Which>::type::repeat(factors, rows, columns, out);
}

template <isa Which>
void kernel_set<Which>::encode_int8(arithmetic how, const float* values, std::size_t n, const factors& by,
                                    void* codes, bool streams) noexcept {
  doors::encode_int8<typename set_of<Which>::type, element_type::float32>(how, values, n, by, codes, streams);
}
template <isa Which>
void kernel_set<Which>::encode_int8(arithmetic how, element_type type, const void* halves, std::size_t n,
                                    const factors& by, void* codes, bool streams) noexcept {
  doors::with_half(type, [&]<element_type Type>() {
    doors::encode_int8<typename set_of<Which>::type, Type>(how, halves, n, by, codes, streams);
  });
}
template <isa Which>
void kernel_set<Which>::encode_e4m3fn(arithmetic how, const float* values, std::size_t n, const factors& by,
                                      void* codes, bool streams) noexcept {
  doors::encode_fp8<typename set_of<Which>::type, element_type::float32>(fp8_rounding_of<fp8_e4m3fn>, how,
                                                                         values, n, by, codes, streams);
}
template <isa Which>
void kernel_set<Which>::encode_e4m3fn(arithmetic how, element_type type, const void* halves, std::size_t n,
                                      const factors& by, void* codes, bool streams) noexcept {
  doors::with_half(type, [&]<element_type Type>() {
    doors::encode_fp8<typename set_of<Which>::type, Type>(fp8_rounding_of<fp8_e4m3fn>, how, halves, n, by,
                                                          codes, streams);
  });
}
template <isa Which>
void kernel_set<Which>::encode_e5m2(arithmetic how, const float* values, std::size_t n, const factors& by,
                                    void* codes, bool streams) noexcept {
  doors::encode_fp8<typename set_of<Which>::type, element_type::float32>(fp8_rounding_of<fp8_e5m2>, how,
                                                                         values, n, by, codes, streams);
}
template <isa Which>
void kernel_set<Which>::encode_e5m2(arithmetic how, element_type type, const void* halves, std::size_t n,
                                    const factors& by, void* codes, bool streams) noexcept {
  doors::with_half(type, [&]<element_type Type>() {
    doors::encode_fp8<typename set_of<Which>::type, Type>(fp8_rounding_of<fp8_e5m2>, how, halves, n, by,
                                                          codes, streams);
  });
}

template <isa Which>
void kernel_set<Which>::decode_int8(const void* codes, std::size_t n, const float* scales, bool each,
                                    float* values, bool streams) noexcept {
  set_of<Which>::type::template decode<int8>(doors::bytes(codes), n, scales, each, values, streams);
}
template <isa Which>
void kernel_set<Which>::decode_e4m3fn(const void* codes, std::size_t n, const float* scales, bool each,
                                      float* values, bool streams) noexcept {
  set_of<Which>::type::template decode<fp8_e4m3fn>(doors::bytes(codes), n, scales, each, values, streams);
}
template <isa Which>
void kernel_set<Which>::decode_e5m2(const void* codes, std::size_t n, const float* scales, bool each,
                                    float* values, bool streams) noexcept {
  set_of<Which>::type::template decode<fp8_e5m2>(doors::bytes(codes), n, scales, each, values, streams);
}

template <isa Which>
void kernel_set<Which>::finish_streams() noexcept {
  set_of<Which>::type::finish_streams();
}

template <isa Which>
void kernel_set<Which>::widen(element_type type, const void* values, std::size_t n, float* floats) noexcept {
  doors::with_half(type, [&]<element_type Type>() {
    set_of<Which>::type::template widen<Type>(doors::bytes(values), n, floats);
  });
}
template <isa Which>
void kernel_set<Which>::narrow(element_type type, const float* floats, std::size_t n, void* values) noexcept {
  doors::with_half(type, [&]<element_type Type>() {
    set_of<Which>::type::template narrow<Type>(floats, n, doors::bytes(values));
  });
}
template <isa Which>
void kernel_set<Which>::round_quotients(element_type type, arithmetic how, const float* values, std::size_t n,
                                        const factors& by, float* quotients) noexcept {
  using set = typename set_of<Which>::type;
  doors::with_half(type, [&]<element_type Type>() {
    if (how == arithmetic::divide)
      set::template round_quotients<Type, arithmetic::divide>(values, n, by, quotients);
    else
      set::template round_quotients<Type, arithmetic::multiply_by_reciprocal>(values, n, by, quotients);
  });
}

template <isa Which>
void kernel_set<Which>::add_errors(const float* x, const float* y, std::size_t n, double (&sums)[4],
                                   double& max_abs) noexcept {
  set_of<Which>::type::add_errors(x, y, n, sums, max_abs);
}

template <isa Which>
binned_block kernel_set<Which>::bin(bool skips_zeros, const float* values, std::size_t n, float factor,
                                    std::uint16_t* bins, bin_list before, count_tables tables) noexcept {
  return bin_values<Which>(skips_zeros, values, n, factor, bins, before, tables);
}

#endif  // PTQ_HAS_SET_BODIES

// One translation unit has them for all.
#if defined(PTQ_KERNEL_SOURCES)
#define PTQ_SHARED_SET(which) template struct kernel_set<which>
#elif defined(PTQ_SEPARATE_KERNELS)
#define PTQ_SHARED_SET(which) extern template struct kernel_set<which>
#else
#define PTQ_SHARED_SET(which) static_assert(true)
#endif

#if PTQ_NATIVE_X86
PTQ_SHARED_SET(isa::avx2);
PTQ_SHARED_SET(isa::avx512);
#else
PTQ_SHARED_SET(isa::neon);
#endif
#undef PTQ_SHARED_SET

}  // namespace PTQ_SET_BUILD
}  // namespace kernels
}  // namespace ptq::inline v0_1

#endif  // PTQ_NATIVE
#endif  // PTQ_KERNELS_SET_DOORS_HPP
