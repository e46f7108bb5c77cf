// SPDX-License-Identifier: Apache-2.0
/// @file classes.hpp What can be quantized in the layers of a class, and which class a bare tensor suggests.
/// Class names are PyTorch's.
#ifndef PTQ_MODEL_CLASSES_HPP
#define PTQ_MODEL_CLASSES_HPP

#include <cstddef>
#include <string_view>

namespace ptq::inline v0_1 {

/// What ptq can do with the layers of a class.
struct class_traits {
  bool weights = false;
  bool activations = false;
  std::size_t rank = 0;         ///< of its weight; 0: it has none
  std::size_t output_axis = 0;  ///< of its weight: the axis of output channels

  constexpr bool is_quantizable() const noexcept { return weights || activations; }
};

/// The traits of a class. A class that is not named here can match patterns, but is left as it is.
constexpr class_traits traits_of_class(std::string_view name) noexcept {
  std::size_t dimensions = 0;
  std::string_view family = name;
  if (name.size() > 2 && name.back() == 'd' && name[name.size() - 2] >= '1' && name[name.size() - 2] <= '3') {
    dimensions = static_cast<std::size_t>(name[name.size() - 2] - '0');
    family.remove_suffix(2);
  }
  if (name == "Linear") return {true, true, 2, 0};
  if (name == "Conv1D") return {true, true, 2, 1};  // of transformers: a Linear that keeps [in, out]
  if (family == "Conv" && dimensions > 0) return {true, true, dimensions + 2, 0};
  if (family == "ConvTranspose" && dimensions > 0) return {true, true, dimensions + 2, 1};
  if (family == "BatchNorm" || family == "InstanceNorm") return {false, true, 1, 0};
  if (family == "MaxPool" || family == "AvgPool" || family == "AdaptiveAvgPool" || name == "LeakyReLU")
    return {false, true, 0, 0};
  return {};
}

/// Why the layers of a class that is not quantizable are left as they are.
constexpr std::string_view why_never(std::string_view class_name) noexcept {
  const auto has = [&](std::string_view part) { return class_name.find(part) != std::string_view::npos; };
  if (class_name.empty()) return "its class is not known; ptq.module_types can name it";
  if (has("Embedding")) return "embeddings are looked up, not multiplied: never quantized";
  if (has("Norm")) return "normalisation is never quantized";
  if (has("LSTM") || has("GRU") || has("RNN")) return "recurrent layers are not supported";
  if (class_name == "Sequential" || class_name == "ModuleList" || class_name == "ModuleDict")
    return "a container has no weight of its own";
  return "ptq cannot quantize layers of this class";
}

/// The class of a norm without statistics of its own, by the last part of its name; "" where that may be a
/// BatchNorm or InstanceNorm that keeps none, whose activations can be quantized.
constexpr std::string_view suggested_norm(std::string_view part) noexcept {
  const auto has = [&](std::string_view word) { return part.find(word) != std::string_view::npos; };
  if (has("bn") || has("BN") || has("atch") || has("nstance")) return "";
  return has("roup") || part.starts_with("gn") ? "GroupNorm" : "LayerNorm";
}

/// The class that the name and rank of a weight suggest, or "" where they suggest none. ConvTranspose is
/// never suggested: its weight looks like that of a convolution.
///
/// @param has_running_mean the model also holds a tensor `<name>.running_mean`
constexpr std::string_view suggested_class(std::string_view name, std::size_t rank,
                                           bool has_running_mean) noexcept {
  switch (rank) {
    case 1:
      return has_running_mean ? "BatchNorm" : "";
    case 3:
      return "Conv1d";
    case 4:
      return "Conv2d";
    case 5:
      return "Conv3d";
    case 2:
      break;
    default:
      return "";
  }
  while (true) {
    const std::string_view part = name.substr(0, name.find('.'));
    if (part.find("embed") != std::string_view::npos || part == "wte" || part == "wpe" || part == "shared" ||
        part == "relative_attention_bias")  // of T5 and MPNet: looked up by distance
      return "Embedding";
    if (part.size() == name.size()) return "Linear";
    name.remove_prefix(part.size() + 1);
  }
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_MODEL_CLASSES_HPP
