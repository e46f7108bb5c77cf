// SPDX-License-Identifier: Apache-2.0
/// @file neon_histogram.hpp The bins of magnitudes by NEON: those of one block are found while those of the
/// block before are counted, because the one work is of vectors and the other of addresses.
#ifndef PTQ_KERNELS_NEON_HISTOGRAM_HPP
#define PTQ_KERNELS_NEON_HISTOGRAM_HPP

#include "ptq/detail/platform.hpp"

#if PTQ_NATIVE_NEON

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "ptq/kernels/binning.hpp"
#include "ptq/kernels/isa.hpp"
#include "ptq/kernels/kernel_set.hpp"

namespace ptq::inline v0_1 {
namespace kernels {
inline namespace PTQ_SET_BUILD {

class neon_bins {
 public:
  neon_bins(float factor, std::uint16_t* bins) noexcept
      : factors_(vdupq_n_f32(factor)), largest_(vdupq_n_u32(0)), bins_(bins), end_(bins) {}

  [[gnu::always_inline]] void bin(const float* values) noexcept {
    for (std::size_t i = 0; i < bins_at_once; i += 8, end_ += 8)
      vst1q_u16(end_, vmovn_high_u32(vmovn_u32(bin_four(values + i)), bin_four(values + i + 4)));
  }

  binned_block finish() const noexcept {
    return {vmaxvq_u32(largest_), static_cast<std::size_t>(end_ - bins_), 0};
  }

 private:
  [[gnu::always_inline]] uint32x4_t bin_four(const float* values) noexcept {
    const uint32x4_t x = vandq_u32(vreinterpretq_u32_f32(vld1q_f32(values)), vdupq_n_u32(0x7fffffffu));
    largest_ = vmaxq_u32(largest_, x);
    return vcvtq_u32_f32(vmulq_f32(vreinterpretq_f32_u32(x), factors_));
  }

  float32x4_t factors_;
  uint32x4_t largest_;
  std::uint16_t* bins_;
  std::uint16_t* end_;
};

template <>
inline binned_block bin_values<isa::neon>(bool /*skips_zeros*/, const float* values, std::size_t n,
                                          float factor, std::uint16_t* bins, bin_list before,
                                          count_tables tables) noexcept {
  neon_bins found(factor, bins);
  const std::size_t shared = n < before.size ? n : before.size;
  for (std::size_t i = 0; i < shared; i += bins_at_once) {
    found.bin(values + i);
    count_some(before.bins + i, tables);
  }
  for (std::size_t i = shared; i < n; i += bins_at_once) found.bin(values + i);
  for (std::size_t i = shared; i < before.size; i += bins_at_once) count_some(before.bins + i, tables);
  return found.finish();
}

}  // namespace PTQ_SET_BUILD
}  // namespace kernels
}  // namespace ptq::inline v0_1

#endif  // PTQ_NATIVE_NEON
#endif  // PTQ_KERNELS_NEON_HISTOGRAM_HPP
