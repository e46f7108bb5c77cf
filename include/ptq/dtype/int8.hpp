// SPDX-License-Identifier: Apache-2.0
/// @file int8.hpp Two's complement 8-bit integers, -128 to 127.
#ifndef PTQ_DTYPE_INT8_HPP
#define PTQ_DTYPE_INT8_HPP

#include <cstdint>

#include "ptq/detail/strict_float.hpp"

namespace ptq::inline v0_1 {

struct int8 {
  static constexpr const char* name = "int8";
  using storage = std::int8_t;
  static constexpr bool is_integer = true;
  static constexpr float max_finite = 127.0F;
  static constexpr float lowest = -128.0F;

  /// The nearest integer, ties to even, clamped to [-128, 127]. NaN becomes 0, infinities the ends of the
  /// range.
  static constexpr storage encode(float value) noexcept {
    const std::uint32_t bits = detail::bits_of(value);
    const std::uint32_t size = detail::magnitude(bits);
    if (detail::is_nan(size)) return 0;
    const bool negative = bits != size;
    const int limit = negative ? 128 : 127;
    const int field = static_cast<int>(size >> 23);
    int rounded = 0;  // magnitudes up to 1/2 round to 0
    if (field >= 127 + 8) {
      rounded = limit;
    } else if (field >= 126) {
      const std::uint32_t significand = (size & 0x7fffffu) | 0x800000u;
      rounded = static_cast<int>(detail::shift_right_rounded(significand, 150 - field));
    }
    if (rounded > limit) rounded = limit;
    return static_cast<storage>(negative ? -rounded : rounded);
  }

  static constexpr float decode(storage code) noexcept { return static_cast<float>(code); }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_DTYPE_INT8_HPP
