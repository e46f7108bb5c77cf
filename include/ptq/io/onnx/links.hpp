// SPDX-License-Identifier: Apache-2.0
/// @file links.hpp Where each tensor of a graph comes from and where it goes.
#ifndef PTQ_IO_ONNX_LINKS_HPP
#define PTQ_IO_ONNX_LINKS_HPP

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "ptq/config/words.hpp"
#include "ptq/error.hpp"
#include "ptq/io/onnx/model.hpp"
#include "ptq/io/onnx/tensor.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

/// An input slot of a node; `in_body`: somewhere inside the node's bodies.
struct onnx_use {
  static constexpr std::size_t in_body = static_cast<std::size_t>(-1);
  std::size_t node = 0;
  std::size_t slot = 0;
};

/// The views are those of the graph.
struct onnx_links {
  std::unordered_map<std::string_view, std::size_t> producers;         ///< tensor -> node
  std::unordered_map<std::string_view, const onnx_tensor*> constants;  ///< initializers, `Constant` values
  std::unordered_map<std::string_view, std::vector<onnx_use>> uses;
  std::unordered_set<std::string_view> outputs;  ///< of the graph

  const onnx_tensor* constant(std::string_view name) const {
    const auto found = constants.find(name);
    return found != constants.end() ? found->second : nullptr;
  }
  /// Null for graph inputs and initializers.
  const onnx_node* producer(std::string_view name, const onnx_graph& graph) const {
    const auto found = producers.find(name);
    return found != producers.end() ? &graph.nodes[found->second] : nullptr;
  }
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
      const auto found = links.producers.find(name);
      if (found == links.producers.end() || closes) return;
      closes = states[found->second] == state::open;
      if (closes || states[found->second] == state::fresh) next = found->second;
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
      "uses \"" + std::string(tensor) + "\" before " +
          node_text(graph, links.producers.find(tensor)->second) +
          " makes it. The nodes of an ONNX graph must be in topological order: sort and save it again.");
}

/// Notes where each tensor is used. A node may use what comes before it.
inline result<void> link_uses(const onnx_graph& graph, const std::unordered_set<std::string_view>& known,
                              const std::vector<std::string_view>& all, onnx_links& links) {
  result<void> outcome;
  for (std::size_t i = 0; i < graph.nodes.size() && outcome; ++i) {
    for_each_use(graph.nodes[i], [&](const std::string& name, std::size_t slot) {
      links.uses[name].push_back({i, slot});
      if (!outcome) return;
      const auto maker = links.producers.find(name);
      if (maker != links.producers.end() ? maker->second < i : known.contains(name)) return;
      if (maker != links.producers.end())
        outcome = describe_order(graph, links, i, name);
      else
        outcome =
            error(errc::tensor_not_found, node_text(graph, i),
                  (slot == onnx_use::in_body ? "its body uses" : "input " + std::to_string(slot) + " is") +
                      " \"" + name + "\", which is no input, no initializer and no output of another node.",
                  nearest_word(name, all));
    });
  }
  return outcome;
}

}  // namespace detail

/// Follows every name. The result is valid as long as the graph is neither changed nor copied from.
///
/// @return tensor_not_found (a name that nothing makes), wrong_format (made twice; a cycle; not in
///         topological order): the message names node and tensor
inline result<onnx_links> links_of(const onnx_graph& graph) {
  onnx_links links;
  std::unordered_set<std::string_view> known;
  std::vector<std::string_view> all;
  const auto twice = [](std::string_view name) {
    return error(errc::duplicate_key, "tensor \"" + std::string(name) + "\"",
                 "is made twice: every tensor of a graph needs a name of its own.");
  };
  const auto define = [&](std::string_view name) {
    all.push_back(name);
    return known.insert(name).second;
  };
  for (const onnx_tensor& tensor : graph.initializers) {
    if (!define(tensor.name)) return twice(tensor.name);
    links.constants[tensor.name] = &tensor;
  }
  for (const onnx_tensor& sparse : graph.sparse_initializers)
    if (!define(sparse.name)) return twice(sparse.name);
  std::unordered_set<std::string_view> inputs;
  for (const onnx_value& input : graph.inputs) {
    if (!inputs.insert(input.name).second) return twice(input.name);
    define(input.name);  // may have an initializer: its default
  }
  for (const onnx_tensor& tensor : graph.constants) links.constants[tensor.name] = &tensor;

  links.producers.reserve(graph.nodes.size());
  links.uses.reserve(graph.nodes.size());
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    for (const std::string& name : graph.nodes[i].outputs) {
      if (name.empty()) continue;
      if (!define(name)) return twice(name);
      links.producers[name] = i;
    }
  }
  if (const auto used = detail::link_uses(graph, known, all, links); !used) return used.error();
  for (const onnx_value& output : graph.outputs) {
    if (!known.contains(output.name))
      return error(errc::tensor_not_found, "graph output \"" + output.name + "\"", "no node makes it.",
                   nearest_word(output.name, all));
    links.outputs.insert(output.name);
  }
  return links;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_IO_ONNX_LINKS_HPP
