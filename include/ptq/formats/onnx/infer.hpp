// SPDX-License-Identifier: Apache-2.0
/// @file infer.hpp The rank and the element type of a tensor, where the file or the way to it says so. This
/// is no shape inference: it answers for what lies between a convolution and the pool or normalisation behind
/// it.
#ifndef PTQ_FORMATS_ONNX_INFER_HPP
#define PTQ_FORMATS_ONNX_INFER_HPP

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ptq/formats/onnx/element_types.hpp"
#include "ptq/formats/onnx/links.hpp"
#include "ptq/formats/onnx/model.hpp"
#include "ptq/formats/onnx/tensor.hpp"
#include "ptq/text/name_map.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// The views are those of the graph and its links. Answers are kept: an object is for one thread.
class onnx_declarations {
 public:
  onnx_declarations(const onnx_graph& graph, const onnx_links& links) : graph_(&graph), links_(&links) {
    for (const auto* list : {&graph.values, &graph.outputs, &graph.inputs})
      for (const onnx_value& value : *list) *declared_.add(value.name).first = &value;
  }

  std::optional<std::size_t> rank_of(std::string_view name) const {
    std::vector<std::size_t> way;  // nodes whose outputs are as their inputs
    std::optional<std::size_t> rank;
    for (;;) {
      if (const onnx_tensor* const constant = links_->constant(name)) {
        rank = constant->dims.size();
        break;
      }
      const onnx_value* const value = declared(name);
      if (value != nullptr && value->shape) {
        rank = value->shape->size();
        break;
      }
      const auto maker = links_->maker(name);
      if (!maker) break;
      if (const auto known = ranks_.find(*maker); known != ranks_.end()) {
        rank = known->second;
        break;
      }
      const onnx_node& node = graph_->nodes[*maker];
      if (!node.is_standard()) break;
      if (node.op_type == "Gemm" || node.op_type == "Flatten") {
        rank = 2;
        break;
      }
      if (!keeps_rank(node.op_type)) break;
      way.push_back(*maker);
      name = varying_input(node);
    }
    for (const std::size_t node : way) ranks_.emplace(node, rank);
    return rank;
  }

  /// Undefined where nothing says it: behind an operator of another domain, in a sequence.
  element_type type_of(std::string_view name) const {
    std::vector<std::string_view> way;  // tensors of the type of those before them
    element_type type = element_type::unknown;
    for (;;) {
      if (const onnx_tensor* const constant = links_->constant(name)) {
        type = constant->type;
        break;
      }
      const onnx_value* const value = declared(name);
      if (value != nullptr && value->type != element_type::unknown) {
        type = value->type;
        break;
      }
      if (const element_type* const known = types_.find(name)) {
        type = *known;
        break;
      }
      const onnx_node* const node = links_->producer(name, *graph_);
      if (node == nullptr) break;
      const std::size_t output = slot_of(*node, name);
      const onnx_typing found = typing_of(*node, output);
      if (found.input == onnx_typing::no_slot) {
        type = found.type;
        break;
      }
      way.push_back(node->outputs[output]);
      name = node->input(found.input);
      if (name.empty()) break;
    }
    for (const std::string_view tensor : way) types_.add(tensor, type);
    return type;
  }

 private:
  const onnx_value* declared(std::string_view name) const {
    const onnx_value* const* const found = declared_.find(name);
    return found != nullptr ? *found : nullptr;
  }

  /// Which output of its node a tensor is. Nodes of very many outputs are looked through once.
  std::size_t slot_of(const onnx_node& node, std::string_view name) const {
    constexpr std::size_t many = 16;
    if (node.outputs.size() > many && !slots_.contains(name))
      for (std::size_t i = 0; i < node.outputs.size(); ++i) slots_.add(node.outputs[i], i);
    if (node.outputs.size() > many) return *slots_.find(name);
    return static_cast<std::size_t>(std::find(node.outputs.begin(), node.outputs.end(), name) -
                                    node.outputs.begin());
  }

  /// The first input that is no constant; of an addition it may be any.
  std::string_view varying_input(const onnx_node& node) const {
    for (const std::string& name : node.inputs)
      if (!name.empty() && links_->constant(name) == nullptr) return name;
    return node.input(0);
  }

  static bool keeps_rank(std::string_view op_type) noexcept {
    constexpr std::string_view ops[] = {"Add",
                                        "AveragePool",
                                        "BatchNormalization",
                                        "Cast",
                                        "Ceil",
                                        "Clip",
                                        "Concat",
                                        "Conv",
                                        "ConvTranspose",
                                        "Div",
                                        "Dropout",
                                        "Elu",
                                        "Erf",
                                        "Exp",
                                        "Floor",
                                        "Gelu",
                                        "GlobalAveragePool",
                                        "GlobalMaxPool",
                                        "HardSigmoid",
                                        "HardSwish",
                                        "Identity",
                                        "InstanceNormalization",
                                        "LRN",
                                        "LayerNormalization",
                                        "LeakyRelu",
                                        "Log",
                                        "LogSoftmax",
                                        "MaxPool",
                                        "Mish",
                                        "Mul",
                                        "Neg",
                                        "PRelu",
                                        "Pad",
                                        "Pow",
                                        "Relu",
                                        "Resize",
                                        "Selu",
                                        "Sigmoid",
                                        "Softmax",
                                        "Softplus",
                                        "Sqrt",
                                        "Sub",
                                        "Tanh",
                                        "Transpose",
                                        "Upsample"};
    return std::find(std::begin(ops), std::end(ops), op_type) != std::end(ops);
  }

  const onnx_graph* graph_;
  const onnx_links* links_;
  name_map<const onnx_value*> declared_;
  // What was found out, so that nobody walks a long way twice; none of it is an answer of its own.
  mutable std::unordered_map<std::size_t, std::optional<std::size_t>> ranks_;  // node -> rank of its outputs
  mutable name_map<element_type> types_;
  mutable name_map<std::size_t> slots_;  // of outputs of nodes that have many
};

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_INFER_HPP
