// SPDX-License-Identifier: Apache-2.0
/// @file layers.hpp The layers that the nodes of an ONNX graph make: what rules are matched with.
#ifndef PTQ_IO_ONNX_LAYERS_HPP
#define PTQ_IO_ONNX_LAYERS_HPP

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/io/onnx/infer.hpp"
#include "ptq/io/onnx/links.hpp"
#include "ptq/io/onnx/model.hpp"
#include "ptq/io/onnx/names.hpp"
#include "ptq/io/onnx/operators.hpp"
#include "ptq/io/onnx/tensor.hpp"
#include "ptq/io/onnx/trace.hpp"
#include "ptq/io/path.hpp"
#include "ptq/model/layer.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

/// A node that computes a layer. Its input 0 is the layer's activation.
struct onnx_call {
  std::size_t node = 0;
  std::vector<std::size_t>
      path;  ///< nodes between the constant and the weight's slot, the constant's end first
  onnx_type type = onnx_type::undefined;  ///< of the activation; undefined where nothing says it
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
      : graph_(&graph), links_(&links), declared_(graph, links) {}

  result<onnx_layers> build() {
    for (std::size_t i = 0; i < graph_->nodes.size(); ++i) {
      note_bodies(i);
      if (const onnx_operator* const kind = find_operator(graph_->nodes[i])) {
        if (const auto added = add(i, *kind); !added) return added.error();
      }
    }
    std::vector<onnx_place> places;
    for (const onnx_layer& source : made_.sources) {
      onnx_place& place = places.emplace_back(onnx_place{source.weight, {}});
      for (const onnx_call& call : source.calls) place.nodes.push_back(call.node);
    }
    onnx_namer(*graph_, *links_).name(made_.layers, places);
    return std::move(made_);
  }

 private:
  void note_bodies(std::size_t node) {
    std::size_t inner = 0;
    for_each_body_node(graph_->nodes[node], [&](const onnx_node&) { ++inner; });
    if (inner > 0)
      made_.notes.push_back(node_text(*graph_, node) + ": its bodies (" + std::to_string(inner) +
                            (inner == 1 ? " node" : " nodes") + ") are left as they are");
  }

  result<void> add(std::size_t at, const onnx_operator& kind) {
    const onnx_node& node = graph_->nodes[at];
    traced_constant weight;
    if (kind.slot != onnx_operator::no_slot) weight = trace(*graph_, *links_, node.input(kind.slot));
    if (node.input(0).empty()) return {};
    if (kind.needs_constant && weight.tensor == nullptr) return {};
    if (node.op_type == "Gather" && (weight.tensor->dims.size() != 2 || !element_of(weight.tensor->type)))
      return {};  // an index into a shape or a list
    if (const auto fits = check_rank(at, weight); !fits) return fits.error();
    const auto axis = output_axis(at, weight);
    if (!axis) return axis.error();

    layer found;
    found.class_name = class_of(node, kind, weight);
    found.op_type = node.op_type;
    if (weight.tensor != nullptr) found.weight = weight.tensor->view();
    found.output_axis = *axis;
    const std::string constant = weight.tensor != nullptr ? weight.tensor->name : std::string();
    const onnx_type type = takes_the_type_of_its_weight(node.op_type) && weight.tensor != nullptr
                               ? weight.type
                               : declared_.type_of(node.input(0));
    const onnx_call call{at, std::move(weight.path), type};
    for (std::size_t i = 0; i < made_.layers.size(); ++i) {
      const layer& known = made_.layers[i];
      if (!constant.empty() && made_.sources[i].weight == constant && known.op_type == found.op_type &&
          known.output_axis == found.output_axis) {
        made_.sources[i].calls.push_back(call);
        return {};
      }
    }
    made_.layers.push_back(std::move(found));
    made_.sources.push_back({constant, kind.slot, {call}});
    return {};
  }

  static bool takes_the_type_of_its_weight(std::string_view op_type) noexcept {
    return op_type == "Conv" || op_type == "ConvTranspose" || op_type == "Gemm" || op_type == "MatMul";
  }

  result<void> check_rank(std::size_t at, const traced_constant& weight) const {
    if (weight.tensor == nullptr) return {};
    const std::string& op_type = graph_->nodes[at].op_type;
    const std::size_t rank = weight.tensor->dims.size();
    const bool is_conv = op_type == "Conv" || op_type == "ConvTranspose";
    if ((is_conv && rank >= 3) || (op_type == "Gemm" && rank == 2) || (op_type == "MatMul" && rank >= 1))
      return {};
    if (!takes_the_type_of_its_weight(op_type)) return {};
    return error(errc::wrong_rank, node_text(*graph_, at),
                 "its weight \"" + weight.tensor->name + "\" is " + weight.tensor->type_text() + ", but " +
                     op_type + " takes rank " +
                     (is_conv             ? "3 or more."
                      : op_type == "Gemm" ? "2."
                                          : "1 or more."));
  }

  /// The axis of output channels in the constant's own layout.
  result<std::optional<std::size_t>> output_axis(std::size_t at, const traced_constant& weight) const {
    const onnx_node& node = graph_->nodes[at];
    if (weight.tensor == nullptr || !takes_the_type_of_its_weight(node.op_type))
      return std::optional<std::size_t>();
    const std::size_t rank = weight.tensor->dims.size();
    std::size_t axis = 0;
    if (node.op_type == "ConvTranspose" || (node.op_type == "Gemm" && node.integer("transB", 0) == 0))
      axis = 1;
    if (node.op_type == "MatMul") axis = rank - 1;
    for (auto step = weight.path.rbegin(); step != weight.path.rend(); ++step) {
      const onnx_node& passed = graph_->nodes[*step];
      if (passed.op_type != "Transpose") continue;
      const auto order = passed.integers("perm");
      const auto from = order.empty()         ? rank - 1 - axis
                        : axis < order.size() ? static_cast<std::size_t>(order[axis])
                                              : rank;
      if (from >= rank || (!order.empty() && order.size() != rank))
        return error(errc::invalid_value, node_text(*graph_, *step),
                     "its perm does not fit \"" + weight.tensor->name + "\", which is " +
                         weight.tensor->type_text() + ".");
      axis = from;
    }
    return std::optional<std::size_t>(axis);
  }

  std::string class_of(const onnx_node& node, const onnx_operator& kind,
                       const traced_constant& weight) const {
    std::string name(kind.class_name);
    std::optional<std::size_t> rank;
    switch (kind.dimensions) {
      case onnx_operator::rank_of::nothing:
        return name;
      case onnx_operator::rank_of::kernel:
        rank = node.integers("kernel_shape").size() + 2;
        break;
      case onnx_operator::rank_of::weight:
        if (weight.tensor != nullptr) rank = weight.tensor->dims.size();
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
  onnx_layers made_;
};

}  // namespace detail

/// The layers of a model, in topological order of their first calls. Names are unique.
///
/// @return wrong_rank (a weight that its operator cannot take), invalid_value (a Transpose that does not
/// fit):
///         the message names file, node and tensor
inline result<onnx_layers> layers_of(const onnx_model& model) {
  const auto links = links_of(model.graph);
  if (!links) return links.error().in(absolute_path(model.file));
  auto made = detail::onnx_layer_builder(model.graph, *links).build();
  if (!made) return made.error().in(absolute_path(model.file));
  if (!model.functions.empty())
    made->notes.push_back("the model's " + std::to_string(model.functions.size()) +
                          " functions are left as they are");
  return made;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_IO_ONNX_LAYERS_HPP
