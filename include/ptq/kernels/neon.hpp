// SPDX-License-Identifier: Apache-2.0
/// @file neon.hpp The kernels with NEON (Advanced SIMD), which every AArch64 has: the same bits as the
/// portable ones.
///
/// Compilers replace float operations as flags allow them to, and assume that there are no NaN. So here
/// floats are multiplied, fused and converted, and nothing else: what is compared, clamped or looked at are
/// their bits. Flush-to-zero changes none of them; the alternative half format (FPCR.AHP) would.
#ifndef PTQ_KERNELS_NEON_HPP
#define PTQ_KERNELS_NEON_HPP

#include "ptq/detail/platform.hpp"

#if PTQ_NATIVE_NEON

#include <arm_neon.h>

#include <concepts>
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

namespace ptq::inline v0_1 {
namespace kernels {
inline namespace PTQ_SET_BUILD {
namespace simd {

inline constexpr std::size_t lanes = 4;
inline constexpr std::size_t block = 16;  // codes of one store

[[gnu::always_inline]] inline uint32x4_t all(std::uint32_t bits) noexcept {
  return vdupq_n_u32(bits);
}
[[gnu::always_inline]] inline float32x4_t floats(uint32x4_t bits) noexcept {
  return vreinterpretq_f32_u32(bits);
}
[[gnu::always_inline]] inline uint32x4_t bits(float32x4_t x) noexcept {
  return vreinterpretq_u32_f32(x);
}
[[gnu::always_inline]] inline const unsigned char* bytes(const void* from) noexcept {
  return static_cast<const unsigned char*>(from);
}
/// 16 bytes of any alignment.
[[gnu::always_inline]] inline uint32x4_t load_bits(const void* from) noexcept {
  return vreinterpretq_u32_u8(vld1q_u8(bytes(from)));
}
[[gnu::always_inline]] inline uint16x4_t load_words(const void* from) noexcept {
  return vreinterpret_u16_u8(vld1_u8(bytes(from)));
}
[[gnu::always_inline]] inline uint16x8_t load_eight_words(const void* from) noexcept {
  return vreinterpretq_u16_u8(vld1q_u8(bytes(from)));
}
[[gnu::always_inline]] inline void store(void* to, uint32x4_t value) noexcept {
  vst1q_u8(static_cast<unsigned char*>(to), vreinterpretq_u8_u32(value));
}
[[gnu::always_inline]] inline void copy(void* to, const void* from, std::size_t n) noexcept {
  __builtin_memcpy(to, from, n);
}
[[gnu::always_inline]] inline void store_first(float* to, std::size_t n, uint32x4_t value) noexcept {
  if (n >= lanes)
    store(to, value);
  else
    copy(to, &value, n * sizeof(float));
}
[[gnu::always_inline]] inline uint32x4_t magnitudes(float32x4_t x) noexcept {
  return vandq_u32(bits(x), all(~detail::sign_bit));
}
/// All bits of the lanes that hold NaN.
[[gnu::always_inline]] inline uint32x4_t nan_in(float32x4_t x) noexcept {
  return vcgtq_u32(magnitudes(x), all(detail::infinity_bits));
}

/// x / y by an instruction that no flag replaces.
[[gnu::always_inline]] inline float32x4_t hardware_quotient(float32x4_t x, float32x4_t y) noexcept {
  float32x4_t result;  // NOLINT(cppcoreguidelines-init-variables): written by the assembly
  __asm__("fdiv %0.4s, %1.4s, %2.4s" : "=w"(result) : "w"(x), "w"(y));
  return result;
}

/// Elements of a type as floats. NaN stays some NaN.
template <element_type Type>
struct source;

template <>
struct source<element_type::float32> {
  using stored = float;
  [[gnu::always_inline]] static float32x4_t load(const unsigned char* from) noexcept {
    return floats(load_bits(from));
  }
};

template <>
struct source<element_type::float16> {
  using stored = half;
  [[gnu::always_inline]] static float32x4_t widened(uint16x4_t x) noexcept {
    return vcvt_f32_f16(vreinterpret_f16_u16(x));
  }
  [[gnu::always_inline]] static uint16x4_t narrowed(float32x4_t x) noexcept {
    return vreinterpret_u16_f16(vcvt_f16_f32(x));
  }
  [[gnu::always_inline]] static float32x4_t load(const unsigned char* from) noexcept {
    return widened(load_words(from));
  }
};

template <>
struct source<element_type::bfloat16> {
  using stored = bfloat16;
  [[gnu::always_inline]] static float32x4_t widened(uint16x4_t x) noexcept {
    return floats(vshll_n_u16(x, 16));
  }
  /// To nearest even, but for NaN.
  [[gnu::always_inline]] static uint16x4_t narrowed(float32x4_t x) noexcept {
    const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits(x), 16), all(1));
    return vshrn_n_u32(vaddq_u32(vaddq_u32(bits(x), all(0x7fff)), odd), 16);
  }
  [[gnu::always_inline]] static float32x4_t load(const unsigned char* from) noexcept {
    return widened(load_words(from));
  }
};

/// As the portable kernels have it: NaN of a half type is one pattern.
template <element_type Type>
[[gnu::always_inline]] inline float32x4_t exact(float32x4_t x) noexcept {
  if constexpr (Type == element_type::float32) return x;
  return floats(vbslq_u32(nan_in(x), all(detail::nan_bits), bits(x)));
}

/// The first n of 4 elements; 0 beyond.
template <element_type Type>
[[gnu::always_inline]] inline float32x4_t load_first(const unsigned char* from, std::size_t n) noexcept {
  constexpr std::size_t size = sizeof(typename source<Type>::stored);
  if (n >= lanes) return source<Type>::load(from);
  unsigned char buffer[lanes * size] = {};
  copy(buffer, from, n * size);
  return source<Type>::load(buffer);
}
[[gnu::always_inline]] inline float32x4_t load_first(const float* from, std::size_t n) noexcept {
  return load_first<element_type::float32>(bytes(from), n);
}

/// Calls f(index of the first, count) for every 4 of n elements, and for the rest.
template <class F>
[[gnu::always_inline]] inline void in_vectors(std::size_t n, const F& f) noexcept {
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) f(i, lanes);
  if (i < n) f(i, n - i);
}

/// What a vector of quotients is computed with.
struct factor {
  float32x4_t scale;
  float32x4_t inverse;
};

/// One ordinary factor for all.
struct one_factor {
  factor same;
  [[gnu::always_inline]] explicit one_factor(const factors& by) noexcept
      : same{vdupq_n_f32(*by.scales), vdupq_n_f32(*by.inverses)} {}
  [[gnu::always_inline]] factor at(std::size_t) const noexcept { return same; }
  [[gnu::always_inline]] one_factor first_of(std::size_t, std::size_t, float*) const noexcept {
    return *this;
  }
};

/// An ordinary factor an element.
struct each_factor {
  const float* scales;
  const float* inverses;
  [[gnu::always_inline]] explicit each_factor(const factors& by) noexcept
      : scales(by.scales), inverses(by.inverses) {}
  [[gnu::always_inline]] factor at(std::size_t i) const noexcept {
    return {vld1q_f32(scales + i), vld1q_f32(inverses + i)};
  }
  /// Some of them, in a buffer of two blocks, with 1 behind them.
  [[gnu::always_inline]] each_factor first_of(std::size_t at, std::size_t n, float* buffer) const noexcept {
    for (std::size_t i = 0; i < 2 * block; ++i) buffer[i] = 1;
    copy(buffer, scales + at, n * sizeof(float));
    copy(buffer + block, inverses + at, n * sizeof(float));
    return each_factor({buffer, buffer + block, true});
  }
};

/// The quotient, correctly rounded, of values that a dtype does not round to 0 or saturate; NaN of NaN. The
/// division is Markstein's: the residual of a product by the reciprocal corrects it. Of products beyond
/// 2^60, which may be infinite, it is that of 2^60, so that the sum is no less and keeps its sign.
template <arithmetic How>
[[gnu::always_inline]] inline float32x4_t quotient(float32x4_t x, const factor& by) noexcept {
  const float32x4_t product = vmulq_f32(x, by.inverse);
  if constexpr (How == arithmetic::multiply_by_reciprocal) return product;
  constexpr std::uint32_t most = 0x5d800000u;
  const int32x4_t below = vminq_s32(vreinterpretq_s32_f32(product), vdupq_n_s32(most));
  const float32x4_t guess = floats(vminq_u32(vreinterpretq_u32_s32(below), all(detail::sign_bit | most)));
  const float32x4_t residual = vfmsq_f32(x, guess, by.scale);
  return vfmaq_f32(guess, residual, by.inverse);
}

/// Four vectors of numbers.
struct sixteen {
  float32x4_t a, b, c, d;
};

/// The low bytes of four vectors.
[[gnu::always_inline]] inline uint8x16_t low_bytes(uint32x4_t a, uint32x4_t b, uint32x4_t c,
                                                   uint32x4_t d) noexcept {
  const uint16x8_t ab = vuzp1q_u16(vreinterpretq_u16_u32(a), vreinterpretq_u16_u32(b));
  const uint16x8_t cd = vuzp1q_u16(vreinterpretq_u16_u32(c), vreinterpretq_u16_u32(d));
  return vuzp1q_u8(vreinterpretq_u8_u16(ab), vreinterpretq_u8_u16(cd));
}

/// The high bytes of four vectors.
[[gnu::always_inline]] inline uint8x16_t high_bytes(const sixteen& x) noexcept {
  const uint16x8_t ab = vuzp2q_u16(vreinterpretq_u16_f32(x.a), vreinterpretq_u16_f32(x.b));
  const uint16x8_t cd = vuzp2q_u16(vreinterpretq_u16_f32(x.c), vreinterpretq_u16_f32(x.d));
  return vuzp2q_u8(vreinterpretq_u8_u16(ab), vreinterpretq_u8_u16(cd));
}

/// Conversion to integers saturates, and makes 0 of NaN; so does the way from 32 to 8 bits.
struct int8_encoder {
  [[gnu::always_inline]] static uint8x16_t encode(const sixteen& /*values*/,
                                                  const sixteen& quotients) noexcept {
    const int16x8_t low =
        vqmovn_high_s32(vqmovn_s32(vcvtnq_s32_f32(quotients.a)), vcvtnq_s32_f32(quotients.b));
    const int16x8_t high =
        vqmovn_high_s32(vqmovn_s32(vcvtnq_s32_f32(quotients.c)), vcvtnq_s32_f32(quotients.d));
    return vreinterpretq_u8_s8(vqmovn_high_s16(vqmovn_s16(low), high));
  }
};

/// The formats of 8 bits: see `fp8_rounding`.
struct fp8_encoder {
  uint32x4_t limit;
  uint32x4_t first_normal;
  float32x4_t up;
  int32x4_t drop;  // as places to the left
  uint8x16_t nan;

