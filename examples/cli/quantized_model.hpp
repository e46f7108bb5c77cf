// SPDX-License-Identifier: Apache-2.0
/// @file quantized_model.hpp Models that are quantized already: their codes are not weights to quantize.
#ifndef PTQ_CLI_QUANTIZED_MODEL_HPP
#define PTQ_CLI_QUANTIZED_MODEL_HPP

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "ptq/config/spec.hpp"
#include "ptq/io/artifact.hpp"
#include "ptq/io/onnx.hpp"
#include "ptq/model/resolve.hpp"
#include "ptq/result.hpp"

namespace cli {

/// @return unsupported: an artifact of ptq
inline ptq::result<void> expect_floats(const ptq::checkpoint& checkpoint, const std::string& path) {
  if (!ptq::is_artifact(checkpoint)) return {};
  return ptq::error(
      ptq::errc::unsupported, path,
      "this model is quantized already, by ptq. Give the float model that it was made from as model_path.");
}

/// The constant that reaches a slot through DequantizeLinear; null if none does.
inline const ptq::onnx_tensor* dequantized_constant(const ptq::onnx_graph& graph,
                                                    const ptq::onnx_links& links, std::string_view name) {
  bool is_dequantized = false;
  while (links.constant(name) == nullptr) {
    const ptq::onnx_node* const made = links.producer(name, graph);
    if (made == nullptr) return nullptr;
    const std::string_view op = made->op_type;
    if (op == "DequantizeLinear")
      is_dequantized = true;
    else if (op != "QuantizeLinear" && op != "Transpose" && op != "Reshape" && op != "Identity" &&
             op != "Cast")
      return nullptr;
    name = made->input(0);
  }
  return is_dequantized ? links.constant(name) : nullptr;
}

/// A weight that is quantized already.
struct quantized_weight {
  const ptq::onnx_tensor* codes = nullptr;  ///< null: there is none
  std::string_view class_name;              ///< of its layer, without the number of dimensions
};

/// What a node takes through DequantizeLinear, or what it computes with as it is.
inline quantized_weight find_quantized_weight(const ptq::onnx_graph& graph, const ptq::onnx_links& links,
                                              const ptq::onnx_node& node) {
  struct integer_operator {
    std::string_view op_type;
    std::string_view class_name;
    std::size_t slot;
  };
  static constexpr integer_operator operators[] = {{"QLinearConv", "Conv", 3},
                                                   {"ConvInteger", "Conv", 1},
                                                   {"QLinearMatMul", "Linear", 3},
                                                   {"MatMulInteger", "Linear", 1}};
  for (const integer_operator& known : operators)
    if (node.is_standard() && node.op_type == known.op_type)
      return {ptq::detail::trace(graph, links, node.input(known.slot)).tensor, known.class_name};
  const auto* const kind = ptq::detail::find_operator(node);
  if (kind == nullptr || kind->slot == ptq::detail::onnx_operator::no_slot) return {};
  return {dequantized_constant(graph, links, node.input(kind->slot)), kind->class_name};
}

/// The layer that a node would be if its weight were not quantized, as far as rules look at it.
inline ptq::layer layer_of(const ptq::onnx_node& node, std::string_view class_name,
                           const ptq::onnx_tensor& weight) {
  ptq::layer made;
  made.name = weight.name;
  for (const std::string_view suffix : {"_quantized", ".weight"})
    if (made.name.ends_with(suffix)) made.name.resize(made.name.size() - suffix.size());
  if (made.name.starts_with("onnx::")) made.name = node.name;
  made.class_name = class_name;
  if (class_name.starts_with("Conv") && weight.dims.size() > 2)
    made.class_name += std::to_string(weight.dims.size() - 2) + "d";
  made.op_type = node.op_type;
  return made;
}

/// Codes elsewhere in the graph do no harm: they count only at layers that a rule quantizes.
///
/// @return unsupported: a weight that a rule quantizes holds codes already
inline ptq::result<void> expect_floats(const ptq::spec& spec, const ptq::onnx_model& model) {
  const auto links = ptq::links_of(model.graph);
  if (!links) return links.error().in(ptq::absolute_path(model.file));
  for (std::size_t i = 0; i < model.graph.nodes.size(); ++i) {
    const ptq::onnx_node& node = model.graph.nodes[i];
    const auto [codes, class_name] = find_quantized_weight(model.graph, *links, node);
    if (codes == nullptr) continue;
    const auto rule = ptq::resolve(spec.quantize, layer_of(node, class_name, *codes)).weights;
    if (!rule || spec.quantize.layers[*rule].weights->dtype == "native") continue;
    return ptq::error(ptq::errc::unsupported,
                      ptq::absolute_path(model.file) + ": " + ptq::node_text(model.graph, i),
                      "its weight \"" + codes->name +
                          "\" holds codes: this model is quantized already. Give the float model as "
                          "model_path, or keep the rules off this layer (quantize.skip_names).");
  }
  return {};
}

}  // namespace cli

#endif  // PTQ_CLI_QUANTIZED_MODEL_HPP
