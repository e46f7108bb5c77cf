// SPDX-License-Identifier: Apache-2.0
/// @file graph.hpp An ONNX graph as a list of steps over numbered tensors.
#ifndef TINY_ENGINE_GRAPH_HPP
#define TINY_ENGINE_GRAPH_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "arithmetic.hpp"
#include "integer_graph.hpp"
#include "integer_layers.hpp"
#include "operators.hpp"
#include "ptq/formats/onnx/links.hpp"
#include "ptq/formats/onnx/model.hpp"
#include "tensor.hpp"

namespace tiny {

/// The operators that a graph needs and the engine lacks: "Resize (node "up")", each once, with its first
/// node if that has a name.
inline std::vector<std::string> missing_operators(const ptq::onnx_graph& graph) {
  std::vector<std::string> missing;
  std::vector<std::pair<std::string, std::string>> seen;
  for (const ptq::onnx_node& node : graph.nodes) {
    const std::pair kind(node.domain, node.op_type);
    if (node.op_type == "Constant" || find_operator(node) != nullptr ||
        std::count(seen.begin(), seen.end(), kind) > 0)
      continue;
    seen.push_back(kind);
    missing.push_back((node.is_standard() ? "" : node.domain + ".") + node.op_type +
                      (node.name.empty() ? "" : " (node \"" + node.name + "\")"));
  }
  return missing;
}

class graph {
 public:
  /// Opset 13 changed Softmax for good; older graphs mean something else by it.
  static constexpr std::int64_t oldest_opset = 13;

  /// Prepares a model: finds the operators, computes what is constant, and sees which layers are int8.
  ///
  /// @return unsupported, with all operators that are missing, or with a node that `numbers` does not allow;
  ///         else what is wrong with a node
  static result<graph> load(ptq::onnx_model model, arithmetic numbers) {
    graph loaded(std::move(model), numbers);
    if (auto prepared = loaded.prepare(); !prepared) return prepared.error().in(loaded.model_.file);
    return loaded;
  }

  const ptq::onnx_graph& onnx() const noexcept { return model_.graph; }
  bool is_constant(std::string_view name) const {
    const auto id = find(name);
    return id && constants_[*id].has_value();
  }
  /// The layers that compute in integers.
  std::size_t integer_layers() const noexcept { return integer_layers_; }

  /// Of a tensor that is held as integers where the graph has floats: float = integer * scale.
  std::optional<float> scale_of(std::size_t id) const { return scales_[id]; }

  /// The number of a tensor.
  std::optional<std::size_t> find(std::string_view name) const {
    const auto found = numbers_.find(std::string(name));
    return found != numbers_.end() ? std::optional(found->second) : std::nullopt;
  }

  /// The steps that make the wanted tensors, in order.
  std::vector<std::size_t> steps_for(std::span<const std::size_t> wanted) const {
    std::vector<bool> is_needed(constants_.size());
    for (const std::size_t id : wanted) is_needed[id] = true;
    std::vector<std::size_t> needed;
    for (std::size_t i = steps_.size(); i-- > 0;) {
      if (!is_needed[steps_[i].output]) continue;
      needed.push_back(i);
      for (const auto& input : steps_[i].inputs)
        if (input) is_needed[*input] = true;
    }
    std::reverse(needed.begin(), needed.end());
    return needed;
  }

  /// Runs steps on tensors by number; graph inputs are there already.
  result<void> run(std::span<const std::size_t> steps, std::vector<std::optional<tensor>>& values) const {
    for (const std::size_t i : steps) {
      auto made = run(steps_[i], values);
      if (!made) return made.error();
      values[steps_[i].output] = *std::move(made);
    }
    return {};
  }

  /// Room for all tensors, constants included as far as a caller asks for them by `at`.
  std::vector<std::optional<tensor>> make_values() const {
    return std::vector<std::optional<tensor>>(constants_.size());
  }

  const tensor* at(std::size_t id, const std::vector<std::optional<tensor>>& values) const {
    if (values[id]) return &*values[id];
    return constants_[id] ? &*constants_[id] : nullptr;
  }

 private:
  struct step {
    std::size_t node;
    operator_function run;
    std::vector<std::optional<std::size_t>> inputs;
    std::size_t output;
  };

  graph(ptq::onnx_model model, arithmetic numbers) : model_(std::move(model)), arithmetic_(numbers) {}

