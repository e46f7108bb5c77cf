// SPDX-License-Identifier: Apache-2.0
/// @file x86_avx512.hpp The kernels with AVX-512 F, BW, VL and DQ: the same bits as the portable ones.
///
/// Compilers replace plain float intrinsics as flags allow them to, and assume that there are no NaN. What
/// names its rounding (`_round_`) they leave alone; it is also the same in every rounding mode.
#ifndef PTQ_KERNELS_X86_AVX512_HPP
#define PTQ_KERNELS_X86_AVX512_HPP

#include "ptq/detail/platform.hpp"

#if PTQ_NATIVE_X86

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "ptq/backend/recipe.hpp"
#include "ptq/detail/strict_float.hpp"
#include "ptq/dtype/concept.hpp"
#include "ptq/dtype/fp8_e4m3fn.hpp"
#include "ptq/dtype/fp8_e5m2.hpp"
#include "ptq/dtype/int8.hpp"
#include "ptq/kernels/fp8_rounding.hpp"
#include "ptq/kernels/kernel_set.hpp"
#include "ptq/numeric/bfloat16.hpp"
#include "ptq/numeric/element_type.hpp"
#include "ptq/numeric/half.hpp"

PTQ_PRECISE_PUSH
PTQ_TARGET_PUSH("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")

