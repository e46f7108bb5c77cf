// SPDX-License-Identifier: Apache-2.0
/// @file backend_row.hpp What a backend does with the dtypes of a bundle: numbers, and no kernels.
#ifndef PTQ_MODEL_BACKEND_ROW_HPP
#define PTQ_MODEL_BACKEND_ROW_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string_view>

#include "ptq/backend/concept.hpp"
#include "ptq/backend/recipe.hpp"
#include "ptq/config/words.hpp"
#include "ptq/detail/type_list.hpp"
#include "ptq/dtype/concept.hpp"
#include "ptq/policies.hpp"

namespace ptq::inline v0_1 {

struct dtype_recipe {
  const char* dtype;
  recipe numbers;
};

struct backend_row {
  const char* name;
  bool activations;  ///< whether it quantizes them
  std::span<const dtype_recipe> recipes;

  /// Null if the bundle has no such dtype.
  constexpr const recipe* find(std::string_view dtype_word) const noexcept {
    for (std::size_t i = 0; i < recipes.size(); ++i)
      if (dtype_word == recipes[i].dtype) return &recipes[i].numbers;
    return nullptr;
  }
};

namespace detail {

template <backend B, class Dtypes>
struct backend_row_for;

template <backend B, dtype... Ds>
struct backend_row_for<B, list<Ds...>> {
  static constexpr std::array<dtype_recipe, sizeof...(Ds)> recipes{{{Ds::name, recipe_of<Ds, B>}...}};
  static constexpr backend_row row{B::name, B::activations, recipes};
};

}  // namespace detail

/// The row of a word, its backend's name or another that it is called by; null if the bundle has no such
/// backend.
template <class Policies = builtin>
const backend_row* find_backend_row(std::string_view word) noexcept {
  const backend_row* found = nullptr;
  detail::for_each_type(typename Policies::backends{}, [&]<class B>(detail::type_tag<B>) {
    if (words_of_backend<B>().is_called(word))
      found = &detail::backend_row_for<B, typename Policies::dtypes>::row;
  });
  return found;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_MODEL_BACKEND_ROW_HPP
