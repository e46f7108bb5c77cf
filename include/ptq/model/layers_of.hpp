// SPDX-License-Identifier: Apache-2.0
/// @file layers_of.hpp The layers that a bare list of named tensors makes.
#ifndef PTQ_MODEL_LAYERS_OF_HPP
#define PTQ_MODEL_LAYERS_OF_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/model/classes.hpp"
#include "ptq/model/layer.hpp"
#include "ptq/tensor/any_view.hpp"
#include "ptq/text/name_map.hpp"

namespace ptq::inline v0_1 {

/// A tensor of a model file.
struct named_tensor {
  std::string name;
  any_view view;
};

/// What is known of a model beside its tensors.
struct model_hints {
  bool keeps_in_out = false;  ///< layers with names of GPT-2 are `Conv1D`, squares too
  tensor_shape word_table;    ///< the shape of the embedding of words; without axes where it is not known

  bool empty() const noexcept { return !keeps_in_out && word_table.rank == 0; }
};

namespace detail {

inline constexpr std::string_view weight_suffix = ".weight";

inline bool is_weight_name(std::string_view tensor) {
  return tensor.size() > weight_suffix.size() && tensor.ends_with(weight_suffix);
}

/// Reads the class of a layer off the names and shapes of its neighbours. It looks into the names of tensors.
class state_dict {
 public:
  state_dict(std::span<const named_tensor> tensors, const model_hints& hints)
      : word_table_(hints.word_table), has_in_out_(hints.keeps_in_out) {
    for (const named_tensor& tensor : tensors) shapes_.emplace(tensor.name, tensor.view.shape);
    for (const auto& [name, shape] : shapes_)
      if (is_gpt2_name(layer_name(name))) has_in_out_ = has_in_out_ || keeps_in_out(layer_name(name), shape);
  }

  /// "Linear"; empty where nothing is suggested.
  std::string_view suggested(std::string_view layer, const tensor_shape& weight) const {
    const std::string_view found =
        suggested_class(layer, weight.rank, shape_of(layer, ".running_mean") != nullptr);
    if (found.empty() && is_norm(layer, weight)) return suggested_norm(last_part(layer));
    if (found == "Embedding" && shape_of(layer, ".bias") != nullptr) return "Linear";  // tables have none
    if (found == "Linear" && is_word_table(layer, weight)) return "Embedding";
    if (found == "Linear" && keeps_in_out(layer, weight)) return "Conv1D";
    return found == "Conv1d" && is_stack(layer, weight) ? "" : found;
  }

  /// Whether a tensor of rank 3 holds a matrix for each of some experts, and is no convolution, whose bias
  /// has one axis.
  bool is_stack(std::string_view name, const tensor_shape& shape) const {
    if (shape.rank != 3) return false;
    if (const tensor_shape* const bias = shape_of(name, ".bias")) return bias->rank == 2;
    return is_of_experts(name) || has_router(name, shape[0]);
  }

 private:
  static std::string_view layer_name(std::string_view tensor) {
    return tensor.ends_with(".weight") ? tensor.substr(0, tensor.size() - 7) : std::string_view();
  }
  static std::string_view last_part(std::string_view name) {
    return name.substr(name.rfind('.') + 1);  // npos + 1 is 0
  }

  /// Whether words are looked up in a matrix; what turns into words at the other end has its shape.
  bool is_word_table(std::string_view layer, const tensor_shape& weight) const {
    if (weight.rank != 2 || !(word_table_ == weight) || shape_of(layer, ".bias") != nullptr) return false;
    constexpr std::array<std::string_view, 8> of_heads{"head",  "decoder", "out",     "proj",
                                                       "logit", "class",   "predict", "score"};
    const std::string_view name = last_part(layer);
    return std::none_of(of_heads.begin(), of_heads.end(),
                        [&](std::string_view word) { return name.find(word) != std::string_view::npos; });
  }

  /// Whether channels are scaled and shifted: a weight and a bias of one axis and length.
  bool is_norm(std::string_view layer, const tensor_shape& weight) const {
    const tensor_shape* const bias = shape_of(layer, ".bias");
    return weight.rank == 1 && bias != nullptr && *bias == weight;
  }

