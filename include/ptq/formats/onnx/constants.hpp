// SPDX-License-Identifier: Apache-2.0
/// @file constants.hpp What does not vary in a graph, in a body of one of its nodes or in a function:
/// constants, and what is computed from them alone.
#ifndef PTQ_FORMATS_ONNX_CONSTANTS_HPP
#define PTQ_FORMATS_ONNX_CONSTANTS_HPP

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "ptq/formats/onnx/links.hpp"
#include "ptq/formats/onnx/model.hpp"
#include "ptq/formats/onnx/tensor.hpp"
#include "ptq/text/name_map.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// Whether a tensor holds codes of a quantized one.
inline bool holds_codes(const onnx_tensor& tensor) noexcept {
  const std::size_t bits = bits_of(tensor.type);
  return bits > 0 && bits <= 8 && tensor.type != element_type::boolean;
}

/// Whether a constant may be somebody's weight: floats or codes, of two axes and more, and no mere number.
inline bool is_weight_like(const onnx_tensor& tensor) noexcept {
  return tensor.dims.size() >= 2 && tensor.size() > 1 && (is_float(tensor.type) || holds_codes(tensor));
}

/// A constant by the name that it has where it is used.
struct onnx_named_constant {
  std::string_view name;
  const onnx_tensor* tensor = nullptr;
};

/// The views are those of the graph, and of the constants around it.
class onnx_constants {
 public:
  onnx_constants(const onnx_graph& graph, const onnx_links& links) : graph_(&graph), links_(&links) {
    for (const onnx_tensor& tensor : graph.sparse_initializers) add_sparse(tensor.name, tensor);
    settle(graph.nodes);
  }
  onnx_constants(const onnx_body& body, const onnx_constants& outer) : outer_(&outer) {
    for (const onnx_tensor& tensor : body.initializers) add_tensor(tensor.name, tensor);
    for (const onnx_tensor& tensor : body.sparse_initializers) add_sparse(tensor.name, tensor);
    settle(body.nodes);
  }
  explicit onnx_constants(const onnx_function& function) { settle(function.nodes); }

  bool holds(std::string_view name) const {
    if (links_ != nullptr && links_->constant(name) != nullptr) return true;
    const constant* const own = own_.find(name);
    return (own != nullptr && own->is_fixed()) || (outer_ != nullptr && outer_->holds(name));
  }

  /// Whether a node computes what is not fixed.
  bool varies(const onnx_node& node) const {
    return std::any_of(node.inputs.begin(), node.inputs.end(),
                       [&](const std::string& name) { return !name.empty() && !holds(name); });
  }

  /// Null where there is none of that name, or it is computed.
  const onnx_tensor* find(std::string_view name) const {
    if (const onnx_tensor* const found = links_ != nullptr ? links_->constant(name) : nullptr) return found;
    if (const constant* const own = own_.find(name); own != nullptr && own->tensor != nullptr)
      return own->tensor;
    return outer_ != nullptr ? outer_->find(name) : nullptr;
  }

  /// Of a constant that was found here.
  bool is_sparse(const onnx_tensor& tensor) const {
    return sparse_.contains(&tensor) || (outer_ != nullptr && outer_->is_sparse(tensor));
  }

  const onnx_node* maker(std::string_view name) const {
    if (links_ != nullptr) return links_->producer(name, *graph_);
    if (const constant* const own = own_.find(name); own != nullptr && own->maker != nullptr)
      return own->maker;
    return outer_ != nullptr ? outer_->maker(name) : nullptr;
  }

  /// The constants which may be weights that a tensor is, or is computed from, in the order of inputs; of
  /// more than `most_behind` the best and the first.
  std::vector<onnx_named_constant> weights_behind(std::string_view name) const {
    if (const onnx_tensor* const tensor = find(name))
      return is_weight_like(*tensor) ? std::vector<onnx_named_constant>{{name, tensor}}
                                     : std::vector<onnx_named_constant>();
    return list_of(name);
  }

  static constexpr std::size_t most_behind = 8;

  /// Of two constants, whether the second is the better one to show: codes, else the larger.
  static bool is_better(const onnx_named_constant& a, const onnx_named_constant& b) {
    return std::pair(holds_codes(*a.tensor), a.tensor->size()) <
           std::pair(holds_codes(*b.tensor), b.tensor->size());
  }

