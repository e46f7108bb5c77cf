// SPDX-License-Identifier: Apache-2.0
/// @file expected_error.hpp What quantization will cost the values that were seen, estimated from their
/// histogram. Like all error figures it is for people, and may differ in the last bits between builds.
#ifndef PTQ_CALIBRATION_EXPECTED_ERROR_HPP
#define PTQ_CALIBRATION_EXPECTED_ERROR_HPP

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "ptq/calibration/grid.hpp"
#include "ptq/calibration/statistics.hpp"
#include "ptq/detail/platform.hpp"
#include "ptq/quantize/error_metrics.hpp"

namespace ptq::inline v0_1 {
namespace detail {
inline namespace PTQ_BUILD {

/// The mean of x^2 with x spread evenly from a to b.
inline double mean_square(double a, double b) noexcept {
  return (a * a + a * b + b * b) / 3;
}

}  // namespace PTQ_BUILD
}  // namespace detail

inline namespace PTQ_BUILD {

/// The SQNR in dB of what was seen, if every magnitude goes to the nearest level with the largest level at
/// `amax`: infinity for zeros alone, and where nothing was seen.
///
/// An estimate: it takes the values of a bin as spread evenly over it, so it needs the data no second time,
/// and is the same for every order and batch. On activations of trained networks it is within 0.3 dB of the
/// figure that the values themselves give, clipped or not. It is not where nearly all values share a few
/// bins with few others far away: what the values are inside a bin then decides, and nobody knows.
template <std::size_t Bins>
double expected_sqnr_db(const statistics<Bins>& seen, float amax, const grid& levels) noexcept {
  // Everything in widths of a bin.
  const double bin = std::ldexp(1.0 / static_cast<double>(Bins), seen.magnitudes.exponent);
  const double largest_seen = static_cast<double>(seen.absmax) / bin;
  const double unit = std::ldexp(static_cast<double>(amax) / bin, -grid::fraction_bits);
  const auto value = [&](std::size_t level) { return static_cast<double>(levels.share(level)) * unit; };
  const auto cut = [&](std::size_t level) { return (value(level - 1) + value(level)) / 2; };

  double signal = 0;
  double noise = 0;
  std::size_t level = 0;
  const std::span<const std::uint64_t> counts = seen.magnitudes.in_use();
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) continue;
    const double begin = static_cast<double>(i);
    const double end = i + 1 == counts.size() ? largest_seen : begin + 1;
    const double count = static_cast<double>(counts[i]);
    signal += count * detail::mean_square(begin, end);
    double from = begin;
    do {  // the parts of the bin that belong to different levels
      while (level + 1 < levels.size() && cut(level + 1) <= from) ++level;
      const double to = level + 1 < levels.size() && cut(level + 1) < end ? cut(level + 1) : end;
      const double share = end > begin ? (to - from) / (end - begin) : 1;  // the largest value on an edge
      noise += count * share * detail::mean_square(from - value(level), to - value(level));
      from = to;
    } while (from < end);
  }
  return sqnr_db(signal, noise);
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_CALIBRATION_EXPECTED_ERROR_HPP