namespace ptq::inline v0_1 {
namespace kernels {
inline namespace PTQ_SET_BUILD {
namespace avx512 {

inline constexpr int to_nearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
inline constexpr std::size_t lanes = 16;
inline constexpr std::size_t block = 64;    // codes of one store
inline constexpr std::size_t ahead = 2048;  // bytes
inline constexpr std::size_t long_run =
    1024;                                 // elements from which on it pays to begin at a line of the cache
inline constexpr int nan_classes = 0x81;  // of vfpclassps: quiet, signalling
inline constexpr int smaller_magnitude = 0x2;  // of vrangeps: with the sign of the first; a NaN loses
inline constexpr int larger_magnitude = 0x3;

[[gnu::always_inline]] inline __m512i all(std::uint32_t bits) noexcept {
  return _mm512_set1_epi32(static_cast<int>(bits));
}
[[gnu::always_inline]] inline __m512 all_floats(std::uint32_t bits) noexcept {
  return _mm512_castsi512_ps(all(bits));
}
[[gnu::always_inline]] inline __mmask16 first_lanes(std::size_t n) noexcept {
  return static_cast<__mmask16>(n >= lanes ? 0xffffu : (1u << n) - 1);
}
/// What a block has left for its vector number `vector`.
[[gnu::always_inline]] inline __mmask16 lanes_of(std::uint64_t mask, int vector) noexcept {
  return static_cast<__mmask16>(mask >> (16 * vector));
}
[[gnu::always_inline]] inline std::uint64_t first_of_block(std::size_t n) noexcept {
  return n >= block ? ~std::uint64_t{0} : (std::uint64_t{1} << n) - 1;
}
[[gnu::always_inline]] inline __mmask16 nan_in(__m512 x) noexcept {
  return _mm512_fpclass_ps_mask(x, nan_classes);
}
[[gnu::always_inline]] inline __m512i magnitudes(__m512 x) noexcept {
  return _mm512_and_si512(_mm512_castps_si512(x), all(~detail::sign_bit));
}
/// How many elements lie before the first at a line of the cache; 0 where elements lie across lines.
[[gnu::always_inline]] inline std::size_t before_line(const void* at, std::size_t size) noexcept {
  const std::size_t bytes = (0 - reinterpret_cast<std::uintptr_t>(at)) % 64;
  return bytes % size == 0 ? bytes / size : 0;
}
[[gnu::always_inline]] inline void prefetch(const void* at) noexcept {
  _mm_prefetch(static_cast<const char*>(at) + ahead, _MM_HINT_T0);
}

/// Elements of a type as floats. NaN stays some NaN.
template <element_type Type>
struct source;

template <>
struct source<element_type::float32> {
  static constexpr std::size_t size = sizeof(float);
  [[gnu::always_inline]] static __m512 load(const unsigned char* from) noexcept {
    return _mm512_loadu_ps(from);
  }
  [[gnu::always_inline]] static __m512 load(const unsigned char* from, __mmask16 mask) noexcept {
    return _mm512_maskz_loadu_ps(mask, from);
  }
};

template <>
struct source<element_type::float16> {
  using stored = half;
  static constexpr std::size_t size = sizeof(std::uint16_t);
  [[gnu::always_inline]] static __m512 widened(__m256i x) noexcept {
    return _mm512_cvt_roundph_ps(x, _MM_FROUND_NO_EXC);
  }
  [[gnu::always_inline]] static __m512 load(const unsigned char* from) noexcept {
    return widened(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  [[gnu::always_inline]] static __m512 load(const unsigned char* from, __mmask16 mask) noexcept {
    return widened(_mm256_maskz_loadu_epi16(mask, from));
  }
  [[gnu::always_inline]] static __m256i narrowed(__m512 x) noexcept {
    return _mm512_cvt_roundps_ph(x, to_nearest);
  }
  [[gnu::always_inline]] static __m512 rounded(__m512 x) noexcept { return widened(narrowed(x)); }
};

template <>
struct source<element_type::bfloat16> {
  using stored = bfloat16;
  static constexpr std::size_t size = sizeof(std::uint16_t);
  [[gnu::always_inline]] static __m512 widened(__m256i x) noexcept {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
  }
  [[gnu::always_inline]] static __m512 load(const unsigned char* from) noexcept {
    return widened(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  [[gnu::always_inline]] static __m512 load(const unsigned char* from, __mmask16 mask) noexcept {
    return widened(_mm256_maskz_loadu_epi16(mask, from));
  }
  /// The upper halves of these bits are the nearest bfloat16, but for NaN.
  [[gnu::always_inline]] static __m512i carried(__m512 x) noexcept {
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), all(1));
    return _mm512_add_epi32(_mm512_add_epi32(bits, all(0x7fff)), odd);
  }
  [[gnu::always_inline]] static __m256i narrowed(__m512 x) noexcept {
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(carried(x), 16));
  }
  [[gnu::always_inline]] static __m512 rounded(__m512 x) noexcept {
    return _mm512_castsi512_ps(_mm512_and_si512(carried(x), all(0xffff0000u)));
  }
};

/// As the portable kernels have it: NaN of a half type is one pattern.
[[gnu::always_inline]] inline __m512 with_one_nan(__m512 x) noexcept {
  return _mm512_mask_mov_ps(x, nan_in(x), all_floats(detail::nan_bits));
}

/// What a vector of quotients is computed with.
struct factor {
  __m512 scale;
  __m512 inverse;
};

/// One ordinary factor for all.
struct one_factor {
  factor same;
  [[gnu::always_inline]] explicit one_factor(const factors& by) noexcept
      : same{_mm512_set1_ps(*by.scales), _mm512_set1_ps(*by.inverses)} {}
  [[gnu::always_inline]] factor at(std::size_t) const noexcept { return same; }
  [[gnu::always_inline]] factor at(std::size_t, __mmask16) const noexcept { return same; }
};

/// An ordinary factor an element.
struct each_factor {
  const float* scales;
  const float* inverses;
  [[gnu::always_inline]] explicit each_factor(const factors& by) noexcept
      : scales(by.scales), inverses(by.inverses) {}
  [[gnu::always_inline]] factor at(std::size_t i) const noexcept {
    return {_mm512_loadu_ps(scales + i), _mm512_loadu_ps(inverses + i)};
  }
  [[gnu::always_inline]] factor at(std::size_t i, __mmask16 mask) const noexcept {
    const __m512 one = all_floats(detail::one_bits);
    return {_mm512_mask_loadu_ps(one, mask, scales + i), _mm512_mask_loadu_ps(one, mask, inverses + i)};
  }
};

/// The quotient, correctly rounded, of values that a dtype does not round to 0 or saturate; also the sign of
/// zeros is right. The division is Markstein's: the residual of a product by the reciprocal corrects it.
template <arithmetic How>
[[gnu::always_inline]] inline __m512 quotient(__m512 x, const factor& by) noexcept {
  const __m512 product = _mm512_mul_round_ps(x, by.inverse, to_nearest);
  if constexpr (How == arithmetic::multiply_by_reciprocal) return product;
  const __m512 residual = _mm512_fmsub_round_ps(product, by.scale, x, to_nearest);
  return _mm512_fnmadd_round_ps(residual, by.inverse, product, to_nearest);
}

/// 64 codes of four vectors of values each in [-128, 127], or beyond and saturated.
[[gnu::always_inline]] inline __m512i packed(__m512i low, __m512i high) noexcept {
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  return _mm512_permutexvar_epi32(order, _mm512_packs_epi16(low, high));
}

/// Makes 64 codes of values, of which those without a factor are 0.
struct int8_encoder {
  template <arithmetic How>
  [[gnu::always_inline]] static __m512i rounded(__m512 x, const factor& by) noexcept {
    return _mm512_cvt_roundps_epi32(quotient<How>(x, by), to_nearest);
  }

  /// The lowest integer stands for what is none: NaN is 0, the rest is saturated.
  [[gnu::always_inline]] static __m512i mended(__m512 x, __m512i code) noexcept {
    const __m512i sign = _mm512_srai_epi32(_mm512_castps_si512(x), 31);
    const __m512i end = _mm512_xor_si512(sign, all(0x7fffffffu));
    const auto numbers = static_cast<__mmask16>(~nan_in(x));
    return _mm512_mask_mov_epi32(code, _mm512_cmpeq_epi32_mask(code, all(detail::sign_bit)),
                                 _mm512_maskz_mov_epi32(numbers, end));
  }

  template <arithmetic How>
  [[gnu::always_inline]] __m512i encode(__m512 x0, __m512 x1, __m512 x2, __m512 x3, const factor& f0,
                                        const factor& f1, const factor& f2, const factor& f3) const noexcept {
    const __m512i c0 = rounded<How>(x0, f0);
    const __m512i c1 = rounded<How>(x1, f1);
    const __m512i c2 = rounded<How>(x2, f2);
    const __m512i c3 = rounded<How>(x3, f3);
    const __m512i low = _mm512_packs_epi32(c0, c1);
    const __m512i high = _mm512_packs_epi32(c2, c3);
    const __m512i lowest = _mm512_min_epi16(low, high);
    if (_mm512_cmpeq_epi16_mask(lowest, _mm512_set1_epi16(-0x8000)) != 0) [[unlikely]] {
      return packed(_mm512_packs_epi32(mended(x0, c0), mended(x1, c1)),
                    _mm512_packs_epi32(mended(x2, c2), mended(x3, c3)));
    }
    return packed(low, high);
  }
};

/// The same for the formats of 8 bits: see `fp8_rounding`.
struct fp8_encoder {
  __m512 limit;
  __m512 first_normal;
  __m512i drop;
  __m512 up;
  __m512i nan_code;

  [[gnu::always_inline]] explicit fp8_encoder(const fp8_rounding& by) noexcept
      : limit(_mm512_set1_ps(by.limit)),
        first_normal(all_floats(by.first_normal)),
        drop(all(by.drop)),
        up(_mm512_set1_ps(by.up)),
        nan_code(_mm512_set1_epi8(static_cast<char>(by.nan_code))) {}

  /// Codes as integers in [-128, 127]. NaN becomes some number.
  template <arithmetic How>
  [[gnu::always_inline]] __m512i rounded(__m512 x, const factor& by) const noexcept {
    __m512 value = x;
    if constexpr (How == arithmetic::divide) {
      value = _mm512_range_ps(x, _mm512_mul_round_ps(by.scale, limit, to_nearest), smaller_magnitude);
      value = quotient<How>(value, by);
    } else {
      value = _mm512_range_ps(quotient<How>(value, by), limit, smaller_magnitude);
    }
    const __m512 normal = _mm512_range_ps(value, first_normal, larger_magnitude);
    const __m512 power = _mm512_and_ps(normal, all_floats(0xff800000u));
    const __m512i sum = _mm512_castps_si512(_mm512_fmadd_round_ps(power, up, value, to_nearest));
    const __m512i code = _mm512_add_epi32(sum, _mm512_srlv_epi32(sum, drop));
    constexpr int select = 0xca;  // bits of the second where the first has them, else of the third
    return _mm512_ternarylogic_epi32(all(0x7f), code, _mm512_srai_epi32(sum, 24), select);
  }

  template <arithmetic How>
  [[gnu::always_inline]] __m512i encode(__m512 x0, __m512 x1, __m512 x2, __m512 x3, const factor& f0,
                                        const factor& f1, const factor& f2, const factor& f3) const noexcept {
    const __m512i low = _mm512_packs_epi32(rounded<How>(x0, f0), rounded<How>(x1, f1));
    const __m512i high = _mm512_packs_epi32(rounded<How>(x2, f2), rounded<How>(x3, f3));
    const __m512i codes = packed(low, high);
    // A NaN makes the sum one.
    const __m512 sum = _mm512_add_round_ps(_mm512_add_round_ps(x0, x1, to_nearest),
                                           _mm512_add_round_ps(x2, x3, to_nearest), to_nearest);
    if (nan_in(sum) != 0) [[unlikely]] {
      const std::uint64_t nan = std::uint64_t{nan_in(x0)} | (std::uint64_t{nan_in(x1)} << 16) |
                                (std::uint64_t{nan_in(x2)} << 32) | (std::uint64_t{nan_in(x3)} << 48);
      return _mm512_mask_mov_epi8(codes, nan, nan_code);
    }
    return codes;
  }
};

/// Up to 64 codes.
template <element_type Type, arithmetic How, class Encoder, class Factors>
[[gnu::noinline]] inline void encode_some(const unsigned char* x, std::size_t n, const Factors& by,
                                          std::size_t at, const Encoder& encoder,
                                          unsigned char* codes) noexcept {
  using from = source<Type>;
  constexpr std::size_t size = lanes * from::size;
  const std::uint64_t mask = first_of_block(n);
  const __mmask16 m0 = lanes_of(mask, 0);
  const __mmask16 m1 = lanes_of(mask, 1);
  const __mmask16 m2 = lanes_of(mask, 2);
  const __mmask16 m3 = lanes_of(mask, 3);
  const __m512i found = encoder.template encode<How>(
      from::load(x, m0), from::load(x + size, m1), from::load(x + 2 * size, m2), from::load(x + 3 * size, m3),
      by.at(at, m0), by.at(at + lanes, m1), by.at(at + 2 * lanes, m2), by.at(at + 3 * lanes, m3));
  _mm512_mask_storeu_epi8(codes, mask, found);
}

[[gnu::always_inline]] inline void store(bool streams, void* to, __m512i value) noexcept {
  if (streams)
    _mm512_stream_si512(static_cast<__m512i*>(to), value);
  else
    _mm512_storeu_si512(to, value);
}

template <element_type Type, arithmetic How, class Encoder, class Factors>
inline void encode(const unsigned char* values, std::size_t n, const Factors& by, const Encoder& encoder,
                   unsigned char* codes, bool streams) noexcept {
  using from = source<Type>;
  constexpr std::size_t size = lanes * from::size;
  const std::size_t head = streams         ? before_line(codes, 1)
                           : n >= long_run ? before_line(values, from::size)
                                           : 0;
  std::size_t i = head < n ? head : n;
  if (i != 0) encode_some<Type, How>(values, i, by, 0, encoder, codes);
  const unsigned char* x = values + i * from::size;
  for (; i + block <= n; i += block, x += 4 * size) {
    for (std::size_t line = 0; line < 4 * size; line += 64) prefetch(x + line);
    store(streams, codes + i,
          encoder.template encode<How>(from::load(x), from::load(x + size), from::load(x + 2 * size),
                                       from::load(x + 3 * size), by.at(i), by.at(i + lanes),
                                       by.at(i + 2 * lanes), by.at(i + 3 * lanes)));
  }
  if (i < n) encode_some<Type, How>(x, n - i, by, i, encoder, codes + i);
}

/// 32 codes as floats, up to a power of two.
struct decoded {
  __m512 low;
  __m512 high;
};

/// `decode` is for numbers; `decode_any` is for NaN, too, of which all codes are one.
template <dtype D>
struct decoder;

template <>
struct decoder<int8> {
  static constexpr float power = 1;
  [[gnu::always_inline]] static __m512 widened(__m128i codes) noexcept {
    return _mm512_cvt_roundepi32_ps(_mm512_cvtepi8_epi32(codes), to_nearest);
  }
  [[gnu::always_inline]] static bool has_nan(const unsigned char* /*codes*/) noexcept { return false; }
  /// Two loads: to cut one in two takes longer.
  [[gnu::always_inline]] static decoded decode(const unsigned char* codes) noexcept {
    return {widened(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes))),
            widened(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes + lanes)))};
  }
  [[gnu::always_inline]] static decoded decode_any(__m256i codes) noexcept {
    return {widened(_mm256_castsi256_si128(codes)), widened(_mm256_extracti128_si256(codes, 1))};
  }
};

/// Through binary16, which has the mantissa bits of all and the exponents of some.
[[gnu::always_inline]] inline decoded decode_halves(__m512i halves) noexcept {
  return {source<element_type::float16>::widened(_mm512_castsi512_si256(halves)),
          source<element_type::float16>::widened(_mm512_extracti64x4_epi64(halves, 1))};
}
[[gnu::always_inline]] inline decoded decode_halves(__m512i halves, __mmask32 nan) noexcept {
  return decode_halves(_mm512_mask_mov_epi16(halves, nan, _mm512_set1_epi16(0x7e00)));
}

template <>
struct decoder<fp8_e4m3fn> {
  static constexpr float power = 256;
  [[gnu::always_inline]] static __m512i halves(__m256i codes) noexcept {
    const __m512i shifted = _mm512_slli_epi16(_mm512_cvtepi8_epi16(codes), 7);
    return _mm512_and_si512(shifted, _mm512_set1_epi16(static_cast<short>(0xbfff)));
  }
  /// Of 64 codes.
  [[gnu::always_inline]] static bool has_nan(const unsigned char* codes) noexcept {
    const __m512i negative = _mm512_or_si512(_mm512_loadu_si512(codes), all(0x80808080u));
    return _mm512_cmpeq_epi8_mask(negative, all(0xffffffffu)) != 0;
  }
  [[gnu::always_inline]] static decoded decode(const unsigned char* codes) noexcept {
    return decode_halves(halves(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes))));
  }
  [[gnu::always_inline]] static decoded decode_any(__m256i codes) noexcept {
    const __m512i found = halves(codes);
    const __m512i negative = _mm512_or_si512(found, all(0xc000c000u));
    return decode_halves(found,
                         _mm512_cmpeq_epi16_mask(negative, _mm512_set1_epi16(static_cast<short>(0xff80))));
  }
};

