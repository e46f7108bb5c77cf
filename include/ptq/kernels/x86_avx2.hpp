// SPDX-License-Identifier: Apache-2.0
/// @file x86_avx2.hpp The kernels with AVX2, FMA and F16C: the same bits as the portable ones.
///
/// Compilers replace float operations as flags allow them to, and assume that there are no NaN. So here
/// floats are multiplied, fused and converted, and nothing else: what is compared, clamped or looked at are
/// their bits.
#ifndef PTQ_KERNELS_X86_AVX2_HPP
#define PTQ_KERNELS_X86_AVX2_HPP

#include "ptq/detail/platform.hpp"

#if PTQ_NATIVE_X86

#include <immintrin.h>

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>

#include "ptq/backend/recipe.hpp"
#include "ptq/detail/strict_float.hpp"
#include "ptq/dtype/concept.hpp"
#include "ptq/dtype/fp8_e4m3fn.hpp"
#include "ptq/dtype/fp8_e5m2.hpp"
#include "ptq/dtype/int8.hpp"
#include "ptq/numeric/bfloat16.hpp"
#include "ptq/numeric/element_type.hpp"
#include "ptq/numeric/half.hpp"
#include "ptq/tensor/element.hpp"

PTQ_PRECISE_PUSH
PTQ_TARGET_PUSH("avx2,fma,f16c")

namespace ptq::inline v0_1 {
namespace kernels {
inline namespace PTQ_BUILD {
namespace avx2 {

inline constexpr std::size_t lanes = 8;
inline constexpr std::size_t block = 32;    // codes of one store
inline constexpr std::size_t ahead = 2048;  // bytes

[[gnu::always_inline]] inline __m256i all(std::uint32_t bits) noexcept {
  return _mm256_set1_epi32(static_cast<int>(bits));
}
[[gnu::always_inline]] inline __m256i all_words(std::uint16_t bits) noexcept {
  return _mm256_set1_epi16(static_cast<short>(bits));
}
[[gnu::always_inline]] inline __m256 floats(__m256i bits) noexcept {
  return _mm256_castsi256_ps(bits);
}
[[gnu::always_inline]] inline __m256i bits(__m256 x) noexcept {
  return _mm256_castps_si256(x);
}
[[gnu::always_inline]] inline __m256i load_bits(const void* from) noexcept {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}
[[gnu::always_inline]] inline __m128i load_half_vector(const void* from) noexcept {
  return _mm_loadu_si128(static_cast<const __m128i*>(from));
}
/// All bits of the lanes below n.
[[gnu::always_inline]] inline __m256i first_lanes(std::size_t n) noexcept {
  const __m256i number = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n < lanes ? n : lanes)), number);
}
[[gnu::always_inline]] inline __m256i magnitudes(__m256 x) noexcept {
  return _mm256_and_si256(bits(x), all(~detail::sign_bit));
}
/// All bits of the lanes that hold NaN.
[[gnu::always_inline]] inline __m256i nan_in(__m256 x) noexcept {
  return _mm256_cmpgt_epi32(magnitudes(x), all(detail::infinity_bits));
}
[[gnu::always_inline]] inline bool is_any(__m256i mask) noexcept {
  return _mm256_testz_si256(mask, mask) == 0;
}
[[gnu::always_inline]] inline void prefetch(const void* at) noexcept {
  _mm_prefetch(static_cast<const char*>(at) + ahead, _MM_HINT_T0);
}
[[gnu::always_inline]] inline void copy(void* to, const void* from, std::size_t n) noexcept {
  __builtin_memcpy(to, from, n);
}

/// x / y by an instruction that no flag replaces.
[[gnu::always_inline]] inline __m256 hardware_quotient(__m256 x, __m256 y) noexcept {
  __m256 result;  // NOLINT(cppcoreguidelines-init-variables): written by the assembly
  __asm__("vdivps {%2, %1, %0|%0, %1, %2}" : "=x"(result) : "x"(x), "x"(y));
  return result;
}

/// Elements of a type as floats. NaN stays some NaN.
template <element_type Type>
struct source;

template <>
struct source<element_type::float32> {
  using stored = float;
  [[gnu::always_inline]] static __m256 load(const unsigned char* from) noexcept {
    return floats(load_bits(from));
  }
  /// The first n; 0 beyond.
  [[gnu::always_inline]] static __m256 load(const unsigned char* from, std::size_t n) noexcept {
    return floats(_mm256_maskload_epi32(reinterpret_cast<const int*>(from), first_lanes(n)));
  }
  [[gnu::always_inline]] static __m256 rounded(__m256 x) noexcept { return x; }
};

/// The first n of 8 numbers of 16 bits; 0 beyond.
[[gnu::always_inline]] inline __m128i load_first_halves(const unsigned char* from, std::size_t n) noexcept {
  if (n >= lanes) return load_half_vector(from);
  std::uint16_t buffer[lanes] = {};
  copy(buffer, from, n * sizeof(std::uint16_t));
  return load_half_vector(buffer);
}

template <>
struct source<element_type::float16> {
  using stored = half;
  [[gnu::always_inline]] static __m256 load(const unsigned char* from) noexcept {
    return _mm256_cvtph_ps(load_half_vector(from));
  }
  [[gnu::always_inline]] static __m256 load(const unsigned char* from, std::size_t n) noexcept {
    return _mm256_cvtph_ps(load_first_halves(from, n));
  }
  [[gnu::always_inline]] static __m128i narrowed(__m256 x) noexcept {
    return _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT);
  }
  [[gnu::always_inline]] static __m256 rounded(__m256 x) noexcept { return _mm256_cvtph_ps(narrowed(x)); }
};

