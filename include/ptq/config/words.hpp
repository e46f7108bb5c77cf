// SPDX-License-Identifier: Apache-2.0
/// @file words.hpp The words that a specification may use, taken from a bundle of policies.
#ifndef PTQ_CONFIG_WORDS_HPP
#define PTQ_CONFIG_WORDS_HPP

#include <algorithm>
#include <span>
#include <string_view>
#include <vector>

#include "ptq/backend/concept.hpp"
#include "ptq/detail/type_list.hpp"
#include "ptq/policies.hpp"

namespace ptq::inline v0_1 {

/// A backend's words, the one mode that goes with it, and whether it quantizes activations.
struct backend_words {
  std::string_view name;
  std::string_view mode;
  bool activations = false;
  std::span<const char* const> other_names{};

  /// Whether a specification or an artifact means this backend by the word.
  bool is_called(std::string_view word) const noexcept {
    return word == name || std::find(other_names.begin(), other_names.end(), word) != other_names.end();
  }
};

template <backend B>
constexpr backend_words words_of_backend() noexcept {
  backend_words words{B::name, B::mode, B::activations, {}};
  if constexpr (requires { B::other_names; }) words.other_names = B::other_names;
  return words;
}

struct spec_words {
  std::vector<std::string_view> dtypes;
  std::vector<std::string_view> calibrators;      ///< what `ptq.calibration.algorithm` may name
  std::vector<std::string_view> tao_calibrators;  ///< those that `quantize.algorithm` may name too
  std::vector<backend_words> backends;
};

/// Null if no backend is called so.
inline const backend_words* find_backend(const spec_words& words, std::string_view word) {
  const auto found = std::find_if(words.backends.begin(), words.backends.end(),
                                  [&](const backend_words& b) { return b.is_called(word); });
  return found == words.backends.end() ? nullptr : &*found;
}

namespace detail {

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
    words.backends.push_back(words_of_backend<B>());
  });
  return words;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_CONFIG_WORDS_HPP
