// SPDX-License-Identifier: Apache-2.0
/// @file eigen.hpp Eigen's Matrix, Array, Map, Ref, Block, Transpose and whatever else has its elements in
/// memory, as tensors of rank 2 (vectors too); and Eigen's two half types as elements.
#ifndef PTQ_ADAPTORS_EIGEN_HPP
#define PTQ_ADAPTORS_EIGEN_HPP

#include <Eigen/Core>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "ptq/tensor/element.hpp"
#include "ptq/tensor/traits.hpp"

namespace ptq::inline v0_1 {
namespace detail {

template <class T> concept eigen_expression = std::derived_from<T, Eigen::DenseBase<T>>;

/// Some expressions claim the flag for what they are made of, and have no data() (an Eigen::IndexedView).
template <class T>
concept eigen_memory =
    eigen_expression<T> && (T::Flags & Eigen::DirectAccessBit) != 0 && requires(const T& t) { t.data(); };

template <class T>
inline constexpr bool eigen_owns = std::derived_from<T, Eigen::PlainObjectBase<T>>;
template <class T, int Options, class Stride>
inline constexpr bool eigen_owns<Eigen::Ref<const T, Options, Stride>> = true;  // it may hold a copy

/// Whether nothing lies between the elements, as far as the type tells.
template <class T>
inline constexpr bool eigen_is_contiguous = std::derived_from<T, Eigen::PlainObjectBase<T>> ||
                                            (T::IsVectorAtCompileTime && T::InnerStrideAtCompileTime == 1);
template <class T, int Options>
inline constexpr bool eigen_is_contiguous<Eigen::Map<T, Options, Eigen::Stride<0, 0>>> = true;

}  // namespace detail

/// Sums, products, random matrices and the like: `.eval()` gives them elements.
template <detail::eigen_expression T>
struct tensor_traits<T> {
  using evaluate_it_first = void;
};

template <detail::eigen_memory T>
struct tensor_traits<T> {
  static constexpr bool is_view = !detail::eigen_owns<T>;
  static constexpr bool is_contiguous = detail::eigen_is_contiguous<T>;

  static auto view(auto& t) noexcept {
    const std::ptrdiff_t inner = t.innerStride();
    const std::ptrdiff_t outer = t.outerStride();
    const tensor_shape shape{static_cast<std::size_t>(t.rows()), static_cast<std::size_t>(t.cols())};
    const tensor_strides strides =
        T::IsRowMajor ? tensor_strides{outer, inner} : tensor_strides{inner, outer};
    return tensor_view<std::remove_pointer_t<decltype(t.data())>>{t.data(), shape, strides};
  }
};

template <>
struct element_traits<Eigen::half> {
  static constexpr element_type type = element_type::float16;
  static float to_float(Eigen::half x) noexcept { return std::bit_cast<half>(x).to_float(); }
  static Eigen::half from_float(float x) noexcept { return std::bit_cast<Eigen::half>(half::from_float(x)); }
};

template <>
struct element_traits<Eigen::bfloat16> {
  static constexpr element_type type = element_type::bfloat16;
  static float to_float(Eigen::bfloat16 x) noexcept { return std::bit_cast<bfloat16>(x).to_float(); }
  static Eigen::bfloat16 from_float(float x) noexcept {
    return std::bit_cast<Eigen::bfloat16>(bfloat16::from_float(x));
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_ADAPTORS_EIGEN_HPP