template <>
struct source<element_type::bfloat16> {
  using stored = bfloat16;
  [[gnu::always_inline]] static __m256 widened(__m128i x) noexcept {
    return floats(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16));
  }
  [[gnu::always_inline]] static __m256 load(const unsigned char* from) noexcept {
    return widened(load_half_vector(from));
  }
  [[gnu::always_inline]] static __m256 load(const unsigned char* from, std::size_t n) noexcept {
    return widened(load_first_halves(from, n));
  }
  /// The upper halves of these bits are the nearest bfloat16, but for NaN.
  [[gnu::always_inline]] static __m256i carried(__m256 x) noexcept {
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits(x), 16), all(1));
    return _mm256_add_epi32(_mm256_add_epi32(bits(x), all(0x7fff)), odd);
  }
  [[gnu::always_inline]] static __m128i narrowed(__m256 x) noexcept {
    const __m256i upper = _mm256_srli_epi32(carried(x), 16);
    return _mm_packus_epi32(_mm256_castsi256_si128(upper), _mm256_extracti128_si256(upper, 1));
  }
  [[gnu::always_inline]] static __m256 rounded(__m256 x) noexcept {
    return floats(_mm256_and_si256(carried(x), all(0xffff0000u)));
  }
};

/// As the portable kernels have it: NaN of a half type is one pattern.
template <element_type Type>
[[gnu::always_inline]] inline __m256 exact(__m256 x) noexcept {
  if constexpr (Type == element_type::float32) return x;
  return floats(_mm256_blendv_epi8(bits(x), all(detail::nan_bits), nan_in(x)));
}

/// What a vector of quotients is computed with.
struct factor {
  __m256 scale;    // or its reciprocal, to multiply by
  __m256 inverse;  // of the scale, to divide by
};

template <arithmetic How>
[[gnu::always_inline]] inline factor factor_by(__m256 scale) noexcept {
  if constexpr (How == arithmetic::divide)
    return {scale, hardware_quotient(floats(all(detail::one_bits)), scale)};
  return {scale, scale};
}

/// One ordinary factor for all.
template <arithmetic How>
struct one_factor {
  factor same;
  [[gnu::always_inline]] explicit one_factor(float value) noexcept
      : same(factor_by<How>(_mm256_set1_ps(value))) {}
  [[gnu::always_inline]] factor at(std::size_t) const noexcept { return same; }
  [[gnu::always_inline]] const one_factor& first_of(std::size_t, std::size_t, float*) const noexcept {
    return *this;
  }
};

/// An ordinary factor an element.
template <arithmetic How>
struct each_factor {
  const float* values;
  [[gnu::always_inline]] factor at(std::size_t i) const noexcept {
    return factor_by<How>(_mm256_loadu_ps(values + i));
  }
  /// Some of them, in a buffer of a block, with 1 behind them.
  [[gnu::always_inline]] each_factor first_of(std::size_t at, std::size_t n, float* buffer) const noexcept {
    for (std::size_t i = 0; i < block; ++i) buffer[i] = 1;
    copy(buffer, values + at, n * sizeof(float));
    return {buffer};
  }
};

/// The quotient, correctly rounded, of values that a dtype does not round to 0 or saturate. The division is
/// Markstein's: the residual of a product by the reciprocal corrects it.
template <arithmetic How>
[[gnu::always_inline]] inline __m256 quotient(__m256 x, const factor& by) noexcept {
  const __m256 product = x * by.inverse;
  if constexpr (How == arithmetic::multiply_by_reciprocal) return product;
  const __m256 residual = _mm256_fmsub_ps(product, by.scale, x);
  return _mm256_fnmadd_ps(residual, by.inverse, product);
}

/// Four vectors of 8 codes each as 32 bytes.
[[gnu::always_inline]] inline __m256i packed(__m256i low, __m256i high) noexcept {
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  return _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order);
}

template <dtype D>
struct encoder;

template <>
struct encoder<int8> {
  template <arithmetic How, element_type Rounding>
  [[gnu::always_inline]] static __m256i rounded(__m256 x, const factor& by) noexcept {
    return _mm256_cvtps_epi32(source<Rounding>::rounded(quotient<How>(x, by)));
  }

  /// The lowest integer stands for what is none: NaN is 0, the rest is saturated.
  [[gnu::always_inline]] static __m256i mended(__m256 x, __m256i code) noexcept {
    const __m256i end = _mm256_xor_si256(_mm256_srai_epi32(bits(x), 31), all(0x7fffffffu));
    return _mm256_blendv_epi8(code, _mm256_andnot_si256(nan_in(x), end),
                              _mm256_cmpeq_epi32(code, all(detail::sign_bit)));
  }

  template <arithmetic How, element_type Rounding>
  [[gnu::always_inline]] static __m256i encode(__m256 x0, __m256 x1, __m256 x2, __m256 x3, const factor& f0,
                                               const factor& f1, const factor& f2,
                                               const factor& f3) noexcept {
    const __m256i c0 = rounded<How, Rounding>(x0, f0);
    const __m256i c1 = rounded<How, Rounding>(x1, f1);
    const __m256i c2 = rounded<How, Rounding>(x2, f2);
    const __m256i c3 = rounded<How, Rounding>(x3, f3);
    const __m256i low = _mm256_packs_epi32(c0, c1);
    const __m256i high = _mm256_packs_epi32(c2, c3);
    if (is_any(_mm256_cmpeq_epi16(_mm256_min_epi16(low, high), all_words(0x8000)))) [[unlikely]] {
      return packed(_mm256_packs_epi32(mended(x0, c0), mended(x1, c1)),
                    _mm256_packs_epi32(mended(x2, c2), mended(x3, c3)));
    }
    return packed(low, high);
  }
};

