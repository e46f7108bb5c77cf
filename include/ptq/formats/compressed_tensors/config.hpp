// SPDX-License-Identifier: Apache-2.0
/// @file config.hpp The quantization_config of compressed-tensors
/// (https://github.com/vllm-project/compressed-tensors), which transformers and vLLM read.
#ifndef PTQ_FORMATS_COMPRESSED_TENSORS_CONFIG_HPP
#define PTQ_FORMATS_COMPRESSED_TENSORS_CONFIG_HPP

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/formats/huggingface/config.hpp"
#include "ptq/formats/huggingface/layer_scheme.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

/// How the tensors of a scheme are stored, as compressed-tensors calls it: with quantized inputs codes as
/// they are; else int8 codes packed into int32, which is the form that vLLM has kernels for.
inline const char* compressed_format(const quantization_scheme& scheme) noexcept {
  const bool is_integer = scheme.weights == "int8";
  if (!scheme.inputs.empty()) return is_integer ? "int-quantized" : "float-quantized";
  return is_integer ? "pack-quantized" : "naive-quantized";
}

namespace detail {

inline constexpr const char* ptq_file_remedy = "--format safetensors writes a file that ptq reads.";

/// Why compressed-tensors cannot say how a layer is quantized; empty where it can.
inline std::string why_not_compressed(const layer_scheme& layer) {
  const quantization_scheme& scheme = layer.scheme;
  if (std::string why = why_not_linear(layer, "loaders of compressed-tensors"); !why.empty()) return why;
  if (scheme.weights.empty())
    return "only its input is quantized; compressed-tensors has no such scheme for loaders";
  if (scheme.weights != "int8" && scheme.weights != "fp8_e4m3fn")
    return "compressed-tensors has int8 and fp8_e4m3fn, not " + scheme.weights;
  if (!scheme.inputs.empty() && scheme.inputs != scheme.weights)
    return "its weight is " + scheme.weights + " and its input " + scheme.inputs +
           "; loaders of compressed-tensors take one dtype for both";
  if (scheme.grain.is_per_channel() && scheme.grain.axis != 0)
    return "its scales are those of axis " + std::to_string(scheme.grain.axis) +
           "; compressed-tensors has them for output channels, axis 0";
  return {};
}

inline ordered_json quantization_args(const std::string& dtype, bool per_channel) {
  return {{"num_bits", 8},
          {"type", dtype == "int8" ? "int" : "float"},
          {"symmetric", true},
          {"strategy", per_channel ? "channel" : "tensor"},
          {"dynamic", false}};
}

/// Layers that are quantized alike.
struct scheme_group {
  quantization_scheme scheme;
  std::vector<std::string> layers;
};

inline std::vector<scheme_group> group_schemes(std::span<const layer_scheme> layers) {
  std::vector<scheme_group> groups;
  for (const layer_scheme& one : layers) {
    if (!one.is_quantized()) continue;
    auto found = std::ranges::find(groups, one.scheme, &scheme_group::scheme);
    if (found == groups.end()) found = groups.insert(groups.end(), {one.scheme, {}});
    found->layers.push_back(one.name);
  }
  return groups;
}

}  // namespace detail

/// Whether compressed-tensors can say how the layers are quantized.
///
/// @return unsupported, with the first layer of which it cannot, and what can; no_data: none is quantized
inline result<void> check_compressed(std::span<const layer_scheme> layers) {
  if (std::ranges::none_of(layers, &layer_scheme::is_quantized))
    return error(errc::no_data, "--format compressed-tensors",
                 std::string("nothing is quantized, and loaders want a scheme. ") + detail::ptq_file_remedy);
  for (const layer_scheme& one : layers)
    if (one.is_quantized())
      if (const std::string why = detail::why_not_compressed(one); !why.empty())
        return detail::inexpressible(one, why, detail::ptq_file_remedy);
  return {};
}

/// What config.json says of layers that pass `check_compressed`. Where all are quantized alike it is said of
/// the class, else of the layers by their names.
inline ordered_json compressed_tensors_config(const ordered_json& config,
                                              std::span<const layer_scheme> layers) {
  const std::vector<detail::scheme_group> groups = detail::group_schemes(layers);
  ordered_json described = ordered_json::object();
  std::string format;
  for (const detail::scheme_group& group : groups) {
    const quantization_scheme& scheme = group.scheme;
    const std::string own = compressed_format(scheme);
    format = format.empty() || format == own ? own : "mixed-precision";
    described["group_" + std::to_string(described.size())] = {
        {"targets", groups.size() == 1 ? ordered_json::array({"Linear"}) : ordered_json(group.layers)},
        {"weights", detail::quantization_args(scheme.weights, scheme.grain.is_per_channel())},
        {"input_activations",
         scheme.inputs.empty() ? ordered_json() : detail::quantization_args(scheme.inputs, false)},
        {"output_activations", nullptr},
        {"format", own}};
  }
  return {{"quant_method", "compressed-tensors"},     {"format", format},
          {"quantization_status", "compressed"},      {"config_groups", std::move(described)},
          {"ignore", ignored_layers(config, layers)}, {"kv_cache_scheme", nullptr},
          {"global_compression_ratio", nullptr}};
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_COMPRESSED_TENSORS_CONFIG_HPP
