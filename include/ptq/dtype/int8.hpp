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
  static constexpr storage encode(const float& value) noexcept {
    const std::uint32_t bits = detail::bits_of(value);
    const std::uint32_t size = detail::magnitude(bits);
    const std::uint32_t clamped = size < bits_of_128 ? size : bits_of_128;
    // No branches on the data: codes of trained weights are unpredictable.
    const std::uint32_t significand = (clamped & 0x7fffffu) | 0x800000u;
    const std::uint32_t places = 150u - (clamped >> 23);  // to the binary point; from 16 up
    const std::uint32_t shift = places < 31u ? places : 31u;
    const std::uint32_t odd = (significand >> shift) & 1u;
    const std::uint32_t rounded = (significand + (1u << (shift - 1)) - 1u + odd) >> shift;
    const std::uint32_t sign = bits >> 31;
    const std::uint32_t limit = 127u + sign;
    const std::uint32_t limited = rounded < limit ? rounded : limit;
    const std::uint32_t finite = detail::is_nan(size) ? 0u : limited;
    return static_cast<storage>((finite ^ (0u - sign)) + sign);  // two's complement negation
  }

  static constexpr float decode(storage code) noexcept { return static_cast<float>(code); }

 private:
  static constexpr std::uint32_t bits_of_128 = 0x43000000u;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_DTYPE_INT8_HPP