/// A magnitude plus a power of two so large that the sum has only the format's bits below it is rounded by
/// the addition. Below the smallest normal number the power stays the same.
template <dtype D>
struct fp8_encoder {
  static constexpr int mantissa_bits = D::codec::mantissa_bits;
  static constexpr int drop = 23 - mantissa_bits;
  /// The float's exponent field of the smallest normal number.
  static constexpr std::uint32_t first_normal_field = 129u - (1u << (6 - mantissa_bits));
  /// What makes the low 7 bits of the sum, plus its exponent, the code. Whole powers, as ties look at the
  /// last bit.
  static constexpr std::uint32_t offset = (0u - ((first_normal_field + drop) << mantissa_bits)) & 0x7fu;
  static constexpr auto up = static_cast<float>((1u << drop) + (offset >> mantissa_bits));

  /// Codes without their signs. NaN becomes some number.
  template <arithmetic How, element_type Rounding>
  [[gnu::always_inline]] static __m256i rounded(__m256i size, const factor& by) noexcept {
    const __m256 limit = _mm256_set1_ps(D::max_finite);
    __m256 value = floats(size);
    if constexpr (How == arithmetic::divide) {
      value = floats(_mm256_min_epi32(size, bits(by.scale * limit)));
      value = source<Rounding>::rounded(quotient<How>(value, by));
    } else {
      value = source<Rounding>::rounded(quotient<How>(value, by));
      value = floats(_mm256_min_epi32(bits(value), bits(limit)));
    }
    const __m256i normal = _mm256_max_epi32(bits(value), all(first_normal_field << 23));
    const __m256i power = _mm256_and_si256(normal, all(detail::infinity_bits));
    const __m256i sum = bits(_mm256_fmadd_ps(floats(power), _mm256_set1_ps(up), value));
    return _mm256_and_si256(_mm256_add_epi32(sum, _mm256_srli_epi32(sum, drop)), all(0x7f));
  }

  /// Signs of four vectors, where their codes will be: saturation to integers keeps them.
  [[gnu::always_inline]] static __m256i signs(__m256 x0, __m256 x1, __m256 x2, __m256 x3) noexcept {
    const __m256i packs =
        packed(_mm256_packs_epi32(bits(x0), bits(x1)), _mm256_packs_epi32(bits(x2), bits(x3)));
    return _mm256_and_si256(packs, all(0x80808080u));
  }

  template <arithmetic How, element_type Rounding>
  [[gnu::always_inline]] static __m256i encode(__m256 x0, __m256 x1, __m256 x2, __m256 x3, const factor& f0,
                                               const factor& f1, const factor& f2,
                                               const factor& f3) noexcept {
    const __m256i a0 = magnitudes(x0);
    const __m256i a1 = magnitudes(x1);
    const __m256i a2 = magnitudes(x2);
    const __m256i a3 = magnitudes(x3);
    const __m256i low = _mm256_packs_epi32(rounded<How, Rounding>(a0, f0), rounded<How, Rounding>(a1, f1));
    const __m256i high = _mm256_packs_epi32(rounded<How, Rounding>(a2, f2), rounded<How, Rounding>(a3, f3));
    const __m256i codes = _mm256_or_si256(packed(low, high), signs(x0, x1, x2, x3));
    const __m256i largest = _mm256_max_epi32(_mm256_max_epi32(a0, a1), _mm256_max_epi32(a2, a3));
    if (is_any(_mm256_cmpgt_epi32(largest, all(detail::infinity_bits)))) [[unlikely]] {
      const __m256i nan =
          packed(_mm256_packs_epi32(nan_in(x0), nan_in(x1)), _mm256_packs_epi32(nan_in(x2), nan_in(x3)));
      return _mm256_blendv_epi8(codes, all(D::codec::nan_code * 0x01010101u), nan);
    }
    return codes;
  }
};
template <>
struct encoder<fp8_e4m3fn> : fp8_encoder<fp8_e4m3fn> {};
template <>
struct encoder<fp8_e5m2> : fp8_encoder<fp8_e5m2> {};

/// 32 codes of 32 values.
template <dtype D, arithmetic How, element_type Type, element_type Rounding, class Factors>
[[gnu::always_inline]] inline __m256i encode_block(const unsigned char* x, const Factors& factors,
                                                   std::size_t at) noexcept {
  using from = source<Type>;
  constexpr std::size_t size = lanes * sizeof(typename from::stored);
  return encoder<D>::template encode<How, Rounding>(
      from::load(x), from::load(x + size), from::load(x + 2 * size), from::load(x + 3 * size), factors.at(at),
      factors.at(at + lanes), factors.at(at + 2 * lanes), factors.at(at + 3 * lanes));
}