  [[gnu::always_inline]] explicit fp8_encoder(const fp8_rounding& by) noexcept
      : limit(all(detail::bits_of(by.limit))),
        first_normal(all(by.first_normal)),
        up(vdupq_n_f32(by.up)),
        drop(vdupq_n_s32(-static_cast<std::int32_t>(by.drop))),
        nan(vdupq_n_u8(by.nan_code)) {}

  /// Codes in the low 7 bits, without their signs. NaN becomes the largest number.
  [[gnu::always_inline]] uint32x4_t rounded(uint32x4_t size) const noexcept {
    const uint32x4_t value = vminq_u32(size, limit);
    const uint32x4_t power = vandq_u32(vmaxq_u32(value, first_normal), all(detail::infinity_bits));
    const uint32x4_t sum = bits(vfmaq_f32(floats(value), floats(power), up));
    return vaddq_u32(sum, vshlq_u32(sum, drop));
  }

  [[gnu::always_inline]] uint8x16_t encode(const sixteen& values, const sixteen& quotients) const noexcept {
    const uint32x4_t a = magnitudes(quotients.a);
    const uint32x4_t b = magnitudes(quotients.b);
    const uint32x4_t c = magnitudes(quotients.c);
    const uint32x4_t d = magnitudes(quotients.d);
    const uint8x16_t sizes = low_bytes(rounded(a), rounded(b), rounded(c), rounded(d));
    const uint8x16_t codes = vbslq_u8(vdupq_n_u8(0x80), high_bytes(values), sizes);
    const uint32x4_t infinity = all(detail::infinity_bits);
    return vbslq_u8(low_bytes(vcgtq_u32(a, infinity), vcgtq_u32(b, infinity), vcgtq_u32(c, infinity),
                              vcgtq_u32(d, infinity)),
                    nan, codes);
  }
};

/// 16 codes of 16 floats.
template <arithmetic How, class Encoder, class Factors>
[[gnu::always_inline]] inline uint8x16_t encode_block(const unsigned char* x, const Encoder& encoder,
                                                      const Factors& factors, std::size_t at) noexcept {
  using from = source<element_type::float32>;
  const sixteen values{from::load(x), from::load(x + 16), from::load(x + 32), from::load(x + 48)};
  const sixteen quotients{quotient<How>(values.a, factors.at(at)),
                          quotient<How>(values.b, factors.at(at + lanes)),
                          quotient<How>(values.c, factors.at(at + 2 * lanes)),
                          quotient<How>(values.d, factors.at(at + 3 * lanes))};
  return encoder.encode(values, quotients);
}

/// Codes of floats of any alignment. One body for all formats of 8 bits.
template <arithmetic How, class Encoder, class Factors>
[[gnu::noinline]] inline void encode(const unsigned char* values, std::size_t n, const Encoder& encoder_of,
                                     const Factors& factors_of, unsigned char* codes) noexcept {
  const Encoder encoder = encoder_of;  // in registers: codes might lie anywhere
  const Factors factors = factors_of;
  std::size_t i = 0;
  for (; i + block <= n; i += block)
    vst1q_u8(codes + i, encode_block<How>(values + i * sizeof(float), encoder, factors, i));
  if (i == n) return;
  alignas(16) unsigned char value_buffer[block * sizeof(float)] = {};
  alignas(16) float factor_buffer[2 * block];
  alignas(16) unsigned char code_buffer[block];
  copy(value_buffer, values + i * sizeof(float), (n - i) * sizeof(float));
  encode<How>(static_cast<const unsigned char*>(value_buffer), block, encoder,
              factors.first_of(i, n - i, static_cast<float*>(factor_buffer)),
              static_cast<unsigned char*>(code_buffer));
  copy(codes + i, code_buffer, n - i);
}

/// 16 codes as floats.
struct int8_decoder {
  [[gnu::always_inline]] static sixteen decode(int8x16_t codes) noexcept {
    const int16x8_t low = vmovl_s8(vget_low_s8(codes));
    const int16x8_t high = vmovl_high_s8(codes);
    return {vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_high_s16(low)),
            vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), vcvtq_f32_s32(vmovl_high_s16(high))};
  }
};

