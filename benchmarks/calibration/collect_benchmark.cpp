// SPDX-License-Identifier: Apache-2.0
// Taking values in by every instruction set of this machine, beside a raw loop that counts in bins of a fixed
// range and refuses nothing; and from the values to the range that entropy chooses.
#include <benchmark/benchmark.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "calibration/naive_search.hpp"
#include "ptq/adaptors/std_vector.hpp"
#include "ptq/calibration/entropy.hpp"
#include "ptq/calibration/statistics.hpp"
#include "ptq/kernels/isa.hpp"
#include "support/fill.hpp"

namespace {

constexpr std::size_t bins = 2048;

/// Weights, or what a ReLU leaves of them.
std::vector<float> values_of(benchmark::State& state, bool is_cut) {
  std::vector<float> values = bench::normal_values(static_cast<std::size_t>(state.range(0)));
  for (float& value : values)
    if (is_cut && value < 0) value = 0;
  state.SetLabel(is_cut ? "half of them zeros" : "");
  return values;
}

void count(benchmark::State& state) {
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void collect_raw_loop(benchmark::State& state, bool is_cut) {
  const std::vector<float> values = values_of(state, is_cut);
  static std::array<std::uint64_t, bins> counts{};
  for (auto _ : state) {
    for (const float value : values) ++counts[static_cast<std::size_t>(std::fabs(value) * bins)];
    benchmark::ClobberMemory();
  }
  count(state);
}

void collect(benchmark::State& state, ptq::isa set, bool is_cut) {
  const std::vector<float> values = values_of(state, is_cut);
  static ptq::statistics<bins> seen;
  ptq::force_isa(set);
  for (auto _ : state) benchmark::DoNotOptimize(seen.collect(values));
  ptq::choose_best_isa();
  count(state);
}

/// The same algorithm as one would write it down: the largest value, the counts, and every candidate anew.
void calibrate_raw_loops(benchmark::State& state) {
  const std::vector<float> values = values_of(state, false);
  for (auto _ : state) {
    float largest = 0;
    for (const float value : values) largest = std::fmax(largest, std::fabs(value));
    std::vector<std::uint64_t> counts(bins + 1);
    for (const float value : values)
      ++counts[static_cast<std::size_t>(std::fabs(value) * (static_cast<float>(bins) / largest))];
    benchmark::DoNotOptimize(test::find_kept_naively(counts, ptq::grid(128), 128));
  }
  count(state);
}

void calibrate(benchmark::State& state) {
  const std::vector<float> values = values_of(state, false);
  for (auto _ : state) {
    ptq::statistics<bins> seen;
    benchmark::DoNotOptimize(seen.collect(values));
    benchmark::DoNotOptimize(ptq::entropy{}.range(seen));
  }
  count(state);
}

const bool registered = [] {
  constexpr std::int64_t small = std::int64_t{1} << 13;   // 32 KiB
  constexpr std::int64_t cached = std::int64_t{1} << 18;  // 1 MiB
  constexpr std::int64_t large = std::int64_t{1} << 25;   // 128 MiB
  for (const bool is_cut : {false, true}) {
    benchmark::RegisterBenchmark("collect/raw_loop", collect_raw_loop, is_cut)
        ->Arg(small)
        ->Arg(cached)
        ->Arg(large);
    for (const ptq::isa set : ptq::all_isas)
      if (ptq::is_available(set))
        benchmark::RegisterBenchmark((std::string("collect/") + ptq::name_of(set)).c_str(), collect, set,
                                     is_cut)
            ->Arg(small)
            ->Arg(cached)
            ->Arg(large);
  }
  benchmark::RegisterBenchmark("calibrate/raw_loops", calibrate_raw_loops)->Arg(1 << 20)->Iterations(1);
  benchmark::RegisterBenchmark("calibrate/ptq", calibrate)->Arg(1 << 20);
  return true;
}();

}  // namespace
