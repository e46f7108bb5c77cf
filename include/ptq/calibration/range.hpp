// SPDX-License-Identifier: Apache-2.0
/// @file range.hpp What calibration yields: the largest magnitude to represent, free of any dtype.
#ifndef PTQ_CALIBRATION_RANGE_HPP
#define PTQ_CALIBRATION_RANGE_HPP

namespace ptq::inline v0_1 {

/// Why a range is what it is.
enum class range_reason : unsigned char {
  found,       ///< the calibrator's own answer
  no_data,     ///< nothing was seen; amax is 0
  all_zero,    ///< only zeros were seen; amax is 0
  degenerate,  ///< the data cannot support a search, so amax is the absolute maximum
};

struct range {
  float amax = 0;
  range_reason reason = range_reason::no_data;

  friend constexpr bool operator==(const range&, const range&) = default;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_CALIBRATION_RANGE_HPP
