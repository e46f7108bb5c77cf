// SPDX-License-Identifier: Apache-2.0
/// @file rounds.hpp Ratios that hold on a machine that others use too: every round runs all rows, one after
/// the other, so that whatever slows one of them slows its neighbours; what is told are medians over the
/// rounds.
#ifndef PTQ_BENCHMARKS_SUPPORT_ROUNDS_HPP
#define PTQ_BENCHMARKS_SUPPORT_ROUNDS_HPP

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <vector>

namespace bench {

/// Of one call.
template <class F>
double seconds_of(F&& f, std::size_t repeats = 1) {
  using clock = std::chrono::steady_clock;
  const auto begin = clock::now();
  for (std::size_t i = 0; i < repeats; ++i) f();
  return std::chrono::duration<double>(clock::now() - begin).count() / static_cast<double>(repeats);
}

/// The value below which a part of the values lies.
inline double quantile(std::vector<double> values, double part) {
  const auto at = static_cast<std::ptrdiff_t>(part * static_cast<double>(values.size() - 1) + 0.5);
  std::nth_element(values.begin(), values.begin() + at, values.end());
  return values[static_cast<std::size_t>(at)];
}

inline double median(const std::vector<double>& values) {
  return quantile(values, 0.5);
}

/// A median, and the quartiles around it.
struct spread {
  double low;
  double middle;
  double high;

  explicit spread(const std::vector<double>& values)
      : low(quantile(values, 0.25)), middle(median(values)), high(quantile(values, 0.75)) {}

  /// Half of what lies between the quartiles, as a part of the median.
  double width() const { return (high - low) / 2 / middle; }
};

/// How many calls of a function take long enough to be timed.
template <class F>
std::size_t repeats_of(F&& f) {
  constexpr double long_enough = 3e-4;
  f();  // the memory is touched, the caches are warm
  const double once = std::max(seconds_of(f), 1e-9);
  return static_cast<std::size_t>(std::ceil(long_enough / once));
}

}  // namespace bench

#endif  // PTQ_BENCHMARKS_SUPPORT_ROUNDS_HPP
