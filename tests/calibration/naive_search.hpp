// SPDX-License-Identifier: Apache-2.0
/// @file naive_search.hpp The searches by their definitions: for tests, and for benchmarks to stand beside.
#ifndef PTQ_TESTS_CALIBRATION_NAIVE_SEARCH_HPP
#define PTQ_TESTS_CALIBRATION_NAIVE_SEARCH_HPP

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "ptq/calibration/grid.hpp"

namespace test {

/// Each level as a share of the largest.
inline std::vector<double> shares_of(const ptq::grid& levels) {
  std::vector<double> shares(levels.size());
  for (std::size_t k = 0; k < shares.size(); ++k)
    shares[k] = static_cast<double>(levels.share(k)) / static_cast<double>(ptq::grid::one);
  return shares;
}

/// The level nearest to a share, given as a fraction; the upper one where two are as near.
inline std::size_t nearest_level(const ptq::grid& levels, std::size_t numerator, std::size_t denominator) {
  std::size_t best = 0;
  for (std::size_t k = 1; k < levels.size(); ++k)
    if (2 * numerator * ptq::grid::one >= (levels.share(k - 1) + levels.share(k)) * denominator) best = k;
  return best;
}

/// The Kullback-Leibler divergence of the candidate that keeps the first bins; nothing where it is infinite
/// or not defined.
inline std::optional<double> divergence_naively(std::span<const std::uint64_t> counts,
                                                const ptq::grid& levels, std::size_t kept) {
  std::vector<double> reference(kept);
  std::vector<double> sums(levels.size());
  std::vector<double> not_empty(levels.size());
  std::vector<std::size_t> level(kept);
  double total = 0;
  double kept_total = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const auto count = static_cast<double>(counts[i == 0 ? 1 : i]);
    total += count;
    reference[i < kept ? i : kept - 1] += count;
    if (i >= kept) continue;
    kept_total += count;
    level[i] = levels.is_even() ? i * levels.size() / kept : nearest_level(levels, 2 * i + 1, 2 * kept);
    sums[level[i]] += count;
    not_empty[level[i]] += count > 0 ? 1 : 0;
  }
  if (!(kept_total > 0)) return {};
  double divergence = 0;
  for (std::size_t i = 0; i < kept; ++i) {
    if (!(reference[i] > 0)) continue;
    if (counts[i == 0 ? 1 : i] == 0) return {};
    const double p = reference[i] / total;
    const double q = sums[level[i]] / not_empty[level[i]] / kept_total;
    divergence += p * std::log(p / q);
  }
  return divergence;
}

struct naive_pick {
  std::size_t kept = 0;
  double divergence = std::numeric_limits<double>::max();
};

inline naive_pick find_kept_naively(std::span<const std::uint64_t> counts, const ptq::grid& levels,
                                    std::size_t first) {
  naive_pick best;
  for (std::size_t kept = first; kept <= counts.size(); ++kept) {
    const std::optional<double> divergence = divergence_naively(counts, levels, kept);
    if (divergence && *divergence <= best.divergence) best = {kept, *divergence};
  }
  return best;
}

/// The summed squared error where the largest level is the centre of a bin, in bins squared.
inline double squared_error_naively(std::span<const std::uint64_t> counts, const ptq::grid& levels,
                                    std::size_t bin) {
  const std::vector<double> shares = shares_of(levels);
  const double threshold = static_cast<double>(bin) + 0.5;
  double sum = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double centre = static_cast<double>(i) + 0.5;
    const double error = centre - shares[nearest_level(levels, 2 * i + 1, 2 * bin + 1)] * threshold;
    sum += static_cast<double>(counts[i]) * error * error;
  }
  return sum;
}

inline std::size_t find_bin_naively(std::span<const std::uint64_t> counts, const ptq::grid& levels,
                                    std::size_t first) {
  std::size_t best = first;
  double least = squared_error_naively(counts, levels, first);
  for (std::size_t bin = first + 1; bin < counts.size(); ++bin) {
    const double error = squared_error_naively(counts, levels, bin);
    if (error < least) {
      least = error;
      best = bin;
    }
  }
  return best;
}

}  // namespace test

#endif  // PTQ_TESTS_CALIBRATION_NAIVE_SEARCH_HPP
