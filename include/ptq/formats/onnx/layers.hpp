// SPDX-License-Identifier: Apache-2.0
/// @file layers.hpp The layers that the nodes of an ONNX graph make: what rules are matched with.
#ifndef PTQ_FORMATS_ONNX_LAYERS_HPP
#define PTQ_FORMATS_ONNX_LAYERS_HPP

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats/onnx/code_names.hpp"
#include "ptq/formats/onnx/constants.hpp"
#include "ptq/formats/onnx/infer.hpp"
#include "ptq/formats/onnx/left_alone.hpp"
#include "ptq/formats/onnx/links.hpp"
#include "ptq/formats/onnx/model.hpp"
#include "ptq/formats/onnx/names.hpp"
#include "ptq/formats/onnx/operators.hpp"
#include "ptq/formats/onnx/tensor.hpp"
#include "ptq/formats/onnx/trace.hpp"
#include "ptq/model/layer.hpp"
#include "ptq/result.hpp"
#include "ptq/tensor/any_view.hpp"
#include "ptq/tensor/view.hpp"
#include "ptq/text/name_map.hpp"
#include "ptq/text/shape_text.hpp"

namespace ptq::inline v0_1 {

/// A node that computes a layer, or has it inside.
struct onnx_call {
  std::size_t node = 0;
  std::size_t input = 0;  ///< that is the layer's activation
  std::optional<std::size_t>
      carrier{};  ///< the last node on the way of the constant to the weight's slot, if any
  element_type type = element_type::unknown;  ///< of the activation; undefined where nothing says it
};

/// What a layer is in the graph. As in PyTorch, a weight that several nodes use in the same way is one layer,
/// called several times.
struct onnx_layer {
  std::string weight;            ///< the initializer or `Constant` that holds it; empty if there is none
  std::size_t weight_slot = 0;   ///< the input of each call that it reaches
  std::vector<onnx_call> calls;  ///< in topological order
};

struct onnx_layers {
  std::vector<layer> layers;        ///< for `match` and `apply`; their weights are views into the model
  std::vector<onnx_layer> sources;  ///< one for each layer
  std::vector<std::string> notes;   ///< what was not looked into
};

namespace detail {

/// Builds the list node by node.
class onnx_layer_builder {
 public:
  onnx_layer_builder(const onnx_graph& graph, const onnx_links& links)
      : graph_(&graph),
        links_(&links),
        declared_(graph, links),
        constants_(graph, links),
        tracer_(graph, links) {}

  result<onnx_layers> build(std::span<const onnx_function> functions) {
    make_room();
    for (std::size_t i = 0; i < graph_->nodes.size(); ++i) {
      const onnx_node& node = graph_->nodes[i];
      note_bodies(i);
      result<bool> is_layer = false;
      if (const onnx_operator* const kind = find_operator(node)) is_layer = add(i, *kind);
      if (!is_layer) return is_layer.error();
      list(constants_, node, i, {}, *is_layer);
      list_bodies(constants_, node, i,
                  {label(node, i) + "/",
                   "it is inside " + node_text(*graph_, i) + ", and only the main graph is quantized"});
    }
    for (const onnx_function& function : functions) list_function(function);
    judge_inputs();
    onnx_namer(*graph_, *links_).name(made_.layers, places_);
    return std::move(made_);
  }

 private:
  using use = onnx_operator::weight_use;

  /// What is not in the main graph.
  struct onnx_inside {
    std::string path;    ///< in front of names
    std::string reason;  ///< why nothing there is quantized
    bool is_main() const noexcept { return path.empty(); }
  };

  /// For a layer of every node that may be one: lists of very many do not move while they grow.
  void make_room() {
    const auto count = static_cast<std::size_t>(
        std::count_if(graph_->nodes.begin(), graph_->nodes.end(),
                      [](const onnx_node& node) { return find_operator(node) != nullptr; }));
    made_.layers.reserve(count);
    made_.sources.reserve(count);
    places_.reserve(count);
  }

