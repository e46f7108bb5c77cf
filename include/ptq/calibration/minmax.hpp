// SPDX-License-Identifier: Apache-2.0
/// @file minmax.hpp The absolute maximum of everything seen.
#ifndef PTQ_CALIBRATION_MINMAX_HPP
#define PTQ_CALIBRATION_MINMAX_HPP

#include <cstddef>

#include "ptq/calibration/grid.hpp"
#include "ptq/calibration/range.hpp"
#include "ptq/calibration/statistics.hpp"

namespace ptq::inline v0_1 {

/// ModelOpt calls it `max`; for a symmetric range the two are the same.
struct minmax {
  static constexpr const char* name = "minmax";
  static constexpr bool is_tao_word = true;

  template <std::size_t Bins>
  constexpr ptq::range range(const statistics<Bins>& seen, const grid& = grid(128)) const noexcept {
    return seen.whole();
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_CALIBRATION_MINMAX_HPP
