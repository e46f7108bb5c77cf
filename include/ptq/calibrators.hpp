// SPDX-License-Identifier: Apache-2.0
/// @file calibrators.hpp The built-in calibrators. A new one is a file in calibration/ and a line here.
#ifndef PTQ_CALIBRATORS_HPP
#define PTQ_CALIBRATORS_HPP

#include "ptq/calibration/entropy.hpp"
#include "ptq/calibration/minmax.hpp"
#include "ptq/calibration/mse.hpp"
#include "ptq/calibration/percentile.hpp"
#include "ptq/detail/type_list.hpp"

namespace ptq::inline v0_1 {

using calibrators = list<minmax, entropy, percentile, mse>;

}  // namespace ptq::inline v0_1

#endif  // PTQ_CALIBRATORS_HPP