  void note_bodies(std::size_t node) {
    std::size_t inner = 0;
    for_each_body_node(graph_->nodes[node], [&](const onnx_node&) { ++inner; });
    if (inner > 0)
      made_.notes.push_back(node_text(*graph_, node) + ": its bodies (" + std::to_string(inner) +
                            (inner == 1 ? " node" : " nodes") + ") are left as they are");
  }

  /// A constant on its way to a node that multiplies by it.
  struct onnx_weight {
    std::size_t slot = 0;
    traced_constant traced;

    const onnx_tensor* tensor() const noexcept { return traced.tensor; }
    const onnx_dims& arrives_as() const noexcept { return traced.dims; }
  };

  result<onnx_weight> find_weight(const onnx_node& node, const onnx_operator& kind) {
    onnx_weight found;
    if (kind.slot == onnx_operator::no_slot) return found;
    found.slot = kind.slot;
    found.traced = tracer_.trace(node.input(kind.slot));
    if (found.tensor() == nullptr && kind.use == use::on_a_side && !constants_.holds(node.input(1))) {
      found.slot = 0;
      found.traced = tracer_.trace(node.input(0));
    }
    if (found.tensor() == nullptr) return found;
    if (found.traced.misfit) return misfit(*found.tensor(), *found.traced.misfit);
    if (kind.use == use::on_a_side && found.slot == 0 && found.arrives_as().size() < 2) return onnx_weight{};
    return found;
  }

  error misfit(const onnx_tensor& tensor, std::size_t step) const {
    const std::string& op_type = graph_->nodes[step].op_type;
    return {errc::invalid_value, node_text(*graph_, step),
            std::string("its ") +
                (op_type == "Transpose" ? "perm does"
                 : op_type == "Reshape" ? "shape does"
                                        : "axes do") +
                " not fit \"" + tensor.name + "\", which is " + tensor.type_text() + "."};
  }

  /// Whether the node is no layer by this row of the table.
  bool is_passed_over(const onnx_node& node, const onnx_operator& kind) const {
    if (node.input(0).empty() || kind.use == use::codes) return true;
    if (kind.use != use::on_a_side) return false;
    return !constants_.varies(node) || node.integer("transBatchA", 0) != 0 ||
           node.integer("transBatchB", 0) != 0;
  }

  /// @return whether the node is a layer
  result<bool> add(std::size_t at, const onnx_operator& kind) {
    const onnx_node& node = graph_->nodes[at];
    if (is_passed_over(node, kind)) return false;
    auto weight = find_weight(node, kind);
    if (!weight) return weight.error();
    const onnx_tensor* const tensor = weight->tensor();
    if (tensor == nullptr && (kind.needs_constant() || !left_alone(constants_, node).empty())) return false;
    if (kind.use == use::rows && (tensor->dims.size() != 2 || !is_float(tensor->type)))
      return false;  // an index into a shape or a list
    if (const auto fits = check_rank(at, kind, *weight); !fits) return fits.error();

    layer found;
    found.class_name = class_of(node, kind, tensor == nullptr ? nullptr : &weight->arrives_as());
    found.op_type = node.op_type;
    if (tensor != nullptr) found.weight = tensor->view();
    if (tensor != nullptr && kind.multiplies()) find_axis(node, kind, *weight, found);
    const std::string_view constant = tensor != nullptr ? std::string_view(tensor->name) : "";
    onnx_call call{at, found.weight_is_left ? std::size_t{1} : 0, {}, {}};
    call.type = tensor != nullptr && kind.multiplies() ? weight->traced.type
                                                       : declared_.type_of(node.input(call.input));
    call.carrier = weight->traced.carrier;
    add_call(std::move(found), constant, weight->slot, call, constant);
    return true;
  }

