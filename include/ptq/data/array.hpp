// SPDX-License-Identifier: Apache-2.0
/// @file array.hpp An array as data files and engines hold it: bytes, a scalar type known at run time, a
/// shape and strides.
#ifndef PTQ_DATA_ARRAY_HPP
#define PTQ_DATA_ARRAY_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "ptq/numeric/bfloat16.hpp"
#include "ptq/numeric/half.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1 {

enum class scalar_type : unsigned char {
  boolean,
  uint8,
  int8,
  uint16,
  int16,
  uint32,
  int32,
  uint64,
  int64,
  float16,
  bfloat16,
  float32,
  float64
};

/// Calls f(std::type_identity<T>{}) with the C++ type of a scalar type. A boolean is one byte.
template <class F>
constexpr decltype(auto) visit(scalar_type type, F&& f) {
  switch (type) {
    case scalar_type::boolean:
    case scalar_type::uint8:
      return f(std::type_identity<std::uint8_t>{});
    case scalar_type::int8:
      return f(std::type_identity<std::int8_t>{});
    case scalar_type::uint16:
      return f(std::type_identity<std::uint16_t>{});
    case scalar_type::int16:
      return f(std::type_identity<std::int16_t>{});
    case scalar_type::uint32:
      return f(std::type_identity<std::uint32_t>{});
    case scalar_type::int32:
      return f(std::type_identity<std::int32_t>{});
    case scalar_type::uint64:
      return f(std::type_identity<std::uint64_t>{});
    case scalar_type::int64:
      return f(std::type_identity<std::int64_t>{});
    case scalar_type::float16:
      return f(std::type_identity<half>{});
    case scalar_type::bfloat16:
      return f(std::type_identity<bfloat16>{});
    case scalar_type::float64:
      return f(std::type_identity<double>{});
    case scalar_type::float32:
      break;
  }
  return f(std::type_identity<float>{});
}

constexpr std::size_t size_of(scalar_type type) noexcept {
  return visit(type, []<class T>(std::type_identity<T>) { return sizeof(T); });
}

/// NumPy's name.
constexpr const char* name_of(scalar_type type) noexcept {
  constexpr const char* names[] = {"bool",   "uint8", "int8",    "uint16",   "int16",   "uint32", "int32",
                                   "uint64", "int64", "float16", "bfloat16", "float32", "float64"};
  return names[static_cast<std::size_t>(type)];
}

constexpr bool is_float(scalar_type type) noexcept {
  return type >= scalar_type::float16;
}

/// Non-owning. `data` points at the element whose indices are all 0 and may be unaligned; strides are in
/// elements.
struct array_view {
  const std::byte* data = nullptr;
  scalar_type type = scalar_type::float32;
  tensor_shape shape;
  tensor_strides strides{};

  array_view() = default;
  /// Row-major and without gaps.
  array_view(const void* first, scalar_type scalar, const tensor_shape& extents) noexcept
      : array_view(first, scalar, extents, row_major(extents)) {}
  array_view(const void* first, scalar_type scalar, const tensor_shape& extents,
             const tensor_strides& steps) noexcept
      : data(static_cast<const std::byte*>(first)), type(scalar), shape(extents), strides(steps) {}

  std::size_t size() const noexcept { return shape.size(); }

  /// Indices `first` to `first + count` of an axis.
  array_view part(std::size_t axis, std::size_t first, std::size_t count) const noexcept {
    array_view cut = *this;
    cut.data +=
        static_cast<std::ptrdiff_t>(first) * strides[axis] * static_cast<std::ptrdiff_t>(size_of(type));
    cut.shape.extents[axis] = count;
    return cut;
  }

  /// Indices `first` to `first + count` of the outermost axis.
  array_view rows(std::size_t first, std::size_t count) const noexcept { return part(0, first, count); }

  /// The elements as T, for a row-major array whose data is known to be an aligned array of T.
  template <class T>
  const T* as() const noexcept {
    return static_cast<const T*>(static_cast<const void*>(data));
  }
};

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
void for_each_element(const array_view& array, F&& f) {
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
        std::memcpy(&value, array.data + at * static_cast<std::ptrdiff_t>(sizeof(T)), sizeof(T));
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
inline void copy_elements(const array_view& from, std::byte* to) {
  for_each_element(from, [&](auto stored) {
    std::memcpy(to, &stored, sizeof stored);
    to += sizeof stored;
  });
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_DATA_ARRAY_HPP
