// SPDX-License-Identifier: Apache-2.0
/// @file array.hpp The elements of arrays as data files and engines hold them: bools, integers and floats of
/// 16, 32 and 64 bits.
#ifndef PTQ_DATA_ARRAY_HPP
#define PTQ_DATA_ARRAY_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "ptq/detail/platform.hpp"
#include "ptq/numeric/bfloat16.hpp"
#include "ptq/numeric/element_type.hpp"
#include "ptq/numeric/half.hpp"
#include "ptq/tensor/any_view.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1 {

/// Whether arrays may have elements of a type: those that C++ computes with.
constexpr bool is_scalar(element_type type) noexcept {
  const element_kind kind = kind_of(type);
  return kind == element_kind::boolean || is_float(type) ||
         ((kind == element_kind::integer || kind == element_kind::unsigned_integer) && bits_of(type) >= 8);
}

/// Calls f(std::type_identity<T>{}) with the C++ type of a scalar type. A boolean is one byte.
template <class F>
constexpr decltype(auto) visit(element_type type, F&& f) {
  switch (type) {
    case element_type::boolean:
    case element_type::uint8:
      return f(std::type_identity<std::uint8_t>{});
    case element_type::int8:
      return f(std::type_identity<std::int8_t>{});
    case element_type::uint16:
      return f(std::type_identity<std::uint16_t>{});
    case element_type::int16:
      return f(std::type_identity<std::int16_t>{});
    case element_type::uint32:
      return f(std::type_identity<std::uint32_t>{});
    case element_type::int32:
      return f(std::type_identity<std::int32_t>{});
    case element_type::uint64:
      return f(std::type_identity<std::uint64_t>{});
    case element_type::int64:
      return f(std::type_identity<std::int64_t>{});
    case element_type::float16:
      return f(std::type_identity<half>{});
    case element_type::bfloat16:
      return f(std::type_identity<bfloat16>{});
    case element_type::float64:
      return f(std::type_identity<double>{});
    default:
      break;
  }
  PTQ_ASSERT(type == element_type::float32);
  return f(std::type_identity<float>{});
}

/// A stored value as C++ computes with it: the half types become float, all others stay what they are.
template <class T>
constexpr auto number_of(T value) noexcept {
  if constexpr (requires { value.to_float(); })
    return value.to_float();
  else
    return value;
}

/// Calls f(value) for every element as it is stored, in row-major order.
template <class F>
void for_each_element(const any_view& array, F&& f) {
  if (array.size() == 0) return;
  visit(array.type, [&]<class T>(std::type_identity<T>) {
    const std::size_t rank = array.shape.rank;
    const std::size_t length = rank == 0 ? 1 : array.shape[rank - 1];
    const std::ptrdiff_t step = rank == 0 ? 0 : array.strides[rank - 1];
    std::array<std::size_t, max_rank> index{};
    std::ptrdiff_t row = 0;
    for (;;) {
      for (std::size_t i = 0; i < length; ++i) {
        T value;
        const std::ptrdiff_t at = row + static_cast<std::ptrdiff_t>(i) * step;
        std::memcpy(&value, array.at(at), sizeof(T));
        f(value);
      }
      std::size_t axis = rank;  // counts the outer axes up; the innermost is the loop above
      for (;;) {
        if (axis < 2) return;
        --axis;
        row += array.strides[axis - 1];
        if (++index[axis - 1] < array.shape[axis - 1]) break;
        row -= array.strides[axis - 1] * static_cast<std::ptrdiff_t>(array.shape[axis - 1]);
        index[axis - 1] = 0;
      }
    }
  });
}

/// Writes the elements in row-major order and without gaps.
inline void copy_elements(const any_view& from, std::byte* to) {
  for_each_element(from, [&](auto stored) {
    std::memcpy(to, &stored, sizeof stored);
    to += sizeof stored;
  });
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_DATA_ARRAY_HPP