template <>
struct decoder<fp8_e5m2> {
  static constexpr float power = 1;
  [[gnu::always_inline]] static __m512i halves(__m256i codes) noexcept {
    return _mm512_slli_epi16(_mm512_cvtepu8_epi16(codes), 8);
  }
  [[gnu::always_inline]] static bool has_nan(const unsigned char* codes) noexcept {
    const __m512i size = _mm512_and_si512(_mm512_loadu_si512(codes), all(0x7f7f7f7fu));
    return _mm512_cmpgt_epi8_mask(size, all(0x7c7c7c7cu)) != 0;
  }
  [[gnu::always_inline]] static decoded decode(const unsigned char* codes) noexcept {
    return decode_halves(halves(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes))));
  }
  [[gnu::always_inline]] static decoded decode_any(__m256i codes) noexcept {
    const __m512i found = halves(codes);
    const __m512i size = _mm512_and_si512(found, all(0x7fff7fffu));
    return decode_halves(found, _mm512_cmpgt_epi16_mask(size, _mm512_set1_epi16(0x7c00)));
  }
};

/// Scales times the decoder's power.
template <dtype D>
struct one_scale {
  __m512 same;
  [[gnu::always_inline]] explicit one_scale(const float* scale) noexcept
      : same(_mm512_set1_ps(*scale * decoder<D>::power)) {}
  [[gnu::always_inline]] __m512 at(std::size_t) const noexcept { return same; }
  [[gnu::always_inline]] __m512 at(std::size_t, __mmask16) const noexcept { return same; }
};

