// SPDX-License-Identifier: Apache-2.0
/// @file layer_scheme.hpp How the layers of a model are quantized, as its config.json tells loaders.
#ifndef PTQ_FORMATS_HUGGINGFACE_LAYER_SCHEME_HPP
#define PTQ_FORMATS_HUGGINGFACE_LAYER_SCHEME_HPP

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/backend/recipe.hpp"
#include "ptq/error.hpp"
#include "ptq/formats/checkpoint/checkpoint.hpp"
#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/formats/huggingface/config.hpp"
#include "ptq/model/artifact_views.hpp"
#include "ptq/model/layer.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

/// What of a layer is quantized, and how. An empty dtype: nothing.
struct quantization_scheme {
  std::string weights;
  granularity grain;
  std::string inputs;

  friend bool operator==(const quantization_scheme&, const quantization_scheme&) = default;
};

struct layer_scheme {
  std::string name;
  std::string class_name;
  quantization_scheme scheme;
  std::size_t rank = 0;  ///< of its weight

  bool is_quantized() const noexcept { return !scheme.weights.empty() || !scheme.inputs.empty(); }
};

/// Of all layers of a plan.
inline std::vector<layer_scheme> schemes_of(const plan& planned) {
  std::vector<layer_scheme> schemes;
  for (const planned_layer& one : planned.layers) {
    layer_scheme& made = schemes.emplace_back(layer_scheme{one.name, one.class_name, {}, one.shape.rank});
    if (one.weights.is_quantized()) {
      made.scheme.weights = one.weights.dtype;
      made.scheme.grain = one.weights.grain.value_or(per_tensor());
    }
    if (one.activations.is_quantized()) made.scheme.inputs = one.activations.dtype;
  }
  return schemes;
}

/// Of an artifact, and of what is left as it was in its file.
inline std::vector<layer_scheme> schemes_of(const artifact& content, std::span<const layer> layers) {
  std::vector<layer_scheme> schemes;
  for (const artifact_layer& one : content.layers) {
    layer_scheme& made = schemes.emplace_back(layer_scheme{one.name, one.class_name, {}});
    if (one.weights) {
      made.rank = one.weights->shape.rank;
      made.scheme.weights = one.weights->dtype;
      made.scheme.grain = one.weights->grain;
    }
    if (one.activations) made.scheme.inputs = one.activations->dtype;
  }
  for (const layer& one : layers)
    if (content.find(one.name) == nullptr)
      schemes.push_back({one.name, one.class_name, {}, one.weight.shape.rank});
  return schemes;
}

namespace detail {

/// "layer \"fc\"" with what is wrong about it.
inline error inexpressible(const layer_scheme& layer, const std::string& what, const std::string& remedy) {
  return {errc::unsupported, "layer \"" + layer.name + "\"", what + ". " + remedy};
}

/// Why loaders cannot take a layer that is quantized, as they take Linear layers alone; empty where they can.
///
/// @param loaders "loaders of this layout"
inline std::string why_not_linear(const layer_scheme& layer, const std::string& loaders) {
  const std::string alone = "; " + loaders + " take quantized Linear layers alone";
  if (layer.class_name != "Linear")
    return "it is of class " + (layer.class_name.empty() ? "unknown" : layer.class_name) + alone;
  if (!layer.scheme.weights.empty() && layer.rank != 2)
    return "its weight has " + std::to_string(layer.rank) + (layer.rank == 1 ? " axis" : " axes") + alone +
           ", whose weights have 2";
  return {};
}

/// Output heads that share the embedding's tensor, so that files lack them: for loaders they are layers all
/// the same.
inline std::vector<std::string> tied_heads(const ordered_json& config, std::span<const layer_scheme> layers) {
  std::vector<std::string> heads;
  const auto architectures = config.find("architectures");
  if (architectures == config.end() || !architectures->is_array()) return heads;
  constexpr std::pair<std::string_view, std::string_view> known[] = {
      {"ForCausalLM", "lm_head"},
      {"LMHeadModel", "lm_head"},
      {"MTModel", "lm_head"},
      {"ForConditionalGeneration", "lm_head"},
      {"WhisperForConditionalGeneration", "proj_out"},
      {"ForMaskedLM", "cls.predictions.decoder"},
      {"ForMaskedLM", "lm_head.decoder"},
      {"DistilBertForMaskedLM", "vocab_projector"},
      {"ElectraForMaskedLM", "generator_lm_head"},
      {"AlbertForMaskedLM", "predictions.decoder"},
      {"ModernBertForMaskedLM", "decoder"},
      {"BertForPreTraining", "cls.predictions.decoder"},
      {"AlbertForPreTraining", "predictions.decoder"}};
  for (const ordered_json& one : *architectures) {
    const std::string name = one.is_string() ? one.get<std::string>() : std::string();
    for (const auto& [ending, head] : known)
      if (name.ends_with(ending) && std::ranges::count(layers, head, &layer_scheme::name) == 0 &&
          std::ranges::count(heads, head) == 0)
        heads.emplace_back(head);
  }
  return heads;
}

}  // namespace detail

