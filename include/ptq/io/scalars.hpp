// SPDX-License-Identifier: Apache-2.0
/// @file scalars.hpp Arrays of any scalar type to rows of one type, with every value checked on the way.
#ifndef PTQ_IO_SCALARS_HPP
#define PTQ_IO_SCALARS_HPP

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "ptq/detail/strict_float.hpp"
#include "ptq/error.hpp"
#include "ptq/io/array.hpp"
#include "ptq/model/shape_text.hpp"
#include "ptq/result.hpp"
#include "ptq/tensor/element.hpp"

namespace ptq::inline v0_1::detail {

/// x as a float of type T, rounded once.
template <element T>
T narrowed(double x) noexcept {
  if constexpr (std::same_as<T, double>)
    return x;
  else
    return element_traits<T>::from_float(static_cast<float>(x));
}

/// True where a float of type T, which holds a value of a wider type, is neither NaN nor infinite.
template <element T>
bool is_finite_value(T x) noexcept {
  return is_finite(bits_of(element_traits<T>::to_float(x)));
}

/// Writes change(x, index) as T for every x, in row-major order.
///
/// @return not_finite with the index of the first value that is NaN or infinite, before or after
template <element T, class F>
status convert_floats(const array_view& from, std::byte* to, F&& change) {
  status outcome;
  std::size_t at = 0;
  for_each_element(from, [&](auto stored) {
    const double x = static_cast<double>(number_of(stored));
    const T y = narrowed<T>(change(x, at));
    if (!is_finite_value(y) && outcome) outcome = {errc::not_finite, at};
    std::memcpy(to + at * sizeof(T), &y, sizeof(T));
    ++at;
  });
  return outcome;
}

/// Writes every integer as T, in row-major order.
///
/// @return invalid_value with the index of the first one that T cannot hold
template <std::integral T>
status convert_integers(const array_view& from, std::byte* to) {
  PTQ_ASSERT(!is_float(from.type));
  status outcome;
  std::size_t at = 0;
  for_each_element(from, [&](auto stored) {
    if constexpr (std::integral<decltype(stored)>) {
      const T y = static_cast<T>(stored);
      if (!std::in_range<T>(stored) && outcome) outcome = {errc::invalid_value, at};
      std::memcpy(to + at * sizeof(T), &y, sizeof(T));
      ++at;
    }
  });
  return outcome;
}

/// Says which sample of a file holds a value that cannot be used.
///
/// @param outcome `at` is an index within `rows`
/// @param first   the number of the first sample in `rows`
inline error describe_sample(status outcome, std::string_view where, std::size_t first,
                             const array_view& rows, scalar_type wanted) {
  tensor_shape sample;
  for (std::size_t i = 1; i < rows.shape.rank; ++i) sample.extents[sample.rank++] = rows.shape[i];
  const std::string place = "sample " + std::to_string(first + outcome.at / sample.size()) + ", element " +
                            index_text(outcome.at % sample.size(), sample);
  if (outcome.code == errc::not_finite)
    return {
        errc::not_finite, where,
        place + " is NaN or infinite as " + name_of(wanted) + ". Repair the data, or leave the sample out."};
  return {errc::invalid_value, where, place + " does not fit into " + name_of(wanted) + "."};
}

}  // namespace ptq::inline v0_1::detail

#endif  // PTQ_IO_SCALARS_HPP
