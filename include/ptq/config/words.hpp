// SPDX-License-Identifier: Apache-2.0
/// @file words.hpp The words that a specification may use, taken from a bundle of policies, and the one
/// nearest to a typo.
#ifndef PTQ_CONFIG_WORDS_HPP
#define PTQ_CONFIG_WORDS_HPP

#include <algorithm>
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

/// How many letters differ (Levenshtein, swapped neighbours count once).
inline std::size_t edit_distance(std::string_view a, std::string_view b) {
  const std::size_t columns = b.size() + 1;
  std::vector<std::size_t> table((a.size() + 1) * columns);
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      std::size_t& cell = table[i * columns + j];
      if (i == 0 || j == 0) {
        cell = i + j;
        continue;
      }
      const bool same = a[i - 1] == b[j - 1];
      cell = (std::min)({table[(i - 1) * columns + j] + 1, table[i * columns + j - 1] + 1,
                         table[(i - 1) * columns + j - 1] + (same ? 0u : 1u)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        cell = (std::min)(cell, table[(i - 2) * columns + j - 2] + 1);
    }
  }
  return table.back();
}

}  // namespace detail

/// The allowed word that a typo may mean, or nothing: the first with the smallest edit distance, if no more
/// than a third of its letters differ (or 2); else the first that the typo is a part of, if that has 3
/// letters. Case does not count.
inline std::string_view nearest_word(std::string_view typo, std::span<const std::string_view> allowed) {
  const std::string word = detail::lower_cased(typo);
  std::string_view nearest;
  std::string_view longer;
  std::size_t best = static_cast<std::size_t>(-1);
  for (const std::string_view original : allowed) {
    const std::string candidate = detail::lower_cased(original);
    if (longer.empty() && word.size() >= 3 && candidate.find(word) != std::string::npos) longer = original;
    const std::size_t distance = detail::edit_distance(word, candidate);
    if (distance >= best) continue;
    best = distance;
    nearest = original;
  }
  return best <= (std::max<std::size_t>)(2, nearest.size() / 3) ? nearest : longer;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_CONFIG_WORDS_HPP
