// SPDX-License-Identifier: Apache-2.0
/// @file write_artifact.hpp Quantizes a checkpoint into a safetensors artifact, with one part of a layer in
/// memory for each thread.
#ifndef PTQ_FORMATS_SAFETENSORS_WRITE_ARTIFACT_HPP
#define PTQ_FORMATS_SAFETENSORS_WRITE_ARTIFACT_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/formats/checkpoint/checkpoint.hpp"
#include "ptq/formats/json.hpp"
#include "ptq/formats/pending_artifact.hpp"
#include "ptq/formats/safetensors/copy_tensors.hpp"
#include "ptq/formats/safetensors/store_layers.hpp"
#include "ptq/formats/safetensors/types.hpp"
#include "ptq/formats/safetensors/writer.hpp"
#include "ptq/formats/stored_codes.hpp"
#include "ptq/kernels/executor.hpp"
#include "ptq/model/activation_range.hpp"
#include "ptq/model/apply.hpp"
#include "ptq/model/artifact_views.hpp"
#include "ptq/model/dtype_row.hpp"
#include "ptq/model/kernel_row.hpp"
#include "ptq/model/layer.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/policies.hpp"
#include "ptq/quantize/scales.hpp"
#include "ptq/result.hpp"
#include "ptq/version.hpp"

