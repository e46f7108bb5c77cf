// SPDX-License-Identifier: Apache-2.0
/// @file resolve.hpp What the rules say about a layer, before anyone asks whether it can be done.
#ifndef PTQ_MODEL_RESOLVE_HPP
#define PTQ_MODEL_RESOLVE_HPP

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "ptq/config/spec.hpp"
#include "ptq/model/layer.hpp"
#include "ptq/model/pattern.hpp"

namespace ptq::inline v0_1 {

/// Indices into `quantize.layers` and `quantize.skip_names`.
struct resolution {
  std::vector<std::size_t> rules;          ///< every entry whose pattern hits the layer, in order
  std::vector<std::size_t> skips;          ///< every skip pattern that hits it
  std::optional<std::size_t> weights;      ///< the entry that wins the weights, unless the layer is skipped
  std::optional<std::size_t> activations;  ///< the entry that wins the activations, likewise
};

/// Whether a pattern matches one of a layer's names, its class or that of its module, or its ONNX operator.
inline bool hits(std::string_view pattern, const layer& candidate) noexcept {
  const auto takes = [&](std::string_view word) { return !word.empty() && matches(pattern, word); };
  return takes(candidate.name) || takes(candidate.class_name) || takes(candidate.op_type) ||
         takes(candidate.origin.module_class) ||
         std::any_of(candidate.aliases.begin(), candidate.aliases.end(), takes);
}

/// Entries apply in order and the last one wins, for weights and activations apart; an entry without a slot
/// leaves that slot alone. A skip pattern always wins.
inline resolution resolve(const quantize_config& config, const layer& candidate) {
  resolution found;
  for (std::size_t i = 0; i < config.skip_names.size(); ++i)
    if (hits(config.skip_names[i], candidate)) found.skips.push_back(i);
  for (std::size_t i = 0; i < config.layers.size(); ++i) {
    const rule_config& rule = config.layers[i];
    if (!hits(rule.module_name, candidate)) continue;
    found.rules.push_back(i);
    if (!found.skips.empty()) continue;
    if (rule.weights) found.weights = i;
    if (rule.activations) found.activations = i;
  }
  return found;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_MODEL_RESOLVE_HPP
