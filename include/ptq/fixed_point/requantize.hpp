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

#include "ptq/fixed_point/half_up.hpp"
#include "ptq/fixed_point/multiplier_shift.hpp"
#include "ptq/fixed_point/rounding.hpp"

namespace ptq::inline v0_1 {
namespace detail {

inline constexpr std::int32_t lowest_sum = std::numeric_limits<std::int32_t>::lowest();
inline constexpr std::int32_t highest_sum = -(lowest_sum + 1);

constexpr std::int32_t saturated(std::int64_t value) noexcept {
  return value < lowest_sum    ? lowest_sum
         : value > highest_sum ? highest_sum
                               : static_cast<std::int32_t>(value);
}

/// value * 2^places.
constexpr std::int32_t shift_left_saturated(std::int32_t value, std::uint32_t places) noexcept {
  const std::uint32_t within = places < 31 ? places : 31;  // where only 0 stays, and -1 is the lowest
  const std::int32_t most = highest_sum >> within;
  if (value > most) return highest_sum;
  if (value < -most - 1) return lowest_sum;
  return value << within;
}

/// value / 2^places, rounded half away from zero, without integers of 64 bits, which take stack of small
/// cores.
constexpr std::int32_t shift_right_away(std::int32_t value, std::uint32_t places) noexcept {
  if (places == 0) return value;
  if (places > 32) return 0;  // less than half a unit
  const auto bits = static_cast<std::uint32_t>(value);
  const std::uint32_t size = value < 0 ? 0u - bits : bits;
  const std::uint32_t rounded = ((size >> (places - 1)) + 1) >> 1;
  return static_cast<std::int32_t>(value < 0 ? 0u - rounded : rounded);
}

/// sum * factor: a product of 64 bits, rounded once.
template <tie_rounding Ties>
constexpr std::int32_t multiply_rounded(std::int32_t sum, multiplier_shift by) noexcept {
  const std::int64_t product = std::int64_t{sum} * by.multiplier;
  const auto shift = static_cast<std::uint32_t>(by.shift);
  if (by.shift >= 31) return shift_left_saturated(saturated(product), shift - 31);
  if (by.shift < -32) return 0;  // less than half a unit
  return saturated(Ties::shift_right(product, 31 - by.shift));
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
    const auto shift = static_cast<std::uint32_t>(by.shift);
    const std::int64_t shifted = detail::shift_left_saturated(sum, by.shift > 0 ? shift : 0);
    const std::int32_t high = detail::saturated(half_up::shift_right(shifted * by.multiplier, 31));
    return detail::shift_right_away(high, by.shift < 0 ? 0 - shift : 0);
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