 private:
  using list = std::vector<onnx_named_constant>;

  /// What is known of a name. In the main graph, what the links say of it is not repeated.
  struct constant {
    static constexpr std::size_t no_list = static_cast<std::size_t>(-1);
    const onnx_tensor* tensor = nullptr;
    const onnx_node* maker = nullptr;
    std::size_t behind = no_list;  ///< the list of what it is computed from

    bool is_computed() const noexcept { return behind != no_list; }
    bool is_fixed() const noexcept { return tensor != nullptr || is_computed(); }
  };

  /// Of several tensors of a name, the first counts.
  void add_tensor(std::string_view name, const onnx_tensor& tensor) {
    constant& own = *own_.add(name).first;
    if (own.tensor == nullptr) own.tensor = &tensor;
  }

  void add_sparse(std::string_view name, const onnx_tensor& tensor) {
    add_tensor(name, tensor);
    sparse_.insert(&tensor);
  }

  void add_computed(std::string_view name, std::size_t behind) {
    if (name.empty()) return;
    constant& own = *own_.add(name).first;
    if (!own.is_computed()) own.behind = behind;
  }

  /// The number of the list of a computed tensor; 0, the empty one, where it is not computed here.
  std::size_t number_of(std::string_view name) const {
    const constant* const own = own_.find(name);
    return own != nullptr && own->is_computed() ? own->behind : 0;
  }

  /// Of a computed tensor.
  const list& list_of(std::string_view name) const {
    const constant* const own = own_.find(name);
    const bool is_own = own != nullptr && own->is_computed();
    if (!is_own && outer_ != nullptr) return outer_->list_of(name);
    return lists_[is_own ? own->behind : 0];
  }

  /// The list for what a node computes from constants: where all of it comes from one input, the list of
  /// that.
  std::size_t make_list(const onnx_node& node) {
    list made;
    std::size_t sources = 0;
    std::size_t last = 0;  // the list of the last of them, if it is one of ours
    for (const std::string& name : node.inputs) {
      if (name.empty()) continue;
      const std::size_t number = find(name) == nullptr ? number_of(name) : 0;
      if (number != 0 && number == last) continue;
      const list behind = weights_behind(name);
      if (behind.empty()) continue;
      ++sources;
      last = number;
      for (const onnx_named_constant& one : behind) add_to(made, one);
    }
    if (sources == 0 || (sources == 1 && last != 0)) return last;
    lists_.push_back(std::move(made));
    return lists_.size() - 1;
  }

  static void add_to(list& made, const onnx_named_constant& one) {
    const bool is_known = std::any_of(
        made.begin(), made.end(), [&](const onnx_named_constant& other) { return other.name == one.name; });
    if (is_known) return;
    if (made.size() < most_behind)
      made.push_back(one);
    else if (is_better(*std::max_element(made.begin(), made.end(), is_better), one))
      made.back() = one;
  }

  void settle(std::span<const onnx_node> nodes) {
    for (const onnx_node& node : nodes) {
      if (links_ == nullptr) add_maker(node);
      if (node.is_standard() && node.op_type == "Constant")
        add_value(node);
      else if (!is_random(node) && !has_body(node) && has_input(node) && !varies(node))
        add_outputs(node);
    }
  }

  void add_maker(const onnx_node& node) {
    for (const std::string& output : node.outputs) {
      constant& own = *own_.add(output).first;
      if (own.maker == nullptr) own.maker = &node;
    }
  }

  void add_outputs(const onnx_node& node) {
    const std::size_t made_from = make_list(node);
    for (const std::string& output : node.outputs) add_computed(output, made_from);
  }

  void add_value(const onnx_node& node) {
    if (node.outputs.size() != 1) return;
    add_computed(node.outputs.front(), 0);  // strings and lists, which nobody looks into
    for (const onnx_attribute& attribute : node.attributes) {
      for (const onnx_tensor& tensor : attribute.tensors) add_tensor(node.outputs.front(), tensor);
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
  const onnx_graph* graph_ = nullptr;      // the main one
  const onnx_links* links_ = nullptr;      // likewise
  name_map<constant> own_;
  std::unordered_set<const onnx_tensor*> sparse_;
  std::vector<list> lists_{{}};  // the first is empty
};

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_CONSTANTS_HPP
