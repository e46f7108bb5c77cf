// SPDX-License-Identifier: Apache-2.0
/// @file minmax.hpp The running absolute maximum of everything seen.
#ifndef PTQ_CALIBRATION_MINMAX_HPP
#define PTQ_CALIBRATION_MINMAX_HPP

#include <cstddef>
#include <cstdint>
#include <span>

#include "ptq/calibration/range.hpp"
#include "ptq/detail/strict_float.hpp"
#include "ptq/error.hpp"

namespace ptq::inline v0_1 {

/// ModelOpt calls it `max`; for a symmetric range the two are the same.
struct minmax {
  static constexpr const char* name = "minmax";

  constexpr status collect(std::span<const float> values) noexcept {
    std::uint32_t largest = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::uint32_t bits = detail::magnitude(detail::bits_of(values[i]));
      if (bits >= detail::infinity_bits) return {errc::not_finite, i};
      if (bits > largest) largest = bits;
    }
    if (largest > amax_bits) amax_bits = largest;
    count += values.size();
    return {};
  }

  constexpr void merge(const minmax& other) noexcept {
    if (other.amax_bits > amax_bits) amax_bits = other.amax_bits;
    count += other.count;
  }

  constexpr ptq::range range() const noexcept {
    if (count == 0) return {0, range_reason::no_data};
    if (amax_bits == 0) return {0, range_reason::all_zero};
    return {detail::float_of(amax_bits), range_reason::found};
  }

  std::uint32_t amax_bits = 0;
  std::uint64_t count = 0;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_CALIBRATION_MINMAX_HPP
