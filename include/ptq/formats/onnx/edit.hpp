// SPDX-License-Identifier: Apache-2.0
/// @file edit.hpp What changes in a graph when a plan is carried out: DequantizeLinear behind weights, a pair
/// of QuantizeLinear and DequantizeLinear in front of activations.
#ifndef PTQ_FORMATS_ONNX_EDIT_HPP
#define PTQ_FORMATS_ONNX_EDIT_HPP

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "ptq/backend/recipe.hpp"
#include "ptq/error.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats/onnx/build.hpp"
#include "ptq/formats/onnx/code_names.hpp"
#include "ptq/formats/onnx/code_types.hpp"
#include "ptq/formats/onnx/constants.hpp"
#include "ptq/formats/onnx/fusions.hpp"
#include "ptq/formats/onnx/layers.hpp"
#include "ptq/formats/onnx/links.hpp"
#include "ptq/formats/onnx/model.hpp"
#include "ptq/formats/onnx/opset.hpp"
#include "ptq/formats/onnx/tensor.hpp"
#include "ptq/formats/onnx/text.hpp"
#include "ptq/formats/onnx/trace.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/numeric/element_type.hpp"
#include "ptq/policies.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// A weight whose codes are to come from the layer `layer`: or the values of its codes, as floats.
struct onnx_coded_weight {
  std::size_t layer = 0;
  const onnx_tensor* source = nullptr;
  element_type type = element_type::unknown;
  granularity grain;
  std::string quantized;  ///< names of tensors
  std::string scale;
  std::string arrives_as;  ///< what its users see
  bool is_float = false;   ///< `quantized` has values then, of `type`, and there is no scale

  std::vector<std::size_t> scale_dims() const {
    if (!grain.is_per_channel()) return {};
    return {source->dims[grain.axis]};
  }
  std::uint64_t code_bytes() const { return (source->size() * bits_of(type) + 7) / 8; }
  std::size_t scale_count() const {
    if (is_float) return 0;
    return grain.is_per_channel() ? source->dims[grain.axis] : 1;
  }
};

/// Everything that is not as it was. Nodes and constants are those of the graph.
struct onnx_edits {
  std::map<std::size_t, std::vector<std::string>> inserted;  ///< GraphProto.node fields, before a node
  std::map<std::size_t, std::string> outputs;                ///< node -> other name of its first output
  std::map<std::size_t, std::map<std::size_t, std::string>> renamed;  ///< node -> slot -> tensor
  std::map<std::size_t, onnx_text> moved;            ///< GraphProto.node fields, in place of a node
  std::map<std::size_t, onnx_text> moved_functions;  ///< ModelProto.functions fields, likewise
  std::set<std::size_t> dropped_nodes;
  std::set<std::string_view> dropped_constants;
  std::vector<onnx_coded_weight> weights;
  std::map<std::string_view, std::size_t> replaced;  ///< initializer -> the weight that takes its place
  std::vector<std::string> initializers;  ///< GraphProto.initializer fields: zeros, scales of activations
  std::int64_t opset = 0;                 ///< of the standard operators; 0: as it is
  std::int64_t ir_version = 0;            ///< likewise
  std::vector<std::string> notes;

  bool empty() const noexcept { return renamed.empty() && weights.empty(); }
};

class onnx_editor {
 public:
  /// @param types of the dtypes of the plan
  onnx_editor(const onnx_model& model, const onnx_links& links, const onnx_layers& layers,
              const onnx_code_types& types)
      : types_(&types),
        model_(&model),
        graph_(&model.graph),
        links_(&links),
        layers_(&layers),
        constants_(model.graph, links),
        tracer_(model.graph, links) {
    for (const onnx_layer& source : layers.sources)
      for (const onnx_call& call : source.calls) {
        if (call.carrier) carried_.insert(source.weight);
        activations_.emplace(call.node, call.input);
      }
    for (const onnx_value& input : graph_->inputs) inputs_.insert(input.name);
    for (const auto& [name, link] : links.tensors) names_.emplace(name);
    // Declarations of tensors that are gone are no tensors, but would declare ours.
    for (const auto* list : {&graph_->inputs, &graph_->values})
      for (const onnx_value& value : *list) names_.insert(value.name);
    for (const onnx_tensor& sparse : graph_->sparse_initializers) names_.insert(sparse.name);
    for (const onnx_node& node : graph_->nodes) {
      names_.insert(node.name);
      note_body_names(node);
    }
    for (const onnx_function& function : model.functions) note_function_names(function);
  }

