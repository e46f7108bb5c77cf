// SPDX-License-Identifier: Apache-2.0
/// @file minifloat.hpp One codec for every small binary float: integers only, constexpr, round to nearest
/// even.
#ifndef PTQ_NUMERIC_MINIFLOAT_HPP
#define PTQ_NUMERIC_MINIFLOAT_HPP

#include <bit>
#include <cstdint>
#include <type_traits>

#include "ptq/detail/strict_float.hpp"
#include "ptq/numeric/overflow.hpp"

namespace ptq::inline v0_1 {

/// The shape of a format: 1 sign bit, then exponent and mantissa bits. The exponent bias is 2^(exponent_bits
/// - 1) - 1. Without infinities only the code with all bits set is NaN (OCP's "fn" formats).
struct minifloat_format {
  int exponent_bits;
  int mantissa_bits;
  bool has_infinity;

  constexpr int bias() const noexcept { return (1 << (exponent_bits - 1)) - 1; }
  constexpr int bits() const noexcept { return 1 + exponent_bits + mantissa_bits; }
};

/// Encodes binary32 bit patterns to codes of a format, and decodes them. NaN has one code, and all codes of
/// NaN decode to one bit pattern, both without a sign: machines disagree about the sign of a computed NaN.
/// Source of the two 8-bit formats: OCP 8-bit Floating Point Specification 1.0; of the others: IEEE 754-2019
/// (binary16) and bfloat16 as the upper half of binary32.
template <minifloat_format Format>
struct minifloat {
  using storage = std::conditional_t<(Format.bits() <= 8), std::uint8_t, std::uint16_t>;

  static constexpr int mantissa_bits = Format.mantissa_bits;
  static constexpr std::uint32_t sign_code = 1u << (Format.bits() - 1);
  static constexpr std::uint32_t nan_code = sign_code - 1;
  static constexpr std::uint32_t infinity_code = ((1u << Format.exponent_bits) - 1u)
                                                 << mantissa_bits;  // if any
  static constexpr std::uint32_t max_code = (Format.has_infinity ? infinity_code : nan_code) - 1;

  template <overflow_policy Overflow = saturate>
  static constexpr storage encode(std::uint32_t float_bits) noexcept {
    const std::uint32_t value = detail::magnitude(float_bits);
    std::uint32_t code = 0;
    if (value <= max_bits) {
      code = rounded(value);
    } else {
      if (value > detail::infinity_bits) return static_cast<storage>(nan_code);
      code = max_code;
      if constexpr (!Overflow::saturates)
        if (rounded(value) > max_code) code = Format.has_infinity ? infinity_code : nan_code;
    }
    if (value != float_bits) code |= sign_code;
    return static_cast<storage>(code);
  }

  /// The binary32 bit pattern of a code.
  static constexpr std::uint32_t decode(storage stored) noexcept {
    const std::uint32_t code = stored;
    const std::uint32_t sign = (code & sign_code) != 0 ? detail::sign_bit : 0u;
    const std::uint32_t value = code & (sign_code - 1);
    if (Format.has_infinity ? value > infinity_code : value == nan_code) return detail::nan_bits;
    if (Format.has_infinity && value == infinity_code) return sign | detail::infinity_bits;
    if (value < first_normal_code) return sign | decode_subnormal(value);
    return sign | ((value << drop) + rebias);
  }

 private:
  static constexpr int drop = 23 - mantissa_bits;  // mantissa bits that a float has beyond the format's
  static constexpr std::uint32_t rebias = static_cast<std::uint32_t>(127 - Format.bias()) << 23;
  static constexpr std::uint32_t max_bits = (max_code << drop) + rebias;  // of the largest number
  static constexpr std::uint32_t first_normal_code = 1u << mantissa_bits;
  static constexpr std::uint32_t first_normal_field =
      128u - static_cast<std::uint32_t>(Format.bias());  // the float's exponent field of the smallest normal

  /// The code nearest to a magnitude up to infinity, as if exponents had no end.
  static constexpr std::uint32_t rounded(std::uint32_t value) noexcept {
    const std::uint32_t field = value >> 23;
    if (field >= first_normal_field) return round_bits(value - rebias, drop);
    // Subnormal: the hidden bit is seen, and the significand moves down. The float may be subnormal too,
    // which has no hidden bit; where it is moved out of sight, no matter.
    const bool has_hidden_bit = first_normal_field > 31 || field != 0;
    const std::uint32_t significand = (value & 0x7fffffu) | (has_hidden_bit ? 0x800000u : 0u);
    const std::uint32_t shift = drop + first_normal_field - field - (has_hidden_bit ? 0u : 1u);
    return round_bits(significand, shift < 31 ? shift : 31);  // by 31: far less than half a unit
  }

  /// value / 2^shift, to nearest even, for values below 2^31 and shifts from 1 to 31.
  static constexpr std::uint32_t round_bits(std::uint32_t value, std::uint32_t shift) noexcept {
    const std::uint32_t odd = (value >> shift) & 1u;
    return (value + (1u << (shift - 1)) - 1u + odd) >> shift;
  }

  static constexpr std::uint32_t decode_subnormal(std::uint32_t value) noexcept {
    if constexpr (Format.bias() == 127) return value << drop;  // subnormal as a float too
    if (value == 0) return 0;
    const int up = std::countl_zero(value) - (31 - mantissa_bits);  // places to the hidden bit
    return ((value << up) << drop) + rebias - (static_cast<std::uint32_t>(up) << 23);
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_NUMERIC_MINIFLOAT_HPP