/// Up to 31 codes, through buffers of a block.
template <dtype D, arithmetic How, element_type Type, element_type Rounding, class Factors>
[[gnu::noinline]] inline void encode_some(const unsigned char* values, std::size_t n, const Factors& factors,
                                          std::size_t at, typename D::storage* codes) noexcept {
  constexpr std::size_t size = sizeof(typename source<Type>::stored);
  alignas(32) unsigned char value_buffer[block * size] = {};
  alignas(32) float factor_buffer[block];
  alignas(32) unsigned char code_buffer[block];
  copy(value_buffer, values, n * size);
  const __m256i found =
      encode_block<D, How, Type, Rounding>(static_cast<const unsigned char*>(value_buffer),
                                           factors.first_of(at, n, static_cast<float*>(factor_buffer)), 0);
  _mm256_store_si256(reinterpret_cast<__m256i*>(code_buffer), found);
  copy(codes, code_buffer, n);
}

[[gnu::always_inline]] inline void store(bool streams, void* to, __m256i value) noexcept {
  if (streams)
    _mm256_stream_si256(static_cast<__m256i*>(to), value);
  else
    _mm256_storeu_si256(static_cast<__m256i*>(to), value);
}

template <dtype D, arithmetic How, element_type Type, element_type Rounding, class Factors>
inline void encode(const unsigned char* values, std::size_t n, const Factors& factors,
                   typename D::storage* codes, bool streams) noexcept {
  constexpr std::size_t size = sizeof(typename source<Type>::stored);
  std::size_t i = 0;
  if (streams) {
    const std::size_t head = (0 - std::bit_cast<std::uintptr_t>(codes)) % block;
    i = head < n ? head : n;
    if (i != 0) encode_some<D, How, Type, Rounding>(values, i, factors, 0, codes);
  }
  for (; i + block <= n; i += block) {
    const unsigned char* x = values + i * size;
    for (std::size_t line = 0; line < block * size; line += 64) prefetch(x + line);
    store(streams, codes + i, encode_block<D, How, Type, Rounding>(x, factors, i));
  }
  if (i < n) encode_some<D, How, Type, Rounding>(values + i * size, n - i, factors, i, codes + i);
}

/// 16 codes as floats, up to a power of two.
struct decoded {
  __m256 low;
  __m256 high;
};

template <dtype D>
struct decoder;

template <>
struct decoder<int8> {
  static constexpr float power = 1;
  [[gnu::always_inline]] static decoded decode(__m128i codes) noexcept {
    return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(codes)),
            _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_unpackhi_epi64(codes, codes)))};
  }
};

/// Through binary16, which has the mantissa bits of all and the exponents of some. All codes of NaN are one.
[[gnu::always_inline]] inline decoded decode_halves(__m256i halves, __m256i nan) noexcept {
  const __m256i numbers = _mm256_blendv_epi8(halves, all_words(0x7e00), nan);
  return {_mm256_cvtph_ps(_mm256_castsi256_si128(numbers)),
          _mm256_cvtph_ps(_mm256_extracti128_si256(numbers, 1))};
}

template <>
struct decoder<fp8_e4m3fn> {
  static constexpr float power = 256;
  [[gnu::always_inline]] static decoded decode(__m128i codes) noexcept {
    const __m256i shifted = _mm256_slli_epi16(_mm256_cvtepi8_epi16(codes), 7);
    const __m256i negative = _mm256_or_si256(shifted, all_words(0xc000));
    return decode_halves(_mm256_and_si256(shifted, all_words(0xbfff)),
                         _mm256_cmpeq_epi16(negative, all_words(0xff80)));
  }
};

template <>
struct decoder<fp8_e5m2> {
  static constexpr float power = 1;
  [[gnu::always_inline]] static decoded decode(__m128i codes) noexcept {
    const __m256i halves = _mm256_slli_epi16(_mm256_cvtepu8_epi16(codes), 8);
    const __m256i size = _mm256_and_si256(halves, all_words(0x7fff));
    return decode_halves(halves, _mm256_cmpgt_epi16(size, all_words(0x7c00)));
  }
};

/// Scales times the decoder's power.
template <dtype D>
struct one_scale {
  __m256 same;
  [[gnu::always_inline]] explicit one_scale(float value) noexcept
      : same(_mm256_set1_ps(value * decoder<D>::power)) {}
  [[gnu::always_inline]] __m256 at(std::size_t) const noexcept { return same; }
  [[gnu::always_inline]] const one_scale& first_of(std::size_t, std::size_t, float*) const noexcept {
    return *this;
  }
};

template <dtype D>
struct each_scale {
  const float* values;
  [[gnu::always_inline]] __m256 at(std::size_t i) const noexcept {
    const __m256 scales = _mm256_loadu_ps(values + i);
    if constexpr (decoder<D>::power == 1) return scales;
    return scales * _mm256_set1_ps(decoder<D>::power);
  }
  [[gnu::always_inline]] each_scale first_of(std::size_t at, std::size_t n, float* buffer) const noexcept {
    for (std::size_t i = 0; i < 2 * lanes; ++i) buffer[i] = 1;
    copy(buffer, values + at, n * sizeof(float));
    return {buffer};
  }
};

template <dtype D, class Scales>
[[gnu::always_inline]] inline void decode_block(const void* codes, const Scales& scales, std::size_t at,
                                                float* values, bool streams) noexcept {
  const decoded found = decoder<D>::decode(load_half_vector(codes));
  store(streams, values, bits(found.low * scales.at(at)));
  store(streams, values + lanes, bits(found.high * scales.at(at + lanes)));
}