  /// As in PyTorch, a weight that is used twice in the same way is one layer.
  ///
  /// @param weight      the constant that holds it; empty if there is none
  /// @param named_after the constant that gives the layer its name; empty: the node does
  void add_call(layer found, std::string_view weight, std::size_t slot, onnx_call call,
                std::string_view named_after) {
    const std::size_t number = made_.layers.size();
    if (!weight.empty()) {
      const auto [first, is_new] = weights_.add(weight, number);
      if (!is_new) {
        if (const auto same = find_same(*first, found, weight, slot)) {
          made_.sources[*same].calls.push_back(call);
          places_[*same].others.push_back(call.node);
          return;
        }
        other_uses_.emplace(hash_of(found, weight, slot), number);
      }
    }
    places_.push_back({named_after, found.name.empty() ? call.node : onnx_place::no_node});
    made_.layers.push_back(std::move(found));
    made_.sources.push_back({std::string(weight), slot, {call}});
  }

  /// The layer that uses a weight in the same way; nothing if there is none.
  ///
  /// @param first the first layer that uses the weight
  std::optional<std::size_t> find_same(std::size_t first, const layer& found, std::string_view weight,
                                       std::size_t slot) const {
    if (is_same(first, found, weight, slot)) return first;
    const auto [begin, end] = other_uses_.equal_range(hash_of(found, weight, slot));
    const auto same =
        std::find_if(begin, end, [&](const auto& row) { return is_same(row.second, found, weight, slot); });
    return same != end ? std::optional(same->second) : std::nullopt;
  }

  static std::size_t hash_of(const layer& found, std::string_view weight, std::size_t slot) {
    return std::hash<std::string>()(std::string(weight) + "\n" + found.op_type + "\n" + std::to_string(slot));
  }

  /// Whether a layer uses the weight as another one that is known does.
  bool is_same(std::size_t known, const layer& found, std::string_view weight, std::size_t slot) const {
    const layer& other = made_.layers[known];
    const onnx_layer& source = made_.sources[known];
    return source.weight == weight && source.weight_slot == slot && other.op_type == found.op_type &&
           other.output_axis == found.output_axis && other.reason == found.reason;
  }

  /// An input that holds no floats, as far as anything says, is left as it is: the plan says so.
  void judge_inputs() {
    for (std::size_t i = 0; i < made_.layers.size(); ++i) {
      if (!made_.layers[i].reason.empty()) continue;
      for (const onnx_call& call : made_.sources[i].calls) {
        if (is_float(call.type)) continue;
        const std::string tensor = "its input \"" + graph_->nodes[call.node].inputs[call.input] + "\" ";
        made_.layers[i].input_reason =
            call.type != element_type::unknown
                ? tensor + "holds " + onnx_word(call.type)
                : tensor + "is of a type that the file does not tell (onnx.shape_inference can add it)";
        break;
      }
    }
  }

  result<void> check_rank(std::size_t at, const onnx_operator& kind, const onnx_weight& weight) const {
    if (weight.tensor() == nullptr || !kind.multiplies()) return {};
    const std::string& op_type = graph_->nodes[at].op_type;
    const std::size_t rank = weight.arrives_as().size();
    if ((kind.use == use::multiplied && rank >= 3) || (op_type == "Gemm" && rank == 2) ||
        (kind.use == use::on_a_side && op_type != "Gemm" && rank >= 1))
      return {};
    return error(errc::wrong_rank, node_text(*graph_, at),
                 "its weight \"" + weight.tensor()->name + "\" is " + weight.tensor()->type_text() +
                     ", but " + op_type + " takes rank " +
                     (kind.use == use::multiplied ? "3 or more."
                      : op_type == "Gemm"         ? "2."
                                                  : "1 or more."));
  }

  /// The axis of output channels, of the weight as it arrives.
  static std::size_t output_axis(const onnx_node& node, const onnx_operator& kind, std::size_t slot,
                                 std::size_t rank) {
    if (kind.use == use::multiplied) return node.op_type == "ConvTranspose" ? 1 : 0;
    if (rank < 2) return 0;
    const bool is_turned = node.integer(slot == 0 ? "transA" : "transB", 0) != 0;
    return is_turned == (slot == 0) ? rank - 1 : rank - 2;
  }

