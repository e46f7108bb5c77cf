// SPDX-License-Identifier: Apache-2.0
/// @file samples.hpp Opens the data that a section of a specification names.
#ifndef PTQ_CLI_SAMPLES_HPP
#define PTQ_CLI_SAMPLES_HPP

#include <algorithm>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "images.hpp"
#include "ptq/config/spec.hpp"
#include "ptq/data/graph_names.hpp"
#include "ptq/data/graph_value.hpp"
#include "ptq/data/samples.hpp"
#include "ptq/engine/concept.hpp"
#include "ptq/formats.hpp"
#include "ptq/result.hpp"

namespace cli {

/// Whether an error is about a setting, and not about a file.
inline bool is_setting(std::string_view where) {
  constexpr std::string_view settings[] = {"inputs", "images_dir", "scale", "mean", "std", "ptq"};
  return std::find(std::begin(settings), std::end(settings), where.substr(0, where.find('.'))) !=
         std::end(settings);
}

/// An error about a setting, with its place in the specification.
///
/// @param section that `where` of the error is a path in: "evaluate."
inline ptq::error in_specification(const ptq::spec& spec, const std::string& section,
                                   const ptq::error& found) {
  ptq::error placed = found;
  placed.where = spec.where(section + found.where);
  placed.what = placed.where + found.what.substr(found.where.size());
  return placed;
}

/// The section that names data, calibration's or evaluation's.
inline std::string section_of(const ptq::spec& spec, const ptq::data_config& data) {
  const bool evaluates = spec.evaluation_data && &data == &*spec.evaluation_data;
  return evaluates ? "evaluate." : "dataset.quant_calibration_dataset.";
}

/// Whether the settings that go by graph inputs fit the graph. Nothing is run or read for that.
///
/// @return as `ptq::samples::check_names`, with the place in the specification
inline ptq::result<void> check_inputs(const ptq::spec& spec, const ptq::data_config& data,
                                      std::span<const ptq::graph_value> inputs) {
  std::vector<std::string_view> names;
  for (const ptq::graph_value& input : inputs) names.emplace_back(input.name);
  if (names.empty()) return {};  // `open_samples` says what that means
  if (const auto known = ptq::samples::check_names(data, names); !known)
    return in_specification(spec, section_of(spec, data), known.error());
  const auto known = ptq::check_graph_names("ptq.data.batch_axis", spec.ptq.data.batch_axis, "input", names);
  return known ? known : in_specification(spec, "", known.error());
}

/// As `ptq::samples::open`; what is wrong with a setting is told with its place in the specification.
///
/// @param data of the specification: for calibration or for evaluation
inline ptq::result<ptq::samples> open_samples(const ptq::spec& spec, const ptq::data_config& data,
                                              std::span<const ptq::graph_input> inputs) {
  auto opened = ptq::samples::open(data, inputs, ptq::data_formats{}, spec.ptq.data.batch_axis, open_images);
  if (opened || !is_setting(opened.error().where)) return opened;
  const std::string section = opened.error().where.starts_with("ptq.") ? "" : section_of(spec, data);
  return in_specification(spec, section, opened.error());
}

}  // namespace cli

#endif  // PTQ_CLI_SAMPLES_HPP
