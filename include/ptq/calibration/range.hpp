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

/// In words; empty where the answer is the calibrator's own.
constexpr const char* text_of(range_reason reason) noexcept {
  switch (reason) {
    case range_reason::found:
      break;
    case range_reason::no_data:
      return "no values were seen";
    case range_reason::all_zero:
      return "only zeros were seen";
    case range_reason::degenerate:
      return "the values do not support a search, so the largest one is kept";
  }
  return "";
}

struct range {
  float amax = 0;
  range_reason reason = range_reason::no_data;

  friend constexpr bool operator==(const range&, const range&) = default;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_CALIBRATION_RANGE_HPP
