// SPDX-License-Identifier: Apache-2.0
/// @file write_artifact.hpp Quantizes a checkpoint into an artifact, with one part of a layer in memory for
/// each thread; and writes an artifact in another layout.
#ifndef PTQ_FORMATS_CHECKPOINT_WRITE_ARTIFACT_HPP
#define PTQ_FORMATS_CHECKPOINT_WRITE_ARTIFACT_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/formats/checkpoint/artifact_layout.hpp"
#include "ptq/formats/checkpoint/checkpoint.hpp"
#include "ptq/formats/checkpoint/copy_tensors.hpp"
#include "ptq/formats/checkpoint/store_layers.hpp"
#include "ptq/formats/checkpoint/stored_layer.hpp"
#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/formats/checkpoint/tensor_declaration.hpp"
#include "ptq/formats/checkpoint/tensor_writer.hpp"
#include "ptq/formats/pending_artifact.hpp"
#include "ptq/formats/safetensors/types.hpp"
#include "ptq/formats/stored_codes.hpp"
#include "ptq/kernels/executor.hpp"
#include "ptq/model/activation_range.hpp"
#include "ptq/model/apply.hpp"
#include "ptq/model/artifact_views.hpp"
#include "ptq/model/dtype_row.hpp"
#include "ptq/model/kernel_row.hpp"
#include "ptq/model/layer.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/model/quantized_view.hpp"
#include "ptq/policies.hpp"
#include "ptq/quantize/pack.hpp"
#include "ptq/quantize/scales.hpp"
#include "ptq/result.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1 {

namespace detail {

inline result<std::vector<stored_layer>> resolve_stored_layers(const plan& planned,
                                                               std::span<const layer> layers,
                                                               std::span<const quantizer* const> quantizers,
                                                               std::span<const activation_range> inputs,
                                                               const artifact_layout& layout) {
  if (auto complete = check_ranges(planned, inputs); !complete) return complete.error();
  std::vector<stored_layer> resolved;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const layer& source = layers[i];
    const decision& decided = planned.layers[i].weights;
    stored_layer made{source.name, source.class_name, decided.dtype, source.weight.shape, source.weight.type};
    if (const decision& input = planned.layers[i].activations; input.is_quantized()) {
      const activation_range& found = *find_range(inputs, i);
      if (!is_scale(found.scale))
        return error(errc::invalid_value, "layer \"" + source.name + "\"",
                     "the scale of its input must be a positive number. Calibrate first.");
      made.activations = {input.dtype, found.algorithm == nullptr ? "" : found.algorithm, found.range.amax,
                          found.scale};
    }
    if (const quantizer* const how = quantizers[i]) {
      made.grain = decided.grain.value_or(how->numbers.weights);
      if (made.grain.is_per_channel() && made.grain.axis >= made.shape.rank)
        return refusal(source, {errc::axis_out_of_range, made.grain.axis});
      made.codes = &how->dtype();
      if (!made.codes->is_packed() && !safetensors_place(made.codes->stored))
        return error_in(source, {errc::unsupported},
                        "safetensors has no element type for the codes of \"" + decided.dtype +
                            "\". Give the dtype another storage, or specialise stored_type_of for it.");
    }
    if (made.codes == nullptr && !made.activations) continue;
    made.tensors = layout.tensors_of(made);
    resolved.push_back(std::move(made));
  }
  return resolved;
}

/// Those of a layer that are there, in the order in which they are listed.
inline std::vector<const tensor_declaration*> declared_of(const layer_tensors& tensors) {
  std::vector<const tensor_declaration*> made;
  for (const auto* const one : {&tensors.weight, &tensors.scales, &tensors.input_scale})
    if (*one) made.push_back(&**one);
  for (const known_tensor& constant : tensors.constants) made.push_back(&constant.declared);
  return made;
}

/// Every tensor of an artifact, in the order of the source: what stands for layers where their weights were,
/// and what stays as it is (which is added to `copied`).
///
/// @param replaced names of tensors of the source that do not stay
inline std::vector<tensor_declaration> declare_tensors(const checkpoint& source,
                                                       std::span<const stored_layer> layers,
                                                       const std::set<std::string, std::less<>>& replaced,
                                                       std::vector<const stored_tensor*>& copied) {
  std::map<std::string, const stored_layer*, std::less<>> left;
  for (const stored_layer& layer : layers) left.emplace(layer.weight_name(), &layer);
  std::vector<tensor_declaration> declared;
  const auto declare = [&](const stored_layer& layer) {
    for (const tensor_declaration* const one : declared_of(layer.tensors)) declared.push_back(*one);
  };
  for (const stored_tensor& tensor : source.tensors()) {
    if (!replaced.contains(tensor.name)) {
      copied.push_back(&tensor);
      declared.push_back({tensor.name, tensor.type, tensor.shape});
    }
    if (const auto found = left.find(tensor.name); found != left.end()) {
      declare(*found->second);
      left.erase(found);
    }
  }
  for (const auto& [weight, layer] : left) declare(*layer);  // they have none
  return declared;
}

