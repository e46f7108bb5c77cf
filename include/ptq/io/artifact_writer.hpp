// SPDX-License-Identifier: Apache-2.0
/// @file artifact_writer.hpp Quantizes a checkpoint into a safetensors artifact, one layer in memory at a
/// time.
#ifndef PTQ_IO_ARTIFACT_WRITER_HPP
#define PTQ_IO_ARTIFACT_WRITER_HPP

#include <concepts>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/io/artifact.hpp"
#include "ptq/io/checkpoint.hpp"
#include "ptq/io/json.hpp"
#include "ptq/io/safetensors_writer.hpp"
#include "ptq/model/apply.hpp"
#include "ptq/model/artifact.hpp"
#include "ptq/model/layer.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/policies.hpp"
#include "ptq/result.hpp"
#include "ptq/version.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// The calibrated activations of each layer of a plan; empty where there are none.
using planned_activations = std::span<const std::optional<artifact_activations>>;

inline const std::optional<artifact_activations>* activations_at(planned_activations all, std::size_t layer) {
  return layer < all.size() && all[layer] ? &all[layer] : nullptr;
}

/// The text of `ptq_layers`.
inline std::string describe_layers(const plan& planned, planned_activations activations) {
  auto described = nlohmann::json::object();
  for (std::size_t i = 0; i < planned.layers.size(); ++i) {
    const planned_layer& layer = planned.layers[i];
    const auto* ranged = activations_at(activations, i);
    if (!layer.weights.is_quantized() && ranged == nullptr) continue;
    auto& about = described[layer.name];
    about = {{"class", layer.class_name}, {"weights", nullptr}, {"activations", nullptr}};
    if (layer.weights.is_quantized()) {
      const granularity grain = layer.weights.grain.value_or(per_tensor());
      about["weights"] = {{"dtype", layer.weights.dtype},
                          {"granularity", grain.is_per_channel() ? "per_channel" : "per_tensor"},
                          {"axis", nullptr}};
      if (grain.is_per_channel()) about["weights"]["axis"] = grain.axis;
    }
    if (ranged != nullptr)
      about["activations"] = {
          {"dtype", (*ranged)->dtype}, {"amax", (*ranged)->amax}, {"algorithm", (*ranged)->algorithm}};
  }
  return dump_json(described);
}

/// Keys of the source stay, but for those that the artifact sets.
inline metadata_map artifact_metadata(const checkpoint& source, const plan& planned,
                                      planned_activations activations) {
  metadata_map metadata = source.metadata();
  metadata["format"] = "ptq";
  metadata["ptq_version"] = PTQ_VERSION_STRING;
  metadata["ptq_backend"] = planned.backend;
  metadata["ptq_mode"] = planned.mode;
  metadata["ptq_layers"] = describe_layers(planned, activations);
  return metadata;
}

/// `codes.astype(float32) * scale` is the weight by broadcasting: its rank, and 1 in reduced dimensions.
inline std::vector<std::size_t> scale_shape(const tensor_shape& weight, granularity grain) {
  if (!grain.is_per_channel()) return {};
  std::vector<std::size_t> shape(weight.rank, 1);
  shape[grain.axis] = weight[grain.axis];
  return shape;
}

