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
/// The third term is the same for all and left out. The first two are taken level by level, from sums over
/// prefixes of the bins. Everything is an integer: counts times 2^48 log2.
///
/// No level lowers the divergence, since sum of P log P >= sum of P x log of their mean. So a sum that is
/// beyond the least divergence so far need not be ended: nine of ten levels are never looked at. Logarithms
/// are rounded, hence the margin; the choice is that of the whole sums, to the bit.
///
/// A level of the same bins comes up again and again, under other thresholds as other levels; so each bin
/// keeps the logarithm of the last one that began at it.
///
/// Method: S. Migacz, "8-bit inference with TensorRT", 2017, in the form of NVIDIA ModelOpt's histogram
/// calibrator, whose choice this is on every histogram for which that one is defined.
template <std::size_t MaxBins, std::size_t MaxLevels>
class entropy_search {
 public:
  /// At least two bins, the last one not empty.
  constexpr entropy_search(std::span<const std::uint64_t> counts, const grid& levels) noexcept
      : counts_(counts), cuts_(levels, levels.is_even() ? grouping::equal_widths : grouping::nearest) {
    static_assert(MaxBins < (1u << 16), "an edge keeps numbers of bins in 16 bits");
    PTQ_ASSERT(counts.size() >= 2 && counts.size() <= MaxBins);
    for (std::size_t bin = 0; bin < counts.size(); ++bin) {
      const edge& from = edges_[bin];
      edge& to = edges_[bin + 1];
      to.reference = from.reference + x_log2_x(count_of(bin));
      to.below = from.below + count_of(bin);
      to.not_empty = static_cast<std::uint16_t>(from.not_empty + (count_of(bin) != 0 ? 1 : 0));
    }
  }

  /// The number of bins that the best candidate keeps, at least `first`. Candidates whose divergences differ
  /// by no more than 1e-12 are tied, and of those the largest wins.
  constexpr std::size_t find_kept(std::size_t first) noexcept {
    std::size_t best = counts_.size();
    for (const std::size_t stride : {128u, 1u})  // a few candidates of all sizes make the others' sums short
      for (std::size_t kept = candidate(first); kept <= counts_.size(); kept = candidate(kept + stride))
        if (is_least(kept)) best = kept;
    return best;
  }

 private:
  /// What a sum may be off by, in units times N: less than 3 for the levels, and less than 4 for the rest.
  static constexpr std::uint64_t margin = 8;

  /// The lower edge of a bin.
  struct edge {
    uint128 reference;            ///< sum of count x log2(count) of all bins below
    std::uint64_t below = 0;      ///< counts of all bins below
    std::uint64_t log_mean = 0;   ///< of the level that begins here
    std::uint16_t width = 0;      ///< of that level, in bins; 0 for none yet
    std::uint16_t not_empty = 0;  ///< bins below
  };

  /// Bin 0 holds the zeros, which every range represents: it counts as much as its neighbour.
  constexpr std::uint64_t count_of(std::size_t bin) const noexcept { return counts_[bin == 0 ? 1 : bin]; }

  constexpr std::uint64_t total() const noexcept { return edges_[counts_.size()].below; }

  static constexpr uint128 x_log2_x(std::uint64_t x) noexcept {
    return x == 0 ? uint128{} : multiply_wide(x, log2_fixed(x));
  }

  /// The first candidate that keeps at least so many bins. The divergence is infinite where the last kept bin
  /// is empty: what lies beyond is added there.
  constexpr std::size_t candidate(std::size_t kept) const noexcept {
    while (kept <= counts_.size() && count_of(kept - 1) == 0) ++kept;
    return kept;
  }

  /// Whether no candidate before it has a smaller divergence, but for a tie.
  constexpr bool is_least(std::size_t kept) noexcept {
    constexpr std::uint64_t tie = 406;  // 1e-12 nats in units of 2^-48 bits
    const uint128 limit = least_ + multiply_wide(total(), tie);
    const uint128 divergence = divergence_of(kept, limit);
    if (divergence < least_) least_ = divergence;
    return divergence <= limit;
  }

  /// N x (divergence + log2(N) + margin) of a candidate; or, where that is above the limit, anything that is.
  constexpr uint128 divergence_of(std::size_t kept, uint128 limit) noexcept {
    const std::uint64_t count = count_of(kept - 1);
    const std::uint64_t beyond = total() - edges_[kept].below;
    uint128 sum = multiply_wide(total(), log2_fixed(edges_[kept].below) + margin);
    sum += x_log2_x(count + beyond);
    sum -= x_log2_x(count);
    sum -= multiply_wide(beyond, log2_of_mean(begin_of_last_level(kept), kept));
    const uint128 enough = limit + multiply_wide(total(), margin);
    std::size_t begin = 0;
    for (std::size_t g = 1; g <= cuts_.size(); ++g) {
      const std::size_t end = end_of(g, kept);
      sum -= multiply_wide(edges_[end].below - edges_[begin].below, log2_of_mean(begin, end));
      begin = end;
      if (sum + edges_[end].reference > enough) break;
    }
    return sum + edges_[begin].reference;
  }

  /// Where the lowest `g` levels end.
  constexpr std::size_t end_of(std::size_t g, std::size_t kept) const noexcept {
    return g == cuts_.size() ? kept : cuts_.first_bin(g, 2 * kept);
  }

  /// Of the level of the last kept bin: the highest levels have no bins where they are finer than bins.
  constexpr std::size_t begin_of_last_level(std::size_t kept) const noexcept {
    std::size_t g = cuts_.size() - 1;
    while (end_of(g, kept) == kept) --g;
    return end_of(g, kept);
  }

  /// The logarithm of the mean over the bins [begin, end) that are not empty; 0 where there is none.
  constexpr std::uint64_t log2_of_mean(std::size_t begin, std::size_t end) noexcept {
    edge& from = edges_[begin];
    const edge& to = edges_[end];
    const std::size_t width = end - begin;
    if (from.width != width) {
      from.width = static_cast<std::uint16_t>(width);
      const std::uint64_t count = to.below - from.below;
      const auto not_empty = static_cast<std::uint64_t>(to.not_empty - from.not_empty);
      from.log_mean = count == 0 ? 0 : log2_fixed(count) - log2_fixed(not_empty);
    }
    return from.log_mean;
  }

  std::span<const std::uint64_t> counts_;
  level_cuts<MaxLevels> cuts_;
  std::array<edge, MaxBins + 1> edges_{};
  uint128 least_{std::uint64_t{1} << 62, 0};  ///< of the divergences so far; sums with the first do not wrap
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

  /// Needs 40 bytes of stack a bin, and no heap.
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
