// SPDX-License-Identifier: Apache-2.0
/// @file contiguous.hpp Memory of the caller's for codes and scales, whatever container it lies in.
#ifndef PTQ_TENSOR_CONTIGUOUS_HPP
#define PTQ_TENSOR_CONTIGUOUS_HPP

#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

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

/// The elements of contiguous memory, as far as they can be told without naming them.
template <class C>
struct elements_of {};
template <class C>
  requires requires { requires tensor_traits<std::remove_cvref_t<C>>::is_contiguous; }
struct elements_of<C> {
  using type =
      std::remove_pointer_t<decltype(tensor_traits<std::remove_cvref_t<C>>::view(std::declval<C&>()).data)>;
};
template <class C>
  requires(!requires { requires tensor_traits<std::remove_cvref_t<C>>::is_contiguous; }) &&
          requires(C& memory) { std::span(memory); }
struct elements_of<C> {
  using type = typename decltype(std::span(std::declval<C&>()))::element_type;
};

}  // namespace detail

/// What holds elements of type T one after another, and lets them be written where T is not const: a span, an
/// array, a vector, a matrix of a library whose adaptor is included. Not constant memory, no lazy expression,
/// no block of a larger matrix.
template <class C, class T>
concept contiguous_memory = std::convertible_to<C, std::span<T>> || detail::is_contiguous_tensor_of<C, T>;

namespace detail {

/// Whether T is that of bytes, and C holds elements of another type: what codes are is known at run time.
template <class C, class T>
concept memory_as_bytes =
    std::same_as<std::remove_const_t<T>, std::byte> && (!contiguous_memory<C, T>) &&
    requires { typename elements_of<C>::type; } && contiguous_memory<C, typename elements_of<C>::type> &&
    std::is_trivially_copyable_v<typename elements_of<C>::type> &&
    (std::is_const_v<T> || !std::is_const_v<typename elements_of<C>::type>);

}  // namespace detail

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

  /// The bytes of memory of another type: `sizeof` of it for each element.
  template <detail::memory_as_bytes<T> C>
  contiguous(C&& memory) noexcept {  // NOLINT(google-explicit-constructor): as above
    using element = typename detail::elements_of<C>::type;
    const contiguous<element> elements(static_cast<C&&>(memory));
    data_ = reinterpret_cast<T*>(elements.data_);
    size_ = elements.size_ * sizeof(element);
    order_ = static_cast<order>(elements.order_);
  }

  constexpr T* data() const noexcept { return data_; }
  constexpr std::size_t size() const noexcept { return size_; }
  // NOLINTNEXTLINE(google-explicit-constructor): it is one
  constexpr operator std::span<T>() const noexcept { return {data_, size_}; }

  /// Whether codes of a tensor can lie here: in that tensor's order in memory. Flat memory takes any.
  constexpr bool lies_as(const tensor_shape& shape, const tensor_strides& strides) const noexcept {
    if (order_ == order::any) return true;
    return is_as(dense_strides(shape, strides),
                 order_ == order::row_major ? row_major(shape) : column_major(shape), shape);
  }

 private:
  template <class>
  friend class contiguous;

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
