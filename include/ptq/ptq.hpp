// SPDX-License-Identifier: Apache-2.0
/// @file ptq.hpp What an inference engine needs, without third parties: core, tensors, plans and what applies
/// them, calibration, and views of what an artifact holds. Formats, files, data, engines and reports are
/// included by name.
#ifndef PTQ_PTQ_HPP
#define PTQ_PTQ_HPP

#include "ptq/adaptors/std_vector.hpp"
#include "ptq/core.hpp"
#include "ptq/model/apply.hpp"
#include "ptq/model/artifact_views.hpp"
#include "ptq/model/calibration.hpp"
#include "ptq/model/layers_of.hpp"
#include "ptq/model/match.hpp"
#include "ptq/quantize/error_metrics.hpp"
#include "ptq/result.hpp"

#endif  // PTQ_PTQ_HPP
