// SPDX-License-Identifier: Apache-2.0
/// @file names.hpp The names of layers: those of the modules that the graph was exported from, where
/// exporters left them.
#ifndef PTQ_FORMATS_ONNX_NAMES_HPP
#define PTQ_FORMATS_ONNX_NAMES_HPP

#include <algorithm>
#include <cstddef>
#include <deque>
#include <iterator>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ptq/formats/onnx/links.hpp"
#include "ptq/formats/onnx/model.hpp"
#include "ptq/model/classes.hpp"
#include "ptq/model/layer.hpp"
#include "ptq/text/name_map.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// Where PyTorch's exporters say that a node comes from.
struct onnx_origin {
  std::string module;      ///< as in `named_modules()`; empty: the model itself, or nothing says it
  std::string class_name;  ///< of the module; empty where nothing says it
  std::string call;        ///< which of the module's nodes: "linear_1", "MatMul"
};

/// The texts of a list as Python prints it: `['', 'encoder', "it's"]`.
inline std::vector<std::string> read_python_list(std::string_view text) {
  std::vector<std::string> items;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '\'' && text[at] != '"') continue;
    const char quote = text[at++];
    std::string& item = items.emplace_back();
    for (; at < text.size() && text[at] != quote; ++at) {
      if (text[at] == '\\' && at + 1 < text.size()) ++at;
      item += text[at];
    }
  }
  return items;
}

/// What the exporter of torch.export writes beside a node: the modules around it, the outermost first and
/// named "", then the call; and their classes in the same order.
inline onnx_origin recorded_origin(const onnx_node& node) {
  onnx_origin origin;
  auto scopes = read_python_list(node.find_metadata("pkg.torch.onnx.name_scopes"));
  if (scopes.size() < 2 || !scopes.front().empty()) return origin;
  origin.call = std::move(scopes.back());
  origin.module = std::move(scopes[scopes.size() - 2]);
  const auto classes = read_python_list(node.find_metadata("pkg.torch.onnx.class_hierarchy"));
  if (classes.size() != scopes.size()) return origin;
  const std::string& path = classes[classes.size() - 2];  // "torch.nn.modules.linear.Linear"
  origin.class_name = path.substr(path.rfind('.') + 1);
  return origin;
}

/// What the older exporter says with names of nodes: `/enc/layers.0/linear1/MatMul` lies in
/// `enc.layers.0.linear1`. What a Sequential calls repeats its name: `/stem/stem.0/Conv` lies in `stem.0`.
inline onnx_origin scripted_origin(const onnx_node& node) {
  onnx_origin origin;
  std::string_view path = node.name;
  const std::size_t last = path.rfind('/');
  if (!path.starts_with('/') || !path.substr(last + 1).starts_with(node.op_type)) return origin;
  origin.call = path.substr(last + 1);
  path = path.substr(0, last);
  std::string_view outer;
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::string_view part = path.substr(0, path.find('/'));
    path.remove_prefix(part.size());
    const bool repeats =
        !outer.empty() && part.size() > outer.size() && part.starts_with(outer) && part[outer.size()] == '.';
    if (repeats) origin.module.resize(origin.module.size() - outer.size());
    if (!origin.module.empty() && !repeats) origin.module += '.';
    origin.module += part;
    outer = part;
  }
  return origin;
}

inline onnx_origin origin_of(const onnx_node& node) {
  const onnx_origin recorded = recorded_origin(node);
  return recorded.call.empty() ? scripted_origin(node) : recorded;
}

/// Whether a tensor's name is one that an exporter made up: `val_2`, `onnx::MatMul_77`, `123`,
/// `/encoder/Constant_3_output_0`.
inline bool is_made_up(std::string_view tensor) noexcept {
  if (tensor.starts_with("onnx::") || tensor.starts_with('/')) return true;
  const std::string_view stem = tensor.substr(0, tensor.find_last_not_of("0123456789") + 1);
  if (stem.size() == tensor.size()) return false;
  constexpr std::string_view stems[] = {"", "val_", "const_", "constant_", "Constant_"};
  return std::find(std::begin(stems), std::end(stems), stem) != std::end(stems);
}

