// SPDX-License-Identifier: Apache-2.0
/// @file artifact_layout.hpp How an artifact keeps its layers: names, shapes and forms of their tensors, and
/// the container that holds them.
#ifndef PTQ_FORMATS_CHECKPOINT_ARTIFACT_LAYOUT_HPP
#define PTQ_FORMATS_CHECKPOINT_ARTIFACT_LAYOUT_HPP

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/formats/checkpoint/stored_layer.hpp"
#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/formats/checkpoint/tensor_declaration.hpp"
#include "ptq/formats/checkpoint/tensor_writer.hpp"
#include "ptq/formats/json.hpp"
#include "ptq/formats/stored_codes.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/numeric/element_type.hpp"
#include "ptq/result.hpp"
#include "ptq/tensor/view.hpp"
#include "ptq/version.hpp"

namespace ptq::inline v0_1 {

/// Plain data: what stores layers is compiled once, whatever the layout.
struct artifact_layout {
  /// The tensors of a layer whose weight, input or both are quantized.
  layer_tensors (*tensors_of)(const stored_layer& layer);
  /// @param source   what the model says about itself
  /// @param backend_and_mode of its layers nothing is asked
  metadata_map (*metadata)(const metadata_map& source, const plan& backend_and_mode,
                           std::span<const stored_layer> layers);
  /// Makes the container, complete but for the data of its tensors.
  result<tensor_writer> (*create)(const std::string& path, std::vector<tensor_declaration> tensors,
                                  const metadata_map& metadata);
};

namespace detail {

/// The shape is told where the tensor of codes has another, and the type of the weight where it was not
/// float32.
inline nlohmann::json describe_weights(const stored_layer& layer) {
  if (layer.codes == nullptr) return nullptr;
  const bool per_channel = layer.grain.is_per_channel();
  nlohmann::json described = {{"dtype", layer.dtype},
                              {"granularity", per_channel ? "per_channel" : "per_tensor"},
                              {"axis", per_channel ? nlohmann::json(layer.grain.axis) : nlohmann::json()}};
  if (layer.source != element_type::float32) described["source"] = name_of(layer.source);
  if (are_flat(layer)) {
    described["bits"] = layer.codes->bits;
    described["shape"] = extents_of(layer.shape);
  }
  return described;
}

inline nlohmann::json describe_activations(const stored_layer& layer) {
  if (!layer.activations) return nullptr;
  return {{"dtype", layer.activations->dtype},
          {"amax", layer.activations->amax},
          {"algorithm", layer.activations->algorithm}};
}

}  // namespace detail

/// The tensors of ptq's own artifacts: `<layer>.weight`, `<layer>.weight_scale`, `<layer>.input_scale`.
inline layer_tensors ptq_tensors_of(const stored_layer& layer) {
  layer_tensors tensors;
  if (layer.codes != nullptr) {
    tensors.weight = tensor_declaration{layer.weight_name(), layer.codes->stored, extents_of(layer.shape)};
    if (are_flat(layer)) {
      tensors.weight->type = element_type::uint8;
      tensors.weight->shape = {layer.codes->stored_size(layer.shape.size())};
    }
    tensors.scales = tensor_declaration{layer.name + ".weight_scale", element_type::float32,
                                        stored_scale_shape(layer.shape, layer.grain)};
  }
  if (layer.activations)
    tensors.input_scale = tensor_declaration{layer.name + ".input_scale", element_type::float32, {}};
  return tensors;
}

/// What the source says about itself stays, but for the keys that are ours.
inline metadata_map ptq_metadata(const metadata_map& source, const plan& backend_and_mode,
                                 std::span<const stored_layer> layers) {
  auto described = nlohmann::json::object();
  for (const stored_layer& layer : layers)
    described[layer.name] = {{"class", layer.class_name},
                             {"weights", detail::describe_weights(layer)},
                             {"activations", detail::describe_activations(layer)}};
  metadata_map metadata = source;
  metadata["format"] = "ptq";
  metadata["ptq_version"] = PTQ_VERSION_STRING;
  metadata["ptq_backend"] = backend_and_mode.backend;
  metadata["ptq_mode"] = backend_and_mode.mode;
  metadata["ptq_layers"] = detail::dump_json(described);
  return metadata;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_CHECKPOINT_ARTIFACT_LAYOUT_HPP
