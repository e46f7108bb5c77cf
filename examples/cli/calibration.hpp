// SPDX-License-Identifier: Apache-2.0
/// @file calibration.hpp What the layers of a model take in: seen in the data that a specification names, or
/// read from a file of statistics.
#ifndef PTQ_CLI_CALIBRATION_HPP
#define PTQ_CLI_CALIBRATION_HPP

#include <span>
#include <string>

#include "ptq/config/spec.hpp"
#include "ptq/formats.hpp"
#include "ptq/model/activation_range.hpp"
#include "ptq/model/calibration.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/result.hpp"

namespace cli {

/// Adds to the warnings and notes of a plan what the specification says about data and statistics without
/// effect, or with one that its author may not expect.
void judge_data(const ptq::spec& spec, ptq::plan& plan);

/// @return missing_value: the plan quantizes activations, and the specification names neither calibration
///         data nor statistics; or the data are not of the graph's inputs
ptq::result<void> expect_data(const ptq::spec& spec, const ptq::model_file& model, const ptq::plan& plan);

/// Whether calibrating runs samples through a graph, so that each rank of a team runs some.
bool has_samples_to_spread(const ptq::spec& spec, const ptq::model_file& model, const ptq::plan& plan);

/// Runs the calibration data through the model, or reads recorded activations. `expect_data` has found data.
/// In a team each rank runs some of the samples, and all get the statistics of all of them.
///
/// @return unsupported: nothing can run the model; and whatever is wrong with the data
ptq::result<ptq::calibration> collect_statistics(const ptq::spec& spec, const ptq::model_file& model,
                                                 const ptq::plan& plan);

/// Notes on ranges that have something odd about them: an outlier that leaves the other values no codes, for
/// one.
void print_findings(const ptq::plan& plan, std::span<const ptq::activation_range> inputs);

}  // namespace cli

#endif  // PTQ_CLI_CALIBRATION_HPP
