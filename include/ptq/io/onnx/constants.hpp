// SPDX-License-Identifier: Apache-2.0
/// @file constants.hpp What does not vary in a graph, in a body of one of its nodes or in a function:
/// constants, and what is computed from them alone.
#ifndef PTQ_IO_ONNX_CONSTANTS_HPP
#define PTQ_IO_ONNX_CONSTANTS_HPP

#include <algorithm>
#include <iterator>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ptq/io/onnx/links.hpp"
#include "ptq/io/onnx/model.hpp"
#include "ptq/io/onnx/tensor.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// A constant by the name that it has where it is used.
struct onnx_named_constant {
  std::string_view name;
  const onnx_tensor* tensor = nullptr;
};

/// The views are those of the graph, and of the constants around it.
class onnx_constants {
 public:
  onnx_constants(const onnx_graph& graph, const onnx_links& links) : tensors_(links.constants) {
    for (const onnx_tensor& tensor : graph.sparse_initializers) add_sparse(tensor.name, tensor);
    settle(graph.nodes);
  }
  onnx_constants(const onnx_body& body, const onnx_constants& outer) : outer_(&outer) {
    for (const onnx_tensor& tensor : body.initializers) tensors_.emplace(tensor.name, &tensor);
    for (const onnx_tensor& tensor : body.sparse_initializers) add_sparse(tensor.name, tensor);
    settle(body.nodes);
  }
  explicit onnx_constants(const onnx_function& function) { settle(function.nodes); }

  bool holds(std::string_view name) const {
    return tensors_.contains(name) || computed_.contains(name) || (outer_ != nullptr && outer_->holds(name));
  }

  /// Whether a node computes what is not fixed.
  bool varies(const onnx_node& node) const {
    return std::any_of(node.inputs.begin(), node.inputs.end(),
                       [&](const std::string& name) { return !name.empty() && !holds(name); });
  }

  /// Null where there is none of that name, or it is computed.
  const onnx_tensor* find(std::string_view name) const {
    if (const auto found = tensors_.find(name); found != tensors_.end()) return found->second;
    return outer_ != nullptr ? outer_->find(name) : nullptr;
  }

  /// Of a constant that was found here.
  bool is_sparse(const onnx_tensor& tensor) const {
    return sparse_.contains(&tensor) || (outer_ != nullptr && outer_->is_sparse(tensor));
  }

  const onnx_node* maker(std::string_view name) const {
    if (const auto found = makers_.find(name); found != makers_.end()) return found->second;
    return outer_ != nullptr ? outer_->maker(name) : nullptr;
  }

  /// The constants that a tensor is computed from, in the order of inputs.
  std::vector<onnx_named_constant> behind(std::string_view name) const {
    std::vector<onnx_named_constant> found;
    std::vector<std::string_view> open{name};
    std::set<std::string_view> seen;
    while (!open.empty()) {
      const std::string_view next = open.back();
      open.pop_back();
      if (!seen.insert(next).second) continue;
      if (const onnx_tensor* const tensor = find(next))
        found.push_back({next, tensor});
      else if (const onnx_node* const node = maker(next))
        open.insert(open.end(), node->inputs.rbegin(), node->inputs.rend());
    }
    return found;
  }

 private:
  void add_sparse(std::string_view name, const onnx_tensor& tensor) {
    tensors_.emplace(name, &tensor);
    sparse_.insert(&tensor);
  }

  void settle(std::span<const onnx_node> nodes) {
    for (const onnx_node& node : nodes) {
      for (const std::string& output : node.outputs) makers_.emplace(output, &node);
      if (node.is_standard() && node.op_type == "Constant")
        add_value(node);
      else if (!is_random(node) && !has_body(node) && has_input(node) && !varies(node))
        computed_.insert(node.outputs.begin(), node.outputs.end());
    }
    computed_.erase(std::string_view());
  }

  void add_value(const onnx_node& node) {
    if (node.outputs.size() != 1) return;
    computed_.insert(node.outputs.front());  // strings and lists, which nobody looks into
    for (const onnx_attribute& attribute : node.attributes) {
      for (const onnx_tensor& tensor : attribute.tensors) tensors_.emplace(node.outputs.front(), &tensor);
      for (const onnx_tensor& tensor : attribute.sparse) add_sparse(node.outputs.front(), tensor);
    }
  }

  static bool has_body(const onnx_node& node) {
    return std::any_of(node.attributes.begin(), node.attributes.end(),
                       [](const onnx_attribute& attribute) { return !attribute.bodies.empty(); });
  }
  static bool has_input(const onnx_node& node) {
    return std::any_of(node.inputs.begin(), node.inputs.end(),
                       [](const std::string& name) { return !name.empty(); });
  }
  static bool is_random(const onnx_node& node) {
    constexpr std::string_view ops[] = {"Bernoulli", "Multinomial", "RandomNormalLike", "RandomUniformLike"};
    return std::find(std::begin(ops), std::end(ops), node.op_type) != std::end(ops);
  }

  const onnx_constants* outer_ = nullptr;  // of the graph around
  std::unordered_map<std::string_view, const onnx_tensor*> tensors_;
  std::set<const onnx_tensor*> sparse_;
  std::unordered_map<std::string_view, const onnx_node*> makers_;
  std::set<std::string_view> computed_;
};

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_IO_ONNX_CONSTANTS_HPP
