// SPDX-License-Identifier: Apache-2.0
/// @file links.hpp Where each tensor of a graph comes from and where it goes.
#ifndef PTQ_FORMATS_ONNX_LINKS_HPP
#define PTQ_FORMATS_ONNX_LINKS_HPP

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/formats/onnx/model.hpp"
#include "ptq/formats/onnx/tensor.hpp"
#include "ptq/result.hpp"
#include "ptq/text/name_map.hpp"
#include "ptq/text/nearest_word.hpp"

namespace ptq::inline v0_1 {

/// An input slot of a node; `in_body`: somewhere inside the node's bodies.
struct onnx_use {
  static constexpr std::size_t in_body = static_cast<std::size_t>(-1);
  std::size_t node = 0;
  std::size_t slot = 0;
};

/// What a graph says of a tensor.
struct onnx_link {
  static constexpr std::size_t no_node = static_cast<std::size_t>(-1);
  const onnx_tensor* constant = nullptr;  ///< an initializer, the value of a `Constant`
  std::size_t producer = no_node;
  std::size_t first_use = 0;  ///< in the list of all uses
  std::size_t use_count = 0;
  bool is_made = false;    ///< by the file, the caller or a node
  bool is_output = false;  ///< of the graph
};

/// The views are those of the graph.
class onnx_links {
 public:
  const onnx_tensor* constant(std::string_view name) const noexcept {
    const onnx_link* const found = tensors.find(name);
    return found != nullptr ? found->constant : nullptr;
  }
  /// The number of the node that makes a tensor; nothing for graph inputs and initializers.
  std::optional<std::size_t> maker(std::string_view name) const noexcept {
    const onnx_link* const found = tensors.find(name);
    return found != nullptr && found->producer != onnx_link::no_node ? std::optional(found->producer)
                                                                     : std::nullopt;
  }
  /// Null for graph inputs and initializers.
  const onnx_node* producer(std::string_view name, const onnx_graph& graph) const noexcept {
    const auto found = maker(name);
    return found ? &graph.nodes[*found] : nullptr;
  }
  /// In the order of nodes.
  std::span<const onnx_use> uses(std::string_view name) const noexcept {
    const onnx_link* const found = tensors.find(name);
    if (found == nullptr) return {};
    return std::span(all_uses).subspan(found->first_use, found->use_count);
  }
  bool is_output(std::string_view name) const noexcept {
    const onnx_link* const found = tensors.find(name);
    return found != nullptr && found->is_output;
  }

  name_map<onnx_link> tensors;
  std::vector<onnx_use> all_uses;  ///< those of a tensor side by side
};

/// `node "conv1" (Conv)`, or `node 7 (Conv)` if it has no name.
inline std::string node_text(const onnx_graph& graph, std::size_t node) {
  const onnx_node& n = graph.nodes[node];
  return "node " + (n.name.empty() ? std::to_string(node) : "\"" + n.name + "\"") + " (" + n.op_type + ")";
}

namespace detail {

template <class F>
void for_each_use(const onnx_node& node, F&& f) {
  for (std::size_t slot = 0; slot < node.inputs.size(); ++slot)
    if (!node.inputs[slot].empty()) f(node.inputs[slot], slot);
  for (const onnx_attribute& attribute : node.attributes)
    for (const onnx_body& body : attribute.bodies)
      for (const std::string& name : body.captures) f(name, onnx_use::in_body);
}

/// Why a node uses a tensor before it is made: nodes that wait for each other, or only a wrong order. Follows
/// the chain of nodes that are waited for until it closes, or reaches one that waits for nothing later.
inline error describe_order(const onnx_graph& graph, const onnx_links& links, std::size_t node,
                            std::string_view tensor) {
  enum class state : unsigned char { fresh, open, done };
  std::vector<state> states(graph.nodes.size(), state::fresh);
  std::vector<std::size_t> path{node};
  states[node] = state::open;
  while (!path.empty()) {
    const std::size_t last = path.back();
    std::size_t next = graph.nodes.size();
    bool closes = false;
    for_each_use(graph.nodes[last], [&](const std::string& name, std::size_t) {
      const auto found = links.maker(name);
      if (!found || closes) return;
      closes = states[*found] == state::open;
      if (closes || states[*found] == state::fresh) next = *found;
    });
    if (closes) {
      std::string chain;
      for (auto at = std::find(path.begin(), path.end(), next); at != path.end(); ++at)
        chain += node_text(graph, *at) + " needs ";
      return error(errc::wrong_format, "graph", "there is a cycle: " + chain + node_text(graph, next) + ".");
    }
    if (next == graph.nodes.size()) {
      states[last] = state::done;
      path.pop_back();
    } else {
      states[next] = state::open;
      path.push_back(next);
    }
  }
  return error(
      errc::wrong_format, node_text(graph, node),
      "uses \"" + std::string(tensor) + "\" before " + node_text(graph, *links.maker(tensor)) +
          " makes it. The nodes of an ONNX graph must be in topological order: sort and save it again.");
}

/// The tensor that somebody may mean who uses one that nothing makes.
inline std::string_view nearest_tensor(const onnx_links& links, std::string_view name) {
  std::vector<std::string_view> made;
  std::size_t letters = 0;
  for (const auto& [tensor, link] : links.tensors) {
    if (letters > hint_effort) break;  // nobody reads on
    letters += 1 + tensor.size();
    if (link.is_made) made.push_back(tensor);
  }
  return nearest_word(name, made);
}

/// Makes the links of a graph. In the order that ONNX asks for, each tensor is made before it is used, so
/// that one pass over the nodes does: what is looked up was put there shortly before.
class onnx_linker {
 public:
  explicit onnx_linker(const onnx_graph& graph) : graph_(&graph) {}

