// SPDX-License-Identifier: Apache-2.0
/// @file match.hpp Makes a plan: what the rules say about each layer, and whether it can be done.
#ifndef PTQ_MODEL_MATCH_HPP
#define PTQ_MODEL_MATCH_HPP

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/backend/recipe.hpp"
#include "ptq/config/rule_path.hpp"
#include "ptq/config/spec.hpp"
#include "ptq/model/backend_row.hpp"
#include "ptq/model/classes.hpp"
#include "ptq/model/layer.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/model/plan_warnings.hpp"
#include "ptq/model/resolve.hpp"
#include "ptq/policies.hpp"
#include "ptq/result.hpp"
#include "ptq/text/name_map.hpp"
#include "ptq/text/phrases.hpp"
#include "ptq/text/shape_text.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// What a bundle of policies says about one backend: the only part of matching that is compiled per bundle.
struct backend_profile {
  std::string_view word;   ///< as the specification writes it
  const backend_row* row;  ///< null if the bundle lacks the backend; nothing is said of its activations then

  bool activations() const noexcept { return row == nullptr || row->activations; }
  const granularity* default_grain(std::string_view dtype) const noexcept {
    const recipe* const numbers = row != nullptr ? row->find(dtype) : nullptr;
    return numbers != nullptr ? &numbers->weights : nullptr;
  }
};

enum class slot : unsigned char { weights, activations };

inline const std::optional<slot_config>& slot_of(const rule_config& rule, slot which) noexcept {
  return which == slot::weights ? rule.weights : rule.activations;
}

/// How weights share scales. An axis out of range is kept: `check_axes` and `apply` report it.
inline granularity weight_grain(const axis_choice& choice, std::string_view dtype, const layer& candidate,
                                const backend_profile& backend) {
  if (choice.kind == axis_choice::kind_type::axis)
    return per_channel(std::min<std::size_t>(choice.axis, static_cast<unsigned char>(-1)));
  const bool asks_per_tensor = choice.kind == axis_choice::kind_type::per_tensor && backend.activations();
  if (asks_per_tensor || !backend.default_grain(dtype)->is_per_channel()) return per_tensor();
  return per_channel(candidate.output_axis.value_or(traits_of_class(candidate.class_name).output_axis));
}

/// Whether a weight would get a scale per output channel, and no axis of it counts those.
inline bool lacks_axis(const slot_config& wanted, const layer& candidate, const backend_profile& backend) {
  return !candidate.axis_reason.empty() && wanted.quant_axis.kind != axis_choice::kind_type::axis &&
         weight_grain(wanted.quant_axis, wanted.dtype, candidate, backend).is_per_channel();
}

/// Why a slot of a layer cannot become what is wanted; empty if it can.
inline std::string obstacle(slot which, const slot_config& wanted, const layer& candidate,
                            const backend_profile& backend) {
  const std::string_view dtype = wanted.dtype;
  if (!backend.default_grain(dtype))
    return in_quotes(backend.word) + " with " + in_quotes(dtype) + " is not in this bundle of policies";
  if (which == slot::activations && !backend.activations())
    return "backend " + in_quotes(backend.word) + " quantizes weights only";
  if (!candidate.reason.empty()) return candidate.reason;
  const class_traits traits = traits_of_class(candidate.class_name);
  if (!traits.is_quantizable()) return std::string(why_never(candidate.class_name));
  if (std::string text = rank_contradiction(candidate); !text.empty()) return text;
  if (which == slot::activations) return candidate.input_reason;
  if (!traits.weights) return "only the activations of " + candidate.class_name + " can be quantized";
  if (!candidate.has_weight()) return "it has no constant weight";
  if (candidate.weight.misfits)
    return "its weight" + misfit_text(candidate.weight.held, candidate.weight.shape);
  if (candidate.weight.has_floats())
    return lacks_axis(wanted, candidate, backend) ? candidate.axis_reason : "";
  const std::string found(candidate.weight.type_name);
  if (found.empty()) return "its weight does not hold floating-point numbers";
  return "its weight holds " + found + "; float16, bfloat16, float32 and float64 can be quantized";
}

inline decision decide(slot which, const layer& candidate, const resolution& found,
                       const quantize_config& config, const backend_profile& backend) {
  decision made;
  if (!found.skips.empty()) {
    made.reason = "skipped by " + skip_path(found.skips.front()) + " " +
                  in_quotes(config.skip_names[found.skips.front()]);
    return made;
  }
  made.rule = which == slot::weights ? found.weights : found.activations;
  if (!made.rule) {
    made.reason = found.rules.empty()      ? "no rule matches"
                  : which == slot::weights ? "no matching rule sets weights"
                                           : "no matching rule sets activations";
    return made;
  }
  const slot_config& wanted = *slot_of(config.layers[*made.rule], which);
  made.reason = wanted.dtype == "native" ? rule_path(*made.rule) + " says native"
                                         : obstacle(which, wanted, candidate, backend);
  if (!made.reason.empty()) return made;
  made.dtype = wanted.dtype;
  made.grain = which == slot::weights ? weight_grain(wanted.quant_axis, wanted.dtype, candidate, backend)
                                      : per_tensor();
  return made;
}

/// Whether a rule asks something of a layer, and nothing of it can be done.
inline bool is_blocked(const rule_config& rule, const layer& candidate, const backend_profile& backend) {
  bool asks = false;
  for (const slot which : {slot::weights, slot::activations}) {
    const auto& wanted = slot_of(rule, which);
    if (!wanted || wanted->dtype == "native") continue;
    if (which == slot::activations && !backend.activations()) continue;  // has its own warning
    if (obstacle(which, *wanted, candidate, backend).empty()) return false;
    asks = true;
  }
  return asks;
}

