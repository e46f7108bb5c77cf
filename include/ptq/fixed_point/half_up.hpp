// SPDX-License-Identifier: Apache-2.0
/// @file half_up.hpp Rounding to nearest, ties upwards: 2.5 becomes 3, and -2.5 becomes -2. So do TFLite and
/// CMSIS-NN where they round a product once, and ESP-DL on ESP32 and ESP32-S3.
#ifndef PTQ_FIXED_POINT_HALF_UP_HPP
#define PTQ_FIXED_POINT_HALF_UP_HPP

#include <concepts>

namespace ptq::inline v0_1 {

struct half_up {
  /// value / 2^places, rounded; the limits of both are those of `tie_rounding`.
  template <std::signed_integral Integer>
  static constexpr Integer shift_right(Integer value, int places) noexcept {
    return static_cast<Integer>(((value >> (places - 1)) + 1) >> 1);
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FIXED_POINT_HALF_UP_HPP
