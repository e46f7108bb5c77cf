// SPDX-License-Identifier: Apache-2.0
/// @file eigen_tensor.hpp Eigen's Tensor, TensorFixedSize and TensorMap of any rank, in both layouts.
#ifndef PTQ_ADAPTORS_EIGEN_TENSOR_HPP
#define PTQ_ADAPTORS_EIGEN_TENSOR_HPP

#include <concepts>
#include <cstddef>
#include <type_traits>
#include <unsupported/Eigen/CXX11/Tensor>

#include "ptq/tensor/traits.hpp"

namespace ptq::inline v0_1 {
namespace detail {

template <class T>
concept eigen_tensor_expression = std::derived_from<T, Eigen::TensorBase<T, Eigen::ReadOnlyAccessors>>;

struct eigen_tensor_traits {
  static constexpr bool is_contiguous = true;

  static auto view(auto& t) noexcept {
    using tensor = std::remove_const_t<std::remove_reference_t<decltype(t)>>;
    static_assert(tensor::NumDimensions <= max_rank, "ptq::max_rank is the most that a view can have");
    tensor_shape shape;
    shape.rank = static_cast<std::size_t>(tensor::NumDimensions);
    for (unsigned i = 0; i < shape.rank; ++i)  // indices are signed here and unsigned there
      shape.extents[i] = static_cast<std::size_t>(t.dimension(i));
    const bool is_row_major = static_cast<int>(tensor::Layout) == static_cast<int>(Eigen::RowMajor);
    return tensor_view<std::remove_pointer_t<decltype(t.data())>>{
        t.data(), shape, is_row_major ? row_major(shape) : column_major(shape)};
  }
};

}  // namespace detail

/// Sums, slices, shuffles and the like: assign them to an Eigen::Tensor, which gives them elements.
template <detail::eigen_tensor_expression T>
struct tensor_traits<T> {
  using evaluate_it_first = void;
};

template <class T, int Rank, int Options, class Index>
struct tensor_traits<Eigen::Tensor<T, Rank, Options, Index>> : detail::eigen_tensor_traits {};

template <class T, class Dimensions, int Options, class Index>
struct tensor_traits<Eigen::TensorFixedSize<T, Dimensions, Options, Index>> : detail::eigen_tensor_traits {};

template <class Tensor, int Options, template <class> class MakePointer>
struct tensor_traits<Eigen::TensorMap<Tensor, Options, MakePointer>> : detail::eigen_tensor_traits {
  static constexpr bool is_view = true;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_ADAPTORS_EIGEN_TENSOR_HPP
