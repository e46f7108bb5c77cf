// SPDX-License-Identifier: Apache-2.0
/// @file element.hpp What the elements of tensors are in C++, and the customisation point for a user's own
/// half type.
#ifndef PTQ_TENSOR_ELEMENT_HPP
#define PTQ_TENSOR_ELEMENT_HPP

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "ptq/detail/strict_float.hpp"
#include "ptq/numeric/bfloat16.hpp"
#include "ptq/numeric/element_type.hpp"
#include "ptq/numeric/half.hpp"

namespace ptq::inline v0_1 {

/// Specialise it for an own element type that has the layout of one of these floats:
///   type           its layout: float16, bfloat16, float32 or float64
///   to_float(x)    the value as float32
///   from_float(x)  the nearest value, ties to even
template <class T>
struct element_traits;

template <>
struct element_traits<float> {
  static constexpr element_type type = element_type::float32;
  static constexpr float to_float(const float& x) noexcept { return x; }
  static constexpr float from_float(const float& x) noexcept { return x; }
};

/// float64 is rounded to float32 before anything else.
template <>
struct element_traits<double> {
  static constexpr element_type type = element_type::float64;
  static constexpr float to_float(const double& x) noexcept {
    return detail::float_of(detail::narrow(std::bit_cast<std::uint64_t>(x)));
  }
  static constexpr double from_float(const float& x) noexcept {
    return std::bit_cast<double>(detail::widen(detail::bits_of(x)));
  }
};

template <>
struct element_traits<half> {
  static constexpr element_type type = element_type::float16;
  static constexpr float to_float(half x) noexcept { return x.to_float(); }
  static constexpr half from_float(const float& x) noexcept { return half::from_float(x); }
};

template <>
struct element_traits<bfloat16> {
  static constexpr element_type type = element_type::bfloat16;
  static constexpr float to_float(bfloat16 x) noexcept { return x.to_float(); }
  static constexpr bfloat16 from_float(const float& x) noexcept { return bfloat16::from_float(x); }
};

template <class T>
concept element = requires(T value, float x) {
  { element_traits<T>::type } -> std::convertible_to<element_type>;
  { element_traits<T>::to_float(value) } -> std::same_as<float>;
  { element_traits<T>::from_float(x) } -> std::same_as<T>;
} && is_float(element_traits<T>::type) && sizeof(T) == size_of(element_traits<T>::type);

namespace detail {

template <element T>
inline constexpr bool is_half = sizeof(T) == 2;

/// The type of this library that has the layout of T; float for float64, which is rounded to it.
template <element T>
using plain_element = std::conditional_t<
    element_traits<T>::type == element_type::float16, half,
    std::conditional_t<element_traits<T>::type == element_type::bfloat16, bfloat16, float>>;

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_TENSOR_ELEMENT_HPP
