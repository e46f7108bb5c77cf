// SPDX-License-Identifier: Apache-2.0
/// @file stored_codes.hpp The element types that artifacts store codes and scales as, and their shapes.
#ifndef PTQ_FORMATS_CHECKPOINT_STORED_CODES_HPP
#define PTQ_FORMATS_CHECKPOINT_STORED_CODES_HPP

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "ptq/backend/recipe.hpp"
#include "ptq/detail/type_list.hpp"
#include "ptq/dtype/concept.hpp"
#include "ptq/dtype/fp8_e4m3fn.hpp"
#include "ptq/dtype/fp8_e5m2.hpp"
#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/numeric/bfloat16.hpp"
#include "ptq/numeric/half.hpp"
#include "ptq/policies.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1 {
namespace detail {

template <class Storage>
constexpr std::optional<element_type> stored_type_by_storage() noexcept {
  if constexpr (std::same_as<Storage, bool>) return element_type::boolean;
  if constexpr (std::same_as<Storage, std::uint8_t>) return element_type::uint8;
  if constexpr (std::same_as<Storage, std::int8_t>) return element_type::int8;
  if constexpr (std::same_as<Storage, std::uint16_t>) return element_type::uint16;
  if constexpr (std::same_as<Storage, std::int16_t>) return element_type::int16;
  if constexpr (std::same_as<Storage, std::uint32_t>) return element_type::uint32;
  if constexpr (std::same_as<Storage, std::int32_t>) return element_type::int32;
  if constexpr (std::same_as<Storage, half>) return element_type::float16;
  if constexpr (std::same_as<Storage, bfloat16>) return element_type::bfloat16;
  if constexpr (std::same_as<Storage, float>) return element_type::float32;
  return {};
}

}  // namespace detail

/// What the codes of a dtype are in files. Specialise it for an own dtype whose storage does not tell.
template <dtype D>
inline constexpr std::optional<element_type> stored_type_of =
    detail::stored_type_by_storage<typename D::storage>();
template <>
inline constexpr std::optional<element_type> stored_type_of<fp8_e4m3fn> = element_type::fp8_e4m3fn;
template <>
inline constexpr std::optional<element_type> stored_type_of<fp8_e5m2> = element_type::fp8_e5m2;

/// The same by a word at run time: nothing too if the policies do not have it.
template <class Policies = builtin>
std::optional<element_type> find_stored_type_of(std::string_view dtype_word) noexcept {
  std::optional<element_type> found;
  detail::for_each_type(typename Policies::dtypes{}, [&]<class D>(detail::type_tag<D>) {
    if (dtype_word == D::name) found = stored_type_of<D>;
  });
  return found;
}

/// The weight's rank, and 1 in every dimension but the axis, so that codes * scales broadcasts to the weight;
/// a scalar per tensor.
inline std::vector<std::size_t> stored_scale_shape(const tensor_shape& weight, granularity grain) {
  if (!grain.is_per_channel()) return {};
  std::vector<std::size_t> shape(weight.rank, 1);
  shape[grain.axis] = weight[grain.axis];
  return shape;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_CHECKPOINT_STORED_CODES_HPP