/// Through binary16, which has the mantissa bits of all and the exponents of some, up to a power of two. All
/// codes of NaN are one.
struct fp8_decoder {
  int16x8_t up;        // places to the left
  uint16x8_t kept;     // less the second sign that comes of widening, where there is room for it
  uint16x8_t largest;  // magnitude that is a number, or infinity

  [[gnu::always_inline]] float16x8_t halves(int16x8_t codes) const noexcept {
    const uint16x8_t numbers = vandq_u16(vreinterpretq_u16_s16(vshlq_s16(codes, up)), kept);
    const uint16x8_t nan = vcgtq_u16(vandq_u16(numbers, vdupq_n_u16(0x7fff)), largest);
    return vreinterpretq_f16_u16(vbslq_u16(nan, vdupq_n_u16(0x7e00), numbers));
  }
  [[gnu::always_inline]] sixteen decode(int8x16_t codes) const noexcept {
    const float16x8_t low = halves(vmovl_s8(vget_low_s8(codes)));
    const float16x8_t high = halves(vmovl_high_s8(codes));
    return {vcvt_f32_f16(vget_low_f16(low)), vcvt_high_f32_f16(low), vcvt_f32_f16(vget_low_f16(high)),
            vcvt_high_f32_f16(high)};
  }
};

template <dtype D>
[[gnu::always_inline]] inline auto make_decoder() noexcept {
  if constexpr (std::same_as<D, int8>)
    return int8_decoder();
  else if constexpr (std::same_as<D, fp8_e4m3fn>)
    return fp8_decoder{vdupq_n_s16(7), vdupq_n_u16(0xbfff), vdupq_n_u16(0x3f00)};
  else
    return fp8_decoder{vdupq_n_s16(8), vdupq_n_u16(0xffff), vdupq_n_u16(0x7c00)};
}

