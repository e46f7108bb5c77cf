// SPDX-License-Identifier: Apache-2.0
/// @file rounding.hpp What a policy for ties offers. There are `half_even`, `half_away` and `half_up`.
#ifndef PTQ_FIXED_POINT_ROUNDING_HPP
#define PTQ_FIXED_POINT_ROUNDING_HPP

#include <concepts>
#include <cstdint>

namespace ptq::inline v0_1 {

/// Rounds to nearest: an empty struct with `shift_right(value, places)`, which is value / 2^places rounded,
/// for integers of 32 and 64 bits and 1 to 31 or 63 places. What lies between two integers with equal
/// distances is the policy's to decide.
template <class T>
concept tie_rounding = requires(std::int32_t value, std::int64_t wide) {
  { T::shift_right(value, 1) } noexcept -> std::same_as<std::int32_t>;
  { T::shift_right(wide, 1) } noexcept -> std::same_as<std::int64_t>;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FIXED_POINT_ROUNDING_HPP
