// SPDX-License-Identifier: Apache-2.0
/// @file activation_range.hpp What calibration found for the inputs of a layer.
#ifndef PTQ_MODEL_ACTIVATION_RANGE_HPP
#define PTQ_MODEL_ACTIVATION_RANGE_HPP

#include <cstddef>
#include <cstdint>

#include "ptq/calibration/range.hpp"

namespace ptq::inline v0_1 {

struct activation_range {
  std::size_t layer = 0;            ///< its place in the plan
  const char* algorithm = nullptr;  ///< the calibrator that answered
  ptq::range range;
  float scale = 1;            ///< of the layer's inputs, all of which share it
  std::uint64_t count = 0;    ///< values seen
  std::uint64_t clipped = 0;  ///< of these, those that lie beyond the range, up to one bin of the histogram
  double sqnr_db = 0;         ///< estimated from the histogram (`expected_sqnr_db`)

  /// Of the values seen, those below `near_zero_below`, where the bins end that become 0 as a whole. The
  /// first of them does not tell zeros from small values.
  std::uint64_t near_zero = 0;
  float near_zero_below = 0;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_MODEL_ACTIVATION_RANGE_HPP