template <dtype D>
struct each_scale {
  const float* values;
  [[gnu::always_inline]] explicit each_scale(const float* scales) noexcept : values(scales) {}
  [[gnu::always_inline]] __m512 at(std::size_t i) const noexcept {
    return raised(_mm512_loadu_ps(values + i));
  }
  [[gnu::always_inline]] __m512 at(std::size_t i, __mmask16 mask) const noexcept {
    return raised(_mm512_maskz_loadu_ps(mask, values + i));
  }
  [[gnu::always_inline]] static __m512 raised(__m512 scales) noexcept {
    if constexpr (decoder<D>::power == 1) return scales;
    return _mm512_mul_round_ps(scales, _mm512_set1_ps(decoder<D>::power), to_nearest);
  }
};

/// Up to 32 values.
template <dtype D, class Scales>
[[gnu::noinline]] inline void decode_some(const unsigned char* codes, std::size_t n, const Scales& scales,
                                          std::size_t at, float* values) noexcept {
  const auto mask = static_cast<__mmask32>(first_of_block(n));
  const __mmask16 m0 = lanes_of(mask, 0);
  const __mmask16 m1 = lanes_of(mask, 1);
  const decoded found = decoder<D>::decode_any(_mm256_maskz_loadu_epi8(mask, codes));
  _mm512_mask_storeu_ps(values, m0, _mm512_mul_round_ps(found.low, scales.at(at, m0), to_nearest));
  _mm512_mask_storeu_ps(values + lanes, m1,
                        _mm512_mul_round_ps(found.high, scales.at(at + lanes, m1), to_nearest));
}