/// What the decoder's numbers are to be multiplied by.
template <dtype D>
inline constexpr float power = std::same_as<D, fp8_e4m3fn> ? 256.0F : 1.0F;

/// A scale times the decoder's power.
struct one_scale {
  float32x4_t same;
  [[gnu::always_inline]] float32x4_t at(std::size_t) const noexcept { return same; }
  [[gnu::always_inline]] one_scale first_of(std::size_t, std::size_t, float*) const noexcept { return *this; }
};

/// A scale a code.
struct each_scale {
  const float* scales;
  float32x4_t power;
  [[gnu::always_inline]] float32x4_t at(std::size_t i) const noexcept {
    return vmulq_f32(vld1q_f32(scales + i), power);
  }
  [[gnu::always_inline]] each_scale first_of(std::size_t at, std::size_t n, float* buffer) const noexcept {
    for (std::size_t i = 0; i < block; ++i) buffer[i] = 1;
    copy(buffer, scales + at, n * sizeof(float));
    return {buffer, power};
  }
};

template <class Decoder, class Scales>
[[gnu::noinline]] inline void decode(const unsigned char* codes, std::size_t n, const Decoder& decoder_of,
                                     const Scales& scales_of, float* values) noexcept {
  const Decoder decoder = decoder_of;  // in registers, as above
  const Scales scales = scales_of;
  std::size_t i = 0;
  for (; i + block <= n; i += block) {
    const sixteen found = decoder.decode(vreinterpretq_s8_u8(vld1q_u8(codes + i)));
    vst1q_f32(values + i, vmulq_f32(found.a, scales.at(i)));
    vst1q_f32(values + i + lanes, vmulq_f32(found.b, scales.at(i + lanes)));
    vst1q_f32(values + i + 2 * lanes, vmulq_f32(found.c, scales.at(i + 2 * lanes)));
    vst1q_f32(values + i + 3 * lanes, vmulq_f32(found.d, scales.at(i + 3 * lanes)));
  }
  if (i == n) return;
  alignas(16) unsigned char code_buffer[block] = {};
  alignas(16) float scale_buffer[block];
  alignas(16) float value_buffer[block];
  copy(code_buffer, codes + i, n - i);
  decode(static_cast<const unsigned char*>(code_buffer), block, decoder,
         scales.first_of(i, n - i, static_cast<float*>(scale_buffer)), static_cast<float*>(value_buffer));
  copy(values + i, value_buffer, (n - i) * sizeof(float));
}

