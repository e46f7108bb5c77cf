// SPDX-License-Identifier: Apache-2.0
/// @file multiplier_shift.hpp A real factor as integers: how TFLite, CMSIS-NN and others bring int32 sums to
/// int8 codes without floats.
#ifndef PTQ_FIXED_POINT_MULTIPLIER_SHIFT_HPP
#define PTQ_FIXED_POINT_MULTIPLIER_SHIFT_HPP

#include <bit>
#include <cstdint>

#include "ptq/detail/platform.hpp"
#include "ptq/detail/strict_float.hpp"

namespace ptq::inline v0_1 {

/// The factor multiplier / 2^31 * 2^shift. The multiplier is 0, or from 2^30 to 2^31 - 1: a fraction from a
/// half to 1. A positive shift is to the left. These are the two numbers that CMSIS-NN's `multiplier` and
/// `shift` are.
struct multiplier_shift {
  std::int32_t multiplier = 0;
  std::int32_t shift = 0;

  friend constexpr bool operator==(const multiplier_shift&, const multiplier_shift&) = default;
};

namespace detail {

/// significand * 2^exponent, a positive number, as TFLite's QuantizeMultiplier rounds it: half away from
/// zero, and to nothing where the shift is below -31.
constexpr multiplier_shift normalized(std::uint64_t significand, int exponent) noexcept {
  const int lift = std::countl_zero(significand);
  const std::uint64_t fraction = significand << lift;  // 2^63 and up: a half to 1
  std::uint64_t multiplier = (fraction >> 33) + ((fraction >> 32) & 1u);
  std::int32_t shift = exponent + 64 - lift;
  if (multiplier == 0x80000000u) {
    multiplier /= 2;
    ++shift;
  }
  if (shift < -31) return {};
  return {static_cast<std::int32_t>(multiplier), shift};
}

constexpr multiplier_shift from_double_bits(std::uint64_t bits) noexcept {
  constexpr std::uint64_t infinity = 0x7ff0000000000000u;
  constexpr std::uint64_t hidden = 0x10000000000000u;
  if ((bits << 1) == 0) return {};  // 0 and -0
  const bool is_positive_and_finite = bits < infinity;
  PTQ_ASSERT(is_positive_and_finite);
  if (!is_positive_and_finite) return {};
  const std::uint64_t field = bits >> 52;
  const std::uint64_t fraction = bits & (hidden - 1);
  if (field == 0) return {};  // below 2^-1022
  return normalized(fraction | hidden, static_cast<int>(field) - 1075);
}

/// Finite and not negative; -0 is taken for 0.
constexpr bool are_bits_of_scale(std::uint32_t bits) noexcept {
  return bits < infinity_bits || bits == sign_bit;
}

/// The significand and exponent of x * y / z in doubles, each operation rounded once, of positive finite
/// floats.
struct double_quotient {
  std::uint64_t significand = 0;
  int exponent = 0;

  constexpr double_quotient(std::uint32_t x, std::uint32_t y, std::uint32_t z) noexcept {
    const unpacked a = unpack(x);
    const unpacked b = unpack(y);
    const unpacked c = unpack(z);
    const std::uint64_t product = std::uint64_t{a.significand} * b.significand;  // 48 bits: exact
    const int up = std::countl_zero(product) - 1;
    const int across = std::countl_zero(c.significand) - 8;
    const std::uint64_t numerator = product << up;                         // 2^62 to 2^63
    const std::uint64_t divisor = std::uint64_t{c.significand} << across;  // 2^23 to 2^24
    const std::uint64_t rest = (numerator % divisor) << 23;
    const std::uint64_t quotient = ((numerator / divisor) << 23) | (rest / divisor);  // 2^61 to 2^63
    const std::uint64_t sticky = rest % divisor != 0 ? 1u : 0u;
    const int drop = 11 - std::countl_zero(quotient);  // a double has 53 bits
    significand = shift_right_rounded(quotient | sticky, drop);
    exponent = a.exponent + b.exponent - up - 23 - c.exponent + across + drop;
  }
};

}  // namespace detail

/// A scale as multiplier and shift, the bits that TFLite's QuantizeMultiplier gives (`std::frexp`, then the
/// fraction times 2^31 rounded half away from zero; from 2^31 carried into the shift; 0, 0 for a shift below
/// -31). In integers: no <cmath>, no arithmetic on doubles. Constexpr.
///
/// For the requantization of a layer the scale is input scale * weight scale / output scale, in doubles.
///
/// @param scale finite and not negative, which is a precondition (PTQ_ASSERT, so an error in a constant
///              expression); where that is defined away, others give 0, 0. 0 gives 0, 0. Scales from 2^30
///              have a shift above 30, which `requantize` takes and CMSIS-NN with single rounding does not.
constexpr multiplier_shift from_scale(const double& scale) noexcept {
  return detail::from_double_bits(std::bit_cast<std::uint64_t>(scale));
}

/// The same of a float.
constexpr multiplier_shift from_scale(const float& scale) noexcept {
  return detail::from_double_bits(detail::widen(detail::bits_of(scale)));
}

/// input * weight / output as multiplier and shift: the bits of `from_scale(double{input} * weight /
/// output)`, which is what TFLite's converter stores for a channel, without arithmetic on doubles. For
/// firmware that learns a scale on the device.
///
/// @param input, weight finite and not negative
/// @param output        finite and positive (preconditions, as for `from_scale`; else 0, 0)
constexpr multiplier_shift from_scales(const float& input, const float& weight,
                                       const float& output) noexcept {
  const std::uint32_t x = detail::bits_of(input);
  const std::uint32_t y = detail::bits_of(weight);
  const std::uint32_t z = detail::bits_of(output);
  const bool are_scales =
      detail::are_bits_of_scale(x) && detail::are_bits_of_scale(y) && z != 0 && z < detail::infinity_bits;
  PTQ_ASSERT(are_scales);
  if (!are_scales || detail::magnitude(x) == 0 || detail::magnitude(y) == 0) return {};
  const detail::double_quotient scale(x, y, z);
  return detail::normalized(scale.significand, scale.exponent);
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FIXED_POINT_MULTIPLIER_SHIFT_HPP
