// SPDX-License-Identifier: Apache-2.0
/// @file pattern_set.hpp Many patterns, made ready once, so that a word costs little more than a look at
/// each.
#ifndef PTQ_MODEL_PATTERN_SET_HPP
#define PTQ_MODEL_PATTERN_SET_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "ptq/model/pattern.hpp"
#include "ptq/text/name_map.hpp"
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

/// Letters that every text which a pattern matches has in a row.
inline constexpr std::size_t gram_size = 3;  ///< they are ASCII

/// Calls f(gram) for each of a text that is taken literally. They look into the text.
template <class F>
constexpr void for_each_gram(std::string_view text, F&& f) {
  std::size_t size = 0;
  for (std::size_t end = 1; end <= text.size(); ++end) {
    size = static_cast<unsigned char>(text[end - 1]) < 0x80 ? size + 1 : 0;
    if (size >= gram_size) f(text.substr(end - gram_size, gram_size));
  }
}

/// Patterns by number, in the order in which they are added. It looks into their texts. What is there twice
/// is looked at once. Literal ones are found by hash; of the others, most are ruled out by their letters, of
/// very many by letters in a row.
class pattern_set {
 public:
  void add(std::string_view pattern) {
    const std::size_t number = firsts_.size();
    const bool is_everything = !pattern.empty() && pattern.find_first_not_of('*') == std::string_view::npos;
    const auto [first, is_new] = texts_.add(is_everything ? "*" : pattern, number);
    firsts_.push_back(*first);
    if (!is_new)
      add_copy(*first, number);
    else if (is_everything)
      everything_ = number;
    else if (prepared_pattern::is_literal(pattern))
      literals_.add(pattern, number);
    else
      add_other(pattern, number);
  }

  /// The patterns that match one of the words, ascending.
  std::vector<std::size_t> find(const std::vector<lettered_word>& words) const {
    std::vector<std::size_t> found = find_firsts(words);
    if (copies_.empty()) return found;
    const std::size_t distinct = found.size();
    for (std::size_t i = 0; i < distinct; ++i)
      if (found[i] < copies_.size())
        found.insert(found.end(), copies_[found[i]].begin(), copies_[found[i]].end());
    std::sort(found.begin(), found.end());
    return found;
  }

  /// The same, but of patterns that are there more than once only the first.
  std::vector<std::size_t> find_firsts(const std::vector<lettered_word>& words) const {
    std::vector<std::size_t> found;
    if (everything_ && !words.empty()) found.push_back(*everything_);
    for (const lettered_word& word : words)
      if (const std::size_t* const number = literals_.find(word.text)) found.push_back(*number);
    for_each_candidate(words, [&](const numbered& other) {
      const bool is_hit = std::any_of(words.begin(), words.end(),
                                      [&](const lettered_word& word) { return other.pattern.takes(word); });
      if (is_hit) found.push_back(other.number);
    });
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
  }

  /// How many patterns `find` looks at, which is what it takes.
  std::size_t count_candidates(const std::vector<lettered_word>& words) const {
    std::size_t count = 0;
    for_each_candidate(words, [&](const numbered&) { ++count; });
    return count;
  }

  /// The number of the first pattern that is the same.
  std::size_t first_of(std::size_t number) const noexcept { return firsts_[number]; }

 private:
  static constexpr std::size_t most_looked_at = 400;  // without looking for grams

  struct numbered {
    prepared_pattern pattern;
    std::size_t number = 0;
  };

  void add_copy(std::size_t first, std::size_t number) {
    if (copies_.size() <= first) copies_.resize(first + 1);
    copies_[first].push_back(number);
  }

  /// A pattern is looked for by the gram that the fewest others are looked for by.
  void add_other(std::string_view pattern, std::size_t number) {
    std::string_view best;
    std::size_t fewest = 0;
    for (std::string_view plain = pattern.substr(0, pattern.find('[')); !plain.empty();) {
      const std::string_view part = plain.substr(0, plain.find_first_of("*?"));
      for_each_gram(part, [&](std::string_view gram) {
        const std::vector<std::size_t>* const known = by_gram_.find(gram);
        const std::size_t others = known != nullptr ? known->size() : 0;
        if (!best.empty() && others >= fewest) return;
        best = gram;
        fewest = others;
      });
      plain.remove_prefix((std::min)(part.size() + 1, plain.size()));
    }
    (best.empty() ? without_gram_ : *by_gram_.add(best).first).push_back(others_.size());
    others_.push_back({prepared_pattern(pattern), number});
  }

  template <class F>
  void for_each_candidate(const std::vector<lettered_word>& words, F&& f) const {
    if (others_.size() <= most_looked_at) {
      for (const numbered& other : others_) f(other);
      return;
    }
    name_map<std::size_t> seen;
    for (const lettered_word& word : words)
      for_each_gram(word.text, [&](std::string_view gram) {
        const std::vector<std::size_t>* const places = by_gram_.find(gram);
        if (places == nullptr || !seen.add(gram).second) return;
        for (const std::size_t other : *places) f(others_[other]);
      });
    for (const std::size_t other : without_gram_) f(others_[other]);
  }

  std::vector<std::size_t> firsts_;               // by number
  name_map<std::size_t> texts_;                   // -> the first pattern
  std::vector<std::vector<std::size_t>> copies_;  // of a first pattern: the others
  std::optional<std::size_t> everything_;         // the first of stars alone
  name_map<std::size_t> literals_;                // -> the first pattern
  std::vector<numbered> others_;
  name_map<std::vector<std::size_t>> by_gram_;  // places in others_
  std::vector<std::size_t> without_gram_;       // likewise
};

}  // namespace ptq::inline v0_1::detail

#endif  // PTQ_MODEL_PATTERN_SET_HPP
