// SPDX-License-Identifier: Apache-2.0
/// @file left_alone.hpp The constants that nodes compute with and that ptq does not quantize, and why.
#ifndef PTQ_FORMATS_ONNX_LEFT_ALONE_HPP
#define PTQ_FORMATS_ONNX_LEFT_ALONE_HPP

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/formats/onnx/constants.hpp"
#include "ptq/formats/onnx/model.hpp"
#include "ptq/formats/onnx/operators.hpp"
#include "ptq/formats/onnx/tensor.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// What reaches an input of a node, and is a constant or computed from some.
struct onnx_left_alone {
  std::vector<onnx_named_constant> from;  ///< those that may be weights; the first is the one to show
  bool is_computed = false;
  std::string reason;
};

inline bool is_recurrent(const onnx_node& node) noexcept {
  return node.is_standard() && (node.op_type == "LSTM" || node.op_type == "GRU" || node.op_type == "RNN");
}

/// "Mul", "Attention (com.microsoft)"
inline std::string operator_text(const onnx_node& node) {
  return node.op_type + (node.is_standard() ? "" : " (" + node.domain + ")");
}

/// "its weight is computed from "v" and "g" by node "norm" (Mul) ..."
inline std::string computed_text(const onnx_constants& constants, std::string_view name,
                                 const std::vector<onnx_named_constant>& from) {
  std::string text = "its weight is computed from ";
  for (std::size_t i = 0; i < from.size() && i < 2; ++i)
    text.append(i == 0 ? "\"" : from.size() == 2 ? "\" and \"" : "\", \"").append(from[i].name);
  const std::string least = from.size() < onnx_constants::most_behind ? "" : "at least ";
  text += from.size() > 2 ? "\" and " + least + std::to_string(from.size() - 2) + " more" : "\"";
  if (const onnx_node* const maker = constants.maker(name))
    text += " by " + (maker->name.empty() ? "a " + operator_text(*maker)
                                          : "node \"" + maker->name + "\" (" + operator_text(*maker) + ")");
  return text + ": fold constants first, for instance with onnxsim";
}

/// Why what reaches an input of a node stays as it is.
inline std::string reason_to_leave(const onnx_constants& constants, const onnx_node& node, std::size_t slot,
                                   const std::vector<onnx_named_constant>& from) {
  const onnx_tensor& largest = *from.front().tensor;
  const onnx_operator* const kind = find_operator(node);
  if (holds_codes(largest))
    return "its weight holds " + onnx_word(largest.type) + " codes: it is quantized already";
  if (constants.is_sparse(largest)) return "its weight is sparse: make it dense first";
  if (kind != nullptr && constants.find(node.inputs[slot]) == nullptr)
    return computed_text(constants, node.inputs[slot], from);
  return "ptq cannot quantize the constants of " + operator_text(node);
}

/// The constants behind an input that may be weights, the first the best to show: codes, else the largest.
inline std::vector<onnx_named_constant> weights_behind(const onnx_constants& constants,
                                                       std::string_view name) {
  auto from = constants.weights_behind(name);
  const auto best = std::max_element(from.begin(), from.end(), onnx_constants::is_better);
  if (best != from.end()) std::iter_swap(from.begin(), best);
  return from;
}

/// The inputs of a node that hold, or are computed from, constants which may be weights. Of a known operator
/// only its weights count: biases belong to them.
///
/// @param is_layer whether the node is a layer already: then its first weight does not count either
inline std::vector<onnx_left_alone> left_alone(const onnx_constants& constants, const onnx_node& node,
                                               bool is_layer = false) {
  using use = onnx_operator::weight_use;
  std::vector<onnx_left_alone> found;
  if (!constants.varies(node)) return found;
  const onnx_operator* const kind = find_operator(node);
  const auto may_count = [&](std::size_t slot) {
    if (slot == 2 && is_recurrent(node)) return true;  // the weights of what comes back
    if (is_layer) return false;
    return kind == nullptr || kind->use == use::codes || slot == kind->slot ||
           (kind->use == use::on_a_side && slot == 0);
  };
  for (std::size_t slot = 0; slot < node.inputs.size(); ++slot) {
    if (node.inputs[slot].empty() || !may_count(slot) || !constants.holds(node.inputs[slot])) continue;
    auto from = weights_behind(constants, node.inputs[slot]);
    if (from.empty()) continue;
    std::string reason = reason_to_leave(constants, node, slot, from);
    found.push_back({std::move(from), constants.find(node.inputs[slot]) == nullptr, std::move(reason)});
  }
  return found;
}

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_LEFT_ALONE_HPP