  /// @param input_scales one for each layer; looked at where the plan quantizes its activations
  result<onnx_edits> edit(const plan& planned, std::span<const float> input_scales) {
    needed_ = find_needed_type(*types_, planned);
    if (needed_ != nullptr && model_->opset() < needed_->opset)
      mover_.emplace(*model_, *links_, needed_->opset, std::string(needed_->dtype), names_);
    for (const auto& [node, at, call] : calls_in_order()) {
      const planned_layer& decided = planned.layers[at];
      const onnx_layer& source = layers_->sources[at];
      if (decided.weights.is_quantized()) {
        const auto weight = code_weight(at, decided, node);
        if (!weight) return weight.error();
        const bool is_apart = !decided.activations.is_quantized() &&
                              fuses_with_float_input(graph_->nodes[node], *made_.weights[*weight].source,
                                                     made_.weights[*weight].grain, call->carrier.has_value());
        const std::string arrived = bring(*weight, *call);
        use_instead(node, source.weight_slot, is_apart ? pass_on(node, arrived) : arrived);
      }
      if (decided.activations.is_quantized()) {
        const auto pair = quantize_activation(decided, *call, input_scales[at]);
        if (!pair) return pair.error();
        const element_type codes = find_code_type(*types_, decided.activations.dtype)->type;
        const bool is_apart = moves_behind(graph_->nodes[node], codes, written_opset());
        use_instead(node, call->input, is_apart ? pass_on(node, *pair) : *pair);
        if (is_quantized_otherwise(decided, source, node, input_scales[at])) set_apart(node);
      }
    }
    drop_unused_paths();
    for (const onnx_coded_weight& weight : made_.weights) drop_if_unused(weight);
    if (const auto moved = raise_versions(); !moved) return moved.error();
    return std::move(made_);
  }

 private:
  struct ordered_call {
    std::size_t node;
    std::size_t layer;
    const onnx_call* call;
  };

  std::vector<ordered_call> calls_in_order() const {
    std::vector<ordered_call> calls;
    for (std::size_t i = 0; i < layers_->sources.size(); ++i)
      for (const onnx_call& call : layers_->sources[i].calls) calls.push_back({call.node, i, &call});
    std::sort(calls.begin(), calls.end(), [](const auto& a, const auto& b) { return a.node < b.node; });
    return calls;
  }

  void note_body_names(const onnx_node& node) {
    for (const onnx_attribute& attribute : node.attributes)
      for (const onnx_body& body : attribute.bodies) names_.insert(body.names.begin(), body.names.end());
    for_each_body_node(node, [&](const onnx_node& inner) {
      names_.insert(inner.outputs.begin(), inner.outputs.end());
      for (const onnx_attribute& attribute : inner.attributes)
        for (const onnx_body& body : attribute.bodies) names_.insert(body.names.begin(), body.names.end());
    });
  }

  void note_function_names(const onnx_function& function) {
    names_.insert(function.inputs.begin(), function.inputs.end());
    for (const onnx_node& node : function.nodes) {
      names_.insert(node.name);
      names_.insert(node.outputs.begin(), node.outputs.end());
      note_body_names(node);
    }
  }

  /// Of the graph as it will be.
  std::int64_t written_opset() const {
    return (std::max)(model_->opset(), needed_ != nullptr ? needed_->opset : 0);
  }

  std::string fresh(const std::string& wanted) { return fresh_name(names_, wanted); }

  /// @param reason member that says why it will not do
  result<onnx_code_type> code_type(const std::string& dtype, std::string onnx_code_type::* reason,
                                   const std::string& layer) const {
    const onnx_code_type* const known = find_code_type(*types_, dtype);
    if (known == nullptr || !(known->*reason).empty())
      return error(errc::unsupported, "layer \"" + layer + "\"",
                   known != nullptr ? known->*reason : "ONNX has no type for dtype \"" + dtype + "\".");
    return *known;
  }