/// The largest of the magnitudes of 8 half numbers a vector: as numbers they have the order of integers.
[[gnu::always_inline]] inline std::uint16_t amax_of_halves(const unsigned char* x, std::size_t n) noexcept {
  const uint16x8_t size = vdupq_n_u16(0x7fff);
  uint16x8_t a = vdupq_n_u16(0);
  uint16x8_t b = a;
  std::size_t i = 0;
  for (; i + 16 <= n; i += 16, x += 32) {
    a = vmaxq_u16(a, vandq_u16(load_eight_words(x), size));
    b = vmaxq_u16(b, vandq_u16(load_eight_words(x + 16), size));
  }
  alignas(16) unsigned char rest[32] = {};
  copy(rest, x, (n - i) * sizeof(std::uint16_t));
  a = vmaxq_u16(a, vandq_u16(load_eight_words(rest), size));
  b = vmaxq_u16(b, vandq_u16(load_eight_words(rest + 16), size));
  return vmaxvq_u16(vmaxq_u16(a, b));
}

[[gnu::always_inline]] inline std::uint32_t amax_of_floats(const unsigned char* x, std::size_t n) noexcept {
  using from = source<element_type::float32>;
  uint32x4_t a = all(0);
  uint32x4_t b = a;
  uint32x4_t c = a;
  uint32x4_t d = a;
  std::size_t i = 0;
  for (; i + 16 <= n; i += 16, x += 64) {
    a = vmaxq_u32(a, magnitudes(from::load(x)));
    b = vmaxq_u32(b, magnitudes(from::load(x + 16)));
    c = vmaxq_u32(c, magnitudes(from::load(x + 32)));
    d = vmaxq_u32(d, magnitudes(from::load(x + 48)));
  }
  for (; i < n; i += lanes, x += 16)
    a = vmaxq_u32(a, magnitudes(load_first<element_type::float32>(x, n - i)));
  return vmaxvq_u32(vmaxq_u32(vmaxq_u32(a, b), vmaxq_u32(c, d)));
}