/// What makes a layer in the graph.
struct onnx_place {
  static constexpr std::size_t no_node = static_cast<std::size_t>(-1);
  std::string_view constant;   ///< that holds its weight; empty if there is none
  std::size_t node = no_node;  ///< that computes it; none: it is inside a node, and has its name already
  std::vector<std::size_t> others{};  ///< that compute it, too

  bool is_inside() const noexcept { return node == no_node; }
};

/// Names layers. A weight that has a name gives it to its layer; else the layer is named after its module.
class onnx_namer {
 public:
  onnx_namer(const onnx_graph& graph, const onnx_links& links) : graph_(&graph), links_(&links) {
    for (const onnx_node& node : graph.nodes)
      if (std::string module = origin_of(node).module; !module.empty()) modules_.insert(std::move(module));
  }

  /// Sets what a layer says of names. Names are unique, and no alias is the name or alias of another layer.
  ///
  /// @param places one for each layer
  void name(std::span<layer> layers, std::span<const onnx_place> places) {
    constexpr std::size_t names_of_layer = 3;
    names_.reserve(names_of_layer * layers.size());
    for (std::size_t i = 0; i < layers.size(); ++i) {
      if (places[i].is_inside())
        names_.add(layers[i].name);
      else if (!places[i].constant.empty() && layers[i].reason.empty())
        ++weights_in_[origin_of(graph_->nodes[places[i].node]).module];
    }
    for (std::size_t i = 0; i < layers.size(); ++i) {  // first, so that nothing derived takes such a name
      if (places[i].constant.empty() || places[i].is_inside()) continue;
      if (is_made_up(places[i].constant)) {
        layers[i].origin = {std::string(places[i].constant), {}, true};
        continue;
      }
      if (const std::string_view own = stem_of(places[i].constant); names_.add(own).second)
        layers[i].name = own;
    }
    for (std::size_t i = 0; i < layers.size(); ++i) {
      if (places[i].is_inside()) continue;
      if (layers[i].name.empty()) derive_name(layers[i], places[i]);
      note_class(layers[i], origin_of(graph_->nodes[places[i].node]));
    }
    for (std::size_t i = 0; i < layers.size(); ++i)
      if (!places[i].is_inside()) add_aliases(layers[i], places[i]);
  }

  /// Without `.weight`.
  static std::string_view stem_of(std::string_view constant) noexcept {
    constexpr std::string_view suffix = ".weight";
    if (constant.size() > suffix.size() && constant.ends_with(suffix)) constant.remove_suffix(suffix.size());
    return constant;
  }

 private:
  void derive_name(layer& found, const onnx_place& place) {
    const std::size_t at = place.node;
    const onnx_node& node = graph_->nodes[at];
    const bool is_shared = !place.constant.empty() && !found.origin.is_made_up;  // another has its name
    const onnx_origin origin = origin_of(node);
    const std::string in_graph(!node.name.empty() ? std::string_view(node.name) : place.constant);
    std::string last = node.op_type + "_" + std::to_string(at);
    std::vector<std::string> wanted;
    if (!is_shared) {
      wanted = {module_name(found, place, node)};
      if (!origin.module.empty() && !wanted[0].empty()) wanted.push_back(origin.module + "." + origin.call);
    }
    wanted.insert(wanted.end(), {is_shared ? node.name : in_graph, last});
    for (const std::string& name : wanted) {
      if (name.empty() || names_.contains(name)) continue;
      found.name = name;
      names_.add(found.name);
      if (name != in_graph && name != last && place.constant.empty()) found.origin.graph_name = node.name;
      return;
    }
    while (names_.contains(last)) last.append("_").append(std::to_string(at));
    found.name = std::move(last);
    names_.add(found.name);
  }