  /// Whether a part of the name says so, as in "moe.experts.up", but not "experts.3.up": that is of one.
  static bool is_of_experts(std::string_view name) {
    bool found = false;
    while (!name.empty()) {
      const std::string_view part = name.substr(0, name.find('.'));
      if (found && part.find_first_not_of("0123456789") == std::string_view::npos) return false;
      found = found || part.find("expert") != std::string_view::npos || part == "moe" ||
              part.starts_with("moe_") || part.ends_with("_moe");
      name.remove_prefix((std::min)(part.size() + 1, name.size()));
    }
    return found;
  }

  /// What transformers calls the layers of its class Conv1D.
  static bool is_gpt2_name(std::string_view layer) {
    constexpr std::string_view names[] = {"c_attn", "c_fc", "c_proj", "q_attn"};
    return std::find(std::begin(names), std::end(names), last_part(layer)) != std::end(names);
  }

  /// Whether a matrix is stored [in, out]: its bias has one element a column. Squares are as the others that
  /// have such a name.
  bool keeps_in_out(std::string_view layer, const tensor_shape& weight) const {
    if (weight.rank != 2) return false;
    const tensor_shape* const bias = shape_of(layer, ".bias");
    if (weight[0] == weight[1] || bias == nullptr) return has_in_out_ && is_gpt2_name(layer);
    return bias->rank == 1 && (*bias)[0] == weight[1];
  }

  /// Whether beside the layer something chooses one of so many experts.
  bool has_router(std::string_view name, std::size_t experts) const {
    const std::string_view parent = name.substr(0, name.size() - last_part(name).size());
    const auto [known, is_new] = choices_.add(parent);
    if (is_new) {
      for (const std::string_view router : {"router", "gate."})
        add_choices(std::string(parent).append(router), *known);
      std::sort(known->begin(), known->end());
    }
    return std::binary_search(known->begin(), known->end(), experts);
  }

  /// The numbers of rows of the matrices whose names begin so.
  void add_choices(const std::string& start, std::vector<std::size_t>& choices) const {
    for (auto at = shapes_.lower_bound(start); at != shapes_.end() && at->first.starts_with(start); ++at)
      if (at->second.rank == 2) choices.push_back(at->second[0]);
  }

  const tensor_shape* shape_of(std::string_view layer, std::string_view tensor) const {
    const auto found = shapes_.find(std::string(layer).append(tensor));
    return found == shapes_.end() ? nullptr : &found->second;
  }

  std::map<std::string_view, tensor_shape> shapes_;
  mutable name_map<std::vector<std::size_t>> choices_;  // found so far: parent -> rows of its routers
  tensor_shape word_table_;
  bool has_in_out_;  // some matrix of a GPT-2 says so, or a hint
};

}  // namespace detail

/// Whether a tensor makes a layer (`layers_of`): as its weight, or by its axes.
inline bool makes_layer(std::string_view tensor, const tensor_shape& shape) {
  return detail::is_weight_name(tensor) || shape.rank >= 2;
}

/// Each tensor `<name>.weight` makes the layer `<name>`, in order. Other tensors of two axes and more are
/// layers too, by their whole names and with the reason why they stay as they are; the rest belongs to none.
///
/// @param module_types layer name -> class name, as in `ptq.module_types`; what it lacks is inferred
/// @param hints        what else is known, for that
inline std::vector<layer> layers_of(std::span<const named_tensor> tensors,
                                    const std::map<std::string, std::string>& module_types = {},
                                    const model_hints& hints = {}) {
  const detail::state_dict neighbours(tensors, hints);
  std::vector<layer> layers;
  for (const named_tensor& tensor : tensors) {
    const tensor_shape& shape = tensor.view.shape;
    if (!makes_layer(tensor.name, shape)) continue;
    const bool is_weight = detail::is_weight_name(tensor.name);
    std::string_view name = tensor.name;
    if (is_weight) name.remove_suffix(detail::weight_suffix.size());
    layer made;
    made.name = name;
    made.weight = tensor.view;
    const auto known = module_types.find(made.name);
    if (known != module_types.end()) {
      made.class_name = known->second;
    } else if (is_weight) {
      made.class_name = neighbours.suggested(name, shape);
      made.inferred = !made.class_name.empty();
    }
    if ((known == module_types.end() || !is_weight) && neighbours.is_stack(name, shape))
      made.reason = detail::stack_text(shape[0]);
    else if (!is_weight)
      made.reason = "its name does not end in \".weight\": only such tensors are quantized";
    layers.push_back(std::move(made));
  }
  return layers;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_MODEL_LAYERS_OF_HPP
