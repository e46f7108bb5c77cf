// SPDX-License-Identifier: Apache-2.0
/// @file infer.hpp The rank and the element type of a tensor, where the file or the way to it says so. This
/// is no shape inference: it answers for what lies between a convolution and the pool or normalisation behind
/// it.
#ifndef PTQ_IO_ONNX_INFER_HPP
#define PTQ_IO_ONNX_INFER_HPP

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "ptq/io/onnx/element_types.hpp"
#include "ptq/io/onnx/links.hpp"
#include "ptq/io/onnx/model.hpp"
#include "ptq/io/onnx/tensor.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// The views are those of the graph and its links.
class onnx_declarations {
 public:
  onnx_declarations(const onnx_graph& graph, const onnx_links& links) : graph_(&graph), links_(&links) {
    for (const auto* list : {&graph.values, &graph.outputs, &graph.inputs})
      for (const onnx_value& value : *list) declared_[value.name] = &value;
  }

  std::optional<std::size_t> rank_of(std::string_view name) const {
    for (;;) {
      if (const onnx_tensor* const constant = links_->constant(name)) return constant->dims.size();
      const onnx_value* const value = declared(name);
      if (value != nullptr && value->shape) return value->shape->size();
      const onnx_node* const node = links_->producer(name, *graph_);
      if (node == nullptr || !node->is_standard()) return std::nullopt;
      if (node->op_type == "Gemm" || node->op_type == "Flatten") return 2;
      if (!keeps_rank(node->op_type)) return std::nullopt;
      name = varying_input(*node);
    }
  }

  /// Undefined where nothing says it: behind an operator of another domain, in a sequence.
  onnx_type type_of(std::string_view name) const {
    for (;;) {
      if (const onnx_tensor* const constant = links_->constant(name)) return constant->type;
      const onnx_value* const value = declared(name);
      if (value != nullptr && value->type != onnx_type::undefined) return value->type;
      const onnx_node* const node = links_->producer(name, *graph_);
      if (node == nullptr) return onnx_type::undefined;
      const auto output = std::find(node->outputs.begin(), node->outputs.end(), name) - node->outputs.begin();
      const onnx_typing found = typing_of(*node, static_cast<std::size_t>(output));
      if (found.input == onnx_typing::no_slot) return found.type;
      name = node->input(found.input);
      if (name.empty()) return onnx_type::undefined;
    }
  }

 private:
  const onnx_value* declared(std::string_view name) const {
    const auto found = declared_.find(name);
    return found != declared_.end() ? found->second : nullptr;
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
  std::unordered_map<std::string_view, const onnx_value*> declared_;
};

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_IO_ONNX_INFER_HPP