  result<void> prepare() {
    const ptq::onnx_graph& g = model_.graph;
    if (const auto missing = missing_operators(g); !missing.empty()) {
      std::string text = "tiny_engine lacks";
      for (const std::string& name : missing)
        text.append(&name == &missing.front() ? " " : ", ").append(name);
      return unsupported(text + ".");
    }
    if (model_.opset() < oldest_opset)
      return unsupported("opset " + std::to_string(model_.opset()) +
                         " is older than 13. Convert: onnx.version_converter.convert_version(model, 13).");
    const auto links = ptq::links_of(g);
    if (!links) return links.error();
    for (const ptq::onnx_value& input : g.inputs) number_of(input.name);
    for (const auto& [name, link] : links->tensors) {
      const ptq::onnx_tensor* const constant = link.constant;
      if (constant == nullptr) continue;
      if (constant->dims.size() > ptq::max_rank)
        return unsupported("constant \"" + std::string(name) + "\" has more than 8 axes.");
      tensor copy;
      copy.type = constant->type;
      copy.shape = shape(std::span<const std::size_t>(constant->dims));
      copy.bytes.assign(constant->data.begin(), constant->data.end());
      constants_[number_of(std::string(name))] = std::move(copy);
    }
    integer_graph integers(g, *links);
    for (std::size_t i = 0; i < g.nodes.size(); ++i)
      if (auto added = add(i, *links, integers); !added) return added;
    return {};
  }

  result<void> add(std::size_t i, const ptq::onnx_links& links, integer_graph& integers) {
    const ptq::onnx_node& node = model_.graph.nodes[i];
    if (node.op_type == "Constant") return {};
    for (std::size_t slot = 1; slot < node.outputs.size(); ++slot)
      if (!links.uses(node.outputs[slot]).empty() || links.is_output(node.outputs[slot]))
        return unsupported("only the first output is covered.").in(ptq::node_text(model_.graph, i));
    if (arithmetic_ == arithmetic::integer && !has_constant_inputs(node)) return add_integers(i, integers);
    std::vector<std::string_view> names(node.inputs.begin(), node.inputs.end());
    operator_function run_by = find_operator(node);
    if (const auto found = find_integer_layer(node, model_.graph, links)) {
      names = found->inputs;
      run_by = found->run;
      ++integer_layers_;
    }
    step made = step_of(i, run_by, names);
    const auto is_known = [&](const auto& input) { return !input || constants_[*input]; };
    if (!std::all_of(made.inputs.begin(), made.inputs.end(), is_known)) {
      steps_.push_back(std::move(made));
      return {};
    }
    auto folded = run(made, make_values());
    if (!folded) return folded.error();
    constants_[made.output] = *std::move(folded);
    return {};
  }

  bool has_constant_inputs(const ptq::onnx_node& node) const {
    return std::all_of(node.inputs.begin(), node.inputs.end(),
                       [&](const std::string& name) { return name.empty() || is_constant(name); });
  }

  /// As firmware computes the node.
  result<void> add_integers(std::size_t i, integer_graph& integers) {
    const ptq::onnx_node& node = model_.graph.nodes[i];
    auto found = integers.step_of(node, [&](std::string_view name) -> const tensor* {
      const auto id = find(name);
      return id && constants_[*id] ? &*constants_[*id] : nullptr;
    });
    if (!found) return found.error().in(ptq::node_text(model_.graph, i));
    step made = step_of(i, found->run, found->inputs);
    if (found->layer) {
      for (const auto& values : {found->layer->bias, found->layer->multiplier, found->layer->shift})
        made.inputs.push_back(add_constant(values));
      ++integer_layers_;
    }
    scales_[made.output] = integers.scale_of(node.outputs.front());
    steps_.push_back(std::move(made));
    return {};
  }

  step step_of(std::size_t node, operator_function run_by, std::span<const std::string_view> inputs) {
    step made{node, run_by, {}, number_of(model_.graph.nodes[node].outputs.front())};
    for (const std::string_view name : inputs)
      made.inputs.push_back(name.empty() ? std::nullopt : std::optional(number_of(std::string(name))));
    return made;
  }

  /// The number of a tensor that the graph does not have.
  std::size_t add_constant(std::span<const std::int32_t> values) {
    tensor made(element_type::int32, {values.size()});
    std::copy(values.begin(), values.end(), made.as<std::int32_t>().begin());
    constants_.emplace_back(std::move(made));
    scales_.emplace_back();
    return constants_.size() - 1;
  }

  std::size_t number_of(const std::string& name) {
    const auto [at, is_new] = numbers_.emplace(name, constants_.size());
    if (is_new) {
      constants_.emplace_back();
      scales_.emplace_back();
    }
    return at->second;
  }

  result<tensor> run(const step& s, const std::vector<std::optional<tensor>>& values) const {
    call c{model_.graph.nodes[s.node], model_.opset(), {}};
    for (const auto& input : s.inputs) c.inputs.push_back(input ? at(*input, values) : nullptr);
    if (c.input(0) == nullptr)
      return unsupported("input 0 is missing.").in(ptq::node_text(model_.graph, s.node));
    auto made = s.run(c);
    if (!made) return made.error().in(ptq::node_text(model_.graph, s.node));
    return made;
  }

  ptq::onnx_model model_;
  arithmetic arithmetic_;
  std::unordered_map<std::string, std::size_t> numbers_;  // tensor -> its number
  std::vector<std::optional<tensor>> constants_;          // by number
  std::vector<std::optional<float>> scales_;              // by number: of what is held as integers
  std::vector<step> steps_;
  std::size_t integer_layers_ = 0;
};

}  // namespace tiny

#endif  // TINY_ENGINE_GRAPH_HPP
