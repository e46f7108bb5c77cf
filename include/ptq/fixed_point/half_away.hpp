// SPDX-License-Identifier: Apache-2.0
/// @file half_away.hpp Rounding to nearest, ties away from zero: 2.5 becomes 3, and -2.5 becomes -3. So do
/// std::round, and TFLite where it makes codes of reals.
#ifndef PTQ_FIXED_POINT_HALF_AWAY_HPP
#define PTQ_FIXED_POINT_HALF_AWAY_HPP

#include <concepts>

#include "ptq/fixed_point/half_up.hpp"

namespace ptq::inline v0_1 {

struct half_away {
  /// value / 2^places, rounded; the limits of both are those of `tie_rounding`.
  template <std::signed_integral Integer>
  static constexpr Integer shift_right(Integer value, int places) noexcept {
    // One less rounds a tie down, and changes nothing else.
    return half_up::shift_right(static_cast<Integer>(value - (value < 0 ? 1 : 0)), places);
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FIXED_POINT_HALF_AWAY_HPP
