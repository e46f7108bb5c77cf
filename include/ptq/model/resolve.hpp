// SPDX-License-Identifier: Apache-2.0
/// @file resolve.hpp What the rules say about a layer, before anyone asks whether it can be done.
#ifndef PTQ_MODEL_RESOLVE_HPP
#define PTQ_MODEL_RESOLVE_HPP

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/config/spec.hpp"
#include "ptq/model/layer.hpp"
#include "ptq/model/pattern.hpp"
#include "ptq/model/pattern_set.hpp"

namespace ptq::inline v0_1 {

/// Indices into `quantize.layers` and `quantize.skip_names`.
struct resolution {
  std::vector<std::size_t> rules;          ///< every entry whose pattern hits the layer, in order
  std::vector<std::size_t> skips;          ///< every skip pattern that hits it
  std::optional<std::size_t> weights;      ///< the entry that wins the weights, unless the layer is skipped
  std::optional<std::size_t> activations;  ///< the entry that wins the activations, likewise
};

/// Calls f(word) for all that patterns are matched with: a layer's names, its class and that of its module,
/// its ONNX operator. Some may be empty, and match nothing.
template <class F>
void for_each_word(const layer& candidate, F&& f) {
  f(candidate.name);
  f(candidate.class_name);
  f(candidate.op_type);
  f(candidate.origin.module_class);
  for (const std::string& alias : candidate.aliases) f(alias);
}

/// Whether a pattern matches one of a layer's words.
inline bool hits(std::string_view pattern, const layer& candidate) noexcept {
  bool found = false;
  for_each_word(candidate,
                [&](std::string_view word) { found = found || (!word.empty() && matches(pattern, word)); });
  return found;
}

/// Says what rules say of one layer after the other: their patterns are made ready once. It looks into the
/// configuration.
class resolver {
 public:
  explicit resolver(const quantize_config& config) : config_(&config) {
    for (const std::string& pattern : config.skip_names) skips_.add(pattern);
    for (const rule_config& rule : config.layers) rules_.add(rule.module_name);
  }

  /// Entries apply in order and the last one wins, for weights and activations apart; an entry without a slot
  /// leaves that slot alone. A skip pattern always wins.
  resolution resolve(const layer& candidate) const {
    const std::vector<detail::lettered_word> words = words_of(candidate);
    return decide(rules_.find(words), skips_.find(words));
  }

  /// The same, but of skip patterns that are there more than once only the first: others follow from it.
  resolution resolve_firsts(const layer& candidate) const {
    const std::vector<detail::lettered_word> words = words_of(candidate);
    return decide(rules_.find(words), skips_.find_firsts(words));
  }

  /// The first of the skip patterns that are as this one.
  std::size_t first_skip(std::size_t skip) const noexcept { return skips_.first_of(skip); }

 private:
  static std::vector<detail::lettered_word> words_of(const layer& candidate) {
    std::vector<detail::lettered_word> words;
    for_each_word(candidate, [&](std::string_view word) {
      if (!word.empty()) words.emplace_back(word);
    });
    return words;
  }

  resolution decide(std::vector<std::size_t> rules, std::vector<std::size_t> skips) const {
    resolution found{std::move(rules), std::move(skips), {}, {}};
    if (!found.skips.empty()) return found;
    for (const std::size_t i : found.rules) {
      if (config_->layers[i].weights) found.weights = i;
      if (config_->layers[i].activations) found.activations = i;
    }
    return found;
  }

  const quantize_config* config_;
  detail::pattern_set skips_;
  detail::pattern_set rules_;
};

/// As `resolver` does, of one layer alone.
inline resolution resolve(const quantize_config& config, const layer& candidate) {
  return resolver(config).resolve(candidate);
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_MODEL_RESOLVE_HPP