[[gnu::always_inline]] inline void store_scaled(bool streams, float* to, __m512 values,
                                                __m512 scales) noexcept {
  store(streams, to, _mm512_castps_si512(_mm512_mul_round_ps(values, scales, to_nearest)));
}

template <dtype D, class Scales>
inline void decode(const unsigned char* codes, std::size_t n, const Scales& scales, float* values,
                   bool streams) noexcept {
  constexpr std::size_t half = 2 * lanes;
  std::size_t i = 0;
  if (streams || n >= long_run) {
    const std::size_t head = before_line(values, sizeof(float));
    i = head < n ? head : n;
    if (i != 0) decode_some<D>(codes, i, scales, 0, values);
  }
  for (; i + block <= n; i += block) {
    prefetch(codes + i);
    if (decoder<D>::has_nan(codes + i)) [[unlikely]] {
      decode_some<D>(codes + i, half, scales, i, values + i);
      decode_some<D>(codes + i + half, half, scales, i + half, values + i + half);
      continue;
    }
    const decoded first = decoder<D>::decode(codes + i);
    const decoded second = decoder<D>::decode(codes + i + half);
    store_scaled(streams, values + i, first.low, scales.at(i));
    store_scaled(streams, values + i + lanes, first.high, scales.at(i + lanes));
    store_scaled(streams, values + i + half, second.low, scales.at(i + half));
    store_scaled(streams, values + i + half + lanes, second.high, scales.at(i + half + lanes));
  }
  for (; i < n; i += half) decode_some<D>(codes + i, n - i, scales, i, values + i);
}

/// The largest of the magnitudes of 32 half numbers a vector: as numbers they have the order of integers.
[[gnu::always_inline]] inline std::uint16_t amax_of_halves(const unsigned char* x, std::size_t n) noexcept {
  const __m512i size = _mm512_set1_epi16(0x7fff);
  __m512i a = _mm512_setzero_si512();
  __m512i b = a;
  std::size_t i = 0;
  for (; i + 64 <= n; i += 64, x += 128) {
    prefetch(x);
    prefetch(x + 64);
    a = _mm512_max_epu16(a, _mm512_and_si512(_mm512_loadu_si512(x), size));
    b = _mm512_max_epu16(b, _mm512_and_si512(_mm512_loadu_si512(x + 64), size));
  }
  const std::uint64_t rest = first_of_block(n - i);
  const auto low = static_cast<__mmask32>(rest);
  const auto high = static_cast<__mmask32>(rest >> 32);
  a = _mm512_max_epu16(a, _mm512_and_si512(_mm512_maskz_loadu_epi16(low, x), size));
  b = _mm512_max_epu16(b, _mm512_and_si512(_mm512_maskz_loadu_epi16(high, x + 64), size));
  const __m512i words = _mm512_max_epu16(a, b);
  const __m512i pairs = _mm512_max_epu16(words, _mm512_srli_epi32(words, 16));
  return static_cast<std::uint16_t>(_mm512_reduce_max_epu32(_mm512_and_si512(pairs, all(0xffffu))));
}