/// Up to 15 values, through buffers.
template <dtype D, class Scales>
[[gnu::noinline]] inline void decode_some(const typename D::storage* codes, std::size_t n,
                                          const Scales& scales, std::size_t at, float* values) noexcept {
  alignas(32) unsigned char code_buffer[2 * lanes] = {};
  alignas(32) float scale_buffer[2 * lanes];
  alignas(32) float value_buffer[2 * lanes];
  copy(code_buffer, codes, n);
  decode_block<D>(code_buffer, scales.first_of(at, n, static_cast<float*>(scale_buffer)), 0,
                  static_cast<float*>(value_buffer), false);
  copy(values, value_buffer, n * sizeof(float));
}

template <dtype D, class Scales>
inline void decode(const typename D::storage* codes, std::size_t n, const Scales& scales, float* values,
                   bool streams) noexcept {
  constexpr std::size_t step = 2 * lanes;
  std::size_t i = 0;
  if (streams) {
    const std::size_t head = (0 - std::bit_cast<std::uintptr_t>(values)) / sizeof(float) % lanes;
    i = head < n ? head : n;
    if (i != 0) decode_some<D>(codes, i, scales, 0, values);
  }
  for (; i + step <= n; i += step) {
    prefetch(codes + i);
    decode_block<D>(codes + i, scales, i, values + i, streams);
  }
  if (i < n) decode_some<D>(codes + i, n - i, scales, i, values + i);
}

[[gnu::always_inline]] inline std::uint32_t largest_of(__m256i x) noexcept {
  const __m128i four = _mm_max_epu32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
  const __m128i two = _mm_max_epu32(four, _mm_unpackhi_epi64(four, four));
  return static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm_max_epu32(two, _mm_shuffle_epi32(two, 1))));
}

/// The largest of the magnitudes of 16 half numbers a vector: as numbers they have the order of integers.
[[gnu::always_inline]] inline std::uint16_t amax_of_halves(const unsigned char* x, std::size_t n) noexcept {
  const __m256i size = all_words(0x7fff);
  __m256i a = _mm256_setzero_si256();
  __m256i b = a;
  std::size_t i = 0;
  for (; i + 32 <= n; i += 32, x += 64) {
    prefetch(x);
    a = _mm256_max_epu16(a, _mm256_and_si256(load_bits(x), size));
    b = _mm256_max_epu16(b, _mm256_and_si256(load_bits(x + 32), size));
  }
  alignas(32) std::uint16_t rest[32] = {};
  copy(rest, x, (n - i) * sizeof(std::uint16_t));
  a = _mm256_max_epu16(a, _mm256_and_si256(load_bits(rest), size));
  b = _mm256_max_epu16(b, _mm256_and_si256(load_bits(rest + 16), size));
  const __m256i words = _mm256_max_epu16(a, b);
  const __m256i pairs = _mm256_max_epu16(words, _mm256_srli_epi32(words, 16));
  return static_cast<std::uint16_t>(largest_of(_mm256_and_si256(pairs, all(0xffffu))));
}

[[gnu::always_inline]] inline std::uint32_t amax_of_floats(const unsigned char* x, std::size_t n) noexcept {
  using from = source<element_type::float32>;
  __m256i a = _mm256_setzero_si256();
  __m256i b = a;
  __m256i c = a;
  __m256i d = a;
  std::size_t i = 0;
  for (; i + 32 <= n; i += 32, x += 128) {
    prefetch(x);
    prefetch(x + 64);
    a = _mm256_max_epu32(a, magnitudes(from::load(x)));
    b = _mm256_max_epu32(b, magnitudes(from::load(x + 32)));
    c = _mm256_max_epu32(c, magnitudes(from::load(x + 64)));
    d = _mm256_max_epu32(d, magnitudes(from::load(x + 96)));
  }
  for (; i < n; i += lanes, x += 32) a = _mm256_max_epu32(a, magnitudes(from::load(x, n - i)));
  return largest_of(_mm256_max_epu32(_mm256_max_epu32(a, b), _mm256_max_epu32(c, d)));
}

/// The magnitudes of a row of 1 or more values, the larger of those that share a lane.
template <element_type Type>
[[gnu::always_inline]] inline __m256i row_amax(const unsigned char* x, std::size_t columns) noexcept {
  using from = source<Type>;
  constexpr std::size_t size = sizeof(typename from::stored);
  if (columns < lanes) return magnitudes(exact<Type>(from::load(x, columns)));
  // The last vector ends with the row, and may have some values of the one before again.
  __m256i seen = magnitudes(exact<Type>(from::load(x + (columns - lanes) * size)));
  for (std::size_t i = 0; i + lanes < columns; i += lanes)
    seen = _mm256_max_epu32(seen, magnitudes(exact<Type>(from::load(x + i * size))));
  return seen;
}

