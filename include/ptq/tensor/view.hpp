// SPDX-License-Identifier: Apache-2.0
/// @file view.hpp A tensor as a pointer, a shape and signed strides.
#ifndef PTQ_TENSOR_VIEW_HPP
#define PTQ_TENSOR_VIEW_HPP

#include <array>
#include <cstddef>
#include <initializer_list>
#include <span>
#include <type_traits>

#include "ptq/detail/platform.hpp"

namespace ptq::inline v0_1 {

inline constexpr std::size_t max_rank = 8;

/// The extents of a tensor, outermost first. Rank 0 is a scalar: one element. Of more than `max_rank` axes
/// only their number is kept: there is no element then, and what takes tensors answers wrong_rank.
struct tensor_shape {
  std::array<std::size_t, max_rank> extents{};
  std::size_t rank = 0;

  constexpr tensor_shape() = default;
  constexpr tensor_shape(std::initializer_list<std::size_t> list) noexcept
      : tensor_shape(std::span<const std::size_t>(list.begin(), list.size())) {}
  constexpr explicit tensor_shape(std::span<const std::size_t> list) noexcept : rank(list.size()) {
    if (rank > max_rank) return;
    for (std::size_t i = 0; i < rank; ++i) extents[i] = list[i];
  }

  constexpr std::size_t operator[](std::size_t axis) const noexcept { return extents[axis]; }

  /// The number of axes that have an entry in `extents`.
  constexpr std::size_t axes() const noexcept { return rank < max_rank ? rank : max_rank; }

  /// The number of elements.
  constexpr std::size_t size() const noexcept {
    std::size_t product = 1;
    for (std::size_t i = 0; i < axes(); ++i) product *= extents[i];
    return product;
  }

  friend constexpr bool operator==(const tensor_shape&, const tensor_shape&) = default;
};

/// Distances between neighbours along each axis, in elements.
using tensor_strides = std::array<std::ptrdiff_t, max_rank>;

// Steps are multiplied without a sign: the other extents of a tensor without elements may be anything.
constexpr tensor_strides row_major(const tensor_shape& shape) noexcept {
  tensor_strides strides{};
  std::size_t step = 1;
  for (std::size_t i = shape.axes(); i-- > 0;) {
    strides[i] = static_cast<std::ptrdiff_t>(step);
    step *= shape[i];
  }
  return strides;
}

constexpr tensor_strides column_major(const tensor_shape& shape) noexcept {
  tensor_strides strides{};
  std::size_t step = 1;
  for (std::size_t i = 0; i < shape.axes(); ++i) {
    strides[i] = static_cast<std::ptrdiff_t>(step);
    step *= shape[i];
  }
  return strides;
}

/// The distance of an element, given by its row-major index, from the one whose indices are all 0.
constexpr std::ptrdiff_t offset_of(std::size_t at, const tensor_shape& shape,
                                   const tensor_strides& strides) noexcept {
  std::ptrdiff_t offset = 0;
  for (std::size_t axis = shape.axes(); axis-- > 0;) {
    offset += static_cast<std::ptrdiff_t>(at % shape[axis]) * strides[axis];
    at /= shape[axis];
  }
  return offset;
}

/// Non-owning. `data` points at the element whose indices are all 0, also where strides are negative.
template <class T>
struct tensor_view {
  using element_type = T;
  using value_type = std::remove_cv_t<T>;

  T* data = nullptr;
  tensor_shape shape;
  tensor_strides strides{};

  constexpr tensor_view() = default;
  /// Row-major and without gaps.
  constexpr tensor_view(T* first, const tensor_shape& extents) noexcept
      : data(first), shape(extents), strides(row_major(extents)) {}
  constexpr tensor_view(T* first, const tensor_shape& extents, const tensor_strides& steps) noexcept
      : data(first), shape(extents), strides(steps) {}

  constexpr std::size_t rank() const noexcept { return shape.rank; }
  constexpr std::size_t size() const noexcept { return shape.size(); }

  /// The same elements, read-only.
  // NOLINTNEXTLINE(google-explicit-constructor): as std::span
  constexpr operator tensor_view<const T>() const noexcept
    requires(!std::is_const_v<T>)
  {
    return {data, shape, strides};
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_TENSOR_VIEW_HPP
