// SPDX-License-Identifier: Apache-2.0
/// @file floats.hpp Models with the values of codes in place of weights, so that any engine for float models
/// shows what quantizing the weights costs. The rounding of activations is not in them.
#ifndef PTQ_FORMATS_ONNX_FLOATS_HPP
#define PTQ_FORMATS_ONNX_FLOATS_HPP

#include <algorithm>
#include <cstddef>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/backend/recipe.hpp"
#include "ptq/detail/platform.hpp"
#include "ptq/error.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats/onnx/code_names.hpp"
#include "ptq/formats/onnx/code_types.hpp"
#include "ptq/formats/onnx/edit.hpp"
#include "ptq/formats/onnx/layers.hpp"
#include "ptq/formats/onnx/links.hpp"
#include "ptq/formats/onnx/model.hpp"
#include "ptq/formats/onnx/rounding.hpp"
#include "ptq/formats/onnx/writer.hpp"
#include "ptq/formats/pending_artifact.hpp"
#include "ptq/model/activation_range.hpp"
#include "ptq/model/apply.hpp"
#include "ptq/model/dtype_row.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/model/quantized_view.hpp"
#include "ptq/numeric/element_type.hpp"
#include "ptq/policies.hpp"
#include "ptq/quantize/pack.hpp"
#include "ptq/result.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1 {
namespace detail {

inline constexpr const char* activations_stay_note =
    "the rounding of activations is not in the float form: it has the weights alone";

/// Each weight that the plan quantizes, replaced under its own name.
///
/// @return unsupported: layers share a weight, and the plan quantizes it in several ways
inline result<onnx_edits> float_edits_of(const onnx_links& links, const onnx_layers& layers,
                                         const plan& planned) {
  struct decided_weight {
    const planned_layer* layer;
    granularity grain;
  };
  onnx_edits made;
  std::map<std::string_view, decided_weight> decisions;
  for (std::size_t i = 0; i < layers.sources.size(); ++i) {
    const planned_layer& layer = planned.layers[i];
    if (!layer.weights.is_quantized()) continue;
    const granularity grain = layer.weights.grain.value_or(per_tensor());
    const onnx_tensor* const source = links.constant(layers.sources[i].weight);
    const auto [known, is_new] = decisions.try_emplace(source->name, decided_weight{&layer, grain});
    if (!is_new) {
      const decided_weight& first = known->second;
      if (first.layer->weights.dtype == layer.weights.dtype && first.grain == grain) continue;
      return error(
          errc::unsupported, "layer \"" + layer.name + "\"",
          "it shares its weight with layer \"" + first.layer->name +
              "\", which quantizes it in another way: as floats there is room for one. Give both the "
              "same rule, or write the form \"onnx\".");
    }
    onnx_coded_weight weight;
    weight.layer = i;
    weight.source = source;
    weight.type = source->type;
    weight.grain = grain;
    weight.quantized = source->name;
    weight.is_float = true;
    if (const auto maker = links.maker(source->name))
      made.dropped_nodes.insert(*maker);
    else
      made.replaced.emplace(source->name, made.weights.size());
    made.weights.push_back(std::move(weight));
  }
  if (planned.quantizes_activations()) made.notes.emplace_back(activations_stay_note);
  return made;
}

/// Takes out of an artifact what edit.hpp put in, as far as nobody else needs it: weights are floats again.
class onnx_folder {
 public:
  onnx_folder(const onnx_model& model, const onnx_links& links) : graph_(&model.graph), links_(&links) {
    for (const auto& [name, link] : links.tensors) taken_.emplace(name);
  }

  onnx_edits fold(const onnx_roundings& found) {
    for (const onnx_coded_constant& constant : found.constants) fold(constant);
    for (const onnx_rounded_tensor& tensor : found.tensors) fold(tensor);
    drop_encoders();
    rename_users();
    drop_constants();
    if (!found.tensors.empty()) made_.notes.emplace_back(activations_stay_note);
    return std::move(made_);
  }

 private:
  bool can_be_renamed(std::string_view name) const {
    const auto uses = links_->uses(name);
    return !links_->is_output(name) &&
           std::ranges::none_of(uses, [](const onnx_use& use) { return use.slot == onnx_use::in_body; });
  }

  /// A weight gets the name that it had, where that is free and all who use it can be told.
  void fold(const onnx_coded_constant& constant) {
    std::string name(tensor_of_codes(constant.codes->name));
    if (!can_be_renamed(constant.name) || !taken_.insert(name).second)
      name = constant.name;
    else
      renamed_.emplace(constant.name, name);
    made_.dropped_nodes.insert(*links_->maker(constant.name));
    onnx_coded_weight weight;
    weight.source = constant.codes;
    weight.type = element_type::float32;
    weight.grain = constant.grain;
    weight.quantized = std::move(name);
    weight.is_float = true;
    made_.weights.push_back(std::move(weight));
  }

  void fold(const onnx_rounded_tensor& tensor) {
    if (!can_be_renamed(tensor.rounded)) return;
    renamed_.emplace(tensor.rounded, tensor.source);
    const std::size_t decoder = *links_->maker(tensor.rounded);
    made_.dropped_nodes.insert(decoder);
    encoders_.insert(*links_->maker(graph_->nodes[decoder].inputs.front()));
  }

  bool is_used(std::string_view name) const {
    const auto uses = links_->uses(name);
    return links_->is_output(name) || std::ranges::any_of(uses, [&](const onnx_use& use) {
             return !made_.dropped_nodes.contains(use.node);
           });
  }