  /// The name that the module of a call gives to its layer; empty where nothing says one.
  std::string module_name(const layer& found, const onnx_place& place, const onnx_node& node) const {
    const onnx_origin origin = origin_of(node);
    const bool has_weight = !place.constant.empty();
    if (has_weight) {
      if (std::string by_bias = bias_name(node, origin.module); !by_bias.empty()) return by_bias;
    }
    if (origin.module.empty()) return {};
    if (has_weight && origin.class_name == "MultiheadAttention") return origin.module + ".in_proj";
    const std::string inside = origin.module + "." + origin.call;
    if (origin.class_name.empty()) {
      if (!has_weight) return is_container(origin.module) ? inside : origin.module;
    } else if (is_of_class(found.class_name, origin.class_name)) {
      return origin.module;
    } else if (traits_of_class(origin.class_name).is_quantizable() ||
               origin.class_name.find("Norm") != std::string::npos) {
      return {};  // a normalisation that was folded into a convolution, for instance
    }
    const auto weights = weights_in_.find(origin.module);
    const bool is_only = has_weight && weights != weights_in_.end() && weights->second == 1;
    return is_only ? origin.module : inside;
  }

  /// Whether a module has modules in it.
  bool is_container(const std::string& module) const {
    const std::string inside = module + ".";
    const auto first = modules_.lower_bound(inside);
    return first != modules_.end() && first->starts_with(inside);
  }

  /// "Conv2d" is a class of "LazyConv2d", "BatchNorm" of "BatchNorm2d".
  static bool is_of_class(std::string_view class_name, std::string_view module_class) noexcept {
    return module_class.starts_with(class_name) || module_class.ends_with(class_name);
  }

  /// A bias keeps the name that its weight lost, for weights are stored transposed: `fc.bias` is of `fc`,
  /// `attn.in_proj_bias` of `attn.in_proj`. Equal biases may have become one, which is no module's own.
  std::string bias_name(const onnx_node& node, const std::string& module) const {
    const std::string_view bias = node.op_type == "MatMul" ? added_constant(node) : node.input(2);
    const std::size_t uses = links_->uses(bias).size();
    if (links_->constant(bias) == nullptr || uses == 0 || is_made_up(bias)) return {};
    if (!bias.ends_with(".bias") && !bias.ends_with("_bias")) return {};
    const std::string_view stem = bias.substr(0, bias.size() - std::string_view(".bias").size());
    const bool is_inside = stem == module || (stem.starts_with(module + "."));
    const bool is_its_own = module.empty() ? uses == 1 : is_inside;
    return is_its_own ? std::string(stem) : std::string();
  }

  /// The constant that an Add behind a node adds to its output; empty if there is none.
  std::string_view added_constant(const onnx_node& node) const {
    if (node.outputs.empty()) return {};
    const auto uses = links_->uses(node.outputs.front());
    if (uses.size() != 1) return {};
    const auto [at, slot] = uses.front();
    const onnx_node& sum = graph_->nodes[at];
    return sum.is_standard() && sum.op_type == "Add" && slot < 2 ? sum.input(1 - slot) : std::string_view();
  }

  static void note_class(layer& found, const onnx_origin& origin) {
    if (origin.module.empty() || origin.class_name.empty()) return;
    if (found.name != origin.module && !found.name.starts_with(origin.module + ".")) return;
    const bool says_more = origin.class_name.starts_with(found.class_name) &&
                           !traits_of_class(found.class_name).is_quantizable() &&
                           traits_of_class(origin.class_name).is_quantizable();
    if (says_more)
      found.class_name = origin.class_name;  // with the number of dimensions, which the graph does not tell
    else if (origin.class_name != found.class_name)
      found.origin.module_class = origin.class_name;
  }

  void add_aliases(layer& found, const onnx_place& place) {
    const auto add = [&](std::string_view alias) {
      if (!alias.empty() && names_.add(alias).second) found.aliases.emplace_back(alias);
    };
    add(place.constant);
    if (!place.constant.empty()) add(stem_of(place.constant));
    add(graph_->nodes[place.node].name);
    for (const std::size_t at : place.others) {
      add(graph_->nodes[at].name);
      add(kept_.emplace_back(module_name(found, place, graph_->nodes[at])));
    }
  }

  const onnx_graph* graph_;
  const onnx_links* links_;
  std::set<std::string> modules_;                            // of nodes
  std::unordered_map<std::string, std::size_t> weights_in_;  // module -> layers with a weight
  name_map<no_value> names_;      // views of the graph, of names of layers, and of those kept here
  std::deque<std::string> kept_;  // names that modules give to other calls of their layers
};

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_NAMES_HPP
