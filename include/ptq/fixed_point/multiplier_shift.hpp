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

}  // namespace ptq::inline v0_1

#endif  // PTQ_FIXED_POINT_MULTIPLIER_SHIFT_HPP
