// SPDX-License-Identifier: Apache-2.0
/// @file calibrators.hpp The built-in calibrators. A new one is a file in calibration/ and a line here.
#ifndef PTQ_CALIBRATORS_HPP
#define PTQ_CALIBRATORS_HPP

#include "ptq/calibration/minmax.hpp"
#include "ptq/detail/type_list.hpp"

namespace ptq::inline v0_1 {

using calibrators = list<minmax>;

}  // namespace ptq::inline v0_1

#endif  // PTQ_CALIBRATORS_HPP
