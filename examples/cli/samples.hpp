// SPDX-License-Identifier: Apache-2.0
/// @file samples.hpp Opens the data that a section of a specification names.
#ifndef PTQ_CLI_SAMPLES_HPP
#define PTQ_CLI_SAMPLES_HPP

#include <algorithm>
#include <iterator>
#include <span>
#include <string>
#include <string_view>

#include "data_formats.hpp"
#include "images.hpp"
#include "ptq/config/spec.hpp"
#include "ptq/engine/concept.hpp"
#include "ptq/io/samples.hpp"
#include "ptq/result.hpp"

namespace cli {

/// Whether an error is about a setting, and not about a file.
inline bool is_setting(std::string_view where) {
  constexpr std::string_view settings[] = {"inputs", "images_dir", "scale", "mean", "std", "ptq"};
  return std::find(std::begin(settings), std::end(settings), where.substr(0, where.find('.'))) !=
         std::end(settings);
}

/// As `ptq::samples::open`; what is wrong with a setting is told with its place in the specification.
///
/// @param data of the specification: for calibration or for evaluation
inline ptq::result<ptq::samples> open_samples(const ptq::spec& spec, const ptq::data_config& data,
                                              std::span<const ptq::graph_input> inputs) {
  auto opened = ptq::samples::open(data, inputs, data_formats{}, spec.ptq.data.batch_axis, open_images);
  if (opened || !is_setting(opened.error().where)) return opened;
  const bool evaluates = spec.evaluation_data && &data == &*spec.evaluation_data;
  const std::string section = opened.error().where.starts_with("ptq.") ? ""
                              : evaluates                              ? "evaluate."
                                                                       : "dataset.quant_calibration_dataset.";
  ptq::error placed = opened.error();
  const std::string text = placed.what.substr(placed.where.size());
  placed.where = spec.where(section + placed.where);
  placed.what = placed.where + text;
  return placed;
}

}  // namespace cli

#endif  // PTQ_CLI_SAMPLES_HPP