/// Of many rules, whether they are blocked at a layer: rules that ask for the same have one answer.
class rule_judge {
 public:
  rule_judge(const std::vector<rule_config>& rules, const backend_profile& backend)
      : rules_(&rules), backend_(&backend) {
    std::vector<std::string> asked;
    asked.reserve(rules.size());  // `known` looks into them
    name_map<std::size_t> known;
    for (const rule_config& rule : rules) {
      asked.push_back(text_of(rule.weights) + "/" + text_of(rule.activations));
      same_as_.push_back(*known.add(asked.back(), same_as_.size()).first);
    }
    answers_.resize(rules.size());
  }

  /// @param at the number of the layer: each is asked about in turn
  bool is_blocked(std::size_t rule, const layer& candidate, std::size_t at) {
    answer& known = answers_[same_as_[rule]];
    if (known.layer != at) known = {at, detail::is_blocked((*rules_)[rule], candidate, *backend_)};
    return known.is_blocked;
  }

 private:
  struct answer {
    std::size_t layer = static_cast<std::size_t>(-1);
    bool is_blocked = false;
  };

  static std::string text_of(const std::optional<slot_config>& wanted) {
    if (!wanted) return {};
    return wanted->dtype + " " + std::to_string(static_cast<int>(wanted->quant_axis.kind)) + " " +
           std::to_string(wanted->quant_axis.axis);
  }

  const std::vector<rule_config>* rules_;
  const backend_profile* backend_;
  std::vector<std::size_t> same_as_;  // rule -> the first that asks for the same
  std::vector<answer> answers_;
};

inline plan match(const spec& wanted, std::span<const layer> layers, const backend_profile& backend) {
  const quantize_config& config = wanted.quantize;
  plan made{config.backend, config.mode, config.algorithm, {}, {}, {}, wanted.warnings, {}};
  for (const rule_config& rule : config.layers) made.rules.push_back({rule.module_name});
  for (const std::string& pattern : config.skip_names) made.skip_names.push_back({pattern});
  std::vector<rule_outcome> outcomes(config.layers.size());
  const resolver rules(config);
  rule_judge judge(config.layers, backend);
  made.layers.reserve(layers.size());
  for (std::size_t at = 0; at < layers.size(); ++at) {
    const layer& candidate = layers[at];
    const resolution found = rules.resolve_firsts(candidate);
    for (const std::size_t i : found.skips) ++made.skip_names[i].matched;
    for (const std::size_t i : found.rules) {
      ++made.rules[i].matched;
      if (!found.skips.empty()) continue;
      ++outcomes[i].kept;
      if (judge.is_blocked(i, candidate, at)) ++outcomes[i].blocked;
    }
    planned_layer& planned = made.layers.emplace_back();
    planned.name = candidate.name;
    planned.class_name = candidate.class_name;
    planned.inferred = candidate.inferred;
    planned.origin = candidate.origin;
    planned.shape = candidate.weight.shape;
    planned.weights = decide(slot::weights, candidate, found, config, backend);
    planned.activations = decide(slot::activations, candidate, found, config, backend);
    if (!found.skips.empty()) planned.skipped_by = found.skips.front();
  }
  for (std::size_t i = 0; i < made.skip_names.size(); ++i)
    made.skip_names[i].matched = made.skip_names[rules.first_skip(i)].matched;
  add_warnings(made, config, layers, outcomes, backend.activations());
  return made;
}

}  // namespace detail

/// Decides what happens to each layer, and why.
///
/// @tparam Policies the bundle whose dtypes and backends count
/// @param wanted  read by `read_spec`, or built in code and checked by `validate`
/// @param layers  with names, classes, shapes and element types; tensor data is not touched
/// @return the plan for exactly these layers, in this order. Its warnings begin with those of the
///         specification.
template <class Policies = builtin>
plan match(const spec& wanted, std::span<const layer> layers) {
  const std::string_view backend = wanted.quantize.backend;
  return detail::match(wanted, layers, {backend, find_backend_row<Policies>(backend)});
}

/// Whether every `weights.quant_axis` is an axis of the weights that it is meant for. `apply` finds out too,
/// but only when it comes to the layer.
///
/// @param made what `match` made of `wanted`
/// @return axis_out_of_range with the place of the first such rule, its axis, the first layer, and how many
///         more there are
inline result<void> check_axes(const spec& wanted, const plan& made) {
  const auto lacks_axis = [](const planned_layer& l) {
    return l.weights.grain && l.weights.grain->is_per_channel() && l.weights.grain->axis >= l.shape.rank;
  };
  const auto first = std::find_if(made.layers.begin(), made.layers.end(), lacks_axis);
  if (first == made.layers.end()) return {};
  const std::size_t rule = *first->weights.rule;
  const axis_choice& asked = wanted.quantize.layers[rule].weights->quant_axis;
  const std::size_t axis =
      asked.kind == axis_choice::kind_type::axis ? asked.axis : first->weights.grain->axis;
  const auto others =
      static_cast<std::size_t>(std::count_if(first + 1, made.layers.end(), [&](const planned_layer& l) {
        return lacks_axis(l) && l.weights.rule == rule;
      }));
  return error(errc::axis_out_of_range, wanted.where(detail::rule_path(rule) + ".weights.quant_axis"),
               "is " + std::to_string(axis) + ", but the weight of layer " + detail::in_quotes(first->name) +
                   " has rank " + std::to_string(first->shape.rank) + ", its axes count from 0" +
                   (others > 0 ? "; so it is with " + counted(others, "more layer") : "") + ".");
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_MODEL_MATCH_HPP
