// SPDX-License-Identifier: Apache-2.0
/// @file pattern_hints.hpp What to write instead of patterns that match no layer.
#ifndef PTQ_MODEL_PATTERN_HINTS_HPP
#define PTQ_MODEL_PATTERN_HINTS_HPP

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ptq/model/layer.hpp"
#include "ptq/model/pattern_set.hpp"
#include "ptq/model/regular_expression.hpp"
#include "ptq/model/resolve.hpp"
#include "ptq/text/nearest_word.hpp"
#include "ptq/text/phrases.hpp"

namespace ptq::inline v0_1::detail {

/// Hints for one list of layers. All of them together may take `effort` steps, tens of milliseconds: of very
/// many dead patterns, or of some in a very large model, only the first get hints.
class pattern_hints {
 public:
  static constexpr std::size_t effort = 20'000'000;  ///< looks at words, and comparisons of letters

  explicit pattern_hints(std::span<const layer> layers) : layers_(layers) {}

  /// A sentence after a space; empty where there is nothing to say.
  std::string hint(const std::string& pattern) {
    prepare();
    if (looks_like_regular_expression(pattern)) return regular_expression_hint(pattern);
    const std::size_t first = pattern.find_first_not_of('*');
    if (first == std::string::npos) return {};
    if (pattern.starts_with("nn.") || pattern.starts_with("torch.nn.")) {
      const std::string found = would_match(pattern.substr(pattern.rfind('.') + 1));
      if (!found.empty()) return " Classes have no package in their names; " + found;
    }
    const std::string core = pattern.substr(first, pattern.find_last_not_of('*') + 1 - first);
    for (const std::string& wider : {"*" + core, core + ".*", "*" + core + "*"})
      if (const std::string found = would_match(wider); !found.empty())
        return " Patterns match whole names; " + found;
    const std::size_t letters = (std::min)(hint_effort, letter_count_ * (1 + pattern.size()));
    const std::string_view nearest =
        afford(letters + nearby_.size()) ? nearest_word(pattern, nearby_) : std::string_view();
    return nearest.empty() ? std::string() : " Did you mean " + in_quotes(nearest) + "?";
  }

 private:
  struct word_of_layer {
    lettered_word word;
    std::size_t layer = 0;
  };

  void prepare() {
    if (is_ready_) return;
    is_ready_ = true;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      const layer& l = layers_[i];
      for_each_word(l, [&](std::string_view word) {
        if (!word.empty()) words_.push_back({lettered_word(word), i});
      });
      if (letter_count_ > hint_effort) continue;  // nobody reads on
      nearby_.insert(nearby_.end(), {l.class_name, l.op_type, l.origin.module_class, l.name});
      nearby_.insert(nearby_.end(), l.aliases.begin(), l.aliases.end());
      letter_count_ += l.class_name.size() + l.op_type.size() + l.origin.module_class.size() + l.name.size();
      for (const std::string& alias : l.aliases) letter_count_ += alias.size();
    }
  }

  bool afford(std::size_t steps) noexcept {
    left_ = steps > left_ ? 0 : left_ - steps;
    return left_ > 0;
  }

  /// `"*fc" would match 2 layers.`; nothing if it would match none, or that takes too long.
  std::string would_match(const std::string& pattern) {
    const prepared_pattern prepared(pattern);
    std::size_t count = 0;
    std::size_t last = layers_.size();
    for (const auto& [word, layer] : words_) {
      const bool is_close = (prepared.letters() & ~word.letters) == 0;
      if (!afford(is_close ? 1 + word.text.size() * pattern.size() : 1)) return {};
      if (!is_close || layer == last || !prepared.takes(word)) continue;
      last = layer;
      ++count;
    }
    return count == 0 ? std::string() : in_quotes(pattern) + " would match " + counted(count, "layer") + ".";
  }

  /// What it would be as a pattern.
  std::string regular_expression_hint(const std::string& expression) {
    const std::string said =
        " It looks like a regular expression, but patterns are fnmatch's (*, ?, [abc], [!abc]): ";
    const auto pattern = pattern_of_regular_expression(expression);
    if (!pattern) return said + "write one for each alternative.";
    const std::string found = would_match(*pattern);
    return said + (found.empty() ? "it would be " + in_quotes(*pattern) + "." : found);
  }

  std::span<const layer> layers_;
  bool is_ready_ = false;
  std::vector<word_of_layer> words_;
  std::vector<std::string_view> nearby_;  // words that may be nearest to a typo
  std::size_t letter_count_ = 0;          // of those
  std::size_t left_ = effort;
};

}  // namespace ptq::inline v0_1::detail

#endif  // PTQ_MODEL_PATTERN_HINTS_HPP
