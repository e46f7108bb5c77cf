// SPDX-License-Identifier: Apache-2.0
/// @file binning.hpp What the kernels of histograms share: bins are found by vectors and counted in tables.
///
/// A magnitude times a power of two is exact, or smaller than 1 where it is subnormal; so no flag and no mode
/// of the machine changes a bin.
#ifndef PTQ_KERNELS_BINNING_HPP
#define PTQ_KERNELS_BINNING_HPP

#include "ptq/detail/platform.hpp"

#if PTQ_NATIVE

#include <cstddef>
#include <cstdint>

namespace ptq::inline v0_1 {
namespace kernels {
inline namespace PTQ_SET_BUILD {

/// How many values a kernel looks at before it counts some: blocks are multiples of it.
inline constexpr std::size_t bins_at_once = 32;

/// Counts in four tables, one behind the other, so that equal values in a row wait less for each other's
/// sums.
struct count_tables {
  std::uint32_t* counts;
  std::size_t bins;  ///< of a table
};

/// Bins to count, a multiple of `bins_at_once`.
struct bin_list {
  const std::uint16_t* bins = nullptr;
  std::size_t size = 0;
};

/// What a kernel found of a block.
struct binned_block {
  std::uint32_t amax;  ///< float bits; 0x7f800000 or more where a value is NaN or infinity
  std::size_t size;    ///< of the list of bins, filled up with 0 to a multiple of `bins_at_once`
  std::size_t zeros;   ///< how many values lie in bin 0, if the kernel knows
};

[[gnu::always_inline]] inline void count_some(const std::uint16_t* bins, count_tables tables) noexcept {
  std::uint32_t* const first = tables.counts;
  std::uint32_t* const second = first + tables.bins;
  std::uint32_t* const third = second + tables.bins;
  std::uint32_t* const fourth = third + tables.bins;
  for (std::size_t i = 0; i < bins_at_once; i += 4) {
    ++first[bins[i]];
    ++second[bins[i + 1]];
    ++third[bins[i + 2]];
    ++fourth[bins[i + 3]];
  }
}

}  // namespace PTQ_SET_BUILD
}  // namespace kernels
}  // namespace ptq::inline v0_1

#endif  // PTQ_NATIVE
#endif  // PTQ_KERNELS_BINNING_HPP
