// SPDX-License-Identifier: Apache-2.0
/// @file any_view.hpp A read-only tensor whose element type is known at run time: where different tensor
/// types meet, and what files and engines hold.
#ifndef PTQ_TENSOR_ANY_VIEW_HPP
#define PTQ_TENSOR_ANY_VIEW_HPP

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "ptq/numeric/bfloat16.hpp"
#include "ptq/numeric/element_type.hpp"
#include "ptq/numeric/half.hpp"
#include "ptq/tensor/element.hpp"
#include "ptq/tensor/traits.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1 {

/// An element at any address: files need not align their tensors.
template <element T>
struct unaligned {
  std::array<std::byte, sizeof(T)> bytes;
};

template <element T>
struct element_traits<unaligned<T>> {
  static constexpr element_type type = element_traits<T>::type;
  static constexpr float to_float(unaligned<T> x) noexcept {
    return element_traits<T>::to_float(std::bit_cast<T>(x));
  }
  static constexpr unaligned<T> from_float(float x) noexcept {
    return std::bit_cast<unaligned<T>>(element_traits<T>::from_float(x));
  }
};

namespace detail {

/// Its elements are gone before anything looks at them.
template <class T> concept temporary_tensor = adaptable_tensor<T> && (!named_tensor_or_view<T>);

}  // namespace detail

/// Non-owning. `data` points at the element whose indices are all 0 and may be unaligned; strides are in
/// elements. Without data it is the weight of a layer that has none, or one that cannot be read.
struct any_view {
  const void* data = nullptr;
  element_type type = element_type::unknown;
  const char* type_name = "";  ///< as its file calls it; empty where no file does
  tensor_shape shape;
  tensor_strides strides{};
  bool misfits = false;  ///< the memory has `held` elements, where the shape asks for others
  std::size_t held = 0;

  any_view() = default;

  /// From any adaptable tensor that lives on.
  template <class Tensor>
    requires(!std::same_as<std::remove_cvref_t<Tensor>, any_view>) && named_tensor_or_view<Tensor>
  any_view(Tensor&& tensor)  // NOLINT(google-explicit-constructor): layers are lists of tensors
  {
    const auto view = view_of(tensor);
    data = view.data;
    type = element_traits<typename decltype(view)::value_type>::type;
    shape = view.shape;
    strides = view.strides;
  }

  /// From flat memory (rank 1, without gaps) and its row-major shape. Where the sizes do not agree there is
  /// nothing to view: `misfits` tells, and whatever is given the tensor answers size_mismatch. A shape of
  /// more than `max_rank` axes has no size; the answer is wrong_rank then.
  template <named_tensor_or_view Tensor>
  any_view(Tensor&& flat, const tensor_shape& extents) : any_view(std::forward<Tensor>(flat)) {
    PTQ_ASSERT(shape.rank == 1 && (strides[0] == 1 || shape[0] <= 1));
    if (extents.rank <= max_rank && shape.size() != extents.size()) {
      misfits = true;
      held = shape.size();
      data = nullptr;
      type = element_type::unknown;
    }
    shape = extents;
    strides = row_major(extents);
  }

  /// Never compiles. A deleted function would: in a list of layers, compilers then say nothing of the tensor.
  template <detail::temporary_tensor Tensor>
  any_view(Tensor&& /*temporary*/) {  // NOLINT(google-explicit-constructor)
    static_assert(!detail::temporary_tensor<Tensor>,
                  "the tensor is a temporary, gone before it is looked at: give it a name");
  }
  template <detail::temporary_tensor Tensor>
  any_view(Tensor&& temporary, const tensor_shape& /*extents*/) : any_view(std::forward<Tensor>(temporary)) {}

  /// Row-major and without gaps.
  ///
  /// @param name a text that outlives the view
  any_view(const void* first, element_type element, const tensor_shape& extents,
           const char* name = "") noexcept
      : data(first), type(element), type_name(name), shape(extents), strides(row_major(extents)) {}

  any_view(const void* first, element_type element, const tensor_shape& extents,
           const tensor_strides& steps) noexcept
      : data(first), type(element), shape(extents), strides(steps) {}

  std::size_t size() const noexcept { return shape.size(); }

  /// Whether its elements are floats that can be quantized.
  bool has_floats() const noexcept { return is_float(type); }

  /// Of the element at an offset in elements. The type must have whole bytes.
  const std::byte* at(std::ptrdiff_t offset) const noexcept {
    return static_cast<const std::byte*>(data) + offset * static_cast<std::ptrdiff_t>(size_of(type));
  }

  /// Indices `first` to `first + count` of an axis.
  any_view part(std::size_t axis, std::size_t first, std::size_t count) const noexcept {
    any_view cut = *this;
    cut.data = at(static_cast<std::ptrdiff_t>(first) * strides[axis]);
    cut.shape.extents[axis] = count;
    return cut;
  }

  /// Indices `first` to `first + count` of the outermost axis.
  any_view rows(std::size_t first, std::size_t count) const noexcept { return part(0, first, count); }

  /// T must have the layout that `type` says, and the alignment that the data has.
  template <class T>
  tensor_view<const T> as() const noexcept {
    return {static_cast<const T*>(data), shape, strides};
  }
};

/// Calls f(tensor_view<const T>) with the element type of the view, which must be one of floats. T is float
/// for aligned floats, the common case; everything else comes as `unaligned`.
template <class F>
decltype(auto) visit(const any_view& view, F&& f) {
  PTQ_ASSERT(view.has_floats());
  switch (view.type) {
    case element_type::float64:
      return f(view.as<unaligned<double>>());
    case element_type::float16:
      return f(view.as<unaligned<half>>());
    case element_type::bfloat16:
      return f(view.as<unaligned<bfloat16>>());
    default:
      break;
  }
  if (reinterpret_cast<std::uintptr_t>(view.data) % alignof(float) == 0) return f(view.as<float>());
  return f(view.as<unaligned<float>>());
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_TENSOR_ANY_VIEW_HPP
