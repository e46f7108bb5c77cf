// SPDX-License-Identifier: Apache-2.0
/// @file product.hpp The sums of products behind Conv, Gemm and MatMul.
///
/// Floats are summed in one order, from the first product to the last, whatever the batch, the alignment or
/// the width of the machine's vectors; the vectors run across the outputs. Integers may be summed in any.
#ifndef TINY_ENGINE_OPERATORS_PRODUCT_HPP
#define TINY_ENGINE_OPERATORS_PRODUCT_HPP

#include <Eigen/Core>
#include <cstddef>
#include <cstdint>

namespace tiny {

/// y[m, n] = a[m, k] b[k, n]
inline void matrix_product(const float* a, const float* b, float* y, std::size_t m, std::size_t k,
                           std::size_t n) {
  constexpr int width = 16;  // sums that stay in registers
  using tile = Eigen::Array<float, 1, width>;
  using rest = Eigen::Array<float, 1, Eigen::Dynamic, Eigen::RowMajor, 1, width>;
  const auto fill = [&]<class Sums>(std::size_t column, Sums sums) {
    for (std::size_t row = 0; row < m; ++row) {
      sums.setZero();
      for (std::size_t i = 0; i < k; ++i)
        sums += a[row * k + i] * Eigen::Map<const Sums>(b + i * n + column, sums.size());
      Eigen::Map<Sums>(y + row * n + column, sums.size()) = sums;
    }
  };
  std::size_t column = 0;
  for (; column + width <= n; column += width) fill(column, tile());
  if (column < n) fill(column, rest(static_cast<Eigen::Index>(n - column)));
}

/// The most products of two int8 codes that an int32 sum holds: 2^31 / 2^14.
inline constexpr std::size_t most_int8_products = (std::size_t{1} << 17) - 1;

/// y[m, n] = a[m, k] b[n, k]^T, k at most `most_int8_products`.
inline void matrix_product(const std::int8_t* a, const std::int8_t* b, std::int32_t* y, std::size_t m,
                           std::size_t k, std::size_t n) {
  for (std::size_t row = 0; row < m; ++row)
    for (std::size_t column = 0; column < n; ++column) {
      std::int32_t sum = 0;
      for (std::size_t i = 0; i < k; ++i)
        sum += std::int32_t{a[row * k + i]} * std::int32_t{b[column * k + i]};
      y[row * n + column] = sum;
    }
}

/// out[n, m] = in[m, n]
template <class T>
void transpose_matrix(const T* in, T* out, std::size_t m, std::size_t n) {
  using matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const auto rows = static_cast<Eigen::Index>(m);
  const auto columns = static_cast<Eigen::Index>(n);
  Eigen::Map<matrix>(out, columns, rows) = Eigen::Map<const matrix>(in, rows, columns).transpose();
}

}  // namespace tiny

#endif  // TINY_ENGINE_OPERATORS_PRODUCT_HPP