/// Those of a plan.
///
/// @return duplicate_key
inline result<std::vector<tensor_declaration>> declare_artifact(const checkpoint& source,
                                                                std::span<const stored_layer> layers,
                                                                std::vector<const stored_tensor*>& copied) {
  std::set<std::string, std::less<>> replaced;
  for (const stored_layer& layer : layers) {
    if (layer.codes != nullptr) replaced.insert(layer.weight_name());
    for (const tensor_declaration* const one : declared_of(layer.tensors))
      if (one->name != layer.weight_name() && source.find(one->name) != nullptr)
        return error(
            errc::duplicate_key, "tensor \"" + one->name + "\"",
            "the model has a tensor of this name already. Is it quantized? Start from the original.");
  }
  return declare_tensors(source, layers, replaced, copied);
}

/// Of what is kept, of codes and of their scales.
inline std::uint64_t tensor_bytes(const std::vector<const stored_tensor*>& copied,
                                  std::span<const stored_layer> layers) {
  std::uint64_t bytes = 0;
  for (const stored_tensor* const tensor : copied) bytes += tensor->bytes();
  for (const stored_layer& layer : layers)
    if (layer.codes != nullptr)
      bytes += weight_bytes(layer) +
               (layer.tensors.scales ? sizeof(float) * scale_count(layer.shape, layer.grain) : 0);
  return bytes;
}

/// The layers whose weights become codes, in their order.
///
/// @param stored those of them that the artifact tells of, in the same order
inline std::vector<layer_to_store> layers_to_store(std::span<const stored_layer> stored, const plan& planned,
                                                   std::span<const layer> layers,
                                                   std::span<const quantizer* const> quantizers,
                                                   std::span<const activation_range> inputs) {
  std::vector<layer_to_store> found;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const quantizer* const how = quantizers[i];
    if (how == nullptr) continue;
    while (stored.front().name != layers[i].name) stored = stored.subspan(1);
    const planned_layer& decided = planned.layers[i];
    found.push_back({layers[i], stored.front(), decided, *how,
                     decided.weights.grain.value_or(how->numbers.weights), find_range(inputs, i)});
  }
  return found;
}

/// What is known without looking at weights.
inline result<void> write_small_tensors(tensor_writer& writer, std::span<const stored_layer> layers) {
  for (const stored_layer& layer : layers) {
    for (const known_tensor& constant : layer.tensors.constants)
      if (auto written = writer.write(constant.declared.name, constant.content); !written) return written;
    if (!layer.tensors.input_scale) continue;
    const std::span<const float> scale(&layer.activations->scale, 1);
    if (auto written = writer.write(layer.tensors.input_scale->name, std::as_bytes(scale)); !written)
      return written;
  }
  return {};
}

/// The layers of an artifact, as another layout has them.
template <class Policies>
result<std::vector<stored_layer>> stored_layers_of(const artifact& content, const artifact_layout& layout) {
  std::vector<stored_layer> layers;
  for (const artifact_layer& one : content.layers) {
    stored_layer made{one.name, one.class_name};
    made.activations = one.activations;
    if (one.weights) {
      made.dtype = one.weights->dtype;
      made.shape = one.weights->shape;
      made.grain = one.weights->grain;
      made.source = one.weights->source;
      made.codes = find_dtype_row<Policies>(made.dtype);
      if (made.codes == nullptr)
        return error(errc::unsupported, "layer \"" + made.name + "\"",
                     "this program has no dtype \"" + made.dtype + "\".");
    }
    made.tensors = layout.tensors_of(made);
    layers.push_back(std::move(made));
  }
  return layers;
}

/// Those of an artifact in another layout.
inline std::vector<tensor_declaration> declare_converted(const checkpoint& source,
                                                         std::span<const stored_layer> layers,
                                                         std::vector<const stored_tensor*>& copied) {
  std::set<std::string, std::less<>> own;
  for (const stored_layer& layer : layers) {
    const layer_tensors before = ptq_tensors_of(layer);
    for (const tensor_declaration* const one : declared_of(before)) own.insert(one->name);
  }
  return declare_tensors(source, layers, own, copied);
}

inline result<void> write_weights(tensor_writer& writer, const stored_layer& layer,
                                  const artifact_weights& weights) {
  const auto place = writer.claim(layer.tensors.weight->name, weight_bytes(layer));
  if (!place) return place.error();
  quantized_view codes{layer.codes,   weights.shape, row_major(weights.shape),
                       weights.grain, weights.codes, weights.scales};
  const auto fill = [&](std::uint64_t at, std::span<const std::byte> piece) {
    return writer.fill(*place + at, piece);
  };
  const bool is_as_before = layer.tensors.form == code_form::codes;  // packed codes, too
  std::vector<std::byte> unpacked;
  if (!is_as_before && layer.codes->is_packed()) {
    unpacked.resize(weights.shape.size());
    ptq::unpack(weights.codes, layer.codes->bits, layer.codes->is_signed, 0, unpacked);
    codes.codes = unpacked;
  }
  auto written = is_as_before ? fill(0, weights.codes) : for_each_piece(layer, codes, 0, fill);
  if (!written || !layer.tensors.scales) return written;
  return writer.write(layer.tensors.scales->name, std::as_bytes(weights.scales));
}

}  // namespace detail

