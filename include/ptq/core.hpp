// SPDX-License-Identifier: Apache-2.0
/// @file core.hpp The subset for firmware: no heap, no exceptions, no RTTI, no libm, and no third party.
#ifndef PTQ_CORE_HPP
#define PTQ_CORE_HPP

#include "ptq/backend/concept.hpp"
#include "ptq/backends.hpp"
#include "ptq/calibration/concept.hpp"
#include "ptq/calibrators.hpp"
#include "ptq/dtype/concept.hpp"
#include "ptq/dtypes.hpp"
#include "ptq/error.hpp"
#include "ptq/fixed_point/half_away.hpp"
#include "ptq/fixed_point/multiplier_shift.hpp"
#include "ptq/fixed_point/power_of_two.hpp"
#include "ptq/fixed_point/requantize.hpp"
#include "ptq/fwd.hpp"
#include "ptq/kernels/executor.hpp"
#include "ptq/kernels/isa.hpp"
#include "ptq/policies.hpp"
#include "ptq/quantize/dequantize.hpp"
#include "ptq/quantize/fake_quantize.hpp"
#include "ptq/quantize/pack.hpp"
#include "ptq/quantize/power_of_two_scales.hpp"
#include "ptq/quantize/quantize.hpp"
#include "ptq/quantize/quantize_constant.hpp"
#include "ptq/quantize/quantize_per_token.hpp"
#include "ptq/quantize/run.hpp"
#include "ptq/tensor/any_view.hpp"
#include "ptq/tensor/traits.hpp"
#include "ptq/version.hpp"

#endif  // PTQ_CORE_HPP
