// SPDX-License-Identifier: Apache-2.0
/// @file half_away.hpp Rounding to nearest, ties away from zero: 2.5 becomes 3, and -2.5 becomes -3.
/// std::round and TFLite round reals so.
#ifndef PTQ_FIXED_POINT_HALF_AWAY_HPP
#define PTQ_FIXED_POINT_HALF_AWAY_HPP

#include <concepts>

#include "ptq/fixed_point/half_up.hpp"

namespace ptq::inline v0_1 {

struct half_away {
  /// As `half_up::shift_right`, but for ties.
  template <std::signed_integral Integer>
  static constexpr Integer shift_right(Integer value, int places) noexcept {
    if (places <= 0) return value;
    // One less turns a tie, and nothing else, into what is rounded down.
    return half_up::shift_right(static_cast<Integer>(value - (value < 0 ? 1 : 0)), places);
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FIXED_POINT_HALF_AWAY_HPP
