// SPDX-License-Identifier: Apache-2.0
/// @file sizes.hpp Square matrices that fit the first cache, the second, and no cache.
#ifndef PTQ_BENCHMARKS_SUPPORT_SIZES_HPP
#define PTQ_BENCHMARKS_SUPPORT_SIZES_HPP

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "support/fill.hpp"

namespace bench {

inline constexpr std::int64_t sides[] = {64, 512, 4096};  // 16 KiB, 1 MiB, 64 MiB of floats

/// Elements and bytes per second; `bytes` counts what is read and written for one element.
inline void count(benchmark::State& state, std::size_t elements, std::size_t bytes) {
  const auto all = static_cast<std::int64_t>(elements) * static_cast<std::int64_t>(state.iterations());
  state.SetItemsProcessed(all);
  state.SetBytesProcessed(all * static_cast<std::int64_t>(bytes));
}

/// The ceiling: a copy of the floats.
inline void run_memcpy(benchmark::State& state) {
  const auto side = static_cast<std::size_t>(state.range(0));
  const std::vector<float> source = normal_values(side * side);
  std::vector<float> target(source.size());
  for (auto _ : state) {
    std::memcpy(target.data(), source.data(), source.size() * sizeof(float));
    benchmark::DoNotOptimize(target.data());
    benchmark::ClobberMemory();
  }
  count(state, source.size(), 8);
}

inline void add_sizes(benchmark::internal::Benchmark* b) {
  for (const std::int64_t side : sides) b->Arg(side);
}

}  // namespace bench

#endif  // PTQ_BENCHMARKS_SUPPORT_SIZES_HPP