[[gnu::always_inline]] inline std::uint32_t amax_of_floats(const float* x, std::size_t n) noexcept {
  std::size_t i = n >= long_run ? before_line(x, sizeof(float)) : 0;
  __m512i a = magnitudes(_mm512_maskz_loadu_ps(first_lanes(i), x));
  __m512i b = _mm512_setzero_si512();
  __m512i c = b;
  __m512i d = b;
  x += i;
  for (; i + block <= n; i += block, x += block) {
    for (std::size_t line = 0; line < block; line += lanes) prefetch(x + line);
    a = _mm512_max_epu32(a, magnitudes(_mm512_loadu_ps(x)));
    b = _mm512_max_epu32(b, magnitudes(_mm512_loadu_ps(x + lanes)));
    c = _mm512_max_epu32(c, magnitudes(_mm512_loadu_ps(x + 2 * lanes)));
    d = _mm512_max_epu32(d, magnitudes(_mm512_loadu_ps(x + 3 * lanes)));
  }
  for (; i < n; i += lanes, x += lanes)
    a = _mm512_max_epu32(a, magnitudes(_mm512_maskz_loadu_ps(first_lanes(n - i), x)));
  return _mm512_reduce_max_epu32(_mm512_max_epu32(_mm512_max_epu32(a, b), _mm512_max_epu32(c, d)));
}

/// The magnitudes of a row, the larger of those that share a lane.
///
/// @param vectors known when it is inlined, as for all here
/// @param rest    lanes of the last of them
[[gnu::always_inline]] inline __m512i row_amax(const float* x, std::size_t vectors, __mmask16 rest) noexcept {
  __m512i seen = magnitudes(_mm512_maskz_loadu_ps(rest, x + (vectors - 1) * lanes));
  prefetch(x);
  for (std::size_t i = 0; i + 1 < vectors; ++i) {
    prefetch(x + (i + 1) * lanes);
    seen = _mm512_max_epu32(seen, magnitudes(_mm512_loadu_ps(x + i * lanes)));
  }
  return seen;
}

/// Four rows, one in each place of four.
[[gnu::always_inline]] inline __m512i four_rows_amax(const float* x, std::size_t columns, std::size_t vectors,
                                                     __mmask16 rest) noexcept {
  const __m512i a = row_amax(x, vectors, rest);
  const __m512i b = row_amax(x + columns, vectors, rest);
  const __m512i c = row_amax(x + 2 * columns, vectors, rest);
  const __m512i d = row_amax(x + 3 * columns, vectors, rest);
  const __m512i ab = _mm512_max_epu32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
  const __m512i cd = _mm512_max_epu32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
  return _mm512_max_epu32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
}

/// Halves the quarters of both: what they have is in the order of rows.
[[gnu::always_inline]] inline __m512i larger_quarters(__m512i a, __m512i b) noexcept {
  return _mm512_max_epu32(_mm512_shuffle_i32x4(a, b, 0x88), _mm512_shuffle_i32x4(a, b, 0xdd));
}

/// Rows of 1 to 4 vectors, the last of which may be short.
[[gnu::always_inline]] inline void amax_of_rows(const float* x, std::size_t rows, std::size_t columns,
                                                std::size_t vectors, float* amax) noexcept {
  const __mmask16 rest = first_lanes(columns - (vectors - 1) * lanes);
  std::size_t r = 0;
  for (; r + lanes <= rows; r += lanes, x += lanes * columns) {
    const __m512i a = four_rows_amax(x, columns, vectors, rest);
    const __m512i b = four_rows_amax(x + 4 * columns, columns, vectors, rest);
    const __m512i c = four_rows_amax(x + 8 * columns, columns, vectors, rest);
    const __m512i d = four_rows_amax(x + 12 * columns, columns, vectors, rest);
    const __m512i found = larger_quarters(larger_quarters(a, b), larger_quarters(c, d));
    _mm512_storeu_si512(amax + r, _mm512_max_epu32(found, _mm512_loadu_si512(amax + r)));
  }
  for (; r < rows; ++r, x += columns) {
    const std::uint32_t found = _mm512_reduce_max_epu32(row_amax(x, vectors, rest));
    if (found > detail::bits_of(amax[r])) amax[r] = detail::float_of(found);
  }
}

/// Which lanes hold numbers from 2^-60 to 2^60.
[[gnu::always_inline]] inline __mmask16 ordinary_in(__m512i bits) noexcept {
  return _mm512_cmple_epu32_mask(_mm512_sub_epi32(bits, all(0x21800000u)), all(0x3c000000u));
}

/// numerators / denominators by integers, in the lanes of the mask.
inline __m512i divided_strictly(__m512i quotients, __m512i numerators, __m512i denominators,
                                __mmask16 mask) noexcept {
  alignas(64) std::uint32_t x[lanes];
  alignas(64) std::uint32_t y[lanes];
  alignas(64) std::uint32_t q[lanes];
  _mm512_store_si512(x, numerators);
  _mm512_store_si512(y, denominators);
  _mm512_store_si512(q, quotients);
  for (std::size_t i = 0; i < lanes; ++i)
    if ((mask >> i & 1) != 0) q[i] = detail::divide(x[i], y[i]);
  return _mm512_load_si512(q);
}

/// numerators / denominators: by the hardware where no flag can touch it.
[[gnu::always_inline]] inline __m512i divided(__m512i x, __m512i y, __mmask16 mask) noexcept {
  const __m512i quotients =
      _mm512_castps_si512(_mm512_div_round_ps(_mm512_castsi512_ps(x), _mm512_castsi512_ps(y), to_nearest));
  const auto sure = static_cast<__mmask16>(ordinary_in(x) & ordinary_in(y) & ordinary_in(quotients));
  const auto rest = static_cast<__mmask16>(mask & ~sure);
  if (rest != 0) [[unlikely]]
    return divided_strictly(quotients, x, y, rest);
  return quotients;
}

