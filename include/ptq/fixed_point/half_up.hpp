// SPDX-License-Identifier: Apache-2.0
/// @file half_up.hpp Rounding to nearest, ties upwards: 2.5 becomes 3, and -2.5 becomes -2. TFLite and
/// CMSIS-NN round so where they round a product once; ESP-DL on ESP32 and ESP32-S3.
#ifndef PTQ_FIXED_POINT_HALF_UP_HPP
#define PTQ_FIXED_POINT_HALF_UP_HPP

#include <concepts>

namespace ptq::inline v0_1 {

struct half_up {
  /// value / 2^places, rounded. Any places >= 0; value is at most half of what its type can hold, as a
  /// product of two integers of half the width is.
  template <std::signed_integral Integer>
  static constexpr Integer shift_right(Integer value, int places) noexcept {
    constexpr int width = 8 * static_cast<int>(sizeof(Integer));
    if (places <= 0) return value;
    if (places >= width) return 0;  // less than half a unit
    return static_cast<Integer>(((value >> (places - 1)) + 1) >> 1);
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FIXED_POINT_HALF_UP_HPP
