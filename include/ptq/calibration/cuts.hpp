// SPDX-License-Identifier: Apache-2.0
/// @file cuts.hpp Where the bins of a histogram part into the levels of a grid, for any threshold.
#ifndef PTQ_CALIBRATION_CUTS_HPP
#define PTQ_CALIBRATION_CUTS_HPP

#include <array>
#include <cstddef>
#include <cstdint>

#include "ptq/calibration/grid.hpp"
#include "ptq/detail/platform.hpp"

namespace ptq::inline v0_1::detail {

/// How a bin finds its level.
enum class grouping : unsigned char {
  equal_widths,  ///< as many groups as levels, all of the same width; a bin counts by its lower edge
  nearest,       ///< the level nearest to the centre of the bin, the upper one where two are as near
};

/// Cut g is the first bin of level g. It lies at a fixed share of the threshold.
template <std::size_t MaxLevels>
class level_cuts {
 public:
  constexpr level_cuts(const grid& levels, grouping how) noexcept
      : size_(levels.size()), round_up_(how == grouping::equal_widths ? half_bin * 2 - 1 : half_bin - 1) {
    PTQ_ASSERT(size_ <= MaxLevels);
    for (std::size_t g = 1; g < size_; ++g)
      shares_[g] =
          how == grouping::equal_widths ? g * grid::one / size_ : (levels.share(g - 1) + levels.share(g)) / 2;
  }

  constexpr std::size_t size() const noexcept { return size_; }

  /// @param half_bins the threshold, from the lower edge of bin 0, in half bins: below 2^25
  constexpr std::size_t first_bin(std::size_t g, std::size_t half_bins) const noexcept {
    return static_cast<std::size_t>((shares_[g] * half_bins + round_up_) / (half_bin * 2));
  }

 private:
  static constexpr std::uint64_t half_bin = grid::one;

  std::array<std::uint64_t, MaxLevels> shares_{};
  std::size_t size_;
  std::uint64_t round_up_;  ///< to the next lower edge, or to the next centre and from there down to its bin
};

}  // namespace ptq::inline v0_1::detail

#endif  // PTQ_CALIBRATION_CUTS_HPP
