// SPDX-License-Identifier: Apache-2.0
/// @file declared.hpp What an ONNX graph says of itself to those who run it: its inputs and outputs, and the
/// tensors that feed its layers.
#ifndef PTQ_FORMATS_ONNX_DECLARED_HPP
#define PTQ_FORMATS_ONNX_DECLARED_HPP

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "ptq/data/fed_layers.hpp"
#include "ptq/data/graph_value.hpp"
#include "ptq/detail/platform.hpp"
#include "ptq/formats/onnx/layers.hpp"
#include "ptq/formats/onnx/model.hpp"
#include "ptq/model/plan.hpp"

namespace ptq::inline v0_1 {

namespace detail {

/// A negative number is no extent: some exporters write -1 for any.
inline graph_value graph_value_of(const onnx_value& declared) {
  graph_value value{declared.name, declared.type, {}};
  if (!declared.shape) return value;
  value.shape.emplace();
  for (const onnx_extent& extent : *declared.shape) {
    graph_extent& made = value.shape->emplace_back(graph_extent{{}, extent.symbol});
    if (extent.number && *extent.number >= 0) made.number = static_cast<std::size_t>(*extent.number);
  }
  return value;
}

}  // namespace detail

/// The inputs that must be given: older files list weights among the inputs, too.
inline std::vector<graph_value> declared_inputs(const onnx_graph& graph) {
  std::unordered_set<std::string_view> weights;
  for (const auto* const list : {&graph.initializers, &graph.sparse_initializers})
    for (const onnx_tensor& weight : *list) weights.insert(weight.name);
  std::vector<graph_value> inputs;
  for (const onnx_value& input : graph.inputs)
    if (!weights.contains(input.name)) inputs.push_back(detail::graph_value_of(input));
  return inputs;
}

inline std::vector<graph_value> declared_outputs(const onnx_graph& graph) {
  std::vector<graph_value> outputs;
  for (const onnx_value& output : graph.outputs) outputs.push_back(detail::graph_value_of(output));
  return outputs;
}

/// The tensors that feed the layers whose activations a plan quantizes.
///
/// @param found   the layers of the graph
/// @param planned was made for them
inline fed_layers fed_layers_of(const onnx_graph& graph, const onnx_layers& found, const plan& planned) {
  PTQ_ASSERT(planned.layers.size() == found.sources.size());
  fed_layers fed;
  for (std::size_t i = 0; i < planned.layers.size(); ++i) {
    if (!planned.layers[i].activations.is_quantized()) continue;
    for (const onnx_call& call : found.sources[i].calls) {
      auto& layers = fed[graph.nodes[call.node].inputs[call.input]];
      if (layers.empty() || layers.back() != planned.layers[i].name) layers.push_back(planned.layers[i].name);
    }
  }
  return fed;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_DECLARED_HPP
