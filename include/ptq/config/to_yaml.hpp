// SPDX-License-Identifier: Apache-2.0
/// @file to_yaml.hpp Writes a specification as an experiment file.
#ifndef PTQ_CONFIG_TO_YAML_HPP
#define PTQ_CONFIG_TO_YAML_HPP

#include <charconv>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ptq/config/spec.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// In double quotes, so that it stays a word and no interpolation.
inline std::string yaml_word(std::string_view word) {
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string text = "\"";
  for (std::size_t i = 0; i < word.size(); ++i) {
    const auto byte = static_cast<unsigned char>(word[i]);
    if (byte < 0x20 || byte == 0x7f) {
      text.append("\\x").append({digits[byte >> 4], digits[byte & 15]});
      continue;
    }
    if (word[i] == '"' || word[i] == '\\') text += '\\';
    if (word.substr(i).starts_with("${")) text += "\\\\";
    text += word[i];
  }
  return text + '"';
}

/// The shortest text that reads back as the same number.
inline std::string yaml_number(double value) {
  char text[32] = {};
  const auto [end, failure] = std::to_chars(&text[0], &text[0] + sizeof text, value);
  return {&text[0], end};
}

inline std::string yaml_map(const std::map<std::string, std::string>& words) {
  std::string text;
  for (const auto& [key, word] : words)
    text += (text.empty() ? "" : ", ") + yaml_word(key) + ": " + yaml_word(word);
  return "{" + text + "}";
}

inline std::string yaml_list(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : ", ") + item;
  return "[" + text + "]";
}

inline std::string yaml_slot(const slot_config& slot) {
  std::string axis;
  if (slot.quant_axis.kind == axis_choice::kind_type::axis)
    axis = ", quant_axis: " + std::to_string(slot.quant_axis.axis);
  if (slot.quant_axis.kind == axis_choice::kind_type::per_tensor) axis = ", quant_axis: null";
  return "{dtype: " + yaml_word(slot.dtype) + axis + "}";
}

inline std::string yaml_rule(const rule_config& rule) {
  std::string text = "    - module_name: " + yaml_word(rule.module_name) + "\n";
  if (rule.weights) text += "      weights: " + yaml_slot(*rule.weights) + "\n";
  if (rule.activations) text += "      activations: " + yaml_slot(*rule.activations) + "\n";
  return text;
}

inline std::string yaml_quantize(const quantize_config& config) {
  std::string text = "quantize:\n";
  const auto add = [&](std::string_view key, std::string_view word) {
    text.append("  ").append(key).append(": ").append(yaml_word(word)).append("\n");
  };
  add("backend", config.backend);
  add("mode", config.mode);
  add("algorithm", config.algorithm);
  add("default_layer_dtype", config.default_layer_dtype);
  add("default_activation_dtype", config.default_activation_dtype);
  text += config.layers.empty() ? "  layers: []\n" : "  layers:\n";
  for (const rule_config& rule : config.layers) text += yaml_rule(rule);
  std::vector<std::string> skips;
  for (const std::string& pattern : config.skip_names) skips.push_back(yaml_word(pattern));
  text += "  skip_names: " + yaml_list(skips) + "\n";
  add("model_path", config.model_path);
  add("results_dir", config.results_dir);
  return text;
}

inline std::string yaml_data(const data_config& data, const std::string& indent) {
  std::string text;
  const auto add = [&](std::string_view key, std::string_view value) {
    text.append(indent).append(key).append(": ").append(value).append("\n");
  };
  const auto channels = [](const channel_values& values) {
    std::vector<std::string> numbers;
    for (const double value : values) numbers.push_back(yaml_number(value));
    return numbers.size() == 1 ? numbers.front() : yaml_list(numbers);
  };
  if (data.inputs.size() == 1 && data.inputs.begin()->first.empty())
    add("inputs", yaml_word(data.inputs.begin()->second));
  else if (!data.inputs.empty())
    add("inputs", yaml_map(data.inputs));
  if (!data.activations.empty()) add("activations", yaml_word(data.activations));
  if (!data.images_dir.empty()) add("images_dir", yaml_word(data.images_dir));
  if (!data.labels.empty()) add("labels", yaml_word(data.labels));
  const auto add_for_outputs = [&](std::string_view key, std::map<std::string, std::string> values) {
    if (values.size() == 1 && values.begin()->first.empty())
      add(key, values.begin()->second);
    else if (!values.empty())
      add(key, yaml_map(values));
  };
  add_for_outputs("task", data.task);
  std::map<std::string, std::string> axes;
  for (const auto& [output, axis] : data.class_axis) axes[output] = std::to_string(axis);
  add_for_outputs("class_axis", axes);
  add("batch_size", std::to_string(data.batch_size));
  add("max_samples", data.max_samples ? std::to_string(*data.max_samples) : "all");
  add("scale", channels(data.scale));
  add("mean", channels(data.mean));
  add("std", channels(data.std));
  return text;
}

inline std::string yaml_checkpoint(const checkpoint_config& config) {
  std::string fields;
  if (!config.key.empty()) fields = "key: " + yaml_word(config.key);
  std::vector<std::string> prefixes;
  for (const std::string& prefix : config.strip_prefix) prefixes.push_back(yaml_word(prefix));
  if (!prefixes.empty()) fields += (fields.empty() ? "" : ", ") + ("strip_prefix: " + yaml_list(prefixes));
  return fields.empty() ? "" : "  checkpoint: {" + fields + "}\n";
}

inline std::string yaml_ptq(const ptq_config& config) {
  std::string text;
  if (!config.module_types_file.empty())
    text += "  module_types: " + yaml_word(config.module_types_file) + "\n";
  else if (!config.module_types.empty())
    text += "  module_types: " + yaml_map(config.module_types) + "\n";
  text += "  calibration:\n    percentile: " + yaml_number(config.calibration.percentile) + "\n";
  if (config.calibration.algorithm)
    text += "    algorithm: " + yaml_word(*config.calibration.algorithm) + "\n";
  if (config.calibration.bins) text += "    bins: " + std::to_string(*config.calibration.bins) + "\n";
  if (!config.calibration.statistics.empty())
    text += "    statistics: " + yaml_word(config.calibration.statistics) + "\n";
  std::string axes;
  for (const auto& [input, axis] : config.data.batch_axis)
    axes += (axes.empty() ? "" : ", ") + yaml_word(input) + ": " + (axis ? std::to_string(*axis) : "none");
  if (!axes.empty()) text += "  data: {batch_axis: {" + axes + "}}\n";
  text += yaml_checkpoint(config.checkpoint);
  return "ptq:\n" + text;
}

}  // namespace detail

/// The resolved specification: overrides, defaults and interpolations have become plain values. Reading it
/// gives the same one, without the warnings about keys that had no effect.
inline std::string to_yaml(const spec& written) {
  std::string text = detail::yaml_quantize(written.quantize);
  if (written.calibration_data)
    text += "dataset:\n  quant_calibration_dataset:\n" + detail::yaml_data(*written.calibration_data, "    ");
  if (written.evaluation_data) text += "evaluate:\n" + detail::yaml_data(*written.evaluation_data, "  ");
  return text + detail::yaml_ptq(written.ptq);
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_CONFIG_TO_YAML_HPP
