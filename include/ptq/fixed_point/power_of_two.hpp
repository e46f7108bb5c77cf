// SPDX-License-Identifier: Apache-2.0
/// @file power_of_two.hpp Scales that are powers of two: int8 codes of floats by integers alone, which is
/// many times faster than float arithmetic where there is no FPU. NNoM and ESP-DL have such scales only.
#ifndef PTQ_FIXED_POINT_POWER_OF_TWO_HPP
#define PTQ_FIXED_POINT_POWER_OF_TWO_HPP

#include <cstdint>

#include "ptq/detail/platform.hpp"
#include "ptq/detail/strict_float.hpp"
#include "ptq/fixed_point/half_even.hpp"
#include "ptq/fixed_point/rounding.hpp"

namespace ptq::inline v0_1 {

/// The scale 2^exponent: value = code * 2^exponent. Exponents are from -125 to 127 (a precondition).
struct power_of_two {
  int exponent = 0;

  static constexpr int lowest_exponent = -125;
  static constexpr int highest_exponent = 127;

  /// The smallest scale by which no value saturates: amax <= 127 * scale. Of amax 0 it is 1.
  ///
  /// @param amax the largest magnitude; finite and not negative (a precondition)
  static constexpr power_of_two covering(const float& amax) noexcept {
    const std::uint32_t bits = detail::bits_of(amax);
    PTQ_ASSERT(bits < detail::infinity_bits);
    if (bits == 0) return {};
    const std::uint32_t beyond = (bits & 0x7fffffu) > bits_of_127 % 0x800000u ? 1u : 0u;
    const int wanted = static_cast<int>((bits >> 23) + beyond) - static_cast<int>(bits_of_127 >> 23);
    return {wanted < lowest_exponent ? lowest_exponent : wanted};
  }

  /// The exponent of a scale that is such a power of two (a precondition).
  static constexpr power_of_two of(const float& scale) noexcept {
    const std::uint32_t bits = detail::bits_of(scale);
    const power_of_two found{static_cast<int>(bits >> 23) - 127};
    PTQ_ASSERT((bits & 0x807fffffu) == 0 && found.exponent >= lowest_exponent &&
               found.exponent <= highest_exponent);
    return found;
  }

  constexpr float value() const noexcept {
    return detail::float_of(static_cast<std::uint32_t>(exponent + 127) << 23);
  }

  /// The code nearest to value / 2^exponent, clamped to [-128, 127]. NaN becomes 0, infinities the ends of
  /// the range. With `half_even` these are the codes of `int8` by this scale.
  template <tie_rounding Rounding = half_even>
  constexpr std::int8_t encode(const float& value) const noexcept {
    const std::uint32_t bits = detail::bits_of(value);
    const std::uint32_t size = detail::magnitude(bits);
    // 128 * scale as the bits of a float, also where that is beyond all floats.
    const std::uint32_t end = bits_of_128 + (static_cast<std::uint32_t>(exponent) << 23);
    const std::uint32_t first_clamped = end < detail::infinity_bits ? end : detail::infinity_bits;
    const std::uint32_t clamped = size < first_clamped ? size : end;
    // The bit before the fraction is wrong for subnormals, which round to 0 with it and without.
    const auto significand = static_cast<std::int32_t>((clamped & 0x7fffffu) | 0x800000u);
    const int places = exponent + 150 - static_cast<int>(clamped >> 23);  // to the binary point; from 16 up
    const std::int32_t with_sign = (bits & detail::sign_bit) != 0 ? -significand : significand;
    const std::int32_t rounded = Rounding::shift_right(with_sign, places < 31 ? places : 31);
    const std::int32_t code = rounded < 127 ? rounded : 127;
    return static_cast<std::int8_t>(detail::is_nan(size) ? 0 : code);
  }

  /// code * 2^exponent, exact; beyond all floats infinity.
  constexpr float decode(std::int8_t code) const noexcept {
    if (code == 0) return 0;
    const std::uint32_t bits = detail::bits_of(static_cast<float>(code));
    const std::uint32_t size = detail::magnitude(bits) + (static_cast<std::uint32_t>(exponent) << 23);
    return detail::float_of((bits & detail::sign_bit) |
                            (size < detail::infinity_bits ? size : detail::infinity_bits));
  }

  friend constexpr bool operator==(const power_of_two&, const power_of_two&) = default;

 private:
  static constexpr std::uint32_t bits_of_127 = 0x42fe0000u;
  static constexpr std::uint32_t bits_of_128 = 0x43000000u;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FIXED_POINT_POWER_OF_TWO_HPP
