// SPDX-License-Identifier: Apache-2.0
/// @file calibration.hpp Finds the ranges of activations from the data that a specification names.
#ifndef PTQ_CLI_CALIBRATION_HPP
#define PTQ_CLI_CALIBRATION_HPP

#include <vector>

#include "model_file.hpp"
#include "ptq/config/spec.hpp"
#include "ptq/model/activation_range.hpp"
#include "ptq/model/calibration.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/result.hpp"

namespace cli {

/// Runs the calibration data through the model, or reads recorded activations.
///
/// @return missing_value: the specification names no data; unsupported: nothing can run the model
ptq::result<ptq::calibration> collect_statistics(const ptq::spec& spec, const model_file& model,
                                                 const ptq::plan& plan);

}  // namespace cli

#endif  // PTQ_CLI_CALIBRATION_HPP
