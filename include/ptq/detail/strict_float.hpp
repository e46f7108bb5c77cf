// SPDX-License-Identifier: Apache-2.0
/// @file strict_float.hpp IEEE-754 binary32 arithmetic on integers: the same bits under every compiler, flag,
/// rounding mode and flush-to-zero setting, at compile time and at run time. All results are rounded to
/// nearest, ties to even. A NaN result is always `nan_bits`: machines disagree about a NaN's sign and
/// payload.
#ifndef PTQ_DETAIL_STRICT_FLOAT_HPP
#define PTQ_DETAIL_STRICT_FLOAT_HPP

#include <bit>
#include <cstdint>

namespace ptq::inline v0_1::detail {

inline constexpr std::uint32_t sign_bit = 0x80000000u;
inline constexpr std::uint32_t infinity_bits = 0x7f800000u;
inline constexpr std::uint32_t nan_bits = 0x7fc00000u;
inline constexpr std::uint32_t one_bits = 0x3f800000u;

/// By reference, like every function here and elsewhere that looks for NaN or infinity: under -ffast-math,
/// clang marks floats that are passed by value as neither, and may drop the test.
constexpr std::uint32_t bits_of(const float& x) noexcept {
  return std::bit_cast<std::uint32_t>(x);
}
constexpr float float_of(std::uint32_t bits) noexcept {
  return std::bit_cast<float>(bits);
}
constexpr std::uint32_t magnitude(std::uint32_t bits) noexcept {
  return bits & ~sign_bit;
}
constexpr bool is_finite(std::uint32_t bits) noexcept {
  return magnitude(bits) < infinity_bits;
}
constexpr bool is_nan(std::uint32_t bits) noexcept {
  return magnitude(bits) > infinity_bits;
}

/// True for 2^-60 .. 2^60. A factor in this range times any float gives a subnormal only where every dtype
/// rounds to 0, so flush-to-zero cannot change a code and hardware arithmetic is as good as integers.
constexpr bool is_ordinary(std::uint32_t bits) noexcept {
  return bits - 0x21800000u <= 0x3c000000u;
}

/// value / 2^shift, rounded to nearest even. Any shift >= 0; values are below 2^63.
constexpr std::uint64_t shift_right_rounded(std::uint64_t value, int shift) noexcept {
  if (shift <= 0) return value;
  if (shift > 63) return 0;  // less than half a unit
  const std::uint64_t quotient = value >> shift;
  const std::uint64_t rest = value & ((std::uint64_t{1} << shift) - 1);
  const std::uint64_t half = std::uint64_t{1} << (shift - 1);
  return quotient + ((rest > half || (rest == half && (quotient & 1u) != 0)) ? 1u : 0u);
}

/// significand * 2^exponent as the bits of the nearest float; overflow gives infinity. `significand` is not 0
/// and below 2^63.
constexpr std::uint32_t pack(std::uint64_t significand, int exponent) noexcept {
  const int width = 64 - std::countl_zero(significand);
  const int leading = exponent + width - 1;  // the power of two of the leading bit
  if (leading > 127) return infinity_bits;
  if (leading < -126) {  // subnormal: the last place is 2^-149
    const int left = exponent + 149;
    if (left >= 0) return static_cast<std::uint32_t>(significand << left);
    return static_cast<std::uint32_t>(shift_right_rounded(significand, -left));
  }
  const std::uint64_t rounded =
      width <= 24 ? significand << (24 - width) : shift_right_rounded(significand, width - 24);
  // The hidden bit adds 1 to the exponent field; so does a carry out of the significand, which may reach
  // infinity.
  return (static_cast<std::uint32_t>(leading + 126) << 23) + static_cast<std::uint32_t>(rounded);
}

/// A finite magnitude other than 0 as significand * 2^exponent.
struct unpacked {
  std::uint32_t significand;
  int exponent;
};

constexpr unpacked unpack(std::uint32_t magnitude_bits) noexcept {
  const std::uint32_t field = magnitude_bits >> 23;
  const std::uint32_t fraction = magnitude_bits & 0x7fffffu;
  if (field == 0) return {fraction, -149};
  return {fraction | 0x800000u, static_cast<int>(field) - 150};
}

/// The bits of x / y.
constexpr std::uint32_t divide(std::uint32_t x, std::uint32_t y) noexcept {
  const std::uint32_t sign = (x ^ y) & sign_bit;
  x = magnitude(x);
  y = magnitude(y);
  if (is_nan(x) || is_nan(y) || (x == 0 && y == 0) || (x == infinity_bits && y == infinity_bits))
    return nan_bits;
  if (x == infinity_bits || y == 0) return sign | infinity_bits;
  if (y == infinity_bits || x == 0) return sign;
  const unpacked a = unpack(x);
  const unpacked b = unpack(y);
  // With the numerator's leading bit at 2^62 the quotient has at least 39 bits: 24, a guard and a sticky bit
  // to spare.
  const int lift = std::countl_zero(std::uint64_t{a.significand}) - 1;
  const std::uint64_t numerator = std::uint64_t{a.significand} << lift;
  const std::uint64_t quotient = numerator / b.significand;
  const std::uint64_t sticky = numerator % b.significand != 0 ? 1u : 0u;
  return sign | pack(quotient | sticky, a.exponent - lift - b.exponent);
}

/// The bits of x * y.
constexpr std::uint32_t multiply(std::uint32_t x, std::uint32_t y) noexcept {
  const std::uint32_t sign = (x ^ y) & sign_bit;
  x = magnitude(x);
  y = magnitude(y);
  if (is_nan(x) || is_nan(y)) return nan_bits;
  if (x == infinity_bits || y == infinity_bits) return x == 0 || y == 0 ? nan_bits : (sign | infinity_bits);
  if (x == 0 || y == 0) return sign;
  const unpacked a = unpack(x);
  const unpacked b = unpack(y);
  return sign | pack(std::uint64_t{a.significand} * b.significand, a.exponent + b.exponent);
}

/// The bits of the float nearest to a double.
constexpr std::uint32_t narrow(std::uint64_t double_bits) noexcept {
  const std::uint32_t sign = static_cast<std::uint32_t>(double_bits >> 32) & sign_bit;
  const std::uint64_t field = (double_bits >> 52) & 0x7ffu;
  const std::uint64_t fraction = double_bits & 0xfffffffffffffu;
  if (field == 0x7ffu) return fraction != 0 ? nan_bits : (sign | infinity_bits);
  if (field == 0) return sign;  // below 2^-1022: 0 as a float
  return sign | pack(fraction | 0x10000000000000u, static_cast<int>(field) - 1075);
}

/// The bits of a float as a double, exact.
constexpr std::uint64_t widen(std::uint32_t bits) noexcept {
  const std::uint64_t sign = std::uint64_t{bits & sign_bit} << 32;
  const std::uint32_t size = magnitude(bits);
  if (is_nan(size)) return 0x7ff8000000000000u;
  if (size == infinity_bits) return sign | 0x7ff0000000000000u;
  if (size == 0) return sign;
  const unpacked a = unpack(size);
  const int up = std::countl_zero(a.significand) - 8;  // places to the hidden bit; 0 unless subnormal
  const std::uint64_t significand = std::uint64_t{a.significand} << (29 + up);
  return sign | ((static_cast<std::uint64_t>(a.exponent - up + 1022 + 23) << 52) + significand);
}

}  // namespace ptq::inline v0_1::detail

#endif  // PTQ_DETAIL_STRICT_FLOAT_HPP