namespace detail {

/// Whether the loader's model may have a layer as Linear: some that are inferred to be embeddings, by a part
/// of their names, are (`embed_vision.embedding_projection` of Gemma 3n).
inline bool may_be_linear(const layer_scheme& layer) {
  if (layer.class_name == "Linear") return true;
  const std::string_view last = std::string_view(layer.name).substr(layer.name.rfind('.') + 1);
  const auto has = [&](std::string_view word) { return last.find(word) != std::string_view::npos; };
  return layer.class_name == "Embedding" && layer.rank == 2 && (has("proj") || has("linear") || has("out"));
}

}  // namespace detail

/// The layers that loaders would quantize if they were not told to leave them: of class Linear.
inline std::vector<std::string> ignored_layers(const ordered_json& config,
                                               std::span<const layer_scheme> layers) {
  std::vector<std::string> ignored;
  for (const layer_scheme& one : layers)
    if (!one.is_quantized() && detail::may_be_linear(one)) ignored.push_back(one.name);
  for (std::string& head : detail::tied_heads(config, layers)) ignored.push_back(std::move(head));
  return ignored;
}

namespace detail {

/// Whether a config.json says that the output head and the embedding share a weight, or that they do not;
/// nothing where it says neither. Loaders go by the class of the model then.
inline std::optional<bool> says_tied(const ordered_json& config) {
  const auto tied = config.find("tie_word_embeddings");
  return tied != config.end() && tied->is_boolean() ? std::optional(tied->get<bool>()) : std::nullopt;
}

}  // namespace detail

/// Whether the weight of a quantized layer would be replaced by the embedding's, which is not quantized.
///
/// @return unsupported, with the layer
inline result<void> expect_untied(const ordered_json& config, std::span<const layer_scheme> layers) {
  if (!detail::says_tied(config).value_or(false)) return {};
  for (const layer_scheme& one : layers)
    if (one.is_quantized() && (one.name == "lm_head" || one.name.ends_with(".lm_head")))
      return detail::inexpressible(
          one, "config.json says that it shares the weight of the embedding, which is not quantized",
          "Leave it alone: quantize.skip_names=[" + one.name + "].");
  return {};
}

/// The same where config.json does not say, but the file has a weight under two names: torch.save writes what
/// a model shares so.
///
/// @return unsupported, with the layer
inline result<void> expect_alone(const checkpoint& file, const ordered_json& config,
                                 std::span<const layer_scheme> layers) {
  if (detail::says_tied(config).has_value()) return {};
  std::set<std::string> quantized;
  for (const layer_scheme& one : layers)
    if (one.is_quantized()) quantized.insert(one.name + ".weight");
  const auto place_of = [](const stored_tensor& tensor) {
    return std::pair(tensor.data.data(), tensor.data.size());
  };
  std::map<std::pair<const std::byte*, std::size_t>, std::string> left;
  for (const stored_tensor& tensor : file.tensors())
    if (!tensor.data.empty() && !quantized.contains(tensor.name)) left.emplace(place_of(tensor), tensor.name);
  for (const layer_scheme& one : layers) {
    const stored_tensor* const weight = one.is_quantized() ? file.find(one.name + ".weight") : nullptr;
    const auto other = weight == nullptr ? left.end() : left.find(place_of(*weight));
    if (other != left.end())
      return detail::inexpressible(
          one, "it shares its weight with \"" + other->second + "\", which is not quantized",
          "Leave it alone: quantize.skip_names=[" + one.name + "].");
  }
  return {};
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_HUGGINGFACE_LAYER_SCHEME_HPP
