// SPDX-License-Identifier: Apache-2.0
/// @file mse.hpp The range with the smallest mean squared error on a grid.
#ifndef PTQ_CALIBRATION_MSE_HPP
#define PTQ_CALIBRATION_MSE_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "ptq/calibration/cuts.hpp"
#include "ptq/calibration/grid.hpp"
#include "ptq/calibration/range.hpp"
#include "ptq/calibration/statistics.hpp"
#include "ptq/detail/platform.hpp"
#include "ptq/detail/uint128.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// The search for the bin centre that, as threshold, gives the smallest sum of count x (centre - level)^2
/// over all bins, each at its centre and on its nearest level. Of a level v, with x the centres of its bins,
/// that is
///
///   sum of count x^2 - 2 v x sum of count x + v^2 x sum of count,
///
/// where the first sum, over all levels, is the same for every threshold, and the others come from sums over
/// prefixes. Integers throughout, x in half bins and v in units of 2^-16 of those: exact for up to 2^50
/// values in 2^13 bins.
template <std::size_t MaxBins, std::size_t MaxLevels>
class mse_search {
 public:
  constexpr mse_search(std::span<const std::uint64_t> counts, const grid& levels) noexcept
      : size_(counts.size()), cuts_(levels, grouping::nearest) {
    PTQ_ASSERT(size_ <= MaxBins);
    for (std::size_t g = 0; g < levels.size(); ++g) levels_[g] = levels.share(g);
    for (std::size_t bin = 0; bin < size_; ++bin) {
      const std::uint64_t x = centre(bin);
      below_[bin + 1].count = below_[bin].count + counts[bin];
      below_[bin + 1].sum = below_[bin].sum + counts[bin] * x;
      squares_ += multiply_wide(counts[bin], (x * x) << (2 * fraction_bits));
    }
  }

  /// The number of the best bin, at least `first`; the first one of equals.
  constexpr std::size_t find_bin(std::size_t first) const noexcept {
    uint128 least = error_of(first);
    std::size_t best = first;
    for (std::size_t bin = first + 1; bin < size_; ++bin) {
      if (const uint128 error = error_of(bin); error < least) {
        least = error;
        best = bin;
      }
    }
    return best;
  }

 private:
  static constexpr int fraction_bits = 16;

  struct prefix {
    std::uint64_t count = 0;
    std::uint64_t sum = 0;  ///< of count x centre
  };

  static constexpr std::uint64_t centre(std::size_t bin) noexcept { return 2 * std::uint64_t{bin} + 1; }

  /// The summed squared error, in units of 2^-32 half bins squared, with the largest level on the centre of
  /// `bin`.
  constexpr uint128 error_of(std::size_t bin) const noexcept {
    uint128 error = squares_;
    std::size_t begin = 0;
    for (std::size_t g = 0; g < cuts_.size(); ++g) {
      const std::size_t end = g + 1 == cuts_.size() ? size_ : cuts_.first_bin(g + 1, 2 * bin + 1);
      const std::uint64_t level = (levels_[g] * centre(bin)) >> (grid::fraction_bits - fraction_bits);
      error += multiply_wide(below_[end].count - below_[begin].count, level * level);
      error -= multiply_wide(below_[end].sum - below_[begin].sum, level << (fraction_bits + 1));
      begin = end;
    }
    return error;
  }

  std::size_t size_;
  level_cuts<MaxLevels> cuts_;
  std::array<std::uint64_t, MaxLevels> levels_{};
  std::array<prefix, MaxBins + 1> below_{};
  uint128 squares_;
};

}  // namespace detail

/// Thresholds are the centres of bins, as in ModelOpt's histogram calibrator. With too few bins in use for a
/// search, the answer is the absolute maximum with the reason `degenerate`.
struct mse {
  static constexpr const char* name = "mse";

  static constexpr std::size_t first_candidate = 128;  ///< the number of the first bin that is tried
  static constexpr std::size_t max_levels = 128;       ///< as any signed byte has; a finer grid clips nothing

  /// Needs 16 bytes of stack a bin, and no heap.
  template <std::size_t Bins>
  constexpr ptq::range range(const statistics<Bins>& seen, const grid& levels = grid(128)) const noexcept {
    const std::span<const std::uint64_t> counts = seen.magnitudes.in_use();
    if (counts.size() <= first_candidate || levels.size() > max_levels)
      return seen.whole(range_reason::degenerate);
    const detail::mse_search<Bins, max_levels> search(counts, levels);
    return seen.up_to(2 * search.find_bin(first_candidate) + 1);
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_CALIBRATION_MSE_HPP