  result<onnx_links> link() {
    links_.tensors.reserve(graph_->initializers.size() + graph_->sparse_initializers.size() +
                           graph_->inputs.size() + graph_->nodes.size());
    if (const auto defined = define_given(); !defined) return defined.error();
    for (std::size_t i = 0; i < graph_->nodes.size(); ++i) {
      if (!note_uses(i)) return describe_use(i);
      if (const auto defined = define_outputs(i); !defined) return defined.error();
    }
    if (const auto made = note_graph_outputs(); !made) return made.error();
    sort_uses();
    return std::move(links_);
  }

 private:
  static error twice(std::string_view name) {
    return {errc::duplicate_key, "tensor \"" + std::string(name) + "\"",
            "is made twice: every tensor of a graph needs a name of its own."};
  }

  /// Null where it is made already.
  onnx_link* define(std::string_view name) {
    onnx_link& link = *links_.tensors.add(name).first;
    return std::exchange(link.is_made, true) ? nullptr : &link;
  }

  /// What no node makes.
  result<void> define_given() {
    for (const onnx_tensor& tensor : graph_->initializers) {
      onnx_link* const link = define(tensor.name);
      if (link == nullptr) return twice(tensor.name);
      link->constant = &tensor;
    }
    for (const onnx_tensor& sparse : graph_->sparse_initializers)
      if (define(sparse.name) == nullptr) return twice(sparse.name);
    name_map<no_value> inputs;
    for (const onnx_value& input : graph_->inputs) {
      if (!inputs.add(input.name).second) return twice(input.name);
      define(input.name);  // may have an initializer: its default
    }
    for (const onnx_tensor& tensor : graph_->constants)
      links_.tensors.add(tensor.name).first->constant = &tensor;
    return {};
  }

  result<void> define_outputs(std::size_t node) {
    for (const std::string& name : graph_->nodes[node].outputs) {
      if (name.empty()) continue;
      onnx_link* const link = define(name);
      if (link == nullptr) return twice(name);
      link->producer = node;
    }
    return {};
  }

  /// False if the node uses what is not made before it.
  bool note_uses(std::size_t node) {
    bool is_sound = true;
    for_each_use(graph_->nodes[node], [&](std::string_view name, std::size_t slot) {
      const std::size_t number = links_.tensors.number_of(name);
      is_sound = is_sound && number != name_map<onnx_link>::none && links_.tensors[number].is_made;
      if (!is_sound) return;
      uses_.push_back({number, {node, slot}});
      ++links_.tensors[number].use_count;
    });
    return is_sound;
  }

  result<void> note_graph_outputs() {
    for (const onnx_value& output : graph_->outputs) {
      onnx_link* const link = links_.tensors.find(output.name);
      if (link == nullptr || !link->is_made)
        return error(errc::tensor_not_found, "graph output \"" + output.name + "\"", "no node makes it.",
                     nearest_tensor(links_, output.name));
      link->is_output = true;
    }
    return {};
  }

  void sort_uses() {
    std::size_t count = 0;
    for (auto& [name, link] : links_.tensors) {
      link.first_use = count;
      count += std::exchange(link.use_count, 0);
    }
    links_.all_uses.resize(count);
    for (const auto& [number, use] : uses_) {
      onnx_link& link = links_.tensors[number];
      links_.all_uses[link.first_use + link.use_count++] = use;
    }
  }

  /// Why the first use of a node that is not sound is none.
  error describe_use(std::size_t node) {
    for (std::size_t i = node; i < graph_->nodes.size(); ++i)
      if (const auto defined = define_outputs(i); !defined) return defined.error();
    error found;
    bool is_found = false;
    for_each_use(graph_->nodes[node], [&](std::string_view name, std::size_t slot) {
      if (is_found) return;
      const onnx_link* const link = links_.tensors.find(name);
      const bool is_made = link != nullptr && link->is_made;
      const bool is_made_by_node = is_made && link->producer != onnx_link::no_node;
      if (is_made && (!is_made_by_node || link->producer < node)) return;
      is_found = true;
      found = is_made ? describe_order(*graph_, links_, node, name)
                      : error(errc::tensor_not_found, node_text(*graph_, node),
                              (slot == onnx_use::in_body ? "its body uses"
                                                         : "input " + std::to_string(slot) + " is") +
                                  " \"" + std::string(name) +
                                  "\", which is no input, no initializer and no output of another node.",
                              nearest_tensor(links_, name));
    });
    return found;
  }

  struct numbered_use {
    std::size_t tensor = 0;
    onnx_use use;
  };

  const onnx_graph* graph_;
  onnx_links links_;
  std::vector<numbered_use> uses_;  // in the order of nodes
};

}  // namespace detail

/// Follows every name. The result is valid as long as the graph is neither changed nor copied from.
///
/// @return tensor_not_found (a name that nothing makes), wrong_format (made twice; a cycle; not in
///         topological order): the message names node and tensor
inline result<onnx_links> links_of(const onnx_graph& graph) {
  return detail::onnx_linker(graph).link();
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_LINKS_HPP
