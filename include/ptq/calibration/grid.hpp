// SPDX-License-Identifier: Apache-2.0
/// @file grid.hpp The magnitudes that codes can stand for, as a value: all that a calibrator learns of a
/// dtype.
#ifndef PTQ_CALIBRATION_GRID_HPP
#define PTQ_CALIBRATION_GRID_HPP

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "ptq/detail/platform.hpp"
#include "ptq/detail/strict_float.hpp"
#include "ptq/dtype/concept.hpp"

namespace ptq::inline v0_1 {

/// Levels from 0 up to the largest, which comes to lie on the threshold that a calibrator tries.
class grid {
 public:
  static constexpr int fraction_bits = 38;
  static constexpr std::uint64_t one = std::uint64_t{1} << fraction_bits;

  /// 0, 1, ... count - 1: an integer dtype.
  constexpr explicit grid(std::size_t count) noexcept : count_(count) { PTQ_ASSERT(count >= 2); }

  /// Any finite levels, ascending from one >= 0 to one > 0. The caller keeps the storage.
  constexpr explicit grid(std::span<const float> levels) noexcept
      : levels_(levels.data()), count_(levels.size()) {
    PTQ_ASSERT(count_ >= 2);
  }

  constexpr std::size_t size() const noexcept { return count_; }
  constexpr bool is_even() const noexcept { return levels_ == nullptr; }

  /// Level k as a share of the largest, in units of 1 / one, rounded down.
  constexpr std::uint64_t share(std::size_t k) const noexcept {
    if (is_even()) return (std::uint64_t{k} << fraction_bits) / (count_ - 1);
    if (detail::bits_of(levels_[k]) == 0) return 0;
    const detail::unpacked level = detail::unpack(detail::bits_of(levels_[k]));
    const detail::unpacked largest = detail::unpack(detail::bits_of(levels_[count_ - 1]));
    // 24 + 38 bits: a level whose significand is the longer one has the smaller exponent.
    const int shift = fraction_bits + level.exponent - largest.exponent;
    if (shift < 0) return 0;  // of 24 bits at most, half of it is below the significand of a normal number
    return (std::uint64_t{level.significand} << shift) / largest.significand;
  }

 private:
  const float* levels_ = nullptr;
  std::size_t count_ = 0;
};

namespace detail {

template <dtype D>
struct level_list {
  std::array<float, 256> levels{};
  std::size_t count = 0;

  constexpr level_list() noexcept {
    for (unsigned code = 0; code < 256; ++code)
      insert(D::decode(std::bit_cast<typename D::storage>(static_cast<std::uint8_t>(code))));
  }

 private:
  constexpr void insert(float level) noexcept {
    const std::uint32_t bits = bits_of(level);
    if (bits >= infinity_bits) return;  // negative, infinite or NaN
    std::size_t at = count;
    while (at > 0 && bits_of(levels[at - 1]) >= bits) --at;
    if (at < count && bits_of(levels[at]) == bits) return;
    for (std::size_t i = count++; i > at; --i) levels[i] = levels[i - 1];
    levels[at] = level;
  }
};

template <dtype D>
inline constexpr level_list<D> levels_of{};

}  // namespace detail

/// The grid of a dtype. A format wider than a byte has more levels than a histogram has bins, so how they lie
/// does not matter.
template <dtype D>
constexpr grid grid_of() noexcept {
  if constexpr (D::is_integer)
    return grid(static_cast<std::size_t>(D::max_finite) + 1);
  else if constexpr (sizeof(typename D::storage) == 1)
    return grid(std::span<const float>(detail::levels_of<D>.levels.data(), detail::levels_of<D>.count));
  else
    return grid(std::size_t{1} << 16);
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_CALIBRATION_GRID_HPP
