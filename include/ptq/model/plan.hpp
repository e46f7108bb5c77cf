// SPDX-License-Identifier: Apache-2.0
/// @file plan.hpp What will happen to each layer, and why: plain data, made by `match`, carried out by
/// `apply`.
#ifndef PTQ_MODEL_PLAN_HPP
#define PTQ_MODEL_PLAN_HPP

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "ptq/backend/recipe.hpp"
#include "ptq/model/layer.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1 {

/// What happens to a layer's weights, or to its activations.
struct decision {
  std::string dtype = "native";      ///< "native": left as it is
  std::optional<granularity> grain;  ///< how scales are shared; nothing where nothing is quantized
  std::optional<std::size_t> rule;   ///< the entry of `quantize.layers` that won
  std::string reason;                ///< why nothing is quantized; empty where something is

  bool is_quantized() const noexcept { return dtype != "native"; }
};

struct planned_layer {
  std::string name;
  std::string class_name;
  bool inferred = false;
  layer_origin origin;
  tensor_shape shape;
  decision weights;
  decision activations;
  std::optional<std::size_t> skipped_by;  ///< the first entry of `quantize.skip_names` that matches

  bool is_quantized() const noexcept { return weights.is_quantized() || activations.is_quantized(); }
};

/// A pattern and the number of layers it matches.
struct pattern_count {
  std::string pattern;
  std::size_t matched = 0;
};

struct plan {
  std::string backend;  ///< as written in the specification
  std::string mode;
  std::string algorithm;
  std::vector<planned_layer> layers;  ///< every layer of the model, in its order
  std::vector<pattern_count> rules;
  std::vector<pattern_count> skip_names;
  std::vector<std::string> warnings;  ///< those of the specification first
  std::vector<std::string> notes;     ///< `match` counts, for each rule, the layers that cannot be quantized

  bool quantizes_weights() const noexcept {
    return std::any_of(layers.begin(), layers.end(), [](const auto& l) { return l.weights.is_quantized(); });
  }
  /// Then data must be calibrated with before the plan can be carried out.
  bool quantizes_activations() const noexcept {
    return std::any_of(layers.begin(), layers.end(),
                       [](const auto& l) { return l.activations.is_quantized(); });
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_MODEL_PLAN_HPP
