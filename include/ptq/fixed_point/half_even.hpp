// SPDX-License-Identifier: Apache-2.0
/// @file half_even.hpp Rounding to nearest, ties to even: 2.5 becomes 2, and 3.5 becomes 4. What this library
/// does everywhere unless told otherwise, as ONNX, PyTorch and ESP-DL on ESP32-P4 do.
#ifndef PTQ_FIXED_POINT_HALF_EVEN_HPP
#define PTQ_FIXED_POINT_HALF_EVEN_HPP

#include <concepts>

#include "ptq/fixed_point/half_up.hpp"

namespace ptq::inline v0_1 {

struct half_even {
  /// As `half_up::shift_right`, but for ties.
  template <std::signed_integral Integer>
  static constexpr Integer shift_right(Integer value, int places) noexcept {
    constexpr int width = 8 * static_cast<int>(sizeof(Integer));
    if (places <= 0) return value;
    if (places >= width) return 0;  // less than half a unit
    const bool is_odd = ((value >> places) & 1) != 0;
    // One less turns a tie, and nothing else, into what is rounded down.
    return half_up::shift_right(static_cast<Integer>(value - (is_odd ? 0 : 1)), places);
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FIXED_POINT_HALF_EVEN_HPP