/// The magnitudes of a row of 1 or more values, the larger of those that share a lane.
[[gnu::always_inline]] inline uint32x4_t row_amax(const float* x, std::size_t columns) noexcept {
  if (columns < lanes) return magnitudes(load_first(x, columns));
  // The last vector ends with the row, and may have some values of the one before again.
  uint32x4_t seen = magnitudes(vld1q_f32(x + (columns - lanes)));
  for (std::size_t i = 0; i + lanes < columns; i += lanes)
    seen = vmaxq_u32(seen, magnitudes(vld1q_f32(x + i)));
  return seen;
}

inline void amax_of_rows(const float* x, std::size_t rows, std::size_t columns, float* amax) noexcept {
  std::size_t r = 0;
  for (; r + lanes <= rows; r += lanes, x += lanes * columns) {
    const uint32x4_t ab = vpmaxq_u32(row_amax(x, columns), row_amax(x + columns, columns));
    const uint32x4_t cd = vpmaxq_u32(row_amax(x + 2 * columns, columns), row_amax(x + 3 * columns, columns));
    store(amax + r, vmaxq_u32(vpmaxq_u32(ab, cd), load_bits(amax + r)));
  }
  for (; r < rows; ++r, x += columns) {
    const std::uint32_t found = vmaxvq_u32(row_amax(x, columns));
    if (found > detail::bits_of(amax[r])) amax[r] = detail::float_of(found);
  }
}

/// All bits of the lanes that hold numbers from 2^-60 to 2^60.
[[gnu::always_inline]] inline uint32x4_t ordinary_in(uint32x4_t x) noexcept {
  return vcleq_u32(vsubq_u32(x, all(0x21800000u)), all(0x3c000000u));
}

/// Whether the first n lanes of a mask are set.
[[gnu::always_inline]] inline bool are_set(uint32x4_t mask, std::size_t n) noexcept {
  const std::uint32_t numbers[lanes] = {0, 1, 2, 3};
  const auto count = static_cast<std::uint32_t>(n < lanes ? n : lanes);
  return vminvq_u32(vorrq_u32(mask, vcgeq_u32(vld1q_u32(numbers), all(count)))) != 0;
}

/// numerators / denominators by integers, in the first n lanes.
inline uint32x4_t divided_strictly(uint32x4_t numerators, uint32x4_t denominators, std::size_t n) noexcept {
  std::uint32_t x[lanes];
  std::uint32_t y[lanes];
  vst1q_u32(x, numerators);
  vst1q_u32(y, denominators);
  for (std::size_t i = 0; i < lanes && i < n; ++i) x[i] = detail::divide(x[i], y[i]);
  return vld1q_u32(x);
}

/// numerators / denominators of the first n lanes.
[[gnu::always_inline]] inline uint32x4_t divided(uint32x4_t x, uint32x4_t y, std::size_t n) noexcept {
  const uint32x4_t quotients = bits(hardware_quotient(floats(x), floats(y)));
  const uint32x4_t sure = vandq_u32(ordinary_in(quotients), vandq_u32(ordinary_in(x), ordinary_in(y)));
  if (!are_set(sure, n)) [[unlikely]]
    return divided_strictly(x, y, n);
  return quotients;
}

/// Rounded to a half type and back; NaN stays some NaN.
template <element_type Type>
[[gnu::always_inline]] inline float32x4_t rounded(float32x4_t x) noexcept {
  if constexpr (Type == element_type::float32)
    return x;
  else
    return source<Type>::widened(source<Type>::narrowed(x));
}

/// The scale of a half type as one of its numbers; float32 is left as it is.
[[gnu::always_inline]] inline uint32x4_t rounded_scale(element_type type, uint32x4_t scale) noexcept {
  if (type == element_type::float16)
    return bits(exact<element_type::float16>(rounded<element_type::float16>(floats(scale))));
  if (type == element_type::bfloat16)
    return bits(exact<element_type::bfloat16>(rounded<element_type::bfloat16>(floats(scale))));
  return scale;
}

/// Sums of errors of two values at a time.
struct error_sums {
  float64x2_t errors = vdupq_n_f64(0);
  float64x2_t xs = errors;
  float64x2_t ys = errors;
  float64x2_t products = errors;
  float64x2_t largest = errors;

  [[gnu::always_inline]] void add(float64x2_t x, float64x2_t y) noexcept {
    const float64x2_t error = vsubq_f64(x, y);
    errors = vfmaq_f64(errors, error, error);
    xs = vfmaq_f64(xs, x, x);
    ys = vfmaq_f64(ys, y, y);
    products = vfmaq_f64(products, x, y);
    largest = vmaxq_f64(largest, vabsq_f64(error));
  }
};

}  // namespace simd

