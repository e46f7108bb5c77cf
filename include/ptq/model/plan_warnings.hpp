// SPDX-License-Identifier: Apache-2.0
/// @file plan_warnings.hpp What in a plan its author should know about.
#ifndef PTQ_MODEL_PLAN_WARNINGS_HPP
#define PTQ_MODEL_PLAN_WARNINGS_HPP

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "ptq/config/rule_path.hpp"
#include "ptq/config/spec.hpp"
#include "ptq/model/layer.hpp"
#include "ptq/model/pattern_hints.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/text/phrases.hpp"

namespace ptq::inline v0_1::detail {

/// Of the layers that a rule matches and that are not skipped.
struct rule_outcome {
  std::size_t kept = 0;
  std::size_t blocked = 0;  ///< nothing that the rule asks of the layer can be done
};

inline void warn_of_dead_patterns(plan& made, std::span<const layer> layers) {
  pattern_hints hints(layers);
  const auto warn = [&](const std::string& path, const pattern_count& count) {
    if (count.matched > 0) return;
    made.warnings.push_back(path + " " + in_quotes(count.pattern) + " matches no layer." +
                            hints.hint(count.pattern));
  };
  for (std::size_t i = 0; i < made.rules.size(); ++i) warn(rule_path(i) + ".module_name", made.rules[i]);
  for (std::size_t i = 0; i < made.skip_names.size(); ++i) warn(skip_path(i), made.skip_names[i]);
}

/// A rule that can do nothing at all is a warning, one that can do a part a note.
inline void judge_rules(plan& made, const std::vector<rule_outcome>& outcomes) {
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const auto [kept, blocked] = outcomes[i];
    if (blocked == 0) continue;
    const std::string rule = rule_path(i) + " " + in_quotes(made.rules[i].pattern);
    if (blocked == kept)
      made.warnings.push_back(rule + " matches " + counted(kept, "layer") +
                              ", none of which can be quantized; the plan says why.");
    else
      made.notes.push_back(rule + ": " + std::to_string(blocked) + " of the " + counted(kept, "layer") +
                           " that it matches cannot be quantized; the plan says why.");
  }
}

/// What a backend for weights alone ignores.
inline void warn_of_weight_only(plan& made, const quantize_config& config) {
  for (std::size_t i = 0; i < config.layers.size(); ++i) {
    const auto& [pattern, weights, activations] = config.layers[i];
    if (activations && activations->dtype != "native")
      made.warnings.push_back(rule_path(i) + ".activations is ignored: backend " + in_quotes(config.backend) +
                              " quantizes weights only. Activations need backend \"modelopt\" with mode "
                              "\"static_ptq\".");
    if (weights && weights->quant_axis.kind == axis_choice::kind_type::per_tensor)
      made.warnings.push_back(rule_path(i) + ".weights.quant_axis: null is ignored: backend " +
                              in_quotes(config.backend) + " keeps its own granularity.");
  }
}

inline void warn_of_contradictions(plan& made, std::span<const layer> layers) {
  const auto contradicts = [](const layer& l) { return !rank_contradiction(l).empty(); };
  const auto first = std::find_if(layers.begin(), layers.end(), contradicts);
  if (first == layers.end()) return;
  const auto others = static_cast<std::size_t>(std::count_if(first + 1, layers.end(), contradicts));
  made.warnings.push_back("layer " + in_quotes(first->name) + ": " + rank_contradiction(*first) +
                          (others > 0 ? "; so it is with " + counted(others, "more layer") : "") + ".");
}

inline void warn_of_nothing(plan& made) {
  if (made.quantizes_weights() || made.quantizes_activations()) return;
  made.warnings.push_back(std::string("nothing is quantized: ") +
                          (made.layers.empty()  ? "the model has no layers."
                           : made.rules.empty() ? "quantize.layers is empty."
                                                : "the plan gives the reason for each layer."));
}

inline void add_warnings(plan& made, const quantize_config& config, std::span<const layer> layers,
                         const std::vector<rule_outcome>& outcomes, bool quantizes_activations) {
  warn_of_dead_patterns(made, layers);
  judge_rules(made, outcomes);
  if (!quantizes_activations) warn_of_weight_only(made, config);
  warn_of_contradictions(made, layers);
  warn_of_nothing(made);
}

}  // namespace ptq::inline v0_1::detail

#endif  // PTQ_MODEL_PLAN_WARNINGS_HPP
