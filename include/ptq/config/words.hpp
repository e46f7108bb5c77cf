// SPDX-License-Identifier: Apache-2.0
/// @file words.hpp The words that a specification may use, taken from a bundle of policies, and the one
/// nearest to a typo.
#ifndef PTQ_CONFIG_WORDS_HPP
#define PTQ_CONFIG_WORDS_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ptq/detail/type_list.hpp"
#include "ptq/policies.hpp"

namespace ptq::inline v0_1 {

/// A backend's word, the one mode that goes with it, and whether it quantizes activations.
struct backend_words {
  std::string_view name;
  std::string_view mode;
  bool activations = false;
};

struct spec_words {
  std::vector<std::string_view> dtypes;
  std::vector<std::string_view> calibrators;      ///< what `ptq.calibration.algorithm` may name
  std::vector<std::string_view> tao_calibrators;  ///< those that `quantize.algorithm` may name too
  std::vector<backend_words> backends;
};

/// The backend of a word: one of the names, or `modelopt.pytorch` or `modelopt.onnx`, which are names of
/// modelopt. Null if there is none.
inline const backend_words* find_backend(const spec_words& words, std::string_view word) {
  if (word == "modelopt.pytorch" || word == "modelopt.onnx") word = "modelopt";
  const auto found = std::find_if(words.backends.begin(), words.backends.end(),
                                  [&](const backend_words& b) { return b.name == word; });
  return found == words.backends.end() ? nullptr : &*found;
}

namespace detail {

inline std::string lower_cased(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return lower;
}

inline bool contains(std::span<const std::string_view> words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

template <class Calibrator>
inline constexpr bool is_tao_word = false;
template <class Calibrator>
  requires(Calibrator::is_tao_word)
inline constexpr bool is_tao_word<Calibrator> = true;

}  // namespace detail

template <class Policies = builtin>
spec_words words_of() {
  spec_words words;
  detail::for_each_type(typename Policies::dtypes{},
                        [&]<class D>(detail::type_tag<D>) { words.dtypes.emplace_back(D::name); });
  detail::for_each_type(typename Policies::calibrators{}, [&]<class C>(detail::type_tag<C>) {
    words.calibrators.emplace_back(C::name);
    if (detail::is_tao_word<C>) words.tao_calibrators.emplace_back(C::name);
  });
  detail::for_each_type(typename Policies::backends{}, [&]<class B>(detail::type_tag<B>) {
    words.backends.push_back({B::name, B::mode, B::activations});
  });
  return words;
}

namespace detail {

constexpr char lower_cased(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

inline constexpr std::size_t longest_hint = 200;  ///< letters of a word that hints look at
inline constexpr std::size_t hint_effort =
    1'000'000;  ///< comparisons of letters that a hint is worth: milliseconds

/// How many letters differ (Levenshtein, swapped neighbours count once), whatever their case. Neither word is
/// longer than `longest_hint`.
inline std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::array<std::array<std::size_t, longest_hint + 1>, 3> rows{};
  for (std::size_t i = 0; i <= a.size(); ++i) {
    auto& row = rows[i % 3];
    const auto& above = rows[(i + 2) % 3];
    const auto& two_above = rows[(i + 1) % 3];
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        row[j] = i + j;
        continue;
      }
      const auto same = [&](std::size_t m, std::size_t n) {
        return lower_cased(a[m - 1]) == lower_cased(b[n - 1]);
      };
      row[j] = (std::min)({above[j] + 1, row[j - 1] + 1, above[j - 1] + (same(i, j) ? 0u : 1u)});
      if (i > 1 && j > 1 && same(i, j - 1) && same(i - 1, j))
        row[j] = (std::min)(row[j], two_above[j - 2] + 1);
    }
  }
  return rows[a.size() % 3][b.size()];
}

/// Whether a text has a word in it, whatever their case.
inline bool has_word(std::string_view text, std::string_view word) {
  const auto same = [](char a, char b) { return lower_cased(a) == lower_cased(b); };
  return std::search(text.begin(), text.end(), word.begin(), word.end(), same) != text.end();
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
  std::size_t best = detail::longest_hint;
  std::size_t effort = 0;
  for (const std::string_view candidate : allowed) {
    if (candidate.size() > detail::longest_hint) continue;
    const std::size_t differing =
        (std::max)(typo.size(), candidate.size()) - (std::min)(typo.size(), candidate.size());
    const std::size_t most = (std::max<std::size_t>)(2, candidate.size() / 3);
    const bool may_be_near = differing < best && differing <= most;
    effort += candidate.size() + (may_be_near ? typo.size() * candidate.size() : 0);
    if (effort > detail::hint_effort) break;
    if (longer.empty() && typo.size() >= 3 && detail::has_word(candidate, typo)) longer = candidate;
    if (!may_be_near) continue;
    const std::size_t distance = detail::edit_distance(typo, candidate);
    if (distance >= best || distance > most) continue;
    best = distance;
    nearest = candidate;
  }
  return nearest.empty() ? longer : nearest;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_CONFIG_WORDS_HPP
