// SPDX-License-Identifier: Apache-2.0
/// @file traits.hpp The customisation point: how any tensor type becomes a `tensor_view`.
#ifndef PTQ_TENSOR_TRAITS_HPP
#define PTQ_TENSOR_TRAITS_HPP

#include <array>
#include <cstddef>
#include <span>
#include <type_traits>

#include "ptq/tensor/element.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1 {

/// Specialise it for an own tensor type, or include the adaptor of the library it comes from:
///
///   template <>
///   struct ptq::tensor_traits<my_tensor> {
///     static auto view(auto& t) { return ptq::tensor_view{t.data(), {t.rows(), t.cols()}}; }
///   };
///
/// `view(t)` takes a const or a mutable tensor and returns a `tensor_view` of its elements. Nothing else is
/// asked.
template <class T>
struct tensor_traits;

namespace detail {

template <class T>
inline constexpr bool is_tensor_view = false;
template <class T>
inline constexpr bool is_tensor_view<tensor_view<T>> = true;

}  // namespace detail

/// A type with an adaptor. Lazy expressions have none: evaluate them first.
template <class T>
concept adaptable_tensor = requires(T& tensor) {
  requires detail::is_tensor_view<decltype(tensor_traits<std::remove_cvref_t<T>>::view(tensor))>;
  requires element<typename decltype(tensor_traits<std::remove_cvref_t<T>>::view(tensor))::value_type>;
};

/// The view of any adaptable tensor.
template <adaptable_tensor T>
constexpr auto view_of(T& tensor) noexcept {
  return tensor_traits<std::remove_cv_t<T>>::view(tensor);
}

template <class T>
struct tensor_traits<tensor_view<T>> {
  static constexpr tensor_view<T> view(const tensor_view<T>& t) noexcept { return t; }
};

template <class T, std::size_t Extent>
struct tensor_traits<std::span<T, Extent>> {
  static constexpr tensor_view<T> view(const std::span<T, Extent>& t) noexcept {
    return {t.data(), {t.size()}};
  }
};

template <class T, std::size_t N>
struct tensor_traits<std::array<T, N>> {
  static constexpr auto view(auto& t) noexcept {
    return tensor_view<std::remove_pointer_t<decltype(t.data())>>{t.data(), {N}};
  }
};

/// C arrays of any rank. (In constant expressions only rank 1: a pointer may not leave its innermost array
/// there.)
template <class T, std::size_t N>
struct tensor_traits<T[N]> {
  static constexpr auto view(auto& t) noexcept {
    tensor_shape shape;
    append_extents<T[N]>(shape);
    auto* first = first_of(t);
    return tensor_view<std::remove_pointer_t<decltype(first)>>{first, shape};
  }

 private:
  template <class Array>
  static constexpr void append_extents(tensor_shape& shape) noexcept {
    if constexpr (std::is_array_v<Array>) {
      shape.extents[shape.rank++] = std::extent_v<Array>;
      append_extents<std::remove_extent_t<Array>>(shape);
    }
  }

  static constexpr auto* first_of(auto& t) noexcept {
    if constexpr (std::is_array_v<std::remove_cvref_t<decltype(t[0])>>)
      return first_of(t[0]);
    else
      return &t[0];
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_TENSOR_TRAITS_HPP
