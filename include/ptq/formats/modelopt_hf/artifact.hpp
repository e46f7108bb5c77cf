// SPDX-License-Identifier: Apache-2.0
/// @file artifact.hpp Artifacts in the layout of TensorRT Model Optimizer's exports, for TensorRT-LLM, vLLM
/// and SGLang.
#ifndef PTQ_FORMATS_MODELOPT_HF_ARTIFACT_HPP
#define PTQ_FORMATS_MODELOPT_HF_ARTIFACT_HPP

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ptq/formats/checkpoint/artifact_layout.hpp"
#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/formats/checkpoint/tensor_declaration.hpp"
#include "ptq/formats/huggingface/artifact.hpp"
#include "ptq/formats/huggingface/config.hpp"
#include "ptq/formats/huggingface/folder.hpp"
#include "ptq/formats/huggingface/layer_scheme.hpp"
#include "ptq/formats/huggingface/shards.hpp"
#include "ptq/formats/modelopt_hf/config.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

/// The layout (huggingface/artifact.hpp): `<layer>.weight` in fp8_e4m3fn, and scalars `<layer>.weight_scale`
/// and `<layer>.input_scale`, as ptq's own artifacts have them.
struct modelopt_hf_layout {
  static constexpr const char* name = "modelopt-hf";
  static constexpr const char* note = "modelopt-hf: a folder for TensorRT-LLM, vLLM and SGLang";

  static constexpr artifact_layout layout{
      ptq_tensors_of, huggingface_metadata,
      [](const std::string& path, std::vector<tensor_declaration> tensors, const metadata_map& metadata) {
        return create_shards(path, std::move(tensors), metadata);
      }};

  static result<void> check(std::span<const layer_scheme> schemes) { return check_modelopt_fp8(schemes); }

  static std::vector<config_file> config_files(ordered_json config, std::span<const layer_scheme> schemes) {
    config_file beside{"hf_quant_config.json", hf_quant_config(config, schemes)};
    config["quantization_config"] = modelopt_config(config, schemes);
    return {std::move(beside), {std::string(huggingface_config), std::move(config)}};
  }
};

using modelopt_hf_artifact = huggingface_artifact<modelopt_hf_layout>;

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_MODELOPT_HF_ARTIFACT_HPP