/// What `kernel_set<isa::neon>` calls. Nothing is streamed here.
struct neon {
  static std::uint32_t amax(const float* values, std::size_t n) noexcept {
    return simd::amax_of_floats(simd::bytes(values), n);
  }

  static std::uint16_t amax_halves(const void* values, std::size_t n) noexcept {
    return simd::amax_of_halves(simd::bytes(values), n);
  }

  static void amax_each(const float* values, std::size_t n, float* amax) noexcept {
    simd::in_vectors(n, [&](std::size_t i, std::size_t count) __attribute__((always_inline)) {
      const uint32x4_t size = simd::magnitudes(simd::load_first(values + i, count));
      const uint32x4_t seen = simd::bits(simd::load_first(amax + i, count));
      simd::store_first(amax + i, count, vmaxq_u32(size, seen));
    });
  }

  static void amax_rows(const float* values, std::size_t rows, std::size_t columns, float* amax) noexcept {
    simd::amax_of_rows(values, rows, columns, amax);
  }

  static void scales(float* amax, std::size_t n, const recipe& numbers, element_type rounded) noexcept {
    const uint32x4_t divisor = simd::all(detail::bits_of(numbers.divisor));
    simd::in_vectors(n, [&](std::size_t i, std::size_t count) __attribute__((always_inline)) {
      uint32x4_t scale = simd::all(detail::one_bits);
      if (detail::magnitude(detail::bits_of(numbers.divisor)) != 0) {
        scale = simd::divided(simd::bits(simd::load_first(amax + i, count)), divisor, count);
        scale = simd::rounded_scale(rounded, scale);
        scale = vandq_u32(scale, simd::all(~detail::sign_bit));
        scale = vmaxq_u32(scale, simd::all(detail::bits_of(numbers.floor)));
        scale = vbslq_u32(vceqq_u32(scale, simd::all(0)), simd::all(detail::infinity_bits), scale);
      }
      simd::store_first(amax + i, count, scale);
    });
  }

  static bool invert(arithmetic how, const float* scales, std::size_t n, float* inverses) noexcept {
    bool ordinary = true;
    simd::in_vectors(n, [&](std::size_t i, std::size_t count) __attribute__((always_inline)) {
      const uint32x4_t scale = simd::bits(simd::load_first(scales + i, count));
      const uint32x4_t inverse = simd::divided(simd::all(detail::one_bits), scale, count);
      const uint32x4_t factor = how == arithmetic::divide ? scale : inverse;
      ordinary = ordinary && simd::are_set(simd::ordinary_in(factor), count);
      simd::store_first(inverses + i, count, inverse);
    });
    return ordinary;
  }

  static void repeat(const float* factors, std::size_t rows, std::size_t columns, float* out) noexcept {
    for (std::size_t r = 0; r < rows; ++r, out += columns) {
      const float32x4_t factor = vdupq_n_f32(factors[r]);
      for (std::size_t c = 0; c < columns; c += simd::lanes) vst1q_f32(out + c, factor);
    }
  }

  template <element_type Type, arithmetic How>
  static void encode_int8(const unsigned char* values, std::size_t n, const factors& by, unsigned char* codes,
                          bool /*streams*/) noexcept {
    encode<Type, How>(values, n, simd::int8_encoder{}, by, codes);
  }
  template <element_type Type, arithmetic How>
  static void encode_fp8(const fp8_rounding& format, const unsigned char* values, std::size_t n,
                         const factors& by, unsigned char* codes, bool /*streams*/) noexcept {
    encode<Type, How>(values, n, simd::fp8_encoder(format), by, codes);
  }

  template <dtype D>
  static void decode(const unsigned char* codes, std::size_t n, const float* scales, bool each, float* values,
                     bool /*streams*/) noexcept {
    const float32x4_t power = vdupq_n_f32(simd::power<D>);
    if (each)
      simd::decode(codes, n, simd::make_decoder<D>(), simd::each_scale{scales, power}, values);
    else
      simd::decode(codes, n, simd::make_decoder<D>(), simd::one_scale{vmulq_f32(vdupq_n_f32(*scales), power)},
                   values);
  }

  static void finish_streams() noexcept {}

