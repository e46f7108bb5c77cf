// SPDX-License-Identifier: Apache-2.0
/// @file read_only_sum.hpp The ceiling of what only reads: a sum of the floats, in as many lanes as the
/// machine has.
#ifndef PTQ_BENCHMARKS_SUPPORT_READ_ONLY_SUM_HPP
#define PTQ_BENCHMARKS_SUPPORT_READ_ONLY_SUM_HPP

#include <cstddef>

#include "ptq/kernels/isa.hpp"

#if PTQ_NATIVE_X86
#include <immintrin.h>
#endif

namespace bench {

template <std::size_t N>
float sum_of_lanes(const float (&lanes)[N]) {
  float sum = 0;
  for (const float lane : lanes) sum += lane;
  return sum;
}

#if PTQ_NATIVE_X86

[[gnu::target("avx512f")]] inline float sum_avx512(const float* values, std::size_t n) {
  __m512 sums[4] = {};
  for (std::size_t i = 0; i + 64 <= n; i += 64)
    for (std::size_t k = 0; k < 4; ++k)
      sums[k] = _mm512_add_ps(sums[k], _mm512_loadu_ps(values + i + 16 * k));
  float lanes[64];
  for (std::size_t k = 0; k < 4; ++k) _mm512_storeu_ps(static_cast<float*>(lanes) + 16 * k, sums[k]);
  return sum_of_lanes(lanes);
}

[[gnu::target("avx2")]] inline float sum_avx2(const float* values, std::size_t n) {
  __m256 sums[4] = {};
  for (std::size_t i = 0; i + 32 <= n; i += 32)
    for (std::size_t k = 0; k < 4; ++k) sums[k] = _mm256_add_ps(sums[k], _mm256_loadu_ps(values + i + 8 * k));
  float lanes[32];
  for (std::size_t k = 0; k < 4; ++k) _mm256_storeu_ps(static_cast<float*>(lanes) + 8 * k, sums[k]);
  return sum_of_lanes(lanes);
}

#endif

/// The values of a rest that fills no vector are left out.
inline float sum_of(const float* values, std::size_t n) {
#if PTQ_NATIVE_X86
  static const ptq::isa best = ptq::best_isa();
  if (best == ptq::isa::avx512) return sum_avx512(values, n);
  if (best == ptq::isa::avx2) return sum_avx2(values, n);
#endif
  float sums[16] = {};
  for (std::size_t i = 0; i + 16 <= n; i += 16)
    for (std::size_t k = 0; k < 16; ++k) sums[k] += values[i + k];
  return sum_of_lanes(sums);
}

}  // namespace bench

#endif  // PTQ_BENCHMARKS_SUPPORT_READ_ONLY_SUM_HPP