inline namespace PTQ_BUILD {

/// Writes the artifact of a plan, but does not let it appear yet: call `commit` on what is returned. The
/// source is read through its mapping. Memory holds the codes of one layer, or where the sink looks at parts,
/// of one part for each thread.
///
/// @param source     the checkpoint that the layers look into; what the plan leaves alone is copied bit for
///                   bit
/// @param layers     those that the plan was made from
/// @param on_layer   called with each `quantized_layer` once it is stored; it may stop the run (`layer_sink`)
/// @param inputs     as `calibration::ranges` gives them; none where the plan quantizes no activations
/// @param run        runs the parts of a layer; the bytes do not depend on it
/// @return what `apply` and the layout's `create` return; duplicate_key: the source has such scales already;
///   unsupported: files have no type for a dtype's codes; invalid_value: the scale of an input
template <class Policies = builtin, layer_sink OnLayer, executor Run = serial>
result<pending_artifact> write_artifact(const artifact_layout& layout, const std::string& path,
                                        const checkpoint& source, const plan& planned,
                                        std::span<const layer> layers, OnLayer&& on_layer,
                                        std::span<const activation_range> inputs = {}, const Run& run = {}) {
  const auto quantizers = detail::quantizers_for<Policies>(planned, layers);
  if (!quantizers) return quantizers.error();
  const auto stored = detail::resolve_stored_layers(planned, layers, *quantizers, inputs, layout);
  if (!stored) return stored.error();
  std::vector<const stored_tensor*> copied;
  auto declared = detail::declare_artifact(source, *stored, copied);
  if (!declared) return declared.error();
  auto writer =
      layout.create(path, *std::move(declared), layout.metadata(source.metadata(), planned, *stored));
  if (!writer) return writer.error();

  const std::vector<detail::layer_to_store> coded =
      detail::layers_to_store(*stored, planned, layers, *quantizers, inputs);
  auto copies = detail::tensor_copies::create(*writer, source, copied, detail::count_parts(coded));
  if (!copies) return copies.error();
  for (std::span<const detail::layer_to_store> left = coded; !left.empty();) {
    const auto rest = detail::store_some(*writer, left, *copies, on_layer, run);
    if (!rest) return rest.error();
    for (const detail::layer_to_store& one : left.first(left.size() - rest->size()))
      if (const stored_tensor* const done = source.find(one.stored.weight_name())) source.release(*done);
    left = *rest;
  }
  if (auto written = detail::write_small_tensors(*writer, *stored); !written) return written.error();
  if (auto finished = copies->finish(run); !finished) return finished.error();
  return writer->finish(detail::tensor_bytes(copied, *stored));
}

}  // namespace PTQ_BUILD

/// Writes an artifact in another layout: the codes and scales that it holds, and everything else as it is. It
/// does not appear yet: call `commit` on what is returned.
///
/// @param source  one that `read_artifact` reads, of one file or of several
/// @param content what that found in it
/// @param run     runs copies of tensors
/// @return what the layout's `create` returns; unsupported: the policies lack a dtype
template <class Policies = builtin, executor Run = serial>
result<pending_artifact> convert_artifact(const artifact_layout& layout, const std::string& path,
                                          const checkpoint& source, const artifact& content,
                                          const Run& run = {}) {
  const auto stored = detail::stored_layers_of<Policies>(content, layout);
  if (!stored) return stored.error();
  std::vector<const stored_tensor*> copied;
  std::vector<tensor_declaration> declared = detail::declare_converted(source, *stored, copied);
  plan says;
  says.backend = content.backend;
  says.mode = content.mode;
  auto writer = layout.create(path, std::move(declared), layout.metadata(source.origin(), says, *stored));
  if (!writer) return writer.error();
  auto copies = detail::tensor_copies::create(*writer, source, copied, 0);
  if (!copies) return copies.error();
  for (std::size_t i = 0; i < stored->size(); ++i)
    if (const auto& weights = content.layers[i].weights) {
      if (auto written = detail::write_weights(*writer, (*stored)[i], *weights); !written)
        return written.error();
      source.release(weights->codes);
    }
  if (auto written = detail::write_small_tensors(*writer, *stored); !written) return written.error();
  if (auto finished = copies->finish(run); !finished) return finished.error();
  return writer->finish(detail::tensor_bytes(copied, *stored));
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_CHECKPOINT_WRITE_ARTIFACT_HPP
