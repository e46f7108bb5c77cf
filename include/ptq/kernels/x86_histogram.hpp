// SPDX-License-Identifier: Apache-2.0
/// @file x86_histogram.hpp The bins of magnitudes by AVX-512 and AVX2: they find the bins of one block while
/// they count those of the block before, because the one work is of vectors and the other of addresses.
#ifndef PTQ_KERNELS_X86_HISTOGRAM_HPP
#define PTQ_KERNELS_X86_HISTOGRAM_HPP

#include "ptq/detail/platform.hpp"

#if PTQ_NATIVE_X86

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "ptq/kernels/binning.hpp"
#include "ptq/kernels/isa.hpp"
#include "ptq/kernels/kernel_set.hpp"

namespace ptq::inline v0_1 {
namespace kernels {
inline namespace PTQ_SET_BUILD {

/// Reads ahead of itself, by half a page: the counting hides the way to the memory.
[[gnu::always_inline]] inline void fetch_ahead(const float* values) noexcept {
  constexpr int ahead = 2048;  // bytes
  const char* const at = reinterpret_cast<const char*>(values) + ahead;
  _mm_prefetch(at, _MM_HINT_T0);
  _mm_prefetch(at + 64, _MM_HINT_T0);
}

PTQ_TARGET_PUSH("avx512f,avx512bw,avx512vl,avx512dq")

template <bool SkipsZeros>
class avx512_bins {
 public:
  [[gnu::always_inline]] avx512_bins(float factor, std::uint16_t* bins) noexcept
      : factors_(_mm512_set1_ps(factor)), largest_(_mm512_setzero_si512()), bins_(bins), end_(bins) {}

  [[gnu::always_inline]] void bin(const float* values) noexcept {
    const __m512i low = bin_half(values);
    const __m512i high = bin_half(values + bins_at_once / 2);
    if constexpr (SkipsZeros) {
      add_some(low);
      add_some(high);
    } else {
      const __m512i mixed = _mm512_packus_epi32(low, high);  // their order does not matter
      zeros_ += static_cast<std::size_t>(__builtin_popcount(_mm512_testn_epi16_mask(mixed, mixed)));
      _mm512_storeu_si512(end_, mixed);
      end_ += bins_at_once;
    }
  }

  [[gnu::always_inline]] binned_block finish(std::size_t n) noexcept {
    const auto size = static_cast<std::size_t>(end_ - bins_);
    if constexpr (SkipsZeros) _mm512_storeu_si512(end_, _mm512_setzero_si512());
    return {_mm512_reduce_max_epu32(largest_), (size + bins_at_once - 1) / bins_at_once * bins_at_once,
            SkipsZeros ? n - size : zeros_};
  }

 private:
  [[gnu::always_inline]] __m512i bin_half(const float* values) noexcept {
    const __m512i x = _mm512_and_si512(_mm512_set1_epi32(0x7fffffff), _mm512_loadu_si512(values));
    largest_ = _mm512_max_epu32(largest_, x);
    return _mm512_cvttps_epi32(_mm512_mul_ps(_mm512_castsi512_ps(x), factors_));
  }

  [[gnu::always_inline]] void add_some(__m512i bins) noexcept {
    const __mmask16 some = _mm512_test_epi32_mask(bins, bins);
    const __m256i narrow = _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(some, bins));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(end_), narrow);
    end_ += __builtin_popcount(some);
  }

