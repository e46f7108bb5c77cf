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
constexpr std::optional<stored_type> stored_type_by_storage() noexcept {
  if constexpr (std::same_as<Storage, bool>) return stored_type::boolean;
  if constexpr (std::same_as<Storage, std::uint8_t>) return stored_type::u8;
  if constexpr (std::same_as<Storage, std::int8_t>) return stored_type::i8;
  if constexpr (std::same_as<Storage, std::uint16_t>) return stored_type::u16;
  if constexpr (std::same_as<Storage, std::int16_t>) return stored_type::i16;
  if constexpr (std::same_as<Storage, std::uint32_t>) return stored_type::u32;
  if constexpr (std::same_as<Storage, std::int32_t>) return stored_type::i32;
  if constexpr (std::same_as<Storage, half>) return stored_type::f16;
  if constexpr (std::same_as<Storage, bfloat16>) return stored_type::bf16;
  if constexpr (std::same_as<Storage, float>) return stored_type::f32;
  return {};
}

}  // namespace detail

/// What the codes of a dtype are in files. Specialise it for an own dtype whose storage does not tell.
template <dtype D>
inline constexpr std::optional<stored_type> stored_type_of =
    detail::stored_type_by_storage<typename D::storage>();
template <>
inline constexpr std::optional<stored_type> stored_type_of<fp8_e4m3fn> = stored_type::f8_e4m3;
template <>
inline constexpr std::optional<stored_type> stored_type_of<fp8_e5m2> = stored_type::f8_e5m2;

/// The same by a word at run time: nothing too if the policies do not have it.
template <class Policies = builtin>
std::optional<stored_type> find_stored_type_of(std::string_view dtype_word) noexcept {
  std::optional<stored_type> found;
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
