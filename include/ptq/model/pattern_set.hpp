// SPDX-License-Identifier: Apache-2.0
/// @file pattern_set.hpp Many patterns, made ready once, so that a word costs little more than a look at
/// each.
#ifndef PTQ_MODEL_PATTERN_SET_HPP
#define PTQ_MODEL_PATTERN_SET_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ptq/model/pattern.hpp"
#include "ptq/text/utf8.hpp"

namespace ptq::inline v0_1::detail {

/// Which ASCII letters a text has, some of them sharing a bit: a text that lacks a bit of another does not
/// contain it.
constexpr std::uint64_t letters_of(std::string_view text) noexcept {
  std::uint64_t letters = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) letters |= std::uint64_t{1} << (byte % 32u + (byte < 0x40 ? 32u : 0u));
  }
  return letters;
}

/// What a pattern is matched with.
struct lettered_word {
  std::string_view text;
  std::uint64_t letters = 0;

  explicit lettered_word(std::string_view word) noexcept : text(word), letters(letters_of(word)) {}
};

/// Answers as `matches` does, faster. It looks into the pattern's text.
class prepared_pattern {
 public:
  explicit prepared_pattern(std::string_view pattern) noexcept
      : text_(pattern), letters_(needed_letters(pattern)), has_parts_(is_made_of_parts(pattern)) {}

  /// Every text that it matches has these.
  std::uint64_t letters() const noexcept { return letters_; }

  bool takes(const lettered_word& word) const noexcept {
    if ((letters_ & ~word.letters) != 0) return false;
    return has_parts_ ? takes_parts(word.text) : matches(text_, word.text);
  }

  /// Whether a pattern matches one text alone, its own.
  static bool is_literal(std::string_view pattern) noexcept {
    return pattern.find_first_of("*?[") == std::string_view::npos;
  }

 private:
  /// What follows the first "[" may be members of a set.
  static std::uint64_t needed_letters(std::string_view pattern) noexcept {
    const std::string_view plain = pattern.substr(0, pattern.find('['));
    std::uint64_t letters = 0;
    for (std::size_t i = 0; i < plain.size(); ++i)
      if (plain[i] != '*' && plain[i] != '?') letters |= letters_of(plain.substr(i, 1));
    return letters;
  }

  /// Whether there are only stars between literal parts. In UTF-8, which is valid here, bytes that are equal
  /// are code points that are.
  static bool is_made_of_parts(std::string_view pattern) noexcept {
    return pattern.find('*') != std::string_view::npos &&
           pattern.find_first_of("?[") == std::string_view::npos && !find_invalid_utf8(pattern);
  }

  bool takes_parts(std::string_view word) const noexcept {
    const std::string_view front = text_.substr(0, text_.find('*'));
    const std::string_view back = text_.substr(text_.rfind('*') + 1);
    if (word.size() < front.size() + back.size() || !word.starts_with(front) || !word.ends_with(back))
      return false;
    word = word.substr(front.size(), word.size() - front.size() - back.size());
    std::string_view parts = text_.substr(front.size(), text_.size() - front.size() - back.size());
    while (!parts.empty()) {  // each begins with its star
      const std::string_view part = parts.substr(1, parts.find('*', 1) - 1);
      const std::size_t at = word.find(part);
      if (at == std::string_view::npos) return false;
      word.remove_prefix(at + part.size());
      parts.remove_prefix(1 + part.size());
    }
    return true;
  }

  std::string_view text_;
  std::uint64_t letters_;
  bool has_parts_;
};

/// Patterns by number, in the order in which they are added. It looks into their texts. Literal ones are
/// found by hash; of the others, most are ruled out by their letters.
class pattern_set {
 public:
  void add(std::string_view pattern) {
    const std::size_t number = size_++;
    if (prepared_pattern::is_literal(pattern))
      literals_[pattern].push_back(number);
    else
      others_.push_back({prepared_pattern(pattern), number});
  }

  /// The patterns that match one of the words, ascending.
  std::vector<std::size_t> find(std::span<const lettered_word> words) const {
    const std::vector<std::size_t> literals = find_literals(words);
    const std::vector<std::size_t> others = find_others(words);
    std::vector<std::size_t> found(literals.size() + others.size());
    std::merge(literals.begin(), literals.end(), others.begin(), others.end(), found.begin());
    return found;
  }

 private:
  struct numbered {
    prepared_pattern pattern;
    std::size_t number = 0;
  };

  std::vector<std::size_t> find_literals(std::span<const lettered_word> words) const {
    std::vector<std::size_t> found;
    for (const lettered_word& word : words)
      if (const auto same = literals_.find(word.text); same != literals_.end())
        found.insert(found.end(), same->second.begin(), same->second.end());
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
  }

  std::vector<std::size_t> find_others(std::span<const lettered_word> words) const {
    std::uint64_t letters = 0;
    for (const lettered_word& word : words) letters |= word.letters;
    std::vector<std::size_t> found;
    for (const auto& [pattern, number] : others_) {
      if ((pattern.letters() & ~letters) != 0) continue;
      const bool is_hit = std::any_of(words.begin(), words.end(),
                                      [&](const lettered_word& word) { return pattern.takes(word); });
      if (is_hit) found.push_back(number);
    }
    return found;
  }

  std::size_t size_ = 0;
  std::unordered_map<std::string_view, std::vector<std::size_t>> literals_;
  std::vector<numbered> others_;
};

}  // namespace ptq::inline v0_1::detail

#endif  // PTQ_MODEL_PATTERN_SET_HPP
