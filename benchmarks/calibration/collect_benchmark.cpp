// SPDX-License-Identifier: Apache-2.0
// Taking values in, beside a raw loop that counts in bins of a fixed range and refuses nothing.
#include <benchmark/benchmark.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "ptq/adaptors/std_vector.hpp"
#include "ptq/calibration/statistics.hpp"
#include "support/fill.hpp"

namespace {

void collect(benchmark::State& state) {
  const std::vector<float> values = bench::normal_values(std::size_t{1} << 20);
  static ptq::statistics<> seen;
  for (auto _ : state) benchmark::DoNotOptimize(seen.collect(values));
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(values.size()));
}
BENCHMARK(collect);

void collect_raw_loop(benchmark::State& state) {
  const std::vector<float> values = bench::normal_values(std::size_t{1} << 20);
  static std::array<std::uint64_t, 4096> counts{};
  for (auto _ : state) {
    for (const float value : values) ++counts[static_cast<std::size_t>(std::fabs(value) * 4096)];
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(values.size()));
}
BENCHMARK(collect_raw_loop);

}  // namespace