/// Every tensor of the artifact: those of the source, some with another type, and the scales.
inline result<std::vector<tensor_declaration>> declare_artifact(const checkpoint& source, const plan& planned,
                                                                planned_activations activations) {
  std::map<std::string, stored_type, std::less<>> quantized;  // weight -> type of its codes
  std::vector<tensor_declaration> declared;
  for (std::size_t i = 0; i < planned.layers.size(); ++i) {
    const planned_layer& layer = planned.layers[i];
    const std::string weight = layer.name + ".weight";
    if (layer.weights.is_quantized()) {
      const auto type = stored_type_of(layer.weights.dtype);
      if (!type)
        return error(errc::unsupported, "layer \"" + layer.name + "\"",
                     "safetensors has no type for codes of dtype \"" + layer.weights.dtype + "\".");
      const granularity grain = layer.weights.grain.value_or(per_tensor());
      if (grain.is_per_channel() && grain.axis >= layer.shape.rank)
        return error(errc::axis_out_of_range, "layer \"" + layer.name + "\"",
                     "quant_axis is " + std::to_string(grain.axis) + ", but the weight has rank " +
                         std::to_string(layer.shape.rank) + ".");
      quantized.emplace(weight, *type);
      declared.push_back({weight + "_scale", stored_type::f32, scale_shape(layer.shape, grain)});
    }
    if (activations_at(activations, i) != nullptr)
      declared.push_back({layer.name + ".input_scale", stored_type::f32, {}});
  }
  for (const tensor_declaration& scale : declared)
    if (source.find(scale.name) != nullptr)
      return error(
          errc::duplicate_key, "tensor \"" + scale.name + "\"",
          "the checkpoint has a tensor of this name already. Is it quantized? Start from the original.");
  for (const stored_tensor& tensor : source.tensors()) {
    const auto found = quantized.find(tensor.name);
    declared.push_back({tensor.name, found == quantized.end() ? tensor.type : found->second, tensor.shape});
  }
  return declared;
}

/// What no layer's codes have replaced, bit for bit, and the scales of activations.
inline result<void> copy_the_rest(safetensors_writer& writer, const checkpoint& source, const plan& planned,
                                  planned_activations activations) {
  std::set<std::string> replaced;
  for (std::size_t i = 0; i < planned.layers.size(); ++i) {
    const planned_layer& layer = planned.layers[i];
    if (layer.weights.is_quantized()) replaced.insert(layer.name + ".weight");
    const auto* ranged = activations_at(activations, i);
    if (ranged == nullptr) continue;
    const auto scale = std::as_bytes(std::span(&(*ranged)->scale, 1));
    if (auto written = writer.write(layer.name + ".input_scale", scale); !written) return written;
  }
  for (const stored_tensor& tensor : source.tensors()) {
    if (replaced.contains(tensor.name)) continue;
    if (auto written = writer.write(tensor.name, tensor.data); !written) return written;
    source.release(tensor);
  }
  return {};
}

}  // namespace detail

inline namespace PTQ_BUILD {

/// Writes the artifact of a plan, but does not let it appear yet: call commit() on what is returned.
///
/// @param source      the checkpoint that the layers look into; what the plan does not touch is copied
/// @param layers      those the plan was made from
/// @param on_layer    called with each `quantized_layer`, as the sink of `apply`
/// @param activations what calibration found per layer, or empty
/// @return duplicate_key (the checkpoint has such scales already), unsupported, axis_out_of_range; what
///         `apply` and `safetensors_writer` return
template <class Policies = builtin, layer_sink OnLayer>
result<safetensors_writer> write_artifact(
    const std::string& path, const checkpoint& source, const plan& planned, std::span<const layer> layers,
    OnLayer&& on_layer, std::span<const std::optional<artifact_activations>> activations = {}) {
  auto declared = detail::declare_artifact(source, planned, activations);
  if (!declared) return declared.error();
  auto writer = safetensors_writer::create(path, *std::move(declared),
                                           detail::artifact_metadata(source, planned, activations));
  if (!writer) return writer;

  const auto applied = apply<Policies>(planned, layers, [&](const quantized_layer& q) -> result<void> {
    const std::string weight = q.source.name + ".weight";
    if (auto written = writer->write(weight, q.codes); !written) return written;
    if (auto written = writer->write(weight + "_scale", std::as_bytes(q.scales)); !written) return written;
    auto told = detail::deliver(q, on_layer);
    if (const stored_tensor* done = source.find(weight)) source.release(*done);
    return told;
  });
  if (!applied) return applied.error();
  if (auto copied = detail::copy_the_rest(*writer, source, planned, activations); !copied)
    return copied.error();
  return writer;
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_IO_ARTIFACT_WRITER_HPP
