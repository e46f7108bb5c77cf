// SPDX-License-Identifier: Apache-2.0
/// @file calibration.hpp What the layers of a model take in: seen in the data that a specification names, or
/// read from a file of statistics.
#ifndef PTQ_CLI_CALIBRATION_HPP
#define PTQ_CLI_CALIBRATION_HPP

#include <span>
#include <string>

#include "model_file.hpp"
#include "ptq/config/spec.hpp"
#include "ptq/model/activation_range.hpp"
#include "ptq/model/calibration.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/result.hpp"

namespace cli {

/// What activations are calibrated with; missing_value if the specification names no data.
ptq::result<const ptq::data_config*> calibration_data_of(const ptq::spec& spec);

/// Runs the calibration data through the model, or reads recorded activations.
///
/// @return missing_value: the specification names no data; unsupported: nothing can run the model
ptq::result<ptq::calibration> collect_statistics(const ptq::spec& spec, const model_file& model,
                                                 const ptq::plan& plan);

/// Reads statistics that were collected before; no data are needed then.
///
/// @return tensor_not_found: the file lacks a layer whose activations the plan quantizes; wrong_model, and
///         whatever else is wrong with the file
ptq::result<ptq::calibration> load_statistics(const std::string& path, const model_file& model,
                                              const ptq::plan& plan);

/// Notes on ranges that have something odd about them: an outlier that leaves the other values no codes, for
/// one.
void print_findings(const ptq::plan& plan, std::span<const ptq::activation_range> inputs);

}  // namespace cli

#endif  // PTQ_CLI_CALIBRATION_HPP
