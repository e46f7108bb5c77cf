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
/// asked. A type that does not own its elements may say so with `static constexpr bool is_view = true`: its
/// temporaries are then accepted where a view outlives the call. A type between whose elements nothing lies,
/// in row- or column-major order, may say so with `static constexpr bool is_contiguous = true`: codes and
/// scales may then lie in it (`contiguous`).
template <class T>
struct tensor_traits;

namespace detail {

template <class T>
inline constexpr bool is_tensor_view = false;
template <class T>
inline constexpr bool is_tensor_view<tensor_view<T>> = true;

/// False for T: include the adaptor of T's library, or specialise ptq::tensor_traits<T>.
template <class T> concept has_tensor_traits = requires { sizeof(tensor_traits<T>); };

/// True for T: it is a lazy expression, which has no elements in memory. Adaptors mark those by a member of
/// this name.
template <class T> concept evaluate_it_first = requires { typename tensor_traits<T>::evaluate_it_first; };

template <class T> concept is_view = requires { requires tensor_traits<T>::is_view; };

}  // namespace detail

/// A type with an adaptor. Lazy expressions have none: evaluate them first.
template <class T>
concept adaptable_tensor =
    detail::has_tensor_traits<std::remove_cvref_t<T>> &&
    (!detail::evaluate_it_first<std::remove_cvref_t<T>>) && requires(T& tensor) {
      tensor_traits<std::remove_cvref_t<T>>::view(tensor);
      requires detail::is_tensor_view<decltype(tensor_traits<std::remove_cvref_t<T>>::view(tensor))>;
      requires element<typename decltype(tensor_traits<std::remove_cvref_t<T>>::view(tensor))::value_type>;
    };

/// A tensor whose elements outlive it if it is a temporary: T is what a forwarding reference deduces.
template <class T>
concept named_tensor_or_view =
    adaptable_tensor<T> && (std::is_lvalue_reference_v<T> || detail::is_view<std::remove_cvref_t<T>>);

/// The view of any adaptable tensor. Of temporaries only those are taken that do not own their elements.
template <named_tensor_or_view T>
constexpr auto view_of(T&& tensor) noexcept {
  return tensor_traits<std::remove_cvref_t<T>>::view(tensor);
}

template <class T>
struct tensor_traits<tensor_view<T>> {
  static constexpr bool is_view = true;
  static constexpr tensor_view<T> view(const tensor_view<T>& t) noexcept { return t; }
};

template <class T, std::size_t Extent>
struct tensor_traits<std::span<T, Extent>> {
  static constexpr bool is_view = true;
  static constexpr tensor_view<T> view(const std::span<T, Extent>& t) noexcept {
    return {t.data(), {t.size()}};
  }
};

namespace detail {

/// What is inside of arrays in arrays: the extents, and the first element.
template <class T>
struct nested_array {
  static constexpr std::size_t rank = 0;
  static constexpr void append_extents(tensor_shape&) noexcept {}
  static constexpr auto* first(auto* t) noexcept { return t; }
};

template <class T, std::size_t Extent>
struct nested_array<T[Extent]> {
  static constexpr std::size_t rank = nested_array<T>::rank + 1;
  static constexpr void append_extents(tensor_shape& shape) noexcept {
    shape.extents[shape.rank++] = Extent;
    nested_array<T>::append_extents(shape);
  }
  static constexpr auto* first(auto* t) noexcept { return nested_array<T>::first(&(*t)[0]); }
};

template <class T, std::size_t Extent>
struct nested_array<std::array<T, Extent>> {
  static constexpr std::size_t rank = nested_array<T>::rank + 1;
  static constexpr void append_extents(tensor_shape& shape) noexcept {
    shape.extents[shape.rank++] = Extent;
    nested_array<T>::append_extents(shape);
  }
  static constexpr auto* first(auto* t) noexcept { return nested_array<T>::first(t->data()); }
};

/// Arrays of any rank. (In constant expressions only rank 1: a pointer may not leave its innermost array
/// there.)
template <class Array>
struct array_traits {
  static constexpr bool is_contiguous = true;

  static constexpr auto view(auto& t) noexcept {
    static_assert(nested_array<Array>::rank <= max_rank, "ptq::max_rank is the most that a view can have");
    tensor_shape shape;
    nested_array<Array>::append_extents(shape);
    auto* first = nested_array<Array>::first(&t);
    return tensor_view<std::remove_pointer_t<decltype(first)>>{first, shape};
  }
};

}  // namespace detail

template <class T, std::size_t Extent>
struct tensor_traits<T[Extent]> : detail::array_traits<T[Extent]> {};

template <class T, std::size_t Extent>
struct tensor_traits<std::array<T, Extent>> : detail::array_traits<std::array<T, Extent>> {};

}  // namespace ptq::inline v0_1

#endif  // PTQ_TENSOR_TRAITS_HPP
