// SPDX-License-Identifier: Apache-2.0
/// @file xtensor.hpp xtensor's xarray, xtensor, xtensor_fixed, adaptors and strided views as tensors.
#ifndef PTQ_ADAPTORS_XTENSOR_HPP
#define PTQ_ADAPTORS_XTENSOR_HPP

#include <cstddef>
#include <type_traits>

#if __has_include(<xtensor/views/xstrided_view.hpp>)  // since 0.26 the headers lie in folders
#include <xtensor/core/xexpression.hpp>
#include <xtensor/core/xtensor_forward.hpp>
#include <xtensor/utils/xutils.hpp>
#include <xtensor/views/xstrided_view.hpp>
#else
#include <xtensor/xexpression.hpp>
#include <xtensor/xstrided_view.hpp>
#include <xtensor/xtensor_forward.hpp>
#include <xtensor/xutils.hpp>
#endif

#include "ptq/tensor/traits.hpp"

namespace ptq::inline v0_1 {
namespace detail {

template <class T> concept xtensor_expression = xt::is_xexpression<T>::value;

/// Whether what a view or an adaptor was made from lies elsewhere.
template <class Closure>
inline constexpr bool xtensor_borrows =
    std::is_lvalue_reference_v<Closure> || is_view<std::remove_cvref_t<Closure>>;

template <class T>
inline constexpr bool is_xtensor_view = false;
template <class Closure, class... Slices>
inline constexpr bool is_xtensor_view<xt::xview<Closure, Slices...>> = xtensor_borrows<Closure>;
template <class Closure, class Shape, xt::layout_type Layout, class Flat>
inline constexpr bool is_xtensor_view<xt::xstrided_view<Closure, Shape, Layout, Flat>> =
    xtensor_borrows<Closure>;
template <class Container, xt::layout_type Layout, class Shape, class Tag>
inline constexpr bool is_xtensor_view<xt::xarray_adaptor<Container, Layout, Shape, Tag>> =
    std::is_lvalue_reference_v<Container>;
template <class Container, std::size_t Rank, xt::layout_type Layout, class Tag>
inline constexpr bool is_xtensor_view<xt::xtensor_adaptor<Container, Rank, Layout, Tag>> =
    std::is_lvalue_reference_v<Container>;

}  // namespace detail

/// Sums, broadcasts, views by lists of indices and the like: `xt::eval` gives them elements.
template <detail::xtensor_expression T>
struct tensor_traits<T> {
  using evaluate_it_first = void;
};

template <detail::xtensor_expression T>
  requires xt::has_data_interface<T>::value
struct tensor_traits<T> {
  static constexpr bool is_view = detail::is_xtensor_view<T>;
  static constexpr bool is_contiguous =
      T::contiguous_layout &&
      (T::static_layout == xt::layout_type::row_major || T::static_layout == xt::layout_type::column_major);

  static auto view(auto& t) noexcept {
    tensor_shape shape;
    tensor_strides strides{};
    shape.rank = t.dimension();
    for (std::size_t i = 0; i < shape.rank && shape.rank <= max_rank; ++i) {
      shape.extents[i] = static_cast<std::size_t>(t.shape()[i]);
      strides[i] = static_cast<std::ptrdiff_t>(t.strides()[i]);
    }
    auto* first = t.data() + static_cast<std::ptrdiff_t>(t.data_offset());
    return tensor_view<std::remove_pointer_t<decltype(first)>>{first, shape, strides};
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_ADAPTORS_XTENSOR_HPP