/// The scale of a half type as one of its numbers; float32 is left as it is.
[[gnu::always_inline]] inline __m512i rounded_scale(element_type type, __m512i scale) noexcept {
  const __m512 x = _mm512_castsi512_ps(scale);
  if (type == element_type::float16)
    return _mm512_castps_si512(with_one_nan(source<element_type::float16>::rounded(x)));
  if (type == element_type::bfloat16)
    return _mm512_castps_si512(with_one_nan(source<element_type::bfloat16>::rounded(x)));
  return scale;
}

}  // namespace avx512

/// What `kernel_set<isa::avx512>` calls.
struct x86_avx512 {
  static std::uint32_t amax(const float* values, std::size_t n) noexcept {
    return avx512::amax_of_floats(values, n);
  }

  static std::uint16_t amax_halves(const void* values, std::size_t n) noexcept {
    return avx512::amax_of_halves(static_cast<const unsigned char*>(values), n);
  }

  static void amax_each(const float* values, std::size_t n, float* amax) noexcept {
    for (std::size_t i = 0; i < n; i += avx512::lanes) {
      const __mmask16 mask = avx512::first_lanes(n - i);
      avx512::prefetch(values + i);
      const __m512i size = avx512::magnitudes(_mm512_maskz_loadu_ps(mask, values + i));
      _mm512_mask_storeu_epi32(amax + i, mask,
                               _mm512_max_epu32(size, _mm512_maskz_loadu_epi32(mask, amax + i)));
    }
  }

  static void amax_rows(const float* values, std::size_t rows, std::size_t columns, float* amax) noexcept {
    if (columns <= avx512::lanes) return avx512::amax_of_rows(values, rows, columns, 1, amax);
    if (columns <= 2 * avx512::lanes) return avx512::amax_of_rows(values, rows, columns, 2, amax);
    if (columns <= 3 * avx512::lanes) return avx512::amax_of_rows(values, rows, columns, 3, amax);
    avx512::amax_of_rows(values, rows, columns, 4, amax);
  }

  static void scales(float* amax, std::size_t n, const recipe& numbers, element_type rounded) noexcept {
    const __m512i divisor = avx512::all(detail::bits_of(numbers.divisor));
    for (std::size_t i = 0; i < n; i += avx512::lanes) {
      const __mmask16 mask = avx512::first_lanes(n - i);
      __m512i scale = avx512::all(detail::one_bits);
      if (detail::magnitude(detail::bits_of(numbers.divisor)) != 0) {
        scale = avx512::divided(_mm512_maskz_loadu_epi32(mask, amax + i), divisor, mask);
        scale = avx512::rounded_scale(rounded, scale);
        scale = _mm512_and_si512(scale, avx512::all(~detail::sign_bit));
        scale = _mm512_max_epu32(scale, avx512::all(detail::bits_of(numbers.floor)));
        scale = _mm512_mask_mov_epi32(scale, _mm512_testn_epi32_mask(scale, scale),
                                      avx512::all(detail::infinity_bits));
      }
      _mm512_mask_storeu_epi32(amax + i, mask, scale);
    }
  }

  static bool invert(arithmetic how, const float* scales, std::size_t n, float* inverses) noexcept {
    const __m512i one = avx512::all(detail::one_bits);
    bool ordinary = true;
    for (std::size_t i = 0; i < n; i += avx512::lanes) {
      const __mmask16 mask = avx512::first_lanes(n - i);
      const __m512i scale = _mm512_mask_loadu_epi32(one, mask, scales + i);
      const __m512i inverse = avx512::divided(one, scale, mask);
      const __m512i factor = how == arithmetic::divide ? scale : inverse;
      ordinary = ordinary && avx512::ordinary_in(factor) == 0xffff;
      _mm512_mask_storeu_epi32(inverses + i, mask, inverse);
    }
    return ordinary;
  }

  static void repeat(const float* factors, std::size_t rows, std::size_t columns, float* out) noexcept {
    for (std::size_t r = 0; r < rows; ++r, out += columns) {
      const __m512 factor = _mm512_set1_ps(factors[r]);
      for (std::size_t c = 0; c < columns; c += avx512::lanes) _mm512_storeu_ps(out + c, factor);
    }
  }

  template <element_type Type, arithmetic How>
  static void encode_int8(const unsigned char* values, std::size_t n, const factors& by, unsigned char* codes,
                          bool streams) noexcept {
    encode<Type, How>(values, n, by, avx512::int8_encoder{}, codes, streams);
  }
  template <element_type Type, arithmetic How>
  static void encode_fp8(const fp8_rounding& format, const unsigned char* values, std::size_t n,
                         const factors& by, unsigned char* codes, bool streams) noexcept {
    encode<Type, How>(values, n, by, avx512::fp8_encoder(format), codes, streams);
  }

  template <dtype D>
  static void decode(const unsigned char* codes, std::size_t n, const float* scales, bool each, float* values,
                     bool streams) noexcept {
    if (each)
      avx512::decode<D>(codes, n, avx512::each_scale<D>(scales), values, streams);
    else
      avx512::decode<D>(codes, n, avx512::one_scale<D>(scales), values, streams);
  }

