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
PTQ_TARGET_PUSH("avx2,fma,f16c")

namespace ptq::inline v0_1 {
namespace kernels {
inline namespace PTQ_SET_BUILD {
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

/// The first n floats; 0 beyond.
[[gnu::always_inline]] inline __m256 load_first(const float* from, std::size_t n) noexcept {
  return floats(_mm256_maskload_epi32(reinterpret_cast<const int*>(from), first_lanes(n)));
}
[[gnu::always_inline]] inline void store_first(float* to, std::size_t n, __m256i value) noexcept {
  _mm256_maskstore_epi32(reinterpret_cast<int*>(to), first_lanes(n), value);
}

/// Elements of a type as floats. NaN stays some NaN.
template <element_type Type>
struct source;

template <>
struct source<element_type::float32> {
  static constexpr std::size_t size = sizeof(float);
  [[gnu::always_inline]] static __m256 load(const unsigned char* from) noexcept {
    return floats(load_bits(from));
  }
  [[gnu::always_inline]] static __m256 load(const unsigned char* from, std::size_t n) noexcept {
    return floats(_mm256_maskload_epi32(reinterpret_cast<const int*>(from), first_lanes(n)));
  }
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
  static constexpr std::size_t size = sizeof(std::uint16_t);
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
  static constexpr std::size_t size = sizeof(std::uint16_t);
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
[[gnu::always_inline]] inline __m256 with_one_nan(__m256 x) noexcept {
  return floats(_mm256_blendv_epi8(bits(x), all(detail::nan_bits), nan_in(x)));
}

/// What a vector of quotients is computed with.
struct factor {
  __m256 scale;
  __m256 inverse;
};

/// One ordinary factor for all.
struct one_factor {
  factor same;
  [[gnu::always_inline]] explicit one_factor(const factors& by) noexcept
      : same{_mm256_set1_ps(*by.scales), _mm256_set1_ps(*by.inverses)} {}
  [[gnu::always_inline]] factor at(std::size_t) const noexcept { return same; }
  [[gnu::always_inline]] factor first_at(std::size_t, std::size_t) const noexcept { return same; }
};

/// An ordinary factor an element.
struct each_factor {
  const float* scales;
  const float* inverses;
  [[gnu::always_inline]] explicit each_factor(const factors& by) noexcept
      : scales(by.scales), inverses(by.inverses) {}
  [[gnu::always_inline]] factor at(std::size_t i) const noexcept {
    return {_mm256_loadu_ps(scales + i), _mm256_loadu_ps(inverses + i)};
  }
  /// The first n, and 1 behind them.
  [[gnu::always_inline]] factor first_at(std::size_t i, std::size_t n) const noexcept {
    const __m256i wanted = first_lanes(n);
    const __m256i one = all(detail::one_bits);
    return {floats(_mm256_blendv_epi8(one, bits(load_first(scales + i, n)), wanted)),
            floats(_mm256_blendv_epi8(one, bits(load_first(inverses + i, n)), wanted))};
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

/// Makes 32 codes of four vectors.
struct int8_encoder {
  template <arithmetic How>
  [[gnu::always_inline]] static __m256i rounded(__m256 x, const factor& by) noexcept {
    return _mm256_cvtps_epi32(quotient<How>(x, by));
  }

  /// The lowest integer stands for what is none: NaN is 0, the rest is saturated.
  [[gnu::always_inline]] static __m256i mended(__m256 x, __m256i code) noexcept {
    const __m256i end = _mm256_xor_si256(_mm256_srai_epi32(bits(x), 31), all(0x7fffffffu));
    return _mm256_blendv_epi8(code, _mm256_andnot_si256(nan_in(x), end),
                              _mm256_cmpeq_epi32(code, all(detail::sign_bit)));
  }

  template <arithmetic How>
  [[gnu::always_inline]] __m256i encode(__m256 x0, __m256 x1, __m256 x2, __m256 x3, const factor& f0,
                                        const factor& f1, const factor& f2, const factor& f3) const noexcept {
    const __m256i c0 = rounded<How>(x0, f0);
    const __m256i c1 = rounded<How>(x1, f1);
    const __m256i c2 = rounded<How>(x2, f2);
    const __m256i c3 = rounded<How>(x3, f3);
    const __m256i low = _mm256_packs_epi32(c0, c1);
    const __m256i high = _mm256_packs_epi32(c2, c3);
    if (is_any(_mm256_cmpeq_epi16(_mm256_min_epi16(low, high), all_words(0x8000)))) [[unlikely]] {
      return packed(_mm256_packs_epi32(mended(x0, c0), mended(x1, c1)),
                    _mm256_packs_epi32(mended(x2, c2), mended(x3, c3)));
    }
    return packed(low, high);
  }
};

/// The same for the formats of 8 bits: see `fp8_rounding`.
struct fp8_encoder {
  __m256 limit;
  __m256i first_normal;
  __m256i drop;
  __m256 up;
  __m256i nan_code;

  [[gnu::always_inline]] explicit fp8_encoder(const fp8_rounding& by) noexcept
      : limit(_mm256_set1_ps(by.limit)),
        first_normal(all(by.first_normal)),
        drop(all(by.drop)),
        up(_mm256_set1_ps(by.up)),
        nan_code(all(by.nan_code * 0x01010101u)) {}

  /// Codes without their signs. NaN becomes some number.
  template <arithmetic How>
  [[gnu::always_inline]] __m256i rounded(__m256i size, const factor& by) const noexcept {
    __m256 value = floats(size);
    if constexpr (How == arithmetic::divide) {
      value = floats(_mm256_min_epi32(size, bits(by.scale * limit)));
      value = quotient<How>(value, by);
    } else {
      value = floats(_mm256_min_epi32(bits(quotient<How>(value, by)), bits(limit)));
    }
    const __m256i normal = _mm256_max_epi32(bits(value), first_normal);
    const __m256i power = _mm256_and_si256(normal, all(detail::infinity_bits));
    const __m256i sum = bits(_mm256_fmadd_ps(floats(power), up, value));
    return _mm256_and_si256(_mm256_add_epi32(sum, _mm256_srlv_epi32(sum, drop)), all(0x7f));
  }

  /// Signs of four vectors, where their codes will be: saturation to integers keeps them.
  [[gnu::always_inline]] static __m256i signs(__m256 x0, __m256 x1, __m256 x2, __m256 x3) noexcept {
    const __m256i packs =
        packed(_mm256_packs_epi32(bits(x0), bits(x1)), _mm256_packs_epi32(bits(x2), bits(x3)));
    return _mm256_and_si256(packs, all(0x80808080u));
  }

  template <arithmetic How>
  [[gnu::always_inline]] __m256i encode(__m256 x0, __m256 x1, __m256 x2, __m256 x3, const factor& f0,
                                        const factor& f1, const factor& f2, const factor& f3) const noexcept {
    const __m256i a0 = magnitudes(x0);
    const __m256i a1 = magnitudes(x1);
    const __m256i a2 = magnitudes(x2);
    const __m256i a3 = magnitudes(x3);
    const __m256i low = _mm256_packs_epi32(rounded<How>(a0, f0), rounded<How>(a1, f1));
    const __m256i high = _mm256_packs_epi32(rounded<How>(a2, f2), rounded<How>(a3, f3));
    const __m256i codes = _mm256_or_si256(packed(low, high), signs(x0, x1, x2, x3));
    const __m256i largest = _mm256_max_epi32(_mm256_max_epi32(a0, a1), _mm256_max_epi32(a2, a3));
    if (is_any(_mm256_cmpgt_epi32(largest, all(detail::infinity_bits)))) [[unlikely]] {
      const __m256i nan =
          packed(_mm256_packs_epi32(nan_in(x0), nan_in(x1)), _mm256_packs_epi32(nan_in(x2), nan_in(x3)));
      return _mm256_blendv_epi8(codes, nan_code, nan);
    }
    return codes;
  }
};

/// How many of n are left for the vector number `vector` of a block.
[[gnu::always_inline]] inline std::size_t left_for(std::size_t vector, std::size_t n) noexcept {
  return n > vector * lanes ? n - vector * lanes : 0;
}

/// Up to 31 codes.
template <element_type Type, arithmetic How, class Encoder, class Factors>
[[gnu::noinline]] inline void encode_some(const unsigned char* x, std::size_t n, const Factors& by,
                                          std::size_t at, const Encoder& encoder,
                                          unsigned char* codes) noexcept {
  using from = source<Type>;
  constexpr std::size_t size = lanes * from::size;
  alignas(32) unsigned char buffer[block];
  const std::size_t n1 = left_for(1, n);
  const std::size_t n2 = left_for(2, n);
  const std::size_t n3 = left_for(3, n);
  const __m256i found = encoder.template encode<How>(
      from::load(x, n), from::load(x + size, n1), from::load(x + 2 * size, n2), from::load(x + 3 * size, n3),
      by.first_at(at, n), by.first_at(at + lanes, n1), by.first_at(at + 2 * lanes, n2),
      by.first_at(at + 3 * lanes, n3));
  _mm256_store_si256(reinterpret_cast<__m256i*>(buffer), found);
  copy(codes, buffer, n);
}

[[gnu::always_inline]] inline void store(bool streams, void* to, __m256i value) noexcept {
  if (streams)
    _mm256_stream_si256(static_cast<__m256i*>(to), value);
  else
    _mm256_storeu_si256(static_cast<__m256i*>(to), value);
}

template <element_type Type, arithmetic How, class Encoder, class Factors>
inline void encode(const unsigned char* values, std::size_t n, const Factors& by, const Encoder& encoder,
                   unsigned char* codes, bool streams) noexcept {
  using from = source<Type>;
  constexpr std::size_t size = lanes * from::size;
  std::size_t i = 0;
  if (streams) {
    const std::size_t head = (0 - std::bit_cast<std::uintptr_t>(codes)) % block;
    i = head < n ? head : n;
    if (i != 0) encode_some<Type, How>(values, i, by, 0, encoder, codes);
  }
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
  [[gnu::always_inline]] explicit one_scale(const float* scale) noexcept
      : same(_mm256_set1_ps(*scale * decoder<D>::power)) {}
  [[gnu::always_inline]] __m256 at(std::size_t) const noexcept { return same; }
  [[gnu::always_inline]] const one_scale& first_of(std::size_t, std::size_t, float*) const noexcept {
    return *this;
  }
};

template <dtype D>
struct each_scale {
  const float* values;
  [[gnu::always_inline]] explicit each_scale(const float* scales) noexcept : values(scales) {}
  [[gnu::always_inline]] __m256 at(std::size_t i) const noexcept {
    const __m256 scales = _mm256_loadu_ps(values + i);
    if constexpr (decoder<D>::power == 1) return scales;
    return scales * _mm256_set1_ps(decoder<D>::power);
  }
  [[gnu::always_inline]] each_scale first_of(std::size_t at, std::size_t n, float* buffer) const noexcept {
    for (std::size_t i = 0; i < 2 * lanes; ++i) buffer[i] = 1;
    copy(buffer, values + at, n * sizeof(float));
    return each_scale(buffer);
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
[[gnu::noinline]] inline void decode_some(const unsigned char* codes, std::size_t n, const Scales& scales,
                                          std::size_t at, float* values) noexcept {
  alignas(32) unsigned char code_buffer[2 * lanes] = {};
  alignas(32) float scale_buffer[2 * lanes];
  alignas(32) float value_buffer[2 * lanes];
  copy(code_buffer, codes, n);
  decode_block<D>(code_buffer, scales.first_of(at, n, static_cast<float*>(scale_buffer)), 0,
                  static_cast<float*>(value_buffer), false);
  copy(values, value_buffer, n * sizeof(float));
}

template <dtype D, class Scales>
inline void decode(const unsigned char* codes, std::size_t n, const Scales& scales, float* values,
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

[[gnu::always_inline]] inline std::uint32_t amax_of_floats(const float* x, std::size_t n) noexcept {
  __m256i a = _mm256_setzero_si256();
  __m256i b = a;
  __m256i c = a;
  __m256i d = a;
  std::size_t i = 0;
  for (; i + block <= n; i += block, x += block) {
    prefetch(x);
    prefetch(x + 2 * lanes);
    a = _mm256_max_epu32(a, magnitudes(_mm256_loadu_ps(x)));
    b = _mm256_max_epu32(b, magnitudes(_mm256_loadu_ps(x + lanes)));
    c = _mm256_max_epu32(c, magnitudes(_mm256_loadu_ps(x + 2 * lanes)));
    d = _mm256_max_epu32(d, magnitudes(_mm256_loadu_ps(x + 3 * lanes)));
  }
  for (; i < n; i += lanes, x += lanes) a = _mm256_max_epu32(a, magnitudes(load_first(x, n - i)));
  return largest_of(_mm256_max_epu32(_mm256_max_epu32(a, b), _mm256_max_epu32(c, d)));
}

/// The magnitudes of a row of 1 or more values, the larger of those that share a lane.
[[gnu::always_inline]] inline __m256i row_amax(const float* x, std::size_t columns) noexcept {
  if (columns < lanes) return magnitudes(load_first(x, columns));
  // The last vector ends with the row, and may have some values of the one before again.
  __m256i seen = magnitudes(_mm256_loadu_ps(x + (columns - lanes)));
  for (std::size_t i = 0; i + lanes < columns; i += lanes)
    seen = _mm256_max_epu32(seen, magnitudes(_mm256_loadu_ps(x + i)));
  return seen;
}

/// Four rows, one in each place of four.
[[gnu::always_inline]] inline __m256i four_rows_amax(const float* x, std::size_t columns) noexcept {
  const __m256i a = row_amax(x, columns);
  const __m256i b = row_amax(x + columns, columns);
  const __m256i c = row_amax(x + 2 * columns, columns);
  const __m256i d = row_amax(x + 3 * columns, columns);
  const __m256i ab = _mm256_max_epu32(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
  const __m256i cd = _mm256_max_epu32(_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
  return _mm256_max_epu32(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
}

inline void amax_of_rows(const float* x, std::size_t rows, std::size_t columns, float* amax) noexcept {
  std::size_t r = 0;
  for (; r + lanes <= rows; r += lanes, x += lanes * columns) {
    for (std::size_t line = 0; line < lanes * columns; line += 2 * lanes) prefetch(x + line);
    const __m256i a = four_rows_amax(x, columns);
    const __m256i b = four_rows_amax(x + 4 * columns, columns);
    const __m256i found =
        _mm256_max_epu32(_mm256_permute2x128_si256(a, b, 0x20), _mm256_permute2x128_si256(a, b, 0x31));
    store(false, amax + r, _mm256_max_epu32(found, load_bits(amax + r)));
  }
  for (; r < rows; ++r, x += columns) {
    const std::uint32_t found = largest_of(row_amax(x, columns));
    if (found > detail::bits_of(amax[r])) amax[r] = detail::float_of(found);
  }
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

/// The scale of a half type as one of its numbers; float32 is left as it is.
[[gnu::always_inline]] inline __m256i rounded_scale(element_type type, __m256i scale) noexcept {
  if (type == element_type::float16)
    return bits(with_one_nan(source<element_type::float16>::rounded(floats(scale))));
  if (type == element_type::bfloat16)
    return bits(with_one_nan(source<element_type::bfloat16>::rounded(floats(scale))));
  return scale;
}

/// As the nearest numbers of a half type.
template <element_type Type>
[[gnu::always_inline]] inline __m128i narrowed(__m256 x) noexcept {
  using to = source<Type>;
  const __m256i nan = nan_in(x);
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(nan), _mm256_extracti128_si256(nan, 1));
  return _mm_blendv_epi8(to::narrowed(x), _mm_set1_epi16(to::stored::codec::nan_code), words);
}

}  // namespace avx2

/// What `kernel_set<isa::avx2>` calls.
struct x86_avx2 {
  static std::uint32_t amax(const float* values, std::size_t n) noexcept {
    return avx2::amax_of_floats(values, n);
  }

  static std::uint16_t amax_halves(const void* values, std::size_t n) noexcept {
    return avx2::amax_of_halves(static_cast<const unsigned char*>(values), n);
  }

  static void amax_each(const float* values, std::size_t n, float* amax) noexcept {
    std::size_t i = 0;
    for (; i + avx2::lanes <= n; i += avx2::lanes) {
      avx2::prefetch(values + i);
      const __m256i size = avx2::magnitudes(_mm256_loadu_ps(values + i));
      avx2::store(false, amax + i, _mm256_max_epu32(size, avx2::load_bits(amax + i)));
    }
    if (i == n) return;
    const __m256i size = avx2::magnitudes(avx2::load_first(values + i, n - i));
    const __m256i seen = avx2::bits(avx2::load_first(amax + i, n - i));
    avx2::store_first(amax + i, n - i, _mm256_max_epu32(size, seen));
  }

  static void amax_rows(const float* values, std::size_t rows, std::size_t columns, float* amax) noexcept {
    avx2::amax_of_rows(values, rows, columns, amax);
  }

  static void scales(float* amax, std::size_t n, const recipe& numbers, element_type rounded) noexcept {
    const __m256i divisor = avx2::all(detail::bits_of(numbers.divisor));
    for (std::size_t i = 0; i < n; i += avx2::lanes) {
      __m256i scale = avx2::all(detail::one_bits);
      if (detail::magnitude(detail::bits_of(numbers.divisor)) != 0) {
        scale = avx2::divided(avx2::bits(avx2::load_first(amax + i, n - i)), divisor, n - i);
        scale = avx2::rounded_scale(rounded, scale);
        scale = _mm256_and_si256(scale, avx2::all(~detail::sign_bit));
        scale = _mm256_max_epu32(scale, avx2::all(detail::bits_of(numbers.floor)));
        const __m256i zero = _mm256_cmpeq_epi32(scale, _mm256_setzero_si256());
        scale = _mm256_blendv_epi8(scale, avx2::all(detail::infinity_bits), zero);
      }
      avx2::store_first(amax + i, n - i, scale);
    }
  }

  static bool invert(arithmetic how, const float* scales, std::size_t n, float* inverses) noexcept {
    const __m256i one = avx2::all(detail::one_bits);
    bool ordinary = true;
    for (std::size_t i = 0; i < n; i += avx2::lanes) {
      const __m256i mask = avx2::first_lanes(n - i);
      const __m256i scale = avx2::bits(avx2::load_first(scales + i, n - i));
      const __m256i inverse = avx2::divided(one, scale, n - i);
      const __m256i factor = how == arithmetic::divide ? scale : inverse;
      ordinary = ordinary && !avx2::is_any(_mm256_andnot_si256(avx2::ordinary_in(factor), mask));
      avx2::store_first(inverses + i, n - i, inverse);
    }
    return ordinary;
  }

  static void repeat(const float* factors, std::size_t rows, std::size_t columns, float* out) noexcept {
    for (std::size_t r = 0; r < rows; ++r, out += columns) {
      const __m256 factor = _mm256_set1_ps(factors[r]);
      for (std::size_t c = 0; c < columns; c += avx2::lanes) _mm256_storeu_ps(out + c, factor);
    }
  }

  template <element_type Type, arithmetic How>
  static void encode_int8(const unsigned char* values, std::size_t n, const factors& by, unsigned char* codes,
                          bool streams) noexcept {
    encode<Type, How>(values, n, by, avx2::int8_encoder{}, codes, streams);
  }
  template <element_type Type, arithmetic How>
  static void encode_fp8(const fp8_rounding& format, const unsigned char* values, std::size_t n,
                         const factors& by, unsigned char* codes, bool streams) noexcept {
    encode<Type, How>(values, n, by, avx2::fp8_encoder(format), codes, streams);
  }

  template <dtype D>
  static void decode(const unsigned char* codes, std::size_t n, const float* scales, bool each, float* values,
                     bool streams) noexcept {
    if (each)
      avx2::decode<D>(codes, n, avx2::each_scale<D>(scales), values, streams);
    else
      avx2::decode<D>(codes, n, avx2::one_scale<D>(scales), values, streams);
  }

  static void finish_streams() noexcept { _mm_sfence(); }

  template <element_type Type>
  static void widen(const unsigned char* values, std::size_t n, float* floats) noexcept {
    using from = avx2::source<Type>;
    std::size_t i = 0;
    for (; i + avx2::lanes <= n; i += avx2::lanes, values += 2 * avx2::lanes)
      _mm256_storeu_ps(floats + i, avx2::with_one_nan(from::load(values)));
    if (i == n) return;
    avx2::store_first(floats + i, n - i, avx2::bits(avx2::with_one_nan(from::load(values, n - i))));
  }

  template <element_type Type>
  static void narrow(const float* floats, std::size_t n, unsigned char* values) noexcept {
    std::size_t i = 0;
    for (; i + avx2::lanes <= n; i += avx2::lanes, values += 2 * avx2::lanes)
      _mm_storeu_si128(reinterpret_cast<__m128i*>(values), avx2::narrowed<Type>(_mm256_loadu_ps(floats + i)));
    if (i == n) return;
    const __m128i last = avx2::narrowed<Type>(avx2::load_first(floats + i, n - i));
    avx2::copy(values, &last, (n - i) * sizeof(std::uint16_t));
  }

  template <element_type Type, arithmetic How>
  static void round_quotients(const float* values, std::size_t n, const factors& by,
                              float* quotients) noexcept {
    if (by.each)
      round_quotients<Type, How>(values, n, avx2::each_factor(by), quotients);
    else
      round_quotients<Type, How>(values, n, avx2::one_factor(by), quotients);
  }

  static void add_errors(const float* x, const float* y, std::size_t n, double (&sums)[4],
                         double& max_abs) noexcept {
    __m256d errors = _mm256_setzero_pd();
    __m256d xs = errors;
    __m256d ys = errors;
    __m256d products = errors;
    __m256d largest = errors;
    constexpr std::size_t step = 4;
    for (std::size_t i = 0; i < n; i += step) {
      const __m256d a = first_doubles(x + i, n - i);
      const __m256d b = first_doubles(y + i, n - i);
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
  /// The first n of 4 values.
  static __m256d first_doubles(const float* from, std::size_t n) noexcept {
    return _mm256_cvtps_pd(_mm256_castps256_ps128(avx2::load_first(from, n < 4 ? n : 4)));
  }

  static double sum_of(__m256d x) noexcept {
    alignas(32) double terms[4];
    _mm256_store_pd(terms, x);
    return (terms[0] + terms[1]) + (terms[2] + terms[3]);
  }

  template <element_type Type, arithmetic How, class Encoder>
  static void encode(const unsigned char* values, std::size_t n, const factors& by, const Encoder& encoder,
                     unsigned char* codes, bool streams) noexcept {
    if (by.each)
      avx2::encode<Type, How>(values, n, avx2::each_factor(by), encoder, codes, streams);
    else
      avx2::encode<Type, How>(values, n, avx2::one_factor(by), encoder, codes, streams);
  }

  template <element_type Type, arithmetic How, class Factors>
  static void round_quotients(const float* values, std::size_t n, const Factors& by,
                              float* quotients) noexcept {
    const __m256 beyond_halves = _mm256_set1_ps(0x1p60F);  // where quotients end: nothing is to overflow
    for (std::size_t i = 0; i < n; i += avx2::lanes) {
      const __m256 x = avx2::load_first(values + i, n - i);
      const avx2::factor factor = by.first_at(i, n - i);
      // NOLINTNEXTLINE(misc-const-correctness): depends on the arithmetic
      __m256i size = avx2::magnitudes(x);
      if constexpr (How == arithmetic::divide)
        size = _mm256_min_epi32(size, avx2::bits(_mm256_mul_ps(factor.scale, beyond_halves)));
      const __m256 rounded = avx2::source<Type>::rounded(avx2::quotient<How>(avx2::floats(size), factor));
      const __m256i sign = _mm256_and_si256(avx2::bits(x), avx2::all(detail::sign_bit));
      const __m256i found = _mm256_or_si256(avx2::magnitudes(rounded), sign);
      avx2::store_first(quotients + i, n - i, _mm256_blendv_epi8(found, avx2::bits(x), avx2::nan_in(x)));
    }
  }
};

template <>
struct set_of<isa::avx2> {
  using type = x86_avx2;
};

}  // namespace PTQ_SET_BUILD
}  // namespace kernels
}  // namespace ptq::inline v0_1

PTQ_TARGET_POP
PTQ_PRECISE_POP

#endif  // PTQ_NATIVE_X86
#endif  // PTQ_KERNELS_X86_AVX2_HPP
