// SPDX-License-Identifier: Apache-2.0
/// @file requantize.hpp int32 sums of products times a factor, in integers: what stands between the sums of a
/// layer and its int8 output. Total: every sum, multiplier and shift has a result, beyond the range the
/// nearest end of it.
///
/// Sources: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
/// Inference" (2018), section 2.2; gemmlowp's fixedpoint.h and TFLite's MultiplyByQuantizedMultiplier for the
/// roundings. The statement of the arithmetic is our own.
#ifndef PTQ_FIXED_POINT_REQUANTIZE_HPP
#define PTQ_FIXED_POINT_REQUANTIZE_HPP

#include <cstdint>
#include <limits>

#include "ptq/fixed_point/half_away.hpp"
#include "ptq/fixed_point/half_up.hpp"
#include "ptq/fixed_point/multiplier_shift.hpp"
#include "ptq/fixed_point/rounding.hpp"

namespace ptq::inline v0_1 {
namespace detail {

constexpr std::int32_t saturated(std::int64_t value) noexcept {
  constexpr std::int32_t lowest = std::numeric_limits<std::int32_t>::lowest();
  constexpr std::int32_t highest = -(lowest + 1);
  return value < lowest ? lowest : value > highest ? highest : static_cast<std::int32_t>(value);
}

/// value * 2^places, for places >= 0.
constexpr std::int32_t shift_left_saturated(std::int64_t value, std::int64_t places) noexcept {
  const std::int64_t narrow = saturated(value);  // what is beyond stays beyond
  return saturated(narrow * (std::int64_t{1} << (places < 31 ? places : 31)));
}

/// value / 2^places, rounded, for places >= 0 and values up to 2^62, products of two int32.
template <tie_rounding Ties>
constexpr std::int32_t shift_right_saturated(std::int64_t value, std::int64_t places) noexcept {
  if (places == 0) return saturated(value);
  if (places > 63) return 0;  // less than half a unit
  return saturated(Ties::shift_right(value, static_cast<int>(places)));
}

/// sum * factor: a product of 64 bits, rounded once.
template <tie_rounding Ties>
constexpr std::int32_t multiply_rounded(std::int32_t sum, multiplier_shift by) noexcept {
  const std::int64_t product = std::int64_t{sum} * by.multiplier;
  const std::int64_t places = 31 - std::int64_t{by.shift};
  return places < 0 ? shift_left_saturated(product, -places) : shift_right_saturated<Ties>(product, places);
}

}  // namespace detail

/// The product of 64 bits is rounded once, ties upwards: TFLite's form with TFLITE_SINGLE_ROUNDING, and
/// CMSIS-NN's with CMSIS_NN_USE_SINGLE_ROUNDING.
struct single_rounding {
  static constexpr std::int32_t multiply(std::int32_t sum, multiplier_shift by) noexcept {
    return detail::multiply_rounded<half_up>(sum, by);
  }
};

/// The sum is shifted left, saturating; the doubled high half of its product with the multiplier is rounded,
/// ties upwards; then that is shifted right and rounded again, ties away from zero: gemmlowp's form, TFLite's
/// older one, and CMSIS-NN's default. Up to 1 from `single_rounding`.
struct double_rounding {
  static constexpr std::int32_t multiply(std::int32_t sum, multiplier_shift by) noexcept {
    const std::int64_t left = by.shift > 0 ? by.shift : 0;
    const std::int64_t right = left - by.shift;
    const std::int64_t shifted = detail::shift_left_saturated(sum, left);
    const std::int32_t high = detail::shift_right_saturated<half_up>(shifted * by.multiplier, 31);
    return detail::shift_right_saturated<half_away>(high, right);
  }
};

/// sum * factor, rounded to an integer.
///
/// @tparam Rounding `single_rounding` or `double_rounding`, as the program that is to be matched has it; or a
///                  policy for ties (`half_even`, `half_away`, `half_up`), by which the product is rounded
///                  once
template <class Rounding = single_rounding>
constexpr std::int32_t requantize(std::int32_t sum, multiplier_shift by) noexcept {
  if constexpr (tie_rounding<Rounding>)
    return detail::multiply_rounded<Rounding>(sum, by);
  else
    return Rounding::multiply(sum, by);
}

/// The int8 code of an output: the sum requantized, the offset added, clamped.
///
/// @param offset the zero point of the output, CMSIS-NN's `output_offset`: it is added
/// @param lowest, highest the activation's range and that of int8 in one; 0 is the lowest after a Relu whose
///                        offset is 0
template <class Rounding = single_rounding>
constexpr std::int8_t requantize_to_int8(std::int32_t sum, multiplier_shift by, std::int32_t offset = 0,
                                         std::int8_t lowest = -128, std::int8_t highest = 127) noexcept {
  const std::int64_t code = std::int64_t{requantize<Rounding>(sum, by)} + offset;
  return code < lowest ? lowest : code > highest ? highest : static_cast<std::int8_t>(code);
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FIXED_POINT_REQUANTIZE_HPP
