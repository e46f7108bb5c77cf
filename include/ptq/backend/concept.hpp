// SPDX-License-Identifier: Apache-2.0
/// @file concept.hpp What a backend offers.
#ifndef PTQ_BACKEND_CONCEPT_HPP
#define PTQ_BACKEND_CONCEPT_HPP

#include <concepts>
#include <type_traits>

#include "ptq/backend/recipe.hpp"
#include "ptq/dtype/concept.hpp"
#include "ptq/dtype/int8.hpp"
#include "ptq/dtype/native.hpp"

namespace ptq::inline v0_1 {

/// A named numeric profile: an empty struct with
///
/// | member      | meaning                                                        |
/// |-------------|----------------------------------------------------------------|
/// | name        | the word in YAML files, artifacts and tables                   |
/// | mode        | the one `quantize.mode` that goes with it                      |
/// | activations | whether it quantizes activations too                           |
/// | numbers<D>  | a `recipe` for every dtype D (`native` is never asked for)     |
/// | other_names | (optional) an array of further words that YAML files may use   |
template <class T>
concept backend = std::is_empty_v<T> && requires {
  { T::name } -> std::convertible_to<const char*>;
  { T::mode } -> std::convertible_to<const char*>;
  { T::activations } -> std::convertible_to<bool>;
  { T::template numbers<int8> } -> std::convertible_to<recipe>;
};

/// The recipe of a dtype under a backend; `native` is never scaled.
template <dtype D, backend B>
inline constexpr recipe recipe_of = B::template numbers<D>;
template <backend B>
inline constexpr recipe recipe_of<native, B> = recipe{};

}  // namespace ptq::inline v0_1

#endif  // PTQ_BACKEND_CONCEPT_HPP
