// SPDX-License-Identifier: Apache-2.0
/// @file any_view.hpp A read-only tensor whose element type is known at run time: where different tensor
/// types meet.
#ifndef PTQ_MODEL_ANY_VIEW_HPP
#define PTQ_MODEL_ANY_VIEW_HPP

#include <concepts>
#include <optional>
#include <type_traits>

#include "ptq/numeric/bfloat16.hpp"
#include "ptq/numeric/half.hpp"
#include "ptq/tensor/element.hpp"
#include "ptq/tensor/traits.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1 {

/// Non-owning. Without data it is the weight of a layer that has none, or one that cannot be read as floats.
struct any_view {
  const void* data = nullptr;
  std::optional<element_type> type;  ///< nothing: not a floating-point tensor
  tensor_shape shape;
  tensor_strides strides{};

  any_view() = default;

  /// From any adaptable tensor.
  template <adaptable_tensor Tensor>
    requires(!std::same_as<std::remove_cvref_t<Tensor>, any_view>)
  any_view(const Tensor& tensor) {  // NOLINT(google-explicit-constructor): layers are lists of tensors
    const auto view = view_of(tensor);
    data = view.data;
    type = element_traits<typename decltype(view)::value_type>::type;
    shape = view.shape;
    strides = view.strides;
  }

  /// From flat memory and its row-major shape. The sizes must agree.
  template <adaptable_tensor Tensor>
  any_view(const Tensor& flat, const tensor_shape& extents) : any_view(flat) {
    PTQ_ASSERT(shape.size() == extents.size());
    shape = extents;
    strides = row_major(extents);
  }

  any_view(const void* first, std::optional<element_type> element, const tensor_shape& extents)
      : data(first), type(element), shape(extents), strides(row_major(extents)) {}

  std::size_t size() const noexcept { return shape.size(); }

  template <element T>
  tensor_view<const T> as() const noexcept {
    return {static_cast<const T*>(data), shape, strides};
  }
};

/// Calls f(tensor_view<const T>) with the element type of the view, which must have one.
template <class F>
decltype(auto) visit(const any_view& view, F&& f) {
  PTQ_ASSERT(view.type.has_value());
  switch (*view.type) {
    case element_type::float64:
      return f(view.as<double>());
    case element_type::float16:
      return f(view.as<half>());
    case element_type::bfloat16:
      return f(view.as<bfloat16>());
    case element_type::float32:
      break;
  }
  return f(view.as<float>());
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_MODEL_ANY_VIEW_HPP
