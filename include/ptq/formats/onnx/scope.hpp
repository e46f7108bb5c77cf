// SPDX-License-Identifier: Apache-2.0
/// @file scope.hpp What is known of tensors where a node stands: in the graph, in a body, in a function.
#ifndef PTQ_FORMATS_ONNX_SCOPE_HPP
#define PTQ_FORMATS_ONNX_SCOPE_HPP

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ptq/formats/onnx/infer.hpp"
#include "ptq/formats/onnx/links.hpp"
#include "ptq/formats/onnx/model.hpp"
#include "ptq/formats/onnx/tensor.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// Names are looked up from the inside out. It looks into the model and into the scopes around it.
class onnx_scope {
 public:
  /// Of the graph itself, which `onnx_declarations` answers for.
  onnx_scope(const onnx_links& links, const onnx_declarations& declarations)
      : links_(&links), declarations_(&declarations) {}

  onnx_scope(const onnx_body& body, const onnx_scope& around) : around_(&around) {
    for (const onnx_value& value : body.values) values_.emplace(value.name, &value);
    for (const onnx_tensor& tensor : body.initializers) constants_.emplace(tensor.name, &tensor);
    enter(body.nodes, body.outputs);
  }

  explicit onnx_scope(const onnx_function& function) { enter(function.nodes, function.outputs); }

  /// Undefined where nothing says it.
  element_type type_of(std::string_view name) const {
    if (declarations_ != nullptr) return declarations_->type_of(name);
    if (const onnx_tensor* const tensor = own_constant(name)) return tensor->type;
    const auto value = values_.find(name);
    if (value != values_.end() && value->second->type != element_type::unknown) return value->second->type;
    if (const auto cast = casts_.find(name); cast != casts_.end()) return cast->second;
    return is_own(name) || around_ == nullptr ? element_type::unknown : around_->type_of(name);
  }

  std::optional<std::size_t> rank_of(std::string_view name) const {
    if (declarations_ != nullptr) return declarations_->rank_of(name);
    if (const onnx_tensor* const tensor = own_constant(name)) return tensor->dims.size();
    const auto value = values_.find(name);
    if (value != values_.end() && value->second->shape) return value->second->shape->size();
    return is_own(name) || around_ == nullptr ? std::nullopt : around_->rank_of(name);
  }

  /// Null where a tensor is computed.
  const onnx_tensor* constant(std::string_view name) const {
    if (links_ != nullptr) return links_->constant(name);
    if (const onnx_tensor* const tensor = own_constant(name)) return tensor;
    return is_own(name) || around_ == nullptr ? nullptr : around_->constant(name);
  }

  /// Whether a node or an output of this scope reads a tensor that is made in it.
  bool is_used(std::string_view name) const {
    if (links_ != nullptr) return !links_->uses(name).empty() || links_->is_output(name);
    return used_.contains(name);
  }

 private:
  void enter(const std::vector<onnx_node>& nodes, const std::vector<std::string>& outputs) {
    used_.insert(outputs.begin(), outputs.end());
    for (const onnx_node& node : nodes) {
      made_.insert(node.outputs.begin(), node.outputs.end());
      for_each_use(node, [&](const std::string& name, std::size_t) { used_.insert(name); });
      if (!node.is_standard() || node.outputs.empty()) continue;
      if (node.op_type == "Cast") casts_.emplace(node.outputs.front(), onnx_type(node.integer("to", 0)));
      const onnx_attribute* const value = node.find_attribute("value");
      if (node.op_type == "Constant" && value != nullptr && !value->tensors.empty())
        constants_.emplace(node.outputs.front(), &value->tensors.front());
    }
  }

  bool is_own(std::string_view name) const { return made_.contains(name) || values_.contains(name); }

  const onnx_tensor* own_constant(std::string_view name) const {
    const auto found = constants_.find(name);
    return found != constants_.end() ? found->second : nullptr;
  }

  const onnx_scope* around_ = nullptr;
  const onnx_links* links_ = nullptr;
  const onnx_declarations* declarations_ = nullptr;
  std::unordered_map<std::string_view, const onnx_value*> values_;
  std::unordered_map<std::string_view, const onnx_tensor*> constants_;
  std::unordered_map<std::string_view, element_type> casts_;
  std::set<std::string_view> made_;
  std::set<std::string_view> used_;
};

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_SCOPE_HPP
