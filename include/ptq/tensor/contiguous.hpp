// SPDX-License-Identifier: Apache-2.0
/// @file contiguous.hpp Memory of the caller's for codes and scales, whatever container it lies in.
#ifndef PTQ_TENSOR_CONTIGUOUS_HPP
#define PTQ_TENSOR_CONTIGUOUS_HPP

#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>

#include "ptq/tensor/traits.hpp"
#include "ptq/tensor/view.hpp"
#include "ptq/tensor/walk.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// A tensor whose adaptor says that nothing lies between its elements, as a view of T. C is what a forwarding
/// reference deduces; what is written to must outlive the call.
template <class C, class T>
concept is_contiguous_tensor_of = requires(C& tensor) {
  requires tensor_traits<std::remove_cvref_t<C>>::is_contiguous;
  { tensor_traits<std::remove_cvref_t<C>>::view(tensor).data } -> std::convertible_to<T*>;
} && (std::is_lvalue_reference_v<C> || std::is_const_v<T> || is_view<std::remove_cvref_t<C>>);

}  // namespace detail

/// What holds elements of type T one after another, and lets them be written where T is not const: a span, an
/// array, a vector, a matrix of a library whose adaptor is included. Not constant memory, no lazy expression,
/// no block of a larger matrix.
template <class C, class T>
concept contiguous_memory = std::convertible_to<C, std::span<T>> || detail::is_contiguous_tensor_of<C, T>;

/// A pointer and a size, from any contiguous memory. Of a matrix it also knows which index runs fastest, so
/// that codes are never taken for those of the transposed matrix.
template <class T>
class contiguous {
 public:
  constexpr contiguous() = default;
  constexpr contiguous(T* first, std::size_t count) noexcept : data_(first), size_(count) {}

  template <class C>
    requires(!std::same_as<std::remove_cvref_t<C>, contiguous>) && contiguous_memory<C, T>
  constexpr contiguous(C&& memory) noexcept {  // NOLINT(google-explicit-constructor): as std::span
    if constexpr (detail::is_contiguous_tensor_of<C, T>) {
      const auto view = tensor_traits<std::remove_cvref_t<C>>::view(memory);
      data_ = view.data;
      size_ = view.size();
      const bool is_row_major = is_as(view.strides, row_major(view.shape), view.shape);
      const bool is_column_major = is_as(view.strides, column_major(view.shape), view.shape);
      if (is_row_major != is_column_major) order_ = is_row_major ? order::row_major : order::column_major;
    } else {
      const std::span<T> span = static_cast<C&&>(memory);
      data_ = span.data();
      size_ = span.size();
    }
  }

  constexpr T* data() const noexcept { return data_; }
  constexpr std::size_t size() const noexcept { return size_; }
  // NOLINTNEXTLINE(google-explicit-constructor): it is one
  constexpr operator std::span<T>() const noexcept { return {data_, size_}; }

  /// Whether codes of a tensor can lie here: in that tensor's order in memory. Flat memory takes any.
  template <class Element>
  constexpr bool lies_as(const tensor_view<Element>& tensor) const noexcept {
    if (order_ == order::any) return true;
    const tensor_strides wanted =
        order_ == order::row_major ? row_major(tensor.shape) : column_major(tensor.shape);
    return is_as(dense_strides(tensor.shape, tensor.strides), wanted, tensor.shape);
  }

 private:
  enum class order : unsigned char { any, row_major, column_major };

  /// Strides of axes of one index say nothing.
  static constexpr bool is_as(const tensor_strides& strides, const tensor_strides& wanted,
                              const tensor_shape& shape) noexcept {
    for (std::size_t axis = 0; axis < shape.axes(); ++axis)
      if (shape[axis] > 1 && strides[axis] != wanted[axis]) return false;
    return true;
  }

  T* data_ = nullptr;
  std::size_t size_ = 0;
  order order_ = order::any;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_TENSOR_CONTIGUOUS_HPP