  void insert_before(std::size_t node, std::string field) {
    made_.inserted[node].push_back(std::move(field));
  }

  void use_instead(std::size_t node, std::size_t slot, const std::string& name) {
    made_.renamed[node][slot] = name;
    ++released_[graph_->nodes[node].inputs[slot]];
  }

  /// The same tensor as a Sum of one: fusions do not look through it.
  std::string pass_on(std::size_t node, const std::string& name) {
    std::string output = fresh(name + "_passed_on");
    insert_before(node, make_node("Sum", fresh(output + "_Sum"), {name}, output));
    return output;
  }

  /// The same behind a node: whoever uses its output gets the Sum's.
  void set_apart(std::size_t node) {
    const std::string& name = graph_->nodes[node].outputs.front();
    const std::string output = made_.outputs[node] = fresh(name + "_apart");
    insert_before(node + 1, make_node("Sum", fresh(name + "_Sum"), {output}, name));
  }

  /// Whether ONNX Runtime would quantize what stays float in a layer, and not as it is written.
  bool is_quantized_otherwise(const planned_layer& decided, const onnx_layer& source, std::size_t node,
                              float input_scale) {
    const onnx_tensor* const weight = links_->constant(source.weight);
    if (weight == nullptr || !is_quantized_by_neighbours(graph_->nodes[node])) return false;
    if (!decided.weights.is_quantized()) return true;
    const std::string_view name = bias_of(*graph_, *links_, constants_, graph_->nodes[node]);
    if (name.empty() || weight->type != element_type::float32) return false;
    // A bias is rounded to int32 for the kernels of int8 layers. There are none for others.
    if (decided.weights.dtype != "int8" || decided.activations.dtype != "int8") return true;
    const onnx_tensor* const bias = tracer_.trace(name).tensor;
    if (bias == nullptr || bias->type != element_type::float32) return true;  // whatever is computed from it
    return is_lost_in_int32(*bias, *weight, decided.weights.grain.value_or(per_tensor()),
                            std::bit_cast<std::uint32_t>(input_scale));
  }

  /// The index of the coded form of a layer's weight; the same weight with the same decision is coded once.
  result<std::size_t> code_weight(std::size_t layer, const planned_layer& decided, std::size_t node) {
    const std::string& constant = layers_->sources[layer].weight;
    const granularity grain = decided.weights.grain.value_or(per_tensor());
    const auto [found, is_new] = coded_.try_emplace(
        {constant, decided.weights.dtype, grain.is_per_channel(), grain.axis}, made_.weights.size());
    if (!is_new) return found->second;
    const auto codes = code_type(decided.weights.dtype, &onnx_code_type::weights_reason, decided.name);
    if (!codes) return codes.error();
    onnx_coded_weight weight;
    weight.layer = layer;
    weight.source = links_->constant(constant);
    weight.type = codes->type;
    weight.grain = grain;
    if (grain.is_per_channel() && grain.axis >= weight.source->dims.size())
      return error(errc::axis_out_of_range, "layer \"" + decided.name + "\"",
                   "quant_axis is " + std::to_string(grain.axis) + ", but the weight is " +
                       weight.source->type_text() + ".");
    weight.quantized = fresh(codes_name(constant));
    weight.scale = fresh(scale_name(constant));
    weight.arrives_as = fresh(constant + "_dequantized");
    std::vector<std::string> inputs{weight.quantized, weight.scale};
    if (has_zero_point(weight)) inputs.push_back(zero_point(*codes, weight.scale_dims()));
    insert_before(node, make_node("DequantizeLinear", fresh(constant + "_DequantizeLinear"), inputs,
                                  weight.arrives_as, axis_attribute(weight)));
    if (weight.source->type != element_type::float32)
      weight.arrives_as = cast(node, weight.arrives_as, weight.source->type);
    made_.weights.push_back(std::move(weight));
    return made_.weights.size() - 1;
  }