  /// Says how the weight of a product lies, and the axis of its output channels in the constant's own layout.
  static void find_axis(const onnx_node& node, const onnx_operator& kind, const onnx_weight& weight,
                        layer& found) {
    const onnx_dims& dims = weight.arrives_as();
    found.weight_is_left = kind.use == use::on_a_side && weight.slot == 0;
    std::size_t used_rank = dims.size();
    if (kind.use == use::on_a_side && dims.size() > 2) {
      used_rank = 2;
      const std::size_t matrices = product(std::span(dims).first(dims.size() - 2));
      if (matrices > 1) found.reason = stack_text(matrices);
    }
    if (used_rank != weight.tensor()->dims.size()) found.used_rank = used_rank;
    if (!found.reason.empty()) return;
    found.output_axis = weight.traced.axis_before(output_axis(node, kind, weight.slot, dims.size()));
    if (!found.output_axis)
      found.axis_reason = "no axis of \"" + weight.tensor()->name + "\", " + weight.tensor()->type_text() +
                          ", counts its output channels, as it is used in shape " + extents_text(dims) +
                          ": fold constants first, or set weights.quant_axis: null under modelopt";
  }

  /// The inputs that keep a node's constants as they are, as layers of their own.
  void list(const onnx_constants& constants, const onnx_node& node, std::size_t at, const onnx_inside& inside,
            bool is_layer = false) {
    for (const onnx_left_alone& left : left_alone(constants, node, is_layer)) {
      if (is_layer && are_listed(left.from)) continue;
      const onnx_operator* const kind = find_operator(node);
      if (kind == nullptr && left.is_computed && inside.is_main() && are_listed(left.from)) continue;
      layer found;
      const onnx_dims& dims = left.from.front().tensor->dims;
      const bool is_known = kind != nullptr && (kind->use != use::rows || dims.size() == 2);
      found.class_name = is_known ? class_of(node, *kind, &dims) : node.op_type;
      found.op_type = node.op_type;
      found.reason = left.reason;
      add_left_alone(std::move(found), left.from, left.is_computed, at, inside,
                     node.name.empty() ? node.op_type : node.name);
    }
  }

  void add_left_alone(layer found, const std::vector<onnx_named_constant>& from, bool is_computed,
                      std::size_t at, const onnx_inside& inside, const std::string& node_name) {
    const auto& [name, tensor] = from.front();
    std::string_view own = from.size() == 1 || holds_codes(*tensor) ? name : std::string_view();
    if (holds_codes(*tensor)) own = tensor_of_codes(own);
    found.weight = shown(*tensor);
    if (!inside.is_main()) {
      found.reason = inside.reason;
      found.name.append(inside.path).append(own.empty() ? node_name : onnx_namer::stem_of(own));
      while (!names_.insert(found.name).second)
        found.name.append("_").append(std::to_string(made_.layers.size()));
    }
    const bool is_source = inside.is_main() && !is_computed;
    add_call(std::move(found), is_source ? name : std::string_view(), 0, {at, 0, {}, {}}, own);
  }

  bool are_listed(const std::vector<onnx_named_constant>& from) const {
    return std::all_of(from.begin(), from.end(),
                       [&](const onnx_named_constant& one) { return weights_.contains(one.name); });
  }

  /// With its data if they are there: those of bodies are not looked for in other files.
  static any_view shown(const onnx_tensor& tensor) {
    const bool is_whole = bits_of(tensor.type) * tensor.size() == 8 * tensor.data.size();
    if (is_whole || tensor.dims.size() > max_rank) return tensor.view();
    return {nullptr, element_type::unknown, tensor_shape(std::span<const std::size_t>(tensor.dims)),
            onnx_name(tensor.type)};
  }

  static std::string label(const onnx_node& node, std::size_t at) {
    return node.name.empty() ? node.op_type + "_" + std::to_string(at) : node.name;
  }