  template <element_type Type>
  static void widen(const unsigned char* values, std::size_t n, float* floats) noexcept {
    simd::in_vectors(n, [&](std::size_t i, std::size_t count) __attribute__((always_inline)) {
      const float32x4_t x = simd::load_first<Type>(values + i * sizeof(std::uint16_t), count);
      simd::store_first(floats + i, count, simd::bits(simd::exact<Type>(x)));
    });
  }

  template <element_type Type>
  static void narrow(const float* floats, std::size_t n, unsigned char* values) noexcept {
    using to = simd::source<Type>;
    const uint16x4_t nan = vdup_n_u16(to::stored::codec::nan_code);
    simd::in_vectors(n, [&](std::size_t i, std::size_t count) __attribute__((always_inline)) {
      const float32x4_t x = simd::load_first(floats + i, count);
      const uint16x4_t found = vbsl_u16(vmovn_u32(simd::nan_in(x)), nan, to::narrowed(x));
      simd::copy(values + i * sizeof(std::uint16_t), &found, count * sizeof(std::uint16_t));
    });
  }

  template <element_type Type, arithmetic How>
  static void round_quotients(const float* values, std::size_t n, const factors& by,
                              float* quotients) noexcept {
    simd::factor factor = simd::one_factor(by).same;
    simd::in_vectors(n, [&](std::size_t i, std::size_t count) __attribute__((always_inline)) {
      if (by.each)
        factor = {simd::load_first(by.scales + i, count), simd::load_first(by.inverses + i, count)};
      const float32x4_t x = simd::load_first(values + i, count);
      const float32x4_t found = simd::rounded<Type>(simd::quotient<How>(x, factor));
      const uint32x4_t with_sign = vbslq_u32(simd::all(detail::sign_bit), simd::bits(x), simd::bits(found));
      simd::store_first(quotients + i, count, vbslq_u32(simd::nan_in(x), simd::bits(x), with_sign));
    });
  }

  static void add_errors(const float* x, const float* y, std::size_t n, double (&sums)[4],
                         double& max_abs) noexcept {
    simd::error_sums low;
    simd::error_sums high;
    simd::in_vectors(n, [&](std::size_t i, std::size_t count) __attribute__((always_inline)) {
      const float32x4_t a = simd::load_first(x + i, count);
      const float32x4_t b = simd::load_first(y + i, count);
      low.add(vcvt_f64_f32(vget_low_f32(a)), vcvt_f64_f32(vget_low_f32(b)));
      high.add(vcvt_high_f64_f32(a), vcvt_high_f64_f32(b));
    });
    sums[0] += vaddvq_f64(vaddq_f64(low.errors, high.errors));
    sums[1] += vaddvq_f64(vaddq_f64(low.xs, high.xs));
    sums[2] += vaddvq_f64(vaddq_f64(low.ys, high.ys));
    sums[3] += vaddvq_f64(vaddq_f64(low.products, high.products));
    const double largest = vmaxvq_f64(vmaxq_f64(low.largest, high.largest));
    if (largest > max_abs) max_abs = largest;
  }

 private:
  static constexpr std::size_t at_once = 256;

  /// Halves go through a buffer.
  template <element_type Type, arithmetic How, class Encoder>
  static void encode(const unsigned char* values, std::size_t n, const Encoder& encoder, const factors& by,
                     unsigned char* codes) noexcept {
    if constexpr (Type == element_type::float32) {
      if (by.each)
        simd::encode<How>(values, n, encoder, simd::each_factor(by), codes);
      else
        simd::encode<How>(values, n, encoder, simd::one_factor(by), codes);
    } else {
      float buffer[at_once];
      for (std::size_t first = 0; first < n; first += at_once) {
        const std::size_t size = n - first < at_once ? n - first : at_once;
        widen<Type>(values + first * sizeof(std::uint16_t), size, static_cast<float*>(buffer));
        encode<element_type::float32, How>(simd::bytes(buffer), size, encoder, by.from(first), codes + first);
      }
    }
  }
};

template <>
struct set_of<isa::neon> {
  using type = neon;
};

}  // namespace PTQ_SET_BUILD
}  // namespace kernels
}  // namespace ptq::inline v0_1

PTQ_PRECISE_POP

#endif  // PTQ_NATIVE_NEON
#endif  // PTQ_KERNELS_NEON_HPP
