// SPDX-License-Identifier: Apache-2.0
/// @file artifact.hpp Artifacts in the layout of compressed-tensors, for transformers and vLLM.
#ifndef PTQ_FORMATS_COMPRESSED_TENSORS_ARTIFACT_HPP
#define PTQ_FORMATS_COMPRESSED_TENSORS_ARTIFACT_HPP

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/formats/checkpoint/artifact_layout.hpp"
#include "ptq/formats/checkpoint/stored_layer.hpp"
#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/formats/checkpoint/tensor_declaration.hpp"
#include "ptq/formats/compressed_tensors/config.hpp"
#include "ptq/formats/huggingface/artifact.hpp"
#include "ptq/formats/huggingface/config.hpp"
#include "ptq/formats/huggingface/layer_scheme.hpp"
#include "ptq/formats/huggingface/shards.hpp"
#include "ptq/numeric/element_type.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

/// Codes of a Linear layer as its `compressed_format` has them; scales [out, 1] or [1], and [1] of inputs.
/// Scales are float32, whatever the model is of: loaders that compute in less round them themselves.
inline layer_tensors compressed_tensors_of(const stored_layer& layer) {
  layer_tensors tensors = ptq_tensors_of(layer);
  if (layer.codes == nullptr || layer.shape.rank != 2) return tensors;  // `check_compressed` refuses it
  if (!layer.grain.is_per_channel()) tensors.scales->shape = {1};
  if (tensors.input_scale) tensors.input_scale->shape = {1};
  const quantization_scheme scheme{layer.dtype, layer.grain, layer.activations ? layer.dtype : ""};
  if (std::string_view(compressed_format(scheme)) != "pack-quantized") return tensors;
  tensors.form = code_form::packed_int32;
  tensors.weight = tensor_declaration{
      layer.name + ".weight_packed", element_type::int32, {layer.shape[0], int32s_of_codes(layer.shape[1])}};
  tensors.constants.push_back(int64_constant(layer.name + ".weight_shape", {layer.shape[0], layer.shape[1]}));
  return tensors;
}

/// The layout (huggingface/artifact.hpp).
struct compressed_tensors_layout {
  static constexpr const char* name = "compressed-tensors";
  static constexpr const char* note = "compressed-tensors: a folder for transformers and vLLM";

  static constexpr artifact_layout layout{
      compressed_tensors_of, huggingface_metadata,
      [](const std::string& path, std::vector<tensor_declaration> tensors, const metadata_map& metadata) {
        return create_shards(path, std::move(tensors), metadata);
      }};

  static result<void> check(std::span<const layer_scheme> schemes) { return check_compressed(schemes); }

  static std::vector<config_file> config_files(ordered_json config, std::span<const layer_scheme> schemes) {
    config["quantization_config"] = compressed_tensors_config(config, schemes);
    return {{std::string(huggingface_config), std::move(config)}};
  }
};

using compressed_tensors_artifact = huggingface_artifact<compressed_tensors_layout>;

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_COMPRESSED_TENSORS_ARTIFACT_HPP