  /// Counted from the end where it is the last: `fuses_with_float_input`.
  static onnx_integer axis_attribute(const onnx_coded_weight& weight) {
    if (!weight.grain.is_per_channel()) return {};
    const bool is_last = weight.grain.axis + 1 == weight.source->dims.size();
    return {"axis", is_last ? -1 : static_cast<std::int64_t>(weight.grain.axis)};
  }

  /// Whether the DequantizeLinear of a weight names a zero point. Where nodes bring the weight to some layer,
  /// ONNX Runtime moves DequantizeLinear behind those, by a QuantizeLinear that takes the type of its codes
  /// from the zero point, if there is one. Where it has one scale and a Cast follows, ONNX Runtime may add a
  /// zero point, and then refuse the node.
  bool has_zero_point(const onnx_coded_weight& weight) const {
    return carried_.contains(weight.source->name) ||
           (weight.source->type != element_type::float32 && !weight.grain.is_per_channel());
  }

  std::string cast(std::size_t node, const std::string& name, element_type type) {
    const std::string output = fresh(name + "_" + name_of(type));
    insert_before(node,
                  make_node("Cast", fresh(output + "_Cast"), {name}, output, {"to", onnx_number(type)}));
    return output;
  }

  /// The name under which a coded weight reaches a call: its path is walked by copies of the nodes on it.
  std::string bring(std::size_t weight, const onnx_call& call) {
    std::vector<std::size_t> lacking;  // steps that are not copied yet, the call's end first
    std::optional<std::size_t> step = call.carrier;
    while (step && !copies_.contains({weight, *step})) {
      lacking.push_back(*step);
      step = step_before(*graph_, *links_, *step);
    }
    std::string name = step ? copies_[{weight, *step}] : made_.weights[weight].arrives_as;
    for (auto at = lacking.rbegin(); at != lacking.rend(); ++at) {
      const onnx_node& node = graph_->nodes[*at];
      const std::string copy = fresh(node.outputs.front() + "_dequantized");
      insert_before(call.node, copy_node(node, name, copy));
      copies_.emplace(std::pair(weight, *at), copy);
      name = copy;
    }
    paths_.insert(lacking.begin(), lacking.end());
    return name;
  }

  /// A node of a weight's path with another input and output, in the form that the written graph needs.
  std::string copy_node(const onnx_node& node, const std::string& input, const std::string& output) {
    const std::string name = fresh(output + "_" + node.op_type);
    if (mover_) {
      onnx_node copy = node;
      copy.name = name;
      copy.inputs.front() = input;
      copy.outputs = {output};
      if (const auto moved = mover_->move(copy)) return moved->str();
    }
    return rename_node(node.source, {{0, input}}, output, name);
  }

  /// The dequantized form of a call's input.
  result<std::string> quantize_activation(const planned_layer& decided, const onnx_call& call, float scale) {
    const std::string& tensor = graph_->nodes[call.node].inputs[call.input];
    const element_type type = call.type;
    if (!is_float(type))  // a plan of `match` leaves it as it is
      return error(errc::unsupported, "layer \"" + decided.name + "\"",
                   "its input \"" + tensor +
                       "\" does not hold floats, as far as the file tells. Give the plan "
                       "that `match` makes of these layers.");
    const auto codes =
        code_type(decided.activations.dtype, &onnx_code_type::activations_reason, decided.name);
    if (!codes) return codes.error();
    if (!(scale > 0) || scale > 3.4e38F)
      return error(errc::invalid_value, "layer \"" + decided.name + "\"",
                   "the scale of its input must be a positive number. Calibrate first.");
    std::string& pair = pairs_[{tensor, codes->type, std::bit_cast<std::uint32_t>(scale)}];
    if (!pair.empty()) return pair;
    quantized_.insert(tensor);
    const std::string stored_scale = fresh(scale_name(tensor));
    std::string bytes(sizeof scale, '\0');
    std::memcpy(bytes.data(), &scale, sizeof scale);
    made_.initializers.push_back(make_initializer(stored_scale, element_type::float32, {}, bytes));
    const std::string source =
        type == element_type::float32 ? tensor : cast(call.node, tensor, element_type::float32);
    const std::string quantized = fresh(codes_name(tensor));
    pair = fresh(tensor + "_dequantized");
    insert_before(call.node, quantize_node(*codes, tensor, {source, stored_scale}, quantized));
    insert_before(call.node, make_node("DequantizeLinear", fresh(tensor + "_DequantizeLinear"),
                                       {quantized, stored_scale, zero_point(*codes)}, pair));
    if (type != element_type::float32) pair = cast(call.node, pair, type);
    return pair;
  }

