// SPDX-License-Identifier: Apache-2.0
/// @file nearest_word.hpp The word that a typo may mean.
#ifndef PTQ_TEXT_NEAREST_WORD_HPP
#define PTQ_TEXT_NEAREST_WORD_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

#include "ptq/text/letter_case.hpp"

namespace ptq::inline v0_1 {

namespace detail {

inline constexpr std::size_t longest_hint = 200;  ///< letters of a word that hints look at
inline constexpr std::size_t hint_effort =
    400'000;  ///< comparisons of letters that a hint is worth: less than a millisecond

/// A word of up to `longest_hint` letters, in lower case.
class hint_word {
 public:
  explicit hint_word(std::string_view word) noexcept : size_(word.size()) {
    for (std::size_t i = 0; i < size_; ++i) letters_[i] = lower_cased(word[i]);
  }

  std::string_view text() const noexcept { return {letters_.data(), size_}; }

 private:
  std::array<char, longest_hint> letters_;  // NOLINT(*-member-init): those behind the word are not read
  std::size_t size_;
};

/// How many letters differ (Levenshtein, swapped neighbours count once), or `limit`, where so many or more
/// do. Neither word is longer than `longest_hint`.
///
/// @param steps grows by the letters that are compared
inline std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t limit,
                                 std::size_t& steps) noexcept {
  using distance = unsigned char;
  static_assert(longest_hint < 255, "the longest distance plus one is a distance");
  std::array<std::array<distance, longest_hint + 1>, 3> rows;  // NOLINT(*-member-init): written before read
  for (std::size_t j = 0; j <= b.size(); ++j) rows[0][j] = static_cast<distance>(j);
  std::size_t least_in_row = 0;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    auto& row = rows[i % 3];
    const auto& above = rows[(i + 2) % 3];
    const auto& two_above = rows[(i + 1) % 3];
    row[0] = static_cast<distance>(i);
    const std::size_t least_before = std::exchange(least_in_row, i);
    steps += b.size();
    for (std::size_t j = 1; j <= b.size(); ++j) {
      int least = (std::min)({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        least = (std::min)(least, two_above[j - 2] + 1);
      row[j] = static_cast<distance>(least);
      least_in_row = (std::min)(least_in_row, std::size_t{row[j]});
    }
    if ((std::min)(least_in_row, least_before) >= limit) return limit;
  }
  return (std::min)(std::size_t{rows[a.size() % 3][b.size()]}, limit);
}

/// Whether a text has a word in it.
///
/// @param steps grows by the letters that are compared
inline bool has_word(std::string_view text, std::string_view word, std::size_t& steps) noexcept {
  for (; text.size() >= word.size(); text.remove_prefix(1)) {
    std::size_t same = 0;
    while (same < word.size() && text[same] == word[same]) ++same;
    steps += same + 1;
    if (same == word.size()) return true;
  }
  return false;
}

}  // namespace detail

/// The allowed word that a typo may mean, or nothing: the first with the smallest edit distance, if no more
/// than a third of its letters differ (or 2); else the first that the typo is a part of, if that has 3
/// letters. Case does not count. Files may name anything, so the effort is bounded: nothing is found for
/// words that nobody reads, and of very many allowed words only the first are looked at.
inline std::string_view nearest_word(std::string_view typo, std::span<const std::string_view> allowed) {
  std::string_view nearest;
  std::string_view longer;
  if (typo.size() > detail::longest_hint) return nearest;
  const detail::hint_word wanted(typo);
  std::size_t best = detail::longest_hint;
  std::size_t effort = 0;
  for (const std::string_view candidate : allowed) {
    effort += 1 + (std::min)(candidate.size(), detail::longest_hint);
    if (effort > detail::hint_effort) break;
    if (candidate.size() > detail::longest_hint) continue;
    const std::size_t differing =
        (std::max)(typo.size(), candidate.size()) - (std::min)(typo.size(), candidate.size());
    const std::size_t most = (std::max<std::size_t>)(2, candidate.size() / 3);
    const std::size_t too_far = (std::min)(best, most + 1);
    const detail::hint_word word(candidate);
    if (longer.empty() && typo.size() >= 3 && detail::has_word(word.text(), wanted.text(), effort))
      longer = candidate;
    if (differing >= too_far) continue;
    const std::size_t distance = detail::edit_distance(wanted.text(), word.text(), too_far, effort);
    if (distance >= too_far) continue;
    best = distance;
    nearest = candidate;
  }
  return nearest.empty() ? longer : nearest;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_TEXT_NEAREST_WORD_HPP