  __m512 factors_;
  __m512i largest_;
  std::uint16_t* bins_;
  std::uint16_t* end_;
  std::size_t zeros_ = 0;
};

/// bins = trunc(|value| x factor) of `n` values, a multiple of `bins_at_once`, with room for as many more.
/// Counts `before` on the way. Without meaning where a bin is beyond 2^15 - 1.
template <bool SkipsZeros>
binned_block bin_avx512(const float* values, std::size_t n, float factor,
                        std::uint16_t* bins,  // NOLINT(readability-non-const-parameter): the bins go there
                        bin_list before, count_tables tables) noexcept {
  avx512_bins<SkipsZeros> found(factor, bins);
  const std::size_t shared = n < before.size ? n : before.size;
  for (std::size_t i = 0; i < shared; i += bins_at_once) {
    fetch_ahead(values + i);
    found.bin(values + i);
    count_some(before.bins + i, tables);
  }
  for (std::size_t i = shared; i < n; i += bins_at_once) found.bin(values + i);
  for (std::size_t i = shared; i < before.size; i += bins_at_once) count_some(before.bins + i, tables);
  return found.finish(n);
}

PTQ_TARGET_POP
PTQ_TARGET_PUSH("avx2")

class avx2_bins {
 public:
  [[gnu::always_inline]] avx2_bins(float factor, std::uint16_t* bins) noexcept
      : factors_(_mm256_set1_ps(factor)), largest_(_mm256_setzero_si256()), bins_(bins), end_(bins) {}

  [[gnu::always_inline]] void bin(const float* values) noexcept {
    bin_half(values);
    bin_half(values + bins_at_once / 2);
  }

  [[gnu::always_inline]] binned_block finish() noexcept {
    alignas(32) std::uint32_t lanes[8];
    _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), largest_);
    std::uint32_t amax = 0;
    for (const std::uint32_t lane : lanes) amax = lane > amax ? lane : amax;
    return {amax, static_cast<std::size_t>(end_ - bins_), 0};
  }

 private:
  [[gnu::always_inline]] void bin_half(const float* values) noexcept {
    const auto* const at = reinterpret_cast<const __m256i*>(values);
    const __m256i low = bin_quarter(_mm256_loadu_si256(at));
    const __m256i high = bin_quarter(_mm256_loadu_si256(at + 1));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(end_), _mm256_packus_epi32(low, high));
    end_ += bins_at_once / 2;
  }

  [[gnu::always_inline]] __m256i bin_quarter(__m256i values) noexcept {
    const __m256i x = _mm256_and_si256(_mm256_set1_epi32(0x7fffffff), values);
    largest_ = _mm256_max_epu32(largest_, x);
    return _mm256_cvttps_epi32(_mm256_mul_ps(_mm256_castsi256_ps(x), factors_));
  }

  __m256 factors_;
  __m256i largest_;
  std::uint16_t* bins_;
  std::uint16_t* end_;
};

/// As `bin_avx512`, which skips no zeros.
inline binned_block bin_avx2(const float* values, std::size_t n, float factor, std::uint16_t* bins,
                             bin_list before, count_tables tables) noexcept {
  avx2_bins found(factor, bins);
  const std::size_t shared = n < before.size ? n : before.size;
  for (std::size_t i = 0; i < shared; i += bins_at_once) {
    fetch_ahead(values + i);
    found.bin(values + i);
    count_some(before.bins + i, tables);
  }
  for (std::size_t i = shared; i < n; i += bins_at_once) found.bin(values + i);
  for (std::size_t i = shared; i < before.size; i += bins_at_once) count_some(before.bins + i, tables);
  return found.finish();
}

PTQ_TARGET_POP

template <>
inline binned_block bin_values<isa::avx512>(bool skips_zeros, const float* values, std::size_t n,
                                            float factor, std::uint16_t* bins, bin_list before,
                                            count_tables tables) noexcept {
  return skips_zeros ? bin_avx512<true>(values, n, factor, bins, before, tables)
                     : bin_avx512<false>(values, n, factor, bins, before, tables);
}
template <>
inline binned_block bin_values<isa::avx2>(bool /*skips_zeros*/, const float* values, std::size_t n,
                                          float factor, std::uint16_t* bins, bin_list before,
                                          count_tables tables) noexcept {
  return bin_avx2(values, n, factor, bins, before, tables);
}

}  // namespace PTQ_SET_BUILD
}  // namespace kernels
}  // namespace ptq::inline v0_1

#endif  // PTQ_NATIVE_X86

#endif  // PTQ_KERNELS_X86_HISTOGRAM_HPP