  /// Integer codes get their type from a zero point. fp8 codes get it from an attribute: ONNX Runtime 1.32
  /// takes any zero point but an integer one for the least value of its type, and drops a Relu in front of
  /// it.
  std::string quantize_node(const onnx_code_type& codes, const std::string& tensor,
                            std::vector<std::string> inputs, const std::string& output) {
    onnx_integer type;
    if (codes.type == element_type::int8)
      inputs.push_back(zero_point(codes));
    else
      type = {"output_dtype", onnx_number(codes.type)};
    return make_node("QuantizeLinear", fresh(tensor + "_QuantizeLinear"), inputs, output, type);
  }

  /// All of a type and size share one.
  std::string zero_point(const onnx_code_type& codes, const std::vector<std::size_t>& dims = {}) {
    const std::size_t size = dims.empty() ? 1 : dims.front();
    std::string& name = zeros_[{codes.type, dims}];
    if (name.empty()) {
      name = fresh(std::string(codes.dtype) + "_zero_point");
      made_.initializers.push_back(
          make_initializer(name, codes.type, dims, std::string((size * bits_of(codes.type) + 7) / 8, '\0')));
    }
    return name;
  }

  bool is_used(std::string_view name) const {
    if (links_->is_output(name) || quantized_.contains(name)) return true;
    const std::size_t uses = links_->uses(name).size();
    const auto released = released_.find(name);
    return uses > (released == released_.end() ? 0 : released->second);
  }

  /// Drops the nodes that brought weights to their users, as far as nobody uses them any more.
  void drop_unused_paths() {
    for (auto step = paths_.rbegin(); step != paths_.rend(); ++step) {
      const onnx_node& node = graph_->nodes[*step];
      if (is_used(node.outputs.front()) || !made_.dropped_nodes.insert(*step).second) continue;
      ++released_[node.inputs.front()];
    }
  }

  /// Drops the float form of a weight if nobody uses it.
  void drop_if_unused(const onnx_coded_weight& weight) {
    const std::string_view name = weight.source->name;
    if (!is_used(name)) {
      if (!made_.dropped_constants.insert(name).second) return;
      if (const auto maker = links_->maker(name)) made_.dropped_nodes.insert(*maker);
      if (inputs_.contains(name))
        made_.notes.push_back("graph input \"" + std::string(name) +
                              "\" was a weight that callers could replace: it is fixed now");
    } else if (kept_.insert(name).second) {
      made_.notes.push_back("\"" + std::string(name) +
                            "\" is quantized and kept as a float tensor too, for " + remaining_user(name));
    }
  }

  /// What the float form of a weight is kept for. Nodes that only bring it to others are looked through.
  std::string remaining_user(std::string_view name) const {
    for (;;) {
      if (links_->is_output(name)) return "graph output \"" + std::string(name) + "\"";
      std::string reader;
      const onnx_node* bringing = nullptr;
      for (const onnx_use& use : links_->uses(name)) {
        if (made_.dropped_nodes.contains(use.node)) continue;
        const auto renamed = made_.renamed.find(use.node);
        const bool is_renamed = renamed != made_.renamed.end() && renamed->second.contains(use.slot);
        if (!is_renamed && !paths_.contains(use.node)) return node_text(*graph_, use.node);
        if (!is_renamed) {
          bringing = &graph_->nodes[use.node];
          break;
        }
        if (activations_.contains({use.node, use.slot}))
          reader = node_text(*graph_, use.node) + ", whose quantized input it is";
      }
      if (bringing == nullptr) return reader;
      name = bringing->outputs.front();
    }
  }

