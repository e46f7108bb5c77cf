// SPDX-License-Identifier: Apache-2.0
/// @file spec.hpp An experiment file as plain structs: the `quantize:` section that NVIDIA TAO defines, the
/// data it calibrates with, and our own `ptq:` section. Words are normalised and validated; defaults are
/// filled in.
#ifndef PTQ_CONFIG_SPEC_HPP
#define PTQ_CONFIG_SPEC_HPP

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace ptq::inline v0_1 {

/// `quant_axis`: absent (the backend's default), null (per tensor) or a number.
struct axis_choice {
  enum class kind_type : unsigned char { backend_default, per_tensor, axis };
  kind_type kind = kind_type::backend_default;
  std::size_t axis = 0;

  friend bool operator==(const axis_choice&, const axis_choice&) = default;
};

/// `weights:` or `activations:` of a rule.
struct slot_config {
  std::string dtype;
  axis_choice quant_axis;

  friend bool operator==(const slot_config&, const slot_config&) = default;
};

/// An entry of `quantize.layers`.
struct rule_config {
  std::string module_name;
  std::optional<slot_config> weights;
  std::optional<slot_config> activations;

  friend bool operator==(const rule_config&, const rule_config&) = default;
};

/// The `quantize:` section.
struct quantize_config {
  std::string backend = "torchao";  ///< as written, for instance "modelopt.onnx"
  std::string mode = "weight_only_ptq";
  std::string algorithm = "minmax";
  std::string default_layer_dtype = "native";
  std::string default_activation_dtype = "native";
  std::vector<rule_config> layers;
  std::vector<std::string> skip_names;
  std::string model_path;
  std::string results_dir;

  friend bool operator==(const quantize_config&, const quantize_config&) = default;
};

/// Numbers that apply to all channels (one entry) or one each.
using channel_values = std::vector<double>;

/// `dataset.quant_calibration_dataset`, or `evaluate`. x' = (x * scale - mean) / std.
struct data_config {
  std::map<std::string, std::string>
      inputs;               ///< graph input -> file; the key is "" where only a path is given
  std::string activations;  ///< recorded layer inputs, keyed by layer name
  std::string images_dir;   ///< a folder of pictures, read where there are neither inputs nor activations
  std::string labels;       ///< `evaluate` only
  /// What outputs mean, `evaluate` only: graph output -> "classification", "binary" or "regression"; the key
  /// is "" where one word is given for all.
  std::map<std::string, std::string> task;
  std::map<std::string, std::int64_t> class_axis;  ///< likewise; negative ones count from the end
  std::size_t batch_size = 32;
  std::optional<std::size_t> max_samples;
  channel_values scale{1.0};
  channel_values mean{0.0};
  channel_values std{1.0};
  std::string normalized_by;  ///< the section of TAO that scale, mean and std were taken from; empty if none

  friend bool operator==(const data_config&, const data_config&) = default;
};

/// `ptq.calibration`.
struct calibration_config {
  std::optional<std::string> algorithm;  ///< overrides `quantize.algorithm`
  double percentile = 99.99;
  std::optional<std::size_t> bins;
  std::string statistics;  ///< a file of ranges collected before: no data are needed then

  friend bool operator==(const calibration_config&, const calibration_config&) = default;
};

/// Graph input -> the axis that counts samples; nothing where the input has none.
using batch_axis_choices = std::map<std::string, std::optional<std::size_t>>;

/// `ptq.data`: how the graph takes the data.
struct layout_config {
  batch_axis_choices batch_axis;  ///< of the inputs for which what the graph declares does not tell it

  friend bool operator==(const layout_config&, const layout_config&) = default;
};

/// `ptq.checkpoint`: how a checkpoint is read that holds more than weights, or calls them otherwise.
struct checkpoint_config {
  std::string key;  ///< of the dict that has the weights: "ema.module"; empty: by the format's rule
  std::vector<std::string> strip_prefix{};  ///< what names of tensors lose, one after the other: "module."

  friend bool operator==(const checkpoint_config&, const checkpoint_config&) = default;
};

/// The `ptq:` section: settings that TAO does not know.
struct ptq_config {
  std::map<std::string, std::string> module_types;  ///< layer name -> class name
  std::string module_types_file;
  calibration_config calibration;
  layout_config data;
  checkpoint_config checkpoint;

  friend bool operator==(const ptq_config&, const ptq_config&) = default;
};

struct spec {
  std::string file;  ///< where it was read from, absolute; empty if it was built in code
  std::map<std::string, std::string> places;  ///< field path -> "line:column" in the file, or "argument N"
  quantize_config quantize;
  std::optional<data_config> calibration_data;
  std::optional<data_config> evaluation_data;
  ptq_config ptq;
  std::vector<std::string> warnings;

  /// What static quantization calibrates with: its own data, or else what `evaluate` reads. Null if neither
  /// is given.
  const data_config* data() const noexcept {
    return calibration_data ? &*calibration_data : evaluation_data ? &*evaluation_data : nullptr;
  }

  /// Where a field is, for an error about its value: "/dir/spec.yaml:4:15: quantize.model_path".
  std::string where(const std::string& field) const {
    const auto found = places.find(field);
    if (found == places.end()) return file.empty() ? field : file + ": " + field;
    const bool in_file = found->second.front() != 'a';
    return (in_file ? file + ":" : "") + found->second + ": " + field;
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_CONFIG_SPEC_HPP