  static void finish_streams() noexcept { _mm_sfence(); }

  template <element_type Type>
  static void widen(const unsigned char* values, std::size_t n, float* floats) noexcept {
    std::size_t i = 0;
    for (; i + avx512::lanes <= n; i += avx512::lanes, values += 2 * avx512::lanes) {
      avx512::prefetch(values);
      _mm512_storeu_ps(floats + i, avx512::with_one_nan(avx512::source<Type>::load(values)));
    }
    if (i == n) return;
    const __mmask16 mask = avx512::first_lanes(n - i);
    _mm512_mask_storeu_ps(floats + i, mask, avx512::with_one_nan(avx512::source<Type>::load(values, mask)));
  }

  template <element_type Type>
  static void narrow(const float* floats, std::size_t n, unsigned char* values) noexcept {
    using to = avx512::source<Type>;
    const __m256i nan = _mm256_set1_epi16(to::stored::codec::nan_code);
    for (std::size_t i = 0; i < n; i += avx512::lanes) {
      const __mmask16 mask = avx512::first_lanes(n - i);
      const __m512 x = _mm512_maskz_loadu_ps(mask, floats + i);
      _mm256_mask_storeu_epi16(values + i * sizeof(std::uint16_t), mask,
                               _mm256_mask_mov_epi16(to::narrowed(x), avx512::nan_in(x), nan));
    }
  }

  template <element_type Type, arithmetic How>
  static void round_quotients(const float* values, std::size_t n, const factors& by,
                              float* quotients) noexcept {
    if (by.each)
      round_quotients<Type, How>(values, n, avx512::each_factor(by), quotients);
    else
      round_quotients<Type, How>(values, n, avx512::one_factor(by), quotients);
  }

  static void add_errors(const float* x, const float* y, std::size_t n, double (&sums)[4],
                         double& max_abs) noexcept {
    __m512d errors = _mm512_setzero_pd();
    __m512d xs = errors;
    __m512d ys = errors;
    __m512d products = errors;
    __m512d largest = errors;
    constexpr std::size_t step = 8;
    for (std::size_t i = 0; i < n; i += step) {
      const auto mask = static_cast<__mmask8>(avx512::first_lanes(n - i));
      const __m512d a = _mm512_cvtps_pd(_mm256_maskz_loadu_ps(mask, x + i));
      const __m512d b = _mm512_cvtps_pd(_mm256_maskz_loadu_ps(mask, y + i));
      const __m512d error = _mm512_sub_pd(a, b);
      errors = _mm512_fmadd_pd(error, error, errors);
      xs = _mm512_fmadd_pd(a, a, xs);
      ys = _mm512_fmadd_pd(b, b, ys);
      products = _mm512_fmadd_pd(a, b, products);
      largest = _mm512_max_pd(largest, _mm512_abs_pd(error));
    }
    sums[0] += _mm512_reduce_add_pd(errors);
    sums[1] += _mm512_reduce_add_pd(xs);
    sums[2] += _mm512_reduce_add_pd(ys);
    sums[3] += _mm512_reduce_add_pd(products);
    const double found = _mm512_reduce_max_pd(largest);
    max_abs = found > max_abs ? found : max_abs;
  }

 private:
  template <element_type Type, arithmetic How, class Encoder>
  static void encode(const unsigned char* values, std::size_t n, const factors& by, const Encoder& encoder,
                     unsigned char* codes, bool streams) noexcept {
    if (by.each)
      avx512::encode<Type, How>(values, n, avx512::each_factor(by), encoder, codes, streams);
    else
      avx512::encode<Type, How>(values, n, avx512::one_factor(by), encoder, codes, streams);
  }

  template <element_type Type, arithmetic How, class Factors>
  static void round_quotients(const float* values, std::size_t n, const Factors& by,
                              float* quotients) noexcept {
    constexpr float beyond_halves = 0x1p60F;  // where quotients end: nothing is to overflow on the way
    for (std::size_t i = 0; i < n; i += avx512::lanes) {
      const __mmask16 mask = avx512::first_lanes(n - i);
      const __m512 x = _mm512_maskz_loadu_ps(mask, values + i);
      const avx512::factor factor = by.at(i, mask);
      // NOLINTNEXTLINE(misc-const-correctness): depends on the arithmetic
      __m512 limited = x;
      if constexpr (How == arithmetic::divide)
        limited = _mm512_range_ps(
            x, _mm512_mul_round_ps(factor.scale, _mm512_set1_ps(beyond_halves), avx512::to_nearest),
            avx512::smaller_magnitude);
      const __m512 rounded = avx512::source<Type>::rounded(avx512::quotient<How>(limited, factor));
      _mm512_mask_storeu_ps(quotients + i, mask, _mm512_mask_mov_ps(rounded, avx512::nan_in(x), x));
    }
  }
};

template <>
struct set_of<isa::avx512> {
  using type = x86_avx512;
};

}  // namespace PTQ_SET_BUILD
}  // namespace kernels
}  // namespace ptq::inline v0_1

PTQ_TARGET_POP
PTQ_PRECISE_POP

#endif  // PTQ_NATIVE_X86
#endif  // PTQ_KERNELS_X86_AVX512_HPP
