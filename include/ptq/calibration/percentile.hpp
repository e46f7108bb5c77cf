// SPDX-License-Identifier: Apache-2.0
/// @file percentile.hpp The magnitude that a given share of the values stays below.
#ifndef PTQ_CALIBRATION_PERCENTILE_HPP
#define PTQ_CALIBRATION_PERCENTILE_HPP

#include <cstddef>
#include <cstdint>
#include <span>

#include "ptq/calibration/grid.hpp"
#include "ptq/calibration/range.hpp"
#include "ptq/calibration/statistics.hpp"
#include "ptq/detail/uint128.hpp"

namespace ptq::inline v0_1 {

/// The lower edge of the first bin with which the share is reached, as ModelOpt's histogram calibrator
/// answers. Where that is 0, nearly all values being zeros, the answer is the absolute maximum, `degenerate`.
struct percentile {
  static constexpr const char* name = "percentile";

  std::uint64_t per_billion = 999'900'000;  ///< the share: 99.99 %

  template <std::size_t Bins>
  constexpr ptq::range range(const statistics<Bins>& seen, const grid& = grid(128)) const noexcept {
    if (per_billion >= 1'000'000'000) return seen.whole();
    const std::size_t bin = find_bin(seen.magnitudes.counts);
    if (bin == 0) return seen.whole(range_reason::degenerate);
    return seen.up_to(2 * bin);
  }

  /// The first bin that, with those below it, holds the share of all counts. 0 where there are none.
  constexpr std::size_t find_bin(std::span<const std::uint64_t> counts) const noexcept {
    std::uint64_t total = 0;
    for (const std::uint64_t count : counts) total += count;
    const detail::uint128 wanted = detail::multiply_wide(total, per_billion);
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      below += counts[i];
      if (detail::multiply_wide(below, 1'000'000'000) >= wanted) return i;
    }
    return 0;
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_CALIBRATION_PERCENTILE_HPP