  void drop_encoders() {
    for (const std::size_t node : encoders_)
      if (!is_used(graph_->nodes[node].outputs.front())) made_.dropped_nodes.insert(node);
  }

  void rename_users() {
    for (const auto& [name, first] : renamed_) {
      std::string_view now = first;
      for (auto next = renamed_.find(now); next != renamed_.end(); next = renamed_.find(now))
        now = next->second;
      for (const onnx_use& use : links_->uses(name))
        if (!made_.dropped_nodes.contains(use.node)) made_.renamed[use.node][use.slot] = now;
    }
  }

  /// Codes, scales and zero points.
  void drop_constants() {
    const std::set<std::size_t> nodes = made_.dropped_nodes;
    for (const std::size_t node : nodes)
      for (const std::string& name : graph_->nodes[node].inputs) {
        const onnx_tensor* const constant = links_->constant(name);
        if (constant == nullptr || is_used(name)) continue;
        made_.dropped_constants.insert(constant->name);
        if (const auto maker = links_->maker(name)) made_.dropped_nodes.insert(*maker);
      }
  }

  const onnx_graph* graph_;
  const onnx_links* links_;
  std::set<std::string, std::less<>> taken_;
  std::map<std::string, std::string, std::less<>> renamed_;
  std::set<std::size_t> encoders_;
  onnx_edits made_;
};

}  // namespace detail

/// Whether `write_onnx_floats` will refuse, found out before any work.
inline result<void> check_onnx_floats(const onnx_model& model, const onnx_layers& layers,
                                      const plan& planned) {
  const std::string where = absolute_path(model.file);
  const auto links = links_of(model.graph);
  if (!links) return links.error().in(where);
  const auto edits = detail::float_edits_of(*links, layers, planned);
  return edits ? result<void>() : edits.error().in(where);
}

inline namespace PTQ_BUILD {

/// Writes a model whose weights have the values of their codes, in their own element types and under their
/// own names. Everything else stays byte for byte. It does not appear yet: call `commit` on what is returned.
///
/// @param layers, planned, on_layer, inputs as for `write_onnx`
/// @return what `write_onnx` returns; unsupported: layers share a weight that the plan quantizes in several
///   ways
template <class Policies = builtin, layer_sink OnLayer>
result<pending_artifact> write_onnx_floats(const std::string& path, const onnx_model& model,
                                           const onnx_layers& layers, const plan& planned, OnLayer&& on_layer,
                                           std::span<const activation_range> inputs = {}) {
  const std::string where = absolute_path(model.file);
  const auto quantizers = detail::quantizers_for<Policies>(planned, layers.layers);
  if (!quantizers) return quantizers.error();
  if (auto complete = detail::check_ranges(planned, inputs); !complete) return complete.error();
  const auto links = links_of(model.graph);
  if (!links) return links.error().in(where);
  auto edits = detail::float_edits_of(*links, layers, detail::with_granularities(planned, *quantizers));
  if (!edits) return edits.error().in(where);
  std::vector<std::string> names;
  for (const detail::onnx_coded_weight& weight : edits->weights)
    names.push_back(layers.layers[weight.layer].name);
  auto writer = onnx_writer::create(path, model, *std::move(edits), names);
  if (!writer) return writer.error();
  return detail::store_onnx(*writer, model, layers, planned, *quantizers, on_layer, inputs);
}

/// The same of an artifact: DequantizeLinear behind weights and the pairs in front of activations are taken
/// out. Versions that were raised stay so.
///
/// @return wrong_format: it has no weights as codes, or rounds tensors in other ways
template <class Policies = builtin>
result<pending_artifact> convert_onnx_to_floats(const std::string& path, const onnx_model& model) {
  const std::string where = absolute_path(model.file);
  const auto links = links_of(model.graph);
  if (!links) return links.error().in(where);
  const auto found = roundings_of(model.graph, *links, onnx_code_types_of<Policies>());
  if (!found) return found.error().in(where);
  if (found->constants.empty())
    return error(errc::wrong_format, where,
                 "there are no weights as codes in it: it is no artifact of ptq, or its weights are floats "
                 "already. Make one with `ptq quantize`.");
  detail::onnx_edits edits = detail::onnx_folder(model, *links).fold(*found);
  std::vector<std::string> names;
  for (const detail::onnx_coded_weight& weight : edits.weights) names.push_back(weight.quantized);
  auto writer = onnx_writer::create(path, model, std::move(edits), names);
  if (!writer) return writer.error();
  for (std::size_t i = 0; i < names.size(); ++i) {
    const onnx_coded_constant& constant = found->constants[i];
    const dtype_row* const dtype = find_dtype_row<Policies>(constant.dtype);
    PTQ_ASSERT(dtype != nullptr);
    const tensor_shape shape(std::span<const std::size_t>(constant.codes->dims));
    quantized_view codes{dtype,          shape, row_major(shape), constant.grain, constant.codes->data,
                         constant.scales};
    std::vector<std::byte> unpacked;
    if (dtype->is_packed()) {
      unpacked.resize(shape.size());
      ptq::unpack(codes.codes, dtype->bits, dtype->is_signed, 0, unpacked);
      codes.codes = unpacked;
    }
    if (auto written = writer->write_values(names[i], codes); !written) return written.error();
    model.release(constant.codes->data);
  }
  return writer->finish();
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_FLOATS_HPP