namespace ptq::inline v0_1 {

namespace detail {

/// A layer of the artifact, resolved before anything is quantized.
struct stored_layer {
  std::string name;
  std::string class_name;
  std::string dtype;
  tensor_shape shape;
  const dtype_row* codes = nullptr;  // null: the weight is left as it is
  granularity grain;
  std::optional<artifact_activations> activations;
};

inline result<std::vector<stored_layer>> resolve_stored_layers(const plan& planned,
                                                               std::span<const layer> layers,
                                                               std::span<const quantizer* const> quantizers,
                                                               std::span<const activation_range> inputs) {
  if (auto complete = check_ranges(planned, inputs); !complete) return complete.error();
  std::vector<stored_layer> resolved;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const layer& source = layers[i];
    const decision& decided = planned.layers[i].weights;
    stored_layer made{source.name, source.class_name, decided.dtype, source.weight.shape, {}, {}, {}};
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
    if (made.codes != nullptr || made.activations) resolved.push_back(std::move(made));
  }
  return resolved;
}

/// Whether codes are stored as bytes without a shape: those of fewer than 8 bits that the format has no
/// element type for.
inline bool are_flat(const stored_layer& layer) {
  return !safetensors_place(layer.codes->stored);
}

/// The shape is told where the tensor of codes has another.
inline nlohmann::json describe_weights(const stored_layer& layer) {
  if (layer.codes == nullptr) return nullptr;
  const bool per_channel = layer.grain.is_per_channel();
  nlohmann::json described = {{"dtype", layer.dtype},
                              {"granularity", per_channel ? "per_channel" : "per_tensor"},
                              {"axis", per_channel ? nlohmann::json(layer.grain.axis) : nlohmann::json()}};
  if (are_flat(layer)) {
    described["bits"] = layer.codes->bits;
    described["shape"] = extents_of(layer.shape);
  }
  return described;
}

inline tensor_declaration declare_codes(const stored_layer& layer) {
  if (are_flat(layer))
    return {layer.name + ".weight", element_type::uint8, {layer.codes->stored_size(layer.shape.size())}};
  return {layer.name + ".weight", layer.codes->stored, extents_of(layer.shape)};
}

inline nlohmann::json describe_activations(const stored_layer& layer) {
  if (!layer.activations) return nullptr;
  return {{"dtype", layer.activations->dtype},
          {"amax", layer.activations->amax},
          {"algorithm", layer.activations->algorithm}};
}

/// What the source says about itself stays, but for the keys that are ours.
inline metadata_map artifact_metadata(const checkpoint& source, const plan& planned,
                                      const std::vector<stored_layer>& layers) {
  auto described = nlohmann::json::object();
  for (const stored_layer& layer : layers)
    described[layer.name] = {{"class", layer.class_name},
                             {"weights", describe_weights(layer)},
                             {"activations", describe_activations(layer)}};
  metadata_map metadata = source.metadata();
  metadata["format"] = "ptq";
  metadata["ptq_version"] = PTQ_VERSION_STRING;
  metadata["ptq_backend"] = planned.backend;
  metadata["ptq_mode"] = planned.mode;
  metadata["ptq_layers"] = dump_json(described);
  return metadata;
}

/// Every tensor of the artifact: codes, scales, and what stays as it is (its names are added to `copied`).
inline result<std::vector<tensor_declaration>> declare_artifact(const checkpoint& source,
                                                                const std::vector<stored_layer>& layers,
                                                                std::vector<const stored_tensor*>& copied) {
  std::vector<tensor_declaration> codes;
  std::vector<tensor_declaration> scales;
  for (const stored_layer& layer : layers) {
    if (layer.codes != nullptr) {
      codes.push_back(declare_codes(layer));
      scales.push_back({layer.name + ".weight_scale", element_type::float32,
                        stored_scale_shape(layer.shape, layer.grain)});
    }
    if (layer.activations) scales.push_back({layer.name + ".input_scale", element_type::float32, {}});
  }
  for (const tensor_declaration& scale : scales)
    if (source.find(scale.name) != nullptr)
      return error(errc::duplicate_key, "tensor \"" + scale.name + "\"",
                   "the model has a tensor of this name already. Is it quantized? Start from the original.");
  std::vector<std::string_view> replaced;
  for (const tensor_declaration& tensor : codes) replaced.push_back(tensor.name);
  std::sort(replaced.begin(), replaced.end());
  std::vector<tensor_declaration> declared;
  for (const stored_tensor& tensor : source.tensors()) {
    if (std::binary_search(replaced.begin(), replaced.end(), std::string_view(tensor.name))) continue;
    copied.push_back(&tensor);
    declared.push_back({tensor.name, tensor.type, tensor.shape});
  }
  std::move(codes.begin(), codes.end(), std::back_inserter(declared));
  std::move(scales.begin(), scales.end(), std::back_inserter(declared));
  return declared;
}

/// Of what is kept, of codes and of their scales.
inline std::uint64_t tensor_bytes(const std::vector<const stored_tensor*>& copied,
                                  const std::vector<stored_layer>& layers) {
  std::uint64_t bytes = 0;
  for (const stored_tensor* const tensor : copied) bytes += tensor->bytes();
  for (const stored_layer& layer : layers)
    if (layer.codes != nullptr)
      bytes += layer.codes->stored_size(layer.shape.size()) +
               sizeof(float) * scale_count(layer.shape, layer.grain);
  return bytes;
}

/// The layers whose weights become codes, in their order.
inline std::vector<layer_to_store> layers_to_store(const plan& planned, std::span<const layer> layers,
                                                   std::span<const quantizer* const> quantizers,
                                                   std::span<const activation_range> inputs) {
  std::vector<layer_to_store> found;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const quantizer* const how = quantizers[i];
    if (how == nullptr) continue;
    const planned_layer& decided = planned.layers[i];
    found.push_back({layers[i], decided, *how, decided.weights.grain.value_or(how->numbers.weights),
                     find_range(inputs, i)});
  }
  return found;
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
/// @return what `apply` and `safetensors_writer` return; duplicate_key: the source has such scales already;
///   unsupported: safetensors has no type for a dtype's codes; invalid_value: the scale of an input
template <class Policies = builtin, layer_sink OnLayer, executor Run = serial>
result<pending_artifact> write_artifact(const std::string& path, const checkpoint& source,
                                        const plan& planned, std::span<const layer> layers,
                                        OnLayer&& on_layer, std::span<const activation_range> inputs = {},
                                        const Run& run = {}) {
  const auto quantizers = detail::quantizers_for<Policies>(planned, layers);
  if (!quantizers) return quantizers.error();
  const auto stored = detail::resolve_stored_layers(planned, layers, *quantizers, inputs);
  if (!stored) return stored.error();
  std::vector<const stored_tensor*> copied;
  auto declared = detail::declare_artifact(source, *stored, copied);
  if (!declared) return declared.error();
  auto writer = safetensors_writer::create(path, *std::move(declared),
                                           detail::artifact_metadata(source, planned, *stored));
  if (!writer) return writer.error();

  const std::vector<detail::layer_to_store> coded =
      detail::layers_to_store(planned, layers, *quantizers, inputs);
  auto copies = detail::tensor_copies::create(*writer, source, copied, detail::count_parts(coded));
  if (!copies) return copies.error();
  for (std::span<const detail::layer_to_store> left = coded; !left.empty();) {
    const auto rest = detail::store_some(*writer, left, *copies, on_layer, run);
    if (!rest) return rest.error();
    for (const detail::layer_to_store& one : left.first(left.size() - rest->size()))
      if (const stored_tensor* const done = source.find(one.name())) source.release(*done);
    left = *rest;
  }
  for (const detail::stored_layer& layer : *stored) {
    if (!layer.activations) continue;
    const std::span<const float> scale(&layer.activations->scale, 1);
    if (auto written = writer->write(layer.name + ".input_scale", std::as_bytes(scale)); !written)
      return written.error();
  }
  if (auto finished = copies->finish(run); !finished) return finished.error();
  return writer->finish(detail::tensor_bytes(copied, *stored));
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_SAFETENSORS_WRITE_ARTIFACT_HPP
