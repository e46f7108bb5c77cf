// SPDX-License-Identifier: Apache-2.0
/// @file any_view.hpp A read-only tensor whose element type is known at run time: where different tensor
/// types meet.
#ifndef PTQ_MODEL_ANY_VIEW_HPP
#define PTQ_MODEL_ANY_VIEW_HPP

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "ptq/numeric/bfloat16.hpp"
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

/// Non-owning. Without data it is the weight of a layer that has none, or one that cannot be read as floats.
struct any_view {
  const void* data = nullptr;
  std::optional<element_type> type;  ///< nothing: not a tensor of floats that can be quantized
  std::string_view type_name;        ///< as its file calls it; empty where no file does
  tensor_shape shape;
  tensor_strides strides{};
  std::optional<std::size_t> misfit;  ///< how many elements the memory has, where the shape asks for others

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
  /// nothing to view: `misfit` tells, and whatever is given the tensor answers size_mismatch. A shape of more
  /// than `max_rank` axes has no size; the answer is wrong_rank then.
  template <named_tensor_or_view Tensor>
  any_view(Tensor&& flat, const tensor_shape& extents) : any_view(std::forward<Tensor>(flat)) {
    PTQ_ASSERT(shape.rank == 1 && (strides[0] == 1 || shape[0] <= 1));
    if (extents.rank <= max_rank && shape.size() != extents.size()) {
      misfit = shape.size();
      data = nullptr;
      type.reset();
    }
    shape = extents;
    strides = row_major(extents);
  }

  /// @param name a text that outlives the view
  any_view(const void* first, std::optional<element_type> element, const tensor_shape& extents,
           std::string_view name = {})
      : data(first), type(element), type_name(name), shape(extents), strides(row_major(extents)) {}

  std::size_t size() const noexcept { return shape.size(); }

  /// T must have the layout that `type` says, and the alignment that the data has.
  template <element T>
  tensor_view<const T> as() const noexcept {
    return {static_cast<const T*>(data), shape, strides};
  }
};

/// Calls f(tensor_view<const T>) with the element type of the view, which must have one. T is float for
/// aligned floats, the common case; everything else comes as `unaligned`.
template <class F>
decltype(auto) visit(const any_view& view, F&& f) {
  PTQ_ASSERT(view.type.has_value());
  switch (*view.type) {
    case element_type::float64:
      return f(view.as<unaligned<double>>());
    case element_type::float16:
      return f(view.as<unaligned<half>>());
    case element_type::bfloat16:
      return f(view.as<unaligned<bfloat16>>());
    case element_type::float32:
      break;
  }
  if (reinterpret_cast<std::uintptr_t>(view.data) % alignof(float) == 0) return f(view.as<float>());
  return f(view.as<unaligned<float>>());
}

namespace detail {

/// What is wrong with the element at a row-major index, which is not finite as float32.
inline const char* why_not_finite(const any_view& view, std::size_t at) noexcept {
  if (view.type == element_type::float64) {
    std::ptrdiff_t offset = 0;
    for (std::size_t axis = view.shape.rank; axis-- > 0; at /= view.shape[axis])
      offset += static_cast<std::ptrdiff_t>(at % view.shape[axis]) * view.strides[axis];
    std::uint64_t bits = 0;
    // By bytes: no pointer to double may point at data that is not aligned.
    std::memcpy(&bits,
                static_cast<const std::byte*>(view.data) + offset * static_cast<std::ptrdiff_t>(sizeof bits),
                sizeof bits);
    if ((bits >> 52 & 0x7FF) != 0x7FF) return "does not fit float32";
  }
  return "is NaN or infinite";
}

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_MODEL_ANY_VIEW_HPP
