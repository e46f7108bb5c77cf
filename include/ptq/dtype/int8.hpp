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
    // No branches on the data: codes of trained weights are unpredictable.
    const std::uint32_t bits = detail::bits_of(value);
    // The exponent above that of 1/2 and the fraction, or more than that of 128. Less than 1/2 wraps around
    // to where infinity would be beyond, as NaN is.
    const std::uint32_t above_half = (bits << 1) - (126u << 24);
    const bool is_zero = above_half > (255u << 24) - (126u << 24);
    const std::uint32_t limited = above_half < (8u << 24) ? above_half : 8u << 24;
    // In units of 2^-24: exact from 1/2 to 128.
    const std::uint32_t significand = (limited << 7) | 0x80000000u;
    const std::uint32_t fixed = significand >> (8u - (limited >> 24));
    const std::uint32_t odd = (fixed >> 24) & 1u;
    const std::uint32_t rounded = (fixed + 0x7fffffu + odd) >> 24;
    const bool is_negative = (bits >> 31) != 0;
    const std::uint32_t code = is_negative ? 0u - rounded : rounded < 127u ? rounded : 127u;
    return static_cast<storage>(is_zero ? 0u : code);
  }

  static constexpr float decode(storage code) noexcept { return static_cast<float>(code); }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_DTYPE_INT8_HPP