/// Four rows, one in each place of four.
template <element_type Type>
[[gnu::always_inline]] inline __m256i four_rows_amax(const unsigned char* x, std::size_t columns) noexcept {
  const std::size_t row = columns * sizeof(typename source<Type>::stored);
  const __m256i a = row_amax<Type>(x, columns);
  const __m256i b = row_amax<Type>(x + row, columns);
  const __m256i c = row_amax<Type>(x + 2 * row, columns);
  const __m256i d = row_amax<Type>(x + 3 * row, columns);
  const __m256i ab = _mm256_max_epu32(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
  const __m256i cd = _mm256_max_epu32(_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
  return _mm256_max_epu32(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
}

template <element_type Type>
inline void amax_of_rows(const unsigned char* x, std::size_t rows, std::size_t columns,
                         float* amax) noexcept {
  const std::size_t row = columns * sizeof(typename source<Type>::stored);
  std::size_t r = 0;
  for (; r + lanes <= rows; r += lanes, x += lanes * row) {
    for (std::size_t line = 0; line < lanes * row; line += 64) prefetch(x + line);
    const __m256i a = four_rows_amax<Type>(x, columns);
    const __m256i b = four_rows_amax<Type>(x + 4 * row, columns);
    const __m256i found =
        _mm256_max_epu32(_mm256_permute2x128_si256(a, b, 0x20), _mm256_permute2x128_si256(a, b, 0x31));
    store(false, amax + r, _mm256_max_epu32(found, load_bits(amax + r)));
  }
  for (; r < rows; ++r, x += row) {
    const std::uint32_t found = largest_of(row_amax<Type>(x, columns));
    if (found > detail::bits_of(amax[r])) amax[r] = detail::float_of(found);
  }
}

/// The first n floats, as bits.
[[gnu::always_inline]] inline __m256i load_first(const float* from, std::size_t n) noexcept {
  return bits(source<element_type::float32>::load(reinterpret_cast<const unsigned char*>(from), n));
}
[[gnu::always_inline]] inline void store_first(float* to, std::size_t n, __m256i value) noexcept {
  _mm256_maskstore_epi32(reinterpret_cast<int*>(to), first_lanes(n), value);
}

/// All bits of the lanes that hold numbers from 2^-60 to 2^60.
[[gnu::always_inline]] inline __m256i ordinary_in(__m256i x) noexcept {
  const __m256i above = _mm256_sub_epi32(x, all(0x21800000u));
  return _mm256_cmpeq_epi32(_mm256_min_epu32(above, all(0x3c000000u)), above);
}

/// numerators / denominators by integers, in the lanes of the mask.
inline __m256i divided_strictly(__m256i quotients, __m256i numerators, __m256i denominators,
                                __m256i mask) noexcept {
  alignas(32) std::uint32_t x[lanes];
  alignas(32) std::uint32_t y[lanes];
  alignas(32) std::uint32_t q[lanes];
  alignas(32) std::uint32_t wanted[lanes];
  store(false, x, numerators);
  store(false, y, denominators);
  store(false, q, quotients);
  store(false, wanted, mask);
  for (std::size_t i = 0; i < lanes; ++i)
    if (wanted[i] != 0) q[i] = detail::divide(x[i], y[i]);
  return load_bits(q);
}

/// numerators / denominators of the first n lanes.
[[gnu::always_inline]] inline __m256i divided(__m256i x, __m256i y, std::size_t n) noexcept {
  const __m256i quotients = bits(hardware_quotient(floats(x), floats(y)));
  const __m256i sure =
      _mm256_and_si256(ordinary_in(quotients), _mm256_and_si256(ordinary_in(x), ordinary_in(y)));
  const __m256i rest = _mm256_andnot_si256(sure, first_lanes(n));
  if (is_any(rest)) [[unlikely]]
    return divided_strictly(quotients, x, y, rest);
  return quotients;
}

template <element_type Type>
inline void scales(float* amax, std::size_t n, const recipe& numbers) noexcept {
  const __m256i divisor = all(detail::bits_of(numbers.divisor));
  for (std::size_t i = 0; i < n; i += lanes) {
    __m256i scale = all(detail::one_bits);
    if (detail::magnitude(detail::bits_of(numbers.divisor)) != 0) {
      scale = divided(load_first(amax + i, n - i), divisor, n - i);
      if (Type != element_type::float32 && numbers.halves != half_rounding::nothing)
        scale = bits(exact<Type>(source<Type>::rounded(floats(scale))));
      scale = _mm256_and_si256(scale, all(~detail::sign_bit));
      scale = _mm256_max_epu32(scale, all(detail::bits_of(numbers.floor)));
      const __m256i zero = _mm256_cmpeq_epi32(scale, _mm256_setzero_si256());
      scale = _mm256_blendv_epi8(scale, all(detail::infinity_bits), zero);
    }
    store_first(amax + i, n - i, scale);
  }
}

}  // namespace avx2

/// Kernels over contiguous elements of any alignment. Factors and scales of encode and decode are ordinary
/// (2^-60 to 2^60). `streams` is for what is larger than the caches: codes and values go past them, and
/// finish_streams() is to be called when all are written.
struct x86_avx2 {
  /// Whether the set has kernels for a dtype and an element type.
  template <dtype D, element T>
  static constexpr bool has =
      (std::same_as<D, int8> || std::same_as<D, fp8_e4m3fn> || std::same_as<D, fp8_e5m2>) &&
      element_traits<T>::type != element_type::float64;

  /// The largest magnitude as float bits, starting from `seen`; NaN and infinity win.
  template <element T>
  static std::uint32_t amax_run(const T* values, std::size_t n, std::uint32_t seen) noexcept {
    using stored = typename avx2::source<type_of<T>>::stored;
    std::uint32_t found = 0;
    if constexpr (type_of<T> == element_type::float32)
      found = avx2::amax_of_floats(bytes_of(values), n);
    else
      found = detail::bits_of(stored{avx2::amax_of_halves(bytes_of(values), n)}.to_float());
    return found > seen ? found : seen;
  }

  /// amax[i] becomes the larger of amax[i] and |values[i]|, by their bits.
  template <element T>
  static void amax_each(const T* values, std::size_t n, float* amax) noexcept {
    using from = avx2::source<type_of<T>>;
    std::size_t i = 0;
    for (; i + avx2::lanes <= n; i += avx2::lanes) {
      avx2::prefetch(values + i);
      const __m256i size = avx2::magnitudes(avx2::exact<type_of<T>>(from::load(bytes_of(values + i))));
      avx2::store(false, amax + i, _mm256_max_epu32(size, avx2::load_bits(amax + i)));
    }
    if (i == n) return;
    const __m256i size = avx2::magnitudes(avx2::exact<type_of<T>>(from::load(bytes_of(values + i), n - i)));
    avx2::store_first(amax + i, n - i, _mm256_max_epu32(size, avx2::load_first(amax + i, n - i)));
  }

  /// The same for rows of 1 to 63 values side by side: amax[r] of row r.
  template <element T>
  static void amax_rows(const T* values, std::size_t rows, std::size_t columns, float* amax) noexcept {
    avx2::amax_of_rows<type_of<T>>(bytes_of(values), rows, columns, amax);
  }

  /// Turns amax (finite, not negative) into the scales to encode by.
  template <element T>
  static void scales(float* amax_then_scales, std::size_t n, const recipe& numbers) noexcept {
    avx2::scales<type_of<T>>(amax_then_scales, n, numbers);
  }

  /// Scales, or their reciprocals; whether all are ordinary.
  template <arithmetic How>
  static bool factors(const float* scales, std::size_t n, float* factors) noexcept {
    const __m256i one = avx2::all(detail::one_bits);
    bool ordinary = true;
    for (std::size_t i = 0; i < n; i += avx2::lanes) {
      const __m256i mask = avx2::first_lanes(n - i);
      // NOLINTNEXTLINE(misc-const-correctness): depends on the arithmetic
      __m256i factor = avx2::load_first(scales + i, n - i);
      if constexpr (How == arithmetic::multiply_by_reciprocal) factor = avx2::divided(one, factor, n - i);
      ordinary = ordinary && !avx2::is_any(_mm256_andnot_si256(avx2::ordinary_in(factor), mask));
      avx2::store_first(factors + i, n - i, factor);
    }
    return ordinary;
  }

  /// out[r * columns + c] = factors[r], for 1 to 63 columns. Writes up to 64 floats beyond the last.
  static void repeat(const float* factors, std::size_t rows, std::size_t columns, float* out) noexcept {
    for (std::size_t r = 0; r < rows; ++r, out += columns) {
      const __m256 factor = _mm256_set1_ps(factors[r]);
      for (std::size_t c = 0; c < columns; c += avx2::lanes) _mm256_storeu_ps(out + c, factor);
    }
  }

  /// Codes by one factor. RoundsQuotient: quotients are rounded to T before.
  template <dtype D, arithmetic How, bool RoundsQuotient, element T>
  static void encode_run(const T* values, std::size_t n, float factor, typename D::storage* codes,
                         bool streams) noexcept {
    encode<D, How, RoundsQuotient>(values, n, avx2::one_factor<How>(factor), codes, streams);
  }

  /// Codes by a factor an element.
  template <dtype D, arithmetic How, bool RoundsQuotient, element T>
  static void encode_each(const T* values, std::size_t n, const float* factors, typename D::storage* codes,
                          bool streams) noexcept {
    encode<D, How, RoundsQuotient>(values, n, avx2::each_factor<How>{factors}, codes, streams);
  }

  /// Values by one scale.
  template <dtype D>
  static void decode_run(const typename D::storage* codes, std::size_t n, float scale, float* values,
                         bool streams) noexcept {
    decode<D>(codes, n, avx2::one_scale<D>(scale), values, streams);
  }

  /// Values by a scale an element.
  template <dtype D>
  static void decode_each(const typename D::storage* codes, std::size_t n, const float* scales, float* values,
                          bool streams) noexcept {
    decode<D>(codes, n, avx2::each_scale<D>{scales}, values, streams);
  }

  /// Makes what was streamed visible to other threads. It takes as long as some rows: once at the end.
  static void finish_streams() noexcept { _mm_sfence(); }

  /// Elements as floats.
  template <element T>
  static void widen(const T* values, std::size_t n, float* out) noexcept {
    using from = avx2::source<type_of<T>>;
    std::size_t i = 0;
    for (; i + avx2::lanes <= n; i += avx2::lanes)
      _mm256_storeu_ps(out + i, avx2::exact<type_of<T>>(from::load(bytes_of(values + i))));
    if (i == n) return;
    const __m256 last = avx2::exact<type_of<T>>(from::load(bytes_of(values + i), n - i));
    avx2::store_first(out + i, n - i, avx2::bits(last));
  }

  /// Quotients rounded to T. `step` is 1 where there is a factor a value, 0 where there is one for all.
  template <arithmetic How, element T>
  static void round_quotients(const float* values, std::size_t n, const float* factors, std::size_t step,
                              float* quotients) noexcept {
    const __m256 beyond_halves = _mm256_set1_ps(0x1p60F);  // where quotients end: nothing is to overflow
    std::size_t i = 0;
    for (; i + avx2::lanes <= n; i += avx2::lanes) {
      const __m256 x = _mm256_loadu_ps(values + i);
      const avx2::factor by =
          avx2::factor_by<How>(step == 0 ? _mm256_set1_ps(factors[0]) : _mm256_loadu_ps(factors + i));
      // NOLINTNEXTLINE(misc-const-correctness): depends on the arithmetic
      __m256i size = avx2::magnitudes(x);
      if constexpr (How == arithmetic::divide)
        size = _mm256_min_epi32(size, avx2::bits(_mm256_mul_ps(by.scale, beyond_halves)));
      const __m256 rounded = avx2::source<type_of<T>>::rounded(avx2::quotient<How>(avx2::floats(size), by));
      const __m256i sign = _mm256_and_si256(avx2::bits(x), avx2::all(detail::sign_bit));
      const __m256i found = _mm256_or_si256(avx2::magnitudes(rounded), sign);
      _mm256_storeu_ps(quotients + i,
                       avx2::floats(_mm256_blendv_epi8(found, avx2::bits(x), avx2::nan_in(x))));
    }
    for (; i < n; ++i) {
      const std::uint32_t value = detail::bits_of(values[i]);
      const std::uint32_t factor = detail::bits_of(factors[i * step]);
      const float quotient = detail::float_of(How == arithmetic::divide ? detail::divide(value, factor)
                                                                        : detail::multiply(value, factor));
      quotients[i] = element_traits<T>::to_float(element_traits<T>::from_float(quotient));
    }
  }

  /// Floats as the nearest elements.
  template <element T>
  static void narrow(const float* values, std::size_t n, T* out) noexcept {
    for (std::size_t i = 0; i < n; i += avx2::lanes) {
      const std::size_t count = n - i < avx2::lanes ? n - i : avx2::lanes;
      const __m256i x = avx2::load_first(values + i, count);
      if constexpr (type_of<T> == element_type::float32) {
        avx2::copy(out + i, &x, count * sizeof(T));
      } else {
        const __m128i found = narrowed<T>(_mm256_castsi256_ps(x));
        if (count == avx2::lanes)
          _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), found);
        else
          avx2::copy(out + i, &found, count * sizeof(T));
      }
    }
  }

  /// Adds to sums those of (x - y)^2, x^2, y^2 and x * y, and to max_abs the largest |x - y|. All are finite.
  static void add_errors(const float* x, const float* y, std::size_t n, double (&sums)[4],
                         double& max_abs) noexcept {
    __m256d errors = _mm256_setzero_pd();
    __m256d xs = errors;
    __m256d ys = errors;
    __m256d products = errors;
    __m256d largest = errors;
    constexpr std::size_t step = 4;
    for (std::size_t i = 0; i < n; i += step) {
      const __m256d a =
          _mm256_cvtps_pd(_mm256_castps256_ps128(avx2::floats(avx2::load_first(x + i, four_of(n - i)))));
      const __m256d b =
          _mm256_cvtps_pd(_mm256_castps256_ps128(avx2::floats(avx2::load_first(y + i, four_of(n - i)))));
      const __m256d error = _mm256_sub_pd(a, b);
      errors = _mm256_fmadd_pd(error, error, errors);
      xs = _mm256_fmadd_pd(a, a, xs);
      ys = _mm256_fmadd_pd(b, b, ys);
      products = _mm256_fmadd_pd(a, b, products);
      largest = _mm256_max_pd(largest, _mm256_andnot_pd(_mm256_set1_pd(-0.0), error));
    }
    sums[0] += sum_of(errors);
    sums[1] += sum_of(xs);
    sums[2] += sum_of(ys);
    sums[3] += sum_of(products);
    alignas(32) double found[step];
    _mm256_store_pd(found, largest);
    for (const double error : found) max_abs = error > max_abs ? error : max_abs;
  }

 private:
  template <element T>
  static constexpr element_type type_of = element_traits<T>::type;

  template <element T>
  static const unsigned char* bytes_of(const T* values) noexcept {
    return reinterpret_cast<const unsigned char*>(values);
  }

  static std::size_t four_of(std::size_t n) noexcept { return n < 4 ? n : 4; }

  static double sum_of(__m256d x) noexcept {
    alignas(32) double terms[4];
    _mm256_store_pd(terms, x);
    return (terms[0] + terms[1]) + (terms[2] + terms[3]);
  }

  template <element T>
  [[gnu::always_inline]] static __m128i narrowed(__m256 x) noexcept {
    using to = avx2::source<type_of<T>>;
    const __m256i nan = avx2::nan_in(x);
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(nan), _mm256_extracti128_si256(nan, 1));
    return _mm_blendv_epi8(to::narrowed(x), _mm_set1_epi16(to::stored::codec::nan_code), words);
  }

  template <dtype D, arithmetic How, bool RoundsQuotient, element T, class Factors>
  static void encode(const T* values, std::size_t n, const Factors& factors, typename D::storage* codes,
                     bool streams) noexcept {
    constexpr element_type rounding = RoundsQuotient ? type_of<T> : element_type::float32;
    avx2::encode<D, How, type_of<T>, rounding>(bytes_of(values), n, factors, codes, streams);
  }

  template <dtype D, class Scales>
  static void decode(const typename D::storage* codes, std::size_t n, const Scales& scales, float* values,
                     bool streams) noexcept {
    avx2::decode<D>(codes, n, scales, values, streams);
  }
};

}  // namespace PTQ_BUILD
}  // namespace kernels
}  // namespace ptq::inline v0_1

PTQ_TARGET_POP
PTQ_PRECISE_POP

#endif  // PTQ_NATIVE_X86
#endif  // PTQ_KERNELS_X86_AVX2_HPP
