// SPDX-License-Identifier: Apache-2.0
/// @file stored_type.hpp What the codes of a dtype are in files.
#ifndef PTQ_DTYPE_STORED_TYPE_HPP
#define PTQ_DTYPE_STORED_TYPE_HPP

#include <concepts>
#include <cstdint>
#include <type_traits>

#include "ptq/dtype/concept.hpp"
#include "ptq/numeric/bfloat16.hpp"
#include "ptq/numeric/element_type.hpp"
#include "ptq/numeric/half.hpp"

namespace ptq::inline v0_1 {
namespace detail {

template <class Storage>
constexpr element_type stored_type_by_storage() noexcept {
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
  return element_type::unknown;
}

/// Only integers of a bit width have a type that is told by it.
template <dtype D>
constexpr element_type stored_type_by_bits() noexcept {
  constexpr bool is_signed = std::is_signed_v<typename D::storage>;
  if (!D::is_integer) return element_type::unknown;
  if (code_bits<D>() == 4) return is_signed ? element_type::int4 : element_type::uint4;
  if (code_bits<D>() == 2) return is_signed ? element_type::int2 : element_type::uint2;
  return element_type::unknown;
}

}  // namespace detail

/// The element type of a dtype's codes; unknown where there is none. Specialise it for an own dtype whose
/// storage does not tell.
template <dtype D>
inline constexpr element_type stored_type_of =
    code_bits<D>() < 8 ? detail::stored_type_by_bits<D>()
                       : detail::stored_type_by_storage<typename D::storage>();

}  // namespace ptq::inline v0_1

#endif  // PTQ_DTYPE_STORED_TYPE_HPP
