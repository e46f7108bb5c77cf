// SPDX-License-Identifier: Apache-2.0
/// @file config.hpp What TensorRT Model Optimizer's exports say of their quantization, in two shapes of which
/// loaders take one or the other (TensorRT-LLM, vLLM, SGLang).
#ifndef PTQ_FORMATS_MODELOPT_HF_CONFIG_HPP
#define PTQ_FORMATS_MODELOPT_HF_CONFIG_HPP

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/formats/huggingface/config.hpp"
#include "ptq/formats/huggingface/layer_scheme.hpp"
#include "ptq/result.hpp"
#include "ptq/version.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// Why the algorithm FP8 is not that of a layer; empty where it is.
inline std::string why_not_modelopt_fp8(const layer_scheme& layer) {
  const quantization_scheme& scheme = layer.scheme;
  if (std::string why = why_not_linear(layer, "loaders of this layout"); !why.empty()) return why;
  const auto is_fp8 = [](const std::string& dtype) { return dtype == "fp8_e4m3fn"; };
  if (!is_fp8(scheme.weights))
    return scheme.weights.empty() ? "only its input is quantized; this layout wants the weight, too"
                                  : "this layout has fp8_e4m3fn, not " + scheme.weights + ", for loaders";
  if (scheme.inputs.empty())
    return "its input is not quantized; loaders of this layout want an input_scale, which "
           "quantize.mode=static_ptq finds";
  if (!is_fp8(scheme.inputs)) return "this layout has inputs in fp8_e4m3fn, not " + scheme.inputs;
  if (scheme.grain.is_per_channel())
    return "it has a scale for each output channel; this layout has one for the tensor "
           "(weights.quant_axis=null)";
  return {};
}

}  // namespace detail

/// Whether the layers are quantized as the algorithm FP8 says.
///
/// @return unsupported, with the first layer that is not, and what can say it; no_data: none is quantized
inline result<void> check_modelopt_fp8(std::span<const layer_scheme> layers) {
  if (std::ranges::none_of(layers, &layer_scheme::is_quantized))
    return error(
        errc::no_data, "--format modelopt-hf",
        "nothing is quantized, and loaders want an algorithm. --format safetensors writes a file that "
        "ptq reads.");
  for (const layer_scheme& one : layers)
    if (one.is_quantized())
      if (const std::string why = detail::why_not_modelopt_fp8(one); !why.empty())
        return detail::inexpressible(
            one, why,
            "--format compressed-tensors has int8 and fp8_e4m3fn of Linear layers, --format safetensors "
            "everything.");
  return {};
}

/// hf_quant_config.json, of layers that pass `check_modelopt_fp8`. Loaders go by the producer's name.
inline ordered_json hf_quant_config(const ordered_json& config, std::span<const layer_scheme> layers) {
  return {{"producer", {{"name", "modelopt"}, {"version", std::string("ptq ") + PTQ_VERSION_STRING}}},
          {"quantization",
           {{"quant_algo", "FP8"},
            {"kv_cache_quant_algo", nullptr},
            {"exclude_modules", ignored_layers(config, layers)}}}};
}

/// The same as `quantization_config` of config.json.
inline ordered_json modelopt_config(const ordered_json& config, std::span<const layer_scheme> layers) {
  const ordered_json args = {{"num_bits", 8}, {"type", "float"}, {"dynamic", false}};
  return {
      {"quant_method", "modelopt"},
      {"quant_algo", "FP8"},
      {"ignore", ignored_layers(config, layers)},
      {"config_groups",
       {{"group_0",
         {{"targets", ordered_json::array({"Linear"})}, {"weights", args}, {"input_activations", args}}}}},
      {"producer", {{"name", "modelopt"}, {"version", std::string("ptq ") + PTQ_VERSION_STRING}}}};
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_MODELOPT_HF_CONFIG_HPP
