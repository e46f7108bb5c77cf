// SPDX-License-Identifier: Apache-2.0
/// @file half_even.hpp Rounding to nearest, ties to even: 2.5 becomes 2, and 3.5 becomes 4. What this library
/// does unless told otherwise, as ONNX, PyTorch, and ESP-DL on ESP32-P4 do.
#ifndef PTQ_FIXED_POINT_HALF_EVEN_HPP
#define PTQ_FIXED_POINT_HALF_EVEN_HPP

#include <concepts>

#include "ptq/fixed_point/half_up.hpp"

namespace ptq::inline v0_1 {

struct half_even {
  /// value / 2^places, rounded; the limits of both are those of `tie_rounding`.
  template <std::signed_integral Integer>
  static constexpr Integer shift_right(Integer value, int places) noexcept {
    // One less rounds a tie down, and changes nothing else.
    const Integer odd = static_cast<Integer>((value >> places) & 1);
    return half_up::shift_right(static_cast<Integer>(value - 1 + odd), places);
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FIXED_POINT_HALF_EVEN_HPP
