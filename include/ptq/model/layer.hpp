// SPDX-License-Identifier: Apache-2.0
/// @file layer.hpp A model is a list of layers.
#ifndef PTQ_MODEL_LAYER_HPP
#define PTQ_MODEL_LAYER_HPP

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ptq/model/classes.hpp"
#include "ptq/tensor/any_view.hpp"

namespace ptq::inline v0_1 {

/// What the file of a graph says of a layer that is named after the module that it was exported from.
struct layer_origin {
  std::string graph_name;    ///< of its weight or node, where `layer::name` is another or nobody gave it
  std::string module_class;  ///< of the module, where it is not the layer's own: "MultiheadAttention"
  bool is_made_up = false;   ///< `graph_name` is one that an exporter numbered: "val_2"
};

struct layer {
  std::string name;        ///< qualified name, for instance "encoder.layer.0.query"
  std::string class_name;  ///< PyTorch's class name, for instance "Linear"; empty if unknown
  any_view weight;
  bool inferred = false;                     ///< the class was guessed from name and shape
  std::string op_type{};                     ///< the ONNX operator, if it is one; patterns match it too
  std::optional<std::size_t> output_axis{};  ///< of the weight, where it is not the one of the class
  std::optional<std::size_t> used_rank{};    ///< of the weight as its operator sees it, where that differs
  bool weight_is_left = false;  ///< it is multiplied from the left: inputs have their channels last but one
  std::string reason{};         ///< why nothing of it can be quantized, where its class does not say so
  std::string axis_reason{};    ///< why no axis of the weight counts output channels, where none does
  std::string input_reason{};   ///< why its input cannot be quantized, where the file says so
  layer_origin origin{};        ///< patterns match its names, too
  std::vector<std::string> aliases{};  ///< all other names that rules, data and statistics may use

  /// Whether it is this layer that a file of data, statistics or classes calls so.
  bool is_called(std::string_view word) const noexcept {
    return word == name || std::find(aliases.begin(), aliases.end(), word) != aliases.end();
  }
  bool has_weight() const noexcept {
    return weight.data != nullptr || weight.type != element_type::unknown || weight.shape.rank > 0;
  }
};

namespace detail {

/// How the class of a layer and the rank of its weight disagree; empty if they do not.
inline std::string rank_contradiction(const layer& candidate) {
  const class_traits traits = traits_of_class(candidate.class_name);
  const std::size_t rank = candidate.used_rank.value_or(candidate.weight.shape.rank);
  if (!traits.is_quantizable() || !candidate.has_weight() || rank == traits.rank || !candidate.reason.empty())
    return {};
  return "class " + candidate.class_name +
         (traits.rank == 0 ? " has no weight, but there is one of rank " + std::to_string(rank)
                           : " needs a weight of rank " + std::to_string(traits.rank) +
                                 ", this one has rank " + std::to_string(rank));
}

/// "it is a stack of 8 matrices ..."
inline std::string stack_text(std::size_t matrices) {
  return "it is a stack of " + std::to_string(matrices) +
         " matrices, which need a scale for each matrix and output channel: not supported";
}

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_MODEL_LAYER_HPP
