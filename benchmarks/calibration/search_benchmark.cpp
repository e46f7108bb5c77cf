// SPDX-License-Identifier: Apache-2.0
// The answers of every calibrator for the grid of every 8-bit dtype, entropy beside the same search with
// nothing left out, and beside its quadratic form.
#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "calibration/exhaustive_search.hpp"
#include "calibration/naive_search.hpp"
#include "ptq/calibrators.hpp"
#include "ptq/dtypes.hpp"

namespace {

/// Counts that fall with the third power, over the whole range: every candidate has to be weighed.
template <std::size_t Bins>
const ptq::statistics<Bins>& falling() {
  static const auto made = [] {
    auto seen = std::make_unique<ptq::statistics<Bins>>();
    for (std::size_t i = 0; i < Bins; ++i) {
      const std::size_t x = i * 2048 / Bins;
      seen->magnitudes.counts[i] = 1000000000 / (1000 + x * x * x / 100);
      seen->count += seen->magnitudes.counts[i];
    }
    seen->magnitudes.exponent = 5;
    seen->absmax = 31.99F;
    return seen;
  }();
  return *made;
}

template <class Calibrator, class D, std::size_t Bins>
void add() {
  const std::string name = std::string(Calibrator::name) + "/" + D::name + "/" + std::to_string(Bins);
  benchmark::RegisterBenchmark(name.c_str(), [](benchmark::State& state) {
    for (auto _ : state) benchmark::DoNotOptimize(Calibrator{}.range(falling<Bins>(), ptq::grid_of<D>()));
  })->Unit(benchmark::kMillisecond);
}

template <std::size_t Bins>
void add_exhaustive_entropy() {
  benchmark::RegisterBenchmark(
      ("entropy_exhaustive/int8/" + std::to_string(Bins)).c_str(),
      [](benchmark::State& state) {
        const std::span<const std::uint64_t> counts(falling<Bins>().magnitudes.counts);
        for (auto _ : state)
          benchmark::DoNotOptimize(test::exhaustive_search(counts, ptq::grid(128)).find_kept(128));
      })
      ->Unit(benchmark::kMillisecond);
}

template <std::size_t Bins>
void add_naive_entropy() {
  benchmark::RegisterBenchmark(
      ("entropy_naive/int8/" + std::to_string(Bins)).c_str(),
      [](benchmark::State& state) {
        const std::span<const std::uint64_t> counts(falling<Bins>().magnitudes.counts);
        for (auto _ : state) benchmark::DoNotOptimize(test::find_kept_naively(counts, ptq::grid(128), 128));
      })
      ->Unit(benchmark::kMillisecond)
      ->Iterations(1);
}

const bool registered = [] {
  ptq::detail::for_each_type(ptq::calibrators{}, []<class C>(ptq::detail::type_tag<C>) {
    ptq::detail::for_each_type(ptq::dtypes{}, []<class D>(ptq::detail::type_tag<D>) {
      if constexpr (sizeof(typename D::storage) == 1) {
        add<C, D, 512>();
        add<C, D, 2048>();
        add<C, D, 4096>();
      }
    });
  });
  add_exhaustive_entropy<2048>();
  add_exhaustive_entropy<4096>();
  add_naive_entropy<2048>();
  add_naive_entropy<4096>();
  return true;
}();

}  // namespace
