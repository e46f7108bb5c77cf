// SPDX-License-Identifier: Apache-2.0
/// @file histogram.hpp Counts of magnitudes in equal bins over [0, 2^exponent), in fixed storage.
#ifndef PTQ_CALIBRATION_HISTOGRAM_HPP
#define PTQ_CALIBRATION_HISTOGRAM_HPP

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "ptq/detail/strict_float.hpp"

namespace ptq::inline v0_1 {

/// The smallest e with magnitude < 2^e, for the bits of a finite magnitude; -149, below every float, for 0.
constexpr int exponent_above(std::uint32_t magnitude_bits) noexcept {
  const detail::unpacked value = detail::unpack(magnitude_bits);
  return value.exponent + static_cast<int>(std::bit_width(value.significand));
}

namespace detail {

/// Where bin i ends up when the range has doubled that often.
template <std::size_t Bins>
constexpr std::size_t merged_bin(std::size_t i, int doublings) noexcept {
  constexpr int bits = std::countr_zero(Bins);
  return doublings < bits ? i >> doublings : 0;
}

template <std::size_t Bins, class Counts>
constexpr void merge_bins(Counts&& counts, int doublings) noexcept {
  for (std::size_t i = 0; i < Bins; ++i) {
    const auto moving = counts[i];
    counts[i] = 0;
    counts[merged_bin<Bins>(i, doublings)] += moving;
  }
}

}  // namespace detail

/// Bin i counts the magnitudes in [i, i + 1) x 2^exponent / Bins. The range grows by doubling, which merges
/// neighbouring bins and is exact: what is counted does not depend on the order or the grouping of the
/// values.
template <std::size_t Bins>
struct histogram {
  static_assert(std::has_single_bit(Bins) && Bins <= (std::size_t{1} << 24),
                "a power of two, so that bins can be merged in pairs");

  std::array<std::uint64_t, Bins> counts{};
  int exponent = exponent_above(0);

  /// Makes room for magnitudes below 2^wanted.
  constexpr void grow(int wanted) noexcept {
    if (wanted <= exponent) return;
    const int doublings = wanted - exponent;
    exponent = wanted;
    detail::merge_bins<Bins>(counts, doublings);
  }

  /// Counts the magnitudes of values, all of them below 2^exponent.
  constexpr void add(std::span<const float> values) noexcept {
    for (const float value : values) ++counts[bin_of(detail::magnitude(detail::bits_of(value)))];
  }

  constexpr void merge(const histogram& other) noexcept {
    grow(other.exponent);
    const int doublings = exponent - other.exponent;
    for (std::size_t i = 0; i < Bins; ++i) counts[detail::merged_bin<Bins>(i, doublings)] += other.counts[i];
  }

  /// The bins up to the last one that is not empty.
  constexpr std::span<const std::uint64_t> in_use() const noexcept {
    std::size_t used = Bins;
    while (used > 0 && counts[used - 1] == 0) --used;
    return std::span<const std::uint64_t>(counts).first(used);
  }

  /// How many values lie in the bins from `first` on.
  constexpr std::uint64_t count_from(std::size_t first) const noexcept {
    std::uint64_t sum = 0;
    for (std::size_t i = first; i < Bins; ++i) sum += counts[i];
    return sum;
  }

  /// The bin of a magnitude below 2^exponent.
  constexpr std::size_t bin_of(std::uint32_t magnitude_bits) const noexcept {
    const detail::unpacked value = detail::unpack(magnitude_bits);
    const int shift = exponent - bits - value.exponent;  // places of the significand below a bin
    if (shift < 0)
      return static_cast<std::size_t>(value.significand) << -shift;  // near the smallest subnormal
    return shift < 32 ? value.significand >> shift : 0;
  }

  /// The first bin that holds nothing below a magnitude, for magnitudes below 2^exponent.
  constexpr std::size_t first_bin_above(std::uint32_t magnitude_bits) const noexcept {
    const std::size_t bin = bin_of(magnitude_bits);
    return bin + (edge_bits(2 * bin) < magnitude_bits ? 1u : 0u);
  }

  /// A place in the range as the bits of a float, given in half bins from 0.
  constexpr std::uint32_t edge_bits(std::size_t half_bins) const noexcept {
    return half_bins == 0 ? 0 : detail::pack(half_bins, exponent - 1 - bits);
  }

  friend constexpr bool operator==(const histogram&, const histogram&) = default;

 private:
  static constexpr int bits = std::countr_zero(Bins);
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_CALIBRATION_HISTOGRAM_HPP
