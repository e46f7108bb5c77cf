// SPDX-License-Identifier: Apache-2.0
/// @file scalars.hpp Arrays of any scalar type to rows of one type, with every value checked on the way.
#ifndef PTQ_DATA_SCALARS_HPP
#define PTQ_DATA_SCALARS_HPP

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "ptq/data/array.hpp"
#include "ptq/detail/strict_float.hpp"
#include "ptq/error.hpp"
#include "ptq/result.hpp"
#include "ptq/tensor/element.hpp"
#include "ptq/text/shape_text.hpp"

namespace ptq::inline v0_1::detail {

/// x as a float that rounds to any narrower type as x itself does: the last bit says that something was cut.
inline float rounded_to_odd(double x) noexcept {
  const auto nearest = static_cast<float>(x);
  const auto back = static_cast<double>(nearest);
  if (back == x || !is_finite(std::bit_cast<std::uint32_t>(nearest))) return nearest;
  auto bits = std::bit_cast<std::uint32_t>(nearest);
  if ((x < 0 ? -back : back) > (x < 0 ? -x : x)) --bits;
  return std::bit_cast<float>(bits | 1u);
}

/// x as a float of type T, rounded once.
template <element T>
T narrowed(double x) noexcept {
  if constexpr (std::same_as<T, double>)
    return x;
  else if constexpr (std::same_as<T, float>)
    return static_cast<float>(x);
  else
    return element_traits<T>::from_float(rounded_to_odd(x));
}

/// Whether a stored integer is one of the values that its type has: a boolean is 0 or 1.
template <std::integral T>
constexpr bool is_value_of(element_type type, T x) noexcept {
  return type != element_type::boolean || x == T{0} || x == T{1};
}

/// True where a float of type T, which holds a value of a wider type, is neither NaN nor infinite.
template <element T>
bool is_finite_value(T x) noexcept {
  return is_finite(bits_of(element_traits<T>::to_float(x)));
}

/// Writes change(x, index) as T for every x, in row-major order.
///
/// @return not_finite with the index of the first value that is NaN or infinite, before or after;
///         invalid_value for a boolean that is neither 0 nor 1
template <element T, class F>
status convert_floats(const any_view& from, std::byte* to, F&& change) {
  status outcome;
  std::size_t at = 0;
  for_each_element(from, [&](auto stored) {
    const double x = static_cast<double>(number_of(stored));
    const T y = narrowed<T>(change(x, at));
    if (!is_finite_value(y) && outcome) outcome = {errc::not_finite, at};
    if constexpr (std::integral<decltype(stored)>)
      if (!is_value_of(from.type, stored) && outcome) outcome = {errc::invalid_value, at};
    std::memcpy(to + at * sizeof(T), &y, sizeof(T));
    ++at;
  });
  return outcome;
}

/// Writes every integer as T, the type of a scalar type, in row-major order.
///
/// @return invalid_value with the index of the first one that the scalar type cannot hold
template <std::integral T>
status convert_integers(const any_view& from, std::byte* to, element_type wanted) {
  PTQ_ASSERT(!is_float(from.type));
  status outcome;
  std::size_t at = 0;
  for_each_element(from, [&](auto stored) {
    if constexpr (std::integral<decltype(stored)>) {
      const T y = static_cast<T>(stored);
      const bool fits =
          std::in_range<T>(stored) && is_value_of(from.type, stored) && is_value_of(wanted, stored);
      if (!fits && outcome) outcome = {errc::invalid_value, at};
      std::memcpy(to + at * sizeof(T), &y, sizeof(T));
      ++at;
    }
  });
  return outcome;
}

/// The element at an index, in row-major order.
inline std::string integer_text(const any_view& array, std::size_t wanted) {
  std::string text;
  std::size_t at = 0;
  for_each_element(array, [&](auto stored) {
    if constexpr (std::integral<decltype(stored)>)
      if (at++ == wanted) text = std::to_string(stored);
  });
  return text;
}

/// Says which sample of a file holds a value that cannot be used.
///
/// @param outcome `at` is an index within `rows`
/// @param first   the number of the first sample in `rows`
inline error describe_sample(status outcome, std::string_view where, std::size_t first, const any_view& rows,
                             element_type wanted) {
  tensor_shape sample;
  for (std::size_t i = 1; i < rows.shape.rank; ++i) sample.extents[sample.rank++] = rows.shape[i];
  const std::string place = "sample " + std::to_string(first + outcome.at / sample.size()) + ", element " +
                            index_text(outcome.at % sample.size(), sample);
  if (outcome.code == errc::not_finite)
    return {
        errc::not_finite, where,
        place + " is NaN or infinite as " + name_of(wanted) + ". Repair the data, or leave the sample out."};
  const element_type strict = rows.type == element_type::boolean ? rows.type : wanted;
  return {errc::invalid_value, where,
          place + " does not fit into " + name_of(strict) + ": it is " + integer_text(rows, outcome.at) +
              (strict == element_type::boolean ? ", not 0 or 1. Of a mask: np.save(path, a != 0)."
                                               : ". Repair the data, or leave the sample out.")};
}

}  // namespace ptq::inline v0_1::detail

#endif  // PTQ_DATA_SCALARS_HPP