  /// Both only as far as the written types need it.
  result<void> raise_versions() {
    if (needed_ == nullptr || made_.empty()) return {};
    const std::string reason(needed_->dtype);
    if (mover_) {
      const std::size_t count = move_nodes();
      if (const auto moved = mover_->outcome(); !moved) return moved;
      made_.opset = needed_->opset;
      made_.notes.push_back("operator set " + std::to_string(model_->opset()) + " is now " +
                            std::to_string(needed_->opset) + ", which " + reason + " needs; " +
                            (count == 0   ? "no operator of this graph has changed in between"
                             : count == 1 ? "1 node was rewritten"
                                          : std::to_string(count) + " nodes were rewritten"));
    }
    if (model_->ir_version < needed_->ir_version) {
      made_.ir_version = needed_->ir_version;
      made_.notes.push_back("IR version " + std::to_string(model_->ir_version) + " is now " +
                            std::to_string(needed_->ir_version) + ", which " + reason + " needs");
    }
    return {};
  }

  /// What stays of the graph and its functions, in the form of the new operator set. The number of nodes that
  /// have another form than before.
  std::size_t move_nodes() {
    const std::size_t copies = mover_->count();
    for (std::size_t i = 0; i < graph_->nodes.size(); ++i) {
      if (made_.dropped_nodes.contains(i)) continue;
      const auto renamed = made_.renamed.find(i);
      std::optional<onnx_text> moved;
      if (renamed == made_.renamed.end()) {
        moved = mover_->move(graph_->nodes[i]);
      } else {
        onnx_node node = graph_->nodes[i];
        for (const auto& [slot, name] : renamed->second) node.inputs[slot] = name;
        if (const auto output = made_.outputs.find(i); output != made_.outputs.end())
          node.outputs.front() = output->second;
        moved = mover_->move(node);
      }
      if (moved) made_.moved.emplace(i, *std::move(moved));
    }
    for (std::size_t i = 0; i < model_->functions.size(); ++i)
      if (auto moved = mover_->move(model_->functions[i]))
        made_.moved_functions.emplace(i, *std::move(moved));
    return mover_->count() - copies;
  }

  const onnx_code_types* types_;
  const onnx_model* model_;
  const onnx_graph* graph_;
  const onnx_links* links_;
  const onnx_layers* layers_;
  onnx_constants constants_;
  onnx_tracer tracer_;
  std::set<std::string_view> carried_;                         // constants that nodes bring to some layer
  std::set<std::pair<std::size_t, std::size_t>> activations_;  // node and slot, of all layers
  std::set<std::string_view> inputs_;                          // of the graph
  onnx_edits made_;
  const onnx_code_type* needed_ = nullptr;            // the one with the highest versions
  std::optional<onnx_mover> mover_;                   // if its operator set is newer than the model's
  std::set<std::string> names_;                       // taken, of tensors and nodes
  std::map<std::string_view, std::size_t> released_;  // tensor -> uses that are gone
  std::set<std::size_t> paths_;                       // nodes that brought weights
  std::set<std::string_view> kept_;
  std::set<std::string_view> quantized_;  // activations: each is read by a QuantizeLinear
  std::map<std::tuple<std::string, std::string, bool, std::size_t>, std::size_t> coded_;
  std::map<std::pair<std::size_t, std::size_t>, std::string> copies_;  // weight, node -> output
  std::map<std::tuple<std::string, element_type, std::uint32_t>, std::string> pairs_;
  std::map<std::pair<element_type, std::vector<std::size_t>>, std::string> zeros_;
};

}  // namespace detail

/// Whether a graph can be moved to the operator set that the dtypes of a plan need. The writer does so; this
/// says beforehand, without touching a weight, that it will not.
///
/// @return unsupported: the message names the node, why it cannot be moved, and what to do
template <class Policies = builtin>
result<void> check_opset(const onnx_model& model, const plan& planned) {
  const onnx_code_types types = onnx_code_types_of<Policies>();
  const onnx_code_type* const needed = detail::find_needed_type(types, planned);
  if (needed == nullptr || model.opset() >= needed->opset) return {};
  const std::string where = absolute_path(model.file);
  const auto links = links_of(model.graph);
  if (!links) return links.error().in(where);
  std::set<std::string> names;
  detail::onnx_mover mover(model, *links, needed->opset, std::string(needed->dtype), names);
  const auto goes = mover.check();
  return goes ? result<void>() : goes.error().in(where);
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_EDIT_HPP
