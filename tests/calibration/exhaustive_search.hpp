// SPDX-License-Identifier: Apache-2.0
/// @file exhaustive_search.hpp The search of entropy in its own integers, which adds up every candidate to
/// the end: what it picks is to be picked. For tests, and for benchmarks to stand beside.
#ifndef PTQ_TESTS_CALIBRATION_EXHAUSTIVE_SEARCH_HPP
#define PTQ_TESTS_CALIBRATION_EXHAUSTIVE_SEARCH_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ptq/calibration/cuts.hpp"
#include "ptq/calibration/grid.hpp"
#include "ptq/calibration/log2.hpp"
#include "ptq/detail/uint128.hpp"

namespace test {

class exhaustive_search {
 public:
  exhaustive_search(std::span<const std::uint64_t> counts, const ptq::grid& levels)
      : counts_(counts),
        cuts_(levels,
              levels.is_even() ? ptq::detail::grouping::equal_widths : ptq::detail::grouping::nearest),
        edges_(counts.size() + 1) {
    for (std::size_t bin = 0; bin < counts.size(); ++bin) {
      edges_[bin + 1].below = edges_[bin].below + count_of(bin);
      edges_[bin + 1].not_empty = edges_[bin].not_empty + (count_of(bin) != 0 ? 1u : 0u);
    }
  }

  /// The last candidate that is within 1e-12 nats of the least divergence of those before it.
  std::size_t find_kept(std::size_t first) {
    const uint128 slack = ptq::detail::multiply_wide(edges_.back().below, 406);
    uint128 least{std::uint64_t{1} << 62, 0};
    std::size_t best = counts_.size();
    for (std::size_t kept = first; kept <= counts_.size(); ++kept) {
      if (count_of(kept - 1) == 0) continue;
      const uint128 divergence = divergence_of(kept);
      if (divergence > least + slack) continue;
      best = kept;
      if (divergence < least) least = divergence;
    }
    return best;
  }

 private:
  using uint128 = ptq::detail::uint128;

  /// The lower edge of a bin. Levels that begin at it come again: their logarithms are kept, as one would.
  struct edge {
    std::uint64_t below = 0;
    std::uint64_t not_empty = 0;
    std::array<std::uint64_t, 2> log_mean{};  ///< by parity of the width
    std::array<std::size_t, 2> width{};
  };

  std::uint64_t count_of(std::size_t bin) const { return counts_[bin == 0 ? 1 : bin]; }

  static uint128 x_log2_x(std::uint64_t x) {
    return x == 0 ? uint128{} : ptq::detail::multiply_wide(x, ptq::detail::log2_fixed(x));
  }

  uint128 divergence_of(std::size_t kept) {
    for (; summed_ < kept - 1; ++summed_) reference_ += x_log2_x(count_of(summed_));
    uint128 approximation;
    std::uint64_t last_mean = 0;
    std::size_t begin = 0;
    for (std::size_t g = 1; g <= cuts_.size(); ++g) {
      const std::size_t end = g == cuts_.size() ? kept : cuts_.first_bin(g, 2 * kept);
      if (begin == end) continue;
      last_mean = log2_of_mean(begin, end);
      approximation += ptq::detail::multiply_wide(edges_[end].below - edges_[begin].below, last_mean);
      begin = end;
    }
    const std::uint64_t total = edges_.back().below;
    const std::uint64_t beyond = total - edges_[kept].below;
    return reference_ + x_log2_x(count_of(kept - 1) + beyond) +
           ptq::detail::multiply_wide(total, ptq::detail::log2_fixed(edges_[kept].below)) - approximation -
           ptq::detail::multiply_wide(beyond, last_mean);
  }

  std::uint64_t log2_of_mean(std::size_t begin, std::size_t end) {
    edge& from = edges_[begin];
    const std::size_t width = end - begin;
    std::uint64_t& kept = from.log_mean[width % 2];
    if (from.width[width % 2] != width) {
      from.width[width % 2] = width;
      const std::uint64_t count = edges_[end].below - from.below;
      const std::uint64_t not_empty = edges_[end].not_empty - from.not_empty;
      kept = count == 0 ? 0 : ptq::detail::log2_fixed(count) - ptq::detail::log2_fixed(not_empty);
    }
    return kept;
  }

  std::span<const std::uint64_t> counts_;
  ptq::detail::level_cuts<128> cuts_;
  std::vector<edge> edges_;
  uint128 reference_;       ///< sum of count x log2(count)
  std::size_t summed_ = 0;  ///< over how many bins
};

}  // namespace test

#endif  // PTQ_TESTS_CALIBRATION_EXHAUSTIVE_SEARCH_HPP
