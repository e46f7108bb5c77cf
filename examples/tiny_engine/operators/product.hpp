// SPDX-License-Identifier: Apache-2.0
/// @file product.hpp The sums of products behind Conv, Gemm and MatMul.
///
/// Floats are summed in one order, from the first product to the last, whatever the batch, the alignment or
/// the width of the machine's vectors; the vectors run across the outputs. Each product is rounded before it
/// is summed, in every build: compilers that may join both (GCC with -march=native, any with
/// -ffp-contract=fast) would join some and others not. Integers may be summed in any order.
#ifndef TINY_ENGINE_OPERATORS_PRODUCT_HPP
#define TINY_ENGINE_OPERATORS_PRODUCT_HPP

#include <Eigen/Core>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "ptq/detail/platform.hpp"
#include "ptq/kernels/isa.hpp"

#if PTQ_NATIVE_X86
#include <immintrin.h>
#endif

namespace tiny {

/// What a product is of: y[m, n] = a[m, k] b[k, n].
struct factors {
  const float *a, *b;
  float* y;
  std::size_t m, k, n;
};

using four_floats [[gnu::vector_size(16)]] = float;

/// A product that no compiler joins with a sum. Machines that are not named here have one kernel only.
template <class Product>
[[gnu::always_inline]] inline Product rounded(Product product) {
#if defined(__x86_64__)
  __asm__("" : "+x"(product));
#elif defined(__aarch64__)
  __asm__("" : "+w"(product));
#endif
  return product;
}

// Sums are registers only where all loops over them are unrolled, which GCC does not think of at -O2.

/// All rows of as many columns as `Count` times `Sum` holds.
template <class Sum, std::size_t Count>
void multiply_few_columns(const factors& f, std::size_t column) {
  for (std::size_t row = 0; row < f.m; ++row) {
    Sum sums[Count];
#pragma GCC unroll 4
    for (Sum& sum : sums) sum = Sum();
    for (std::size_t i = 0; i < f.k; ++i) {
      const float left = f.a[row * f.k + i];
      const float* const b = f.b + i * f.n + column;
#pragma GCC unroll 4
      for (std::size_t v = 0; v < Count; ++v) {
        Sum right;  // NOLINT(cppcoreguidelines-init-variables): copied into
        std::memcpy(&right, b + v * (sizeof right / sizeof left), sizeof right);
        sums[v] += rounded(left * right);
      }
    }
    float* const y = f.y + row * f.n + column;
#pragma GCC unroll 4
    for (std::size_t v = 0; v < Count; ++v)
      std::memcpy(y + v * (sizeof sums[v] / sizeof *y), &sums[v], sizeof sums[v]);
  }
}

inline void multiply_portably(const factors& f) {
  std::size_t column = 0;
  for (; column + 16 <= f.n; column += 16) multiply_few_columns<four_floats, 4>(f, column);
  for (; column + 4 <= f.n; column += 4) multiply_few_columns<four_floats, 1>(f, column);
  for (; column < f.n; ++column) multiply_few_columns<float, 1>(f, column);
}

#if PTQ_NATIVE_X86

PTQ_TARGET_PUSH("avx2")

[[gnu::always_inline]] inline __m256 rounded(__m256 product) {
  __asm__("" : "+x"(product));
  return product;
}

/// The sums of `Rows` rows and 8 x `Vectors` columns, all of them in registers. Of the last vector the mask
/// says which columns there are.
template <std::size_t Rows, std::size_t Vectors>
void multiply_tile(const factors& f, std::size_t row, std::size_t column, __m256i mask) {
  __m256 sums[Rows][Vectors];
#pragma GCC unroll 8
  for (auto& line : sums)
#pragma GCC unroll 8
    for (__m256& sum : line) sum = _mm256_setzero_ps();
  for (std::size_t i = 0; i < f.k; ++i) {
    const float* const b = f.b + i * f.n + column;
    __m256 right[Vectors];
#pragma GCC unroll 8
    for (std::size_t v = 0; v + 1 < Vectors; ++v) right[v] = _mm256_loadu_ps(b + 8 * v);
    right[Vectors - 1] = _mm256_maskload_ps(b + 8 * (Vectors - 1), mask);
#pragma GCC unroll 8
    for (std::size_t r = 0; r < Rows; ++r) {
      const __m256 left = _mm256_set1_ps(f.a[(row + r) * f.k + i]);
#pragma GCC unroll 8
      for (std::size_t v = 0; v < Vectors; ++v)
        sums[r][v] = _mm256_add_ps(sums[r][v], rounded(_mm256_mul_ps(left, right[v])));
    }
  }
#pragma GCC unroll 8
  for (std::size_t r = 0; r < Rows; ++r) {
    float* const y = f.y + (row + r) * f.n + column;
#pragma GCC unroll 8
    for (std::size_t v = 0; v + 1 < Vectors; ++v) _mm256_storeu_ps(y + 8 * v, sums[r][v]);
    _mm256_maskstore_ps(y + 8 * (Vectors - 1), mask, sums[r][Vectors - 1]);
  }
}

/// All rows of 8 x `Vectors` columns.
template <std::size_t Vectors>
void multiply_columns(const factors& f, std::size_t column, __m256i mask) {
  std::size_t row = 0;
  for (; row + 4 <= f.m; row += 4) multiply_tile<4, Vectors>(f, row, column, mask);
  for (; row < f.m; ++row) multiply_tile<1, Vectors>(f, row, column, mask);
}

inline void multiply_by_avx2(const factors& f) {
  const __m256i all = _mm256_set1_epi32(-1);
  std::size_t column = 0;
  if (f.m == 1)
    for (; column + 32 <= f.n; column += 32) multiply_tile<1, 4>(f, 0, column, all);
  for (; column + 16 <= f.n; column += 16) multiply_columns<2>(f, column, all);
  for (; column < f.n; column += 8) {
    const __m256i numbers = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const auto left = static_cast<int>(f.n - column);
    multiply_columns<1>(f, column, _mm256_cmpgt_epi32(_mm256_set1_epi32(left), numbers));
  }
  _mm256_zeroupper();  // GCC forgets it, and what libm does next would be slow
}

PTQ_TARGET_POP
PTQ_TARGET_PUSH("avx512f")

[[gnu::always_inline]] inline __m512 rounded(__m512 product) {
  __asm__("" : "+v"(product));
  return product;
}

/// As `multiply_tile`, 16 columns a vector.
template <std::size_t Rows, std::size_t Vectors>
void multiply_wide_tile(const factors& f, std::size_t row, std::size_t column, __mmask16 mask) {
  __m512 sums[Rows][Vectors];
#pragma GCC unroll 8
  for (auto& line : sums)
#pragma GCC unroll 8
    for (__m512& sum : line) sum = _mm512_setzero_ps();
  for (std::size_t i = 0; i < f.k; ++i) {
    const float* const b = f.b + i * f.n + column;
    __m512 right[Vectors];
#pragma GCC unroll 8
    for (std::size_t v = 0; v + 1 < Vectors; ++v) right[v] = _mm512_loadu_ps(b + 16 * v);
    right[Vectors - 1] = _mm512_maskz_loadu_ps(mask, b + 16 * (Vectors - 1));
#pragma GCC unroll 8
    for (std::size_t r = 0; r < Rows; ++r) {
      const __m512 left = _mm512_set1_ps(f.a[(row + r) * f.k + i]);
#pragma GCC unroll 8
      for (std::size_t v = 0; v < Vectors; ++v)
        sums[r][v] = _mm512_add_ps(sums[r][v], rounded(_mm512_mul_ps(left, right[v])));
    }
  }
#pragma GCC unroll 8
  for (std::size_t r = 0; r < Rows; ++r) {
    float* const y = f.y + (row + r) * f.n + column;
#pragma GCC unroll 8
    for (std::size_t v = 0; v + 1 < Vectors; ++v) _mm512_storeu_ps(y + 16 * v, sums[r][v]);
    _mm512_mask_storeu_ps(y + 16 * (Vectors - 1), mask, sums[r][Vectors - 1]);
  }
}

/// The rows from `row` on of 16 x `Vectors` columns: as many at once as there are, but for `Rows` at most.
template <std::size_t Rows, std::size_t Vectors>
void multiply_wide_columns(const factors& f, std::size_t row, std::size_t column, __mmask16 mask) {
  for (; row + Rows <= f.m; row += Rows) multiply_wide_tile<Rows, Vectors>(f, row, column, mask);
  if constexpr (Rows > 1) multiply_wide_columns<Rows / 2, Vectors>(f, row, column, mask);
}

inline void multiply_by_avx512(const factors& f) {
  std::size_t column = 0;
  for (; column + 64 <= f.n; column += 64) multiply_wide_columns<4, 4>(f, 0, column, 0xffff);
  for (; column + 16 < f.n; column += 32) {
    const std::size_t left = f.n - column;
    const auto mask = static_cast<__mmask16>(left < 32 ? (1u << (left - 16)) - 1 : 0xffff);
    multiply_wide_columns<8, 2>(f, 0, column, mask);
  }
  if (column < f.n)
    multiply_wide_columns<8, 1>(f, 0, column, static_cast<__mmask16>((1u << (f.n - column)) - 1));
  _mm256_zeroupper();
}

PTQ_TARGET_POP

#endif

/// y[m, n] = a[m, k] b[k, n]
inline void matrix_product(const float* a, const float* b, float* y, std::size_t m, std::size_t k,
                           std::size_t n) {
#if PTQ_NATIVE_X86
  if (ptq::active_isa() == ptq::isa::avx512) return multiply_by_avx512({a, b, y, m, k, n});
  if (ptq::active_isa() != ptq::isa::portable) return multiply_by_avx2({a, b, y, m, k, n});
#endif
  multiply_portably({a, b, y, m, k, n});
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
