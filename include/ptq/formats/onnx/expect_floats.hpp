// SPDX-License-Identifier: Apache-2.0
/// @file expect_floats.hpp Models that are quantized already: their codes are not weights to quantize.
#ifndef PTQ_FORMATS_ONNX_EXPECT_FLOATS_HPP
#define PTQ_FORMATS_ONNX_EXPECT_FLOATS_HPP

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ptq/config/spec.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats/onnx/code_names.hpp"
#include "ptq/formats/onnx/layers.hpp"
#include "ptq/formats/onnx/links.hpp"
#include "ptq/formats/onnx/model.hpp"
#include "ptq/formats/onnx/operators.hpp"
#include "ptq/formats/onnx/tensor.hpp"
#include "ptq/formats/onnx/trace.hpp"
#include "ptq/model/layer.hpp"
#include "ptq/model/resolve.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

namespace detail {

/// A weight that is quantized already.
struct quantized_weight {
  const onnx_tensor* codes = nullptr;  ///< null: there is none
  std::string_view class_name;         ///< of its layer, without the number of dimensions
};

/// Finds the quantized weights of nodes. No way through the graph is walked twice.
class quantized_weight_finder {
 public:
  quantized_weight_finder(const onnx_graph& graph, const onnx_links& links)
      : graph_(&graph), links_(&links), tracer_(graph, links) {}

  /// What a node takes through DequantizeLinear, or what it computes with as it is.
  quantized_weight find(const onnx_node& node) {
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
        return {tracer_.trace(node.input(known.slot)).tensor, known.class_name};
    const auto* const kind = find_operator(node);
    if (kind == nullptr || kind->slot == onnx_operator::no_slot) return {};
    const way found = way_to(node.input(kind->slot));
    return {found.is_dequantized ? found.constant : nullptr, kind->class_name};
  }

 private:
  /// How a tensor comes from a constant, through nodes that code it, decode it or pass it on.
  struct way {
    const onnx_tensor* constant = nullptr;  ///< null: it does not
    bool is_dequantized = false;
  };

  way way_to(std::string_view name) {
    std::vector<std::size_t> nodes;  // back from the tensor
    way found;
    while ((found.constant = links_->constant(name)) == nullptr) {
      const auto maker = links_->maker(name);
      if (!maker) break;
      if (const auto known = ways_.find(*maker); known != ways_.end()) {
        found = known->second;
        break;
      }
      const onnx_node& node = graph_->nodes[*maker];
      if (!passes(node)) break;
      nodes.push_back(*maker);
      name = node.input(0);
    }
    for (std::size_t i = nodes.size(); i-- > 0;) {
      found.is_dequantized = found.is_dequantized || graph_->nodes[nodes[i]].op_type == "DequantizeLinear";
      ways_.emplace(nodes[i], found);
    }
    return found;
  }

  static bool passes(const onnx_node& node) {
    const std::string_view op = node.op_type;
    return op == "DequantizeLinear" || op == "QuantizeLinear" || op == "Transpose" || op == "Reshape" ||
           op == "Squeeze" || op == "Unsqueeze" || op == "Flatten" || op == "Identity" || op == "Cast" ||
           (op == "Sum" && node.inputs.size() == 1);
  }

  const onnx_graph* graph_;
  const onnx_links* links_;
  onnx_tracer tracer_;
  std::unordered_map<std::size_t, way> ways_;  // by the node at their end
};

/// The layer that a node would be if its weight were not quantized, as far as rules look at it.
inline layer layer_of(const onnx_node& node, std::string_view class_name, const onnx_tensor& weight) {
  layer made;
  made.name = tensor_of_codes(weight.name);
  constexpr std::string_view suffix = ".weight";
  if (made.name.ends_with(suffix)) made.name.resize(made.name.size() - suffix.size());
  if (made.name.starts_with("onnx::")) made.name = node.name;
  made.class_name = class_name;
  if (class_name.starts_with("Conv") && weight.dims.size() > 2)
    made.class_name += std::to_string(weight.dims.size() - 2) + "d";
  made.op_type = node.op_type;
  return made;
}

/// The pattern that matches one name alone.
inline std::string pattern_for(std::string_view name) {
  std::string pattern;
  for (const char c : name)
    pattern += c == '[' || c == '*' || c == '?' ? std::string{'[', c, ']'} : std::string{c};
  return pattern;
}

}  // namespace detail

/// Codes elsewhere in the graph do no harm: they count only at layers that a rule quantizes.
///
/// @param layers those of the model. Layers whose weights hold codes get the reason, and the codes' name as
///               alias
/// @return unsupported: weights that a rule quantizes hold codes already; the message ends with the names
///         that keep the rules off them
inline result<void> expect_floats(const quantize_config& config, const onnx_model& model,
                                  onnx_layers& layers) {
  const auto links = links_of(model.graph);
  if (!links) return links.error().in(absolute_path(model.file));
  detail::quantized_weight_finder weights(model.graph, *links);
  const resolver rules(config);
  std::unordered_map<std::size_t, std::size_t> layer_at;  // node -> layer
  for (std::size_t i = 0; i < layers.sources.size(); ++i)
    for (const onnx_call& call : layers.sources[i].calls) layer_at.emplace(call.node, i);
  std::string first;
  std::string names;
  for (std::size_t i = 0; i < model.graph.nodes.size(); ++i) {
    const onnx_node& node = model.graph.nodes[i];
    const auto [codes, class_name] = weights.find(node);
    if (codes == nullptr) continue;
    layer candidate = detail::layer_of(node, class_name, *codes);
    if (const auto at = layer_at.find(i); at != layer_at.end()) {
      layer* const listed = &layers.layers[at->second];
      for (const std::string& name : {candidate.name, codes->name})
        if (!listed->is_called(name)) listed->aliases.push_back(name);
      if (listed->reason.empty()) listed->reason = "its weight \"" + codes->name + "\" is quantized already";
      listed->class_name = candidate.class_name;  // with the rank of the codes
      candidate = *listed;
    }
    const auto rule = rules.resolve(candidate).weights;
    if (!rule || config.layers[*rule].weights->dtype == "native") continue;
    if (first.empty()) first = node_text(model.graph, i) + ": its weight \"" + codes->name + "\" holds codes";
    names += (names.empty() ? "\"" : ", \"") + detail::pattern_for(candidate.name) + "\"";
  }
  if (first.empty()) return {};
  return error(errc::unsupported, absolute_path(model.file),
               first +
                   ": this model is quantized already. Give the float model as model_path, or keep the "
                   "rules off what is quantized: quantize.skip_names: [" +
                   names + "]");
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_EXPECT_FLOATS_HPP