  /// @param at     the node of the main graph that has all of this inside
  /// @param around where the node itself is, its own name last
  void list_bodies(const onnx_constants& outer, const onnx_node& node, std::size_t at,
                   const onnx_inside& around) {
    for (const onnx_attribute& attribute : node.attributes) {
      for (const onnx_body& body : attribute.bodies) {
        const onnx_constants constants(body, outer);
        const onnx_inside inside{around.path + attribute.name + "/", around.reason};
        for (std::size_t i = 0; i < body.nodes.size(); ++i) {
          list(constants, body.nodes[i], at, inside);
          list_bodies(constants, body.nodes[i], at,
                      {inside.path + label(body.nodes[i], i) + "/", inside.reason});
        }
        list_outputs(constants, body, node, at, inside);
      }
    }
  }

  /// The constants that a body gives to the graph around it.
  void list_outputs(const onnx_constants& constants, const onnx_body& body, const onnx_node& node,
                    std::size_t at, const onnx_inside& inside) {
    for (const std::string& output : body.outputs) {
      if (!constants.holds(output)) continue;
      const auto from = weights_behind(constants, output);
      if (from.empty()) continue;
      layer found;
      found.class_name = found.op_type = node.op_type;
      add_left_alone(std::move(found), from, true, at, inside, output);
    }
  }

  void list_function(const onnx_function& function) {
    const onnx_constants constants(function);
    const onnx_inside inside{function.name + "/", "it is inside the function \"" + function.name +
                                                      "\", and only the main graph is quantized: inline "
                                                      "functions first, with onnx.inliner"};
    for (std::size_t i = 0; i < function.nodes.size(); ++i) {
      list(constants, function.nodes[i], 0, inside);
      list_bodies(constants, function.nodes[i], 0,
                  {inside.path + label(function.nodes[i], i) + "/", inside.reason});
    }
  }

  /// @param weight its shape, if it is known
  std::string class_of(const onnx_node& node, const onnx_operator& kind, const onnx_dims* weight) const {
    std::string name(kind.class_name);
    std::optional<std::size_t> rank;
    switch (kind.dimensions) {
      case onnx_operator::rank_of::nothing:
        return name;
      case onnx_operator::rank_of::kernel:
        rank = node.integers("kernel_shape").size() + 2;
        break;
      case onnx_operator::rank_of::weight:
        if (weight != nullptr) rank = weight->size();
        break;
      case onnx_operator::rank_of::input:
        break;
    }
    if (!rank) rank = declared_.rank_of(node.input(0));
    if (rank && *rank >= 3 && *rank <= 5) name += std::to_string(*rank - 2) + "d";
    if (name == "BatchNorm" && rank == 2) name += "1d";
    return name;
  }

  const onnx_graph* graph_;
  const onnx_links* links_;
  onnx_declarations declared_;
  onnx_constants constants_;
  onnx_tracer tracer_;
  onnx_layers made_;
  name_map<std::size_t> weights_;  // that have names -> the first layers that use them
  std::unordered_multimap<std::size_t, std::size_t> other_uses_;  // hash -> the other layers that do
  std::vector<onnx_place> places_;                                // one for each layer
  std::unordered_set<std::string> names_;                         // of what is inside nodes and functions
};

}  // namespace detail

/// The layers of a model, in topological order of their first calls. Names are unique.
///
/// @return wrong_rank (a weight that its operator cannot take), invalid_value (a Transpose that does not
///         fit): the message names file, node and tensor
inline result<onnx_layers> layers_of(const onnx_model& model) {
  const auto links = links_of(model.graph);
  if (!links) return links.error().in(absolute_path(model.file));
  auto made = detail::onnx_layer_builder(model.graph, *links).build(model.functions);
  if (!made) return made.error().in(absolute_path(model.file));
  if (!model.functions.empty())
    made->notes.push_back("the model's " + std::to_string(model.functions.size()) +
                          " functions are left as they are");
  return made;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_LAYERS_HPP
