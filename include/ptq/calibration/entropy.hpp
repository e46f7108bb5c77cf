// SPDX-License-Identifier: Apache-2.0
/// @file entropy.hpp The range whose quantized histogram diverges least from the original one.
#ifndef PTQ_CALIBRATION_ENTROPY_HPP
#define PTQ_CALIBRATION_ENTROPY_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "ptq/calibration/cuts.hpp"
#include "ptq/calibration/grid.hpp"
#include "ptq/calibration/log2.hpp"
#include "ptq/calibration/range.hpp"
#include "ptq/calibration/statistics.hpp"
#include "ptq/detail/platform.hpp"
#include "ptq/detail/uint128.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// The search for the candidate with the smallest Kullback-Leibler divergence. A candidate keeps the first
/// `kept` bins. Its reference P is their counts, the last one increased by all that lies beyond; its
/// approximation Q spreads the counts of each level evenly over those of the level's bins that are not empty.
/// With N the sum of all counts and K that of the kept ones,
///
///   N x divergence(P || Q) = sum of P log P - sum of P log Q - N log N + N log K.
///
/// The first sum grows by one term a candidate. The second is, level by level, the count times the logarithm
/// of its mean, plus what lies beyond times that of the last level; sums over bins come from sums over
/// prefixes. The third term is the same for all and left out. Everything is an integer: counts times 2^48
/// log2.
///
/// A level of the same bins comes up again and again, under other thresholds as other levels; so each bin
/// keeps the logarithms of the last two that began at it, one of even and one of odd width. That saves nine
/// of ten.
///
/// Method: S. Migacz, "8-bit inference with TensorRT", 2017, in the form of NVIDIA ModelOpt's histogram
/// calibrator, whose choice this is on every histogram for which that one is defined.
template <std::size_t MaxBins, std::size_t MaxLevels>
class entropy_search {
 public:
  /// At least two bins, the last one not empty.
  constexpr entropy_search(std::span<const std::uint64_t> counts, const grid& levels) noexcept
      : counts_(counts), cuts_(levels, levels.is_even() ? grouping::equal_widths : grouping::nearest) {
    static_assert(MaxBins < (1u << 16), "the width of a level is kept in 16 bits");
    PTQ_ASSERT(counts.size() >= 2 && counts.size() <= MaxBins);
    for (std::size_t bin = 0; bin < counts.size(); ++bin) {
      edges_[bin + 1].below = edges_[bin].below + count_of(bin);
      edges_[bin + 1].not_empty = edges_[bin].not_empty + (count_of(bin) != 0 ? 1u : 0u);
    }
  }

  /// The number of bins that the best candidate keeps, at least `first`. Candidates whose divergences differ
  /// by no more than 1e-12 are tied, and of those the largest wins.
  constexpr std::size_t find_kept(std::size_t first) noexcept {
    constexpr std::uint64_t tie = 406;  // 1e-12 nats in units of 2^-48 bits
    const uint128 slack = multiply_wide(total(), tie);
    uint128 least{~std::uint64_t{0}, 0};
    std::size_t best = counts_.size();
    for (std::size_t kept = first; kept <= counts_.size(); ++kept) {
      // The divergence is infinite where the last kept bin is empty: what lies beyond is added there.
      if (count_of(kept - 1) == 0) continue;
      const uint128 divergence = divergence_of(kept);
      if (divergence > least + slack) continue;
      best = kept;
      if (divergence < least) least = divergence;
    }
    return best;
  }

 private:
  /// The lower edge of a bin.
  struct edge {
    std::uint64_t below = 0;      ///< counts of all bins below
    std::uint64_t log_mean[2]{};  ///< of the level that begins here, by parity of its width
    std::uint32_t not_empty = 0;  ///< bins below
    std::uint16_t width[2]{};     ///< of that level, in bins; 0 for none yet
  };

  /// Bin 0 holds the zeros, which every range represents: it counts as much as its neighbour.
  constexpr std::uint64_t count_of(std::size_t bin) const noexcept { return counts_[bin == 0 ? 1 : bin]; }

  constexpr std::uint64_t total() const noexcept { return edges_[counts_.size()].below; }

  static constexpr uint128 x_log2_x(std::uint64_t x) noexcept {
    return x == 0 ? uint128{} : multiply_wide(x, log2_fixed(x));
  }

  /// N x (divergence + log2(N)) of a candidate whose last bin is not empty.
  constexpr uint128 divergence_of(std::size_t kept) noexcept {
    for (; summed_ < kept - 1; ++summed_) reference_ += x_log2_x(count_of(summed_));
    uint128 approximation;
    std::uint64_t last_mean = 0;
    std::size_t begin = 0;
    for (std::size_t g = 1; g <= cuts_.size(); ++g) {
      const std::size_t end = g == cuts_.size() ? kept : cuts_.first_bin(g, 2 * kept);
      const std::uint64_t mean = log2_of_mean(begin, end);
      approximation += multiply_wide(edges_[end].below - edges_[begin].below, mean);
      last_mean = begin == end ? last_mean : mean;
      begin = end;
    }
    const std::uint64_t beyond = total() - edges_[kept].below;
    return reference_ + x_log2_x(count_of(kept - 1) + beyond) +
           multiply_wide(total(), log2_fixed(edges_[kept].below)) - approximation -
           multiply_wide(beyond, last_mean);
  }

  /// The logarithm of the mean over the bins [begin, end) that are not empty; 0 where there is none.
  constexpr std::uint64_t log2_of_mean(std::size_t begin, std::size_t end) noexcept {
    edge& from = edges_[begin];
    const std::size_t width = end - begin;
    std::uint64_t& kept = from.log_mean[width % 2];
    if (from.width[width % 2] != width) {
      from.width[width % 2] = static_cast<std::uint16_t>(width);
      const std::uint64_t count = edges_[end].below - from.below;
      kept = count == 0 ? 0 : log2_fixed(count) - log2_fixed(edges_[end].not_empty - from.not_empty);
    }
    return kept;
  }

  std::span<const std::uint64_t> counts_;
  level_cuts<MaxLevels> cuts_;
  std::array<edge, MaxBins + 1> edges_{};
  uint128 reference_;       ///< sum of count x log2(count)
  std::size_t summed_ = 0;  ///< over how many bins
};

}  // namespace detail

/// Where the data cannot support the search, the answer is the absolute maximum with the reason `degenerate`:
/// too few bins in use, or a winner that clips more than 1 % of what lies outside the first bin (ragged
/// histograms make the divergence favour far too small ranges).
struct entropy {
  static constexpr const char* name = "entropy";
  static constexpr bool is_tao_word = true;

  static constexpr std::size_t first_candidate = 128;  ///< bins that every candidate keeps
  static constexpr std::size_t max_levels = 128;       ///< as any signed byte has; a finer grid clips nothing

  /// Needs 32 bytes of stack a bin, and no heap.
  template <std::size_t Bins>
  constexpr ptq::range range(const statistics<Bins>& seen, const grid& levels = grid(128)) const noexcept {
    const std::span<const std::uint64_t> counts = seen.magnitudes.in_use();
    if (counts.size() <= first_candidate || levels.size() > max_levels)
      return seen.whole(range_reason::degenerate);
    detail::entropy_search<Bins, max_levels> search(counts, levels);
    const std::size_t kept = search.find_kept(first_candidate);
    if (seen.magnitudes.count_from(kept) * 100 > seen.magnitudes.count_from(1))
      return seen.whole(range_reason::degenerate);
    return seen.up_to(2 * kept);
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_CALIBRATION_ENTROPY_HPP
