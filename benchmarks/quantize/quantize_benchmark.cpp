// SPDX-License-Identifier: Apache-2.0
// Whole matrices: scales found, codes written, and back; per dtype, backend, granularity and size.
#include <benchmark/benchmark.h>

#include <cstddef>
#include <string>
#include <vector>

#include "ptq/backends.hpp"
#include "ptq/dtypes.hpp"
#include "ptq/quantize/dequantize.hpp"
#include "ptq/quantize/quantize.hpp"
#include "support/raw_loops.hpp"
#include "support/sizes.hpp"

namespace {

struct named_granularity {
  const char* name;
  ptq::granularity grain;
};
constexpr named_granularity granularities[] = {{"per_tensor", ptq::per_tensor()},
                                               {"per_channel_outer", ptq::per_channel(0)},
                                               {"per_channel_inner", ptq::per_channel(1)}};

template <class D>
struct matrix {
  matrix(const benchmark::State& state, ptq::granularity grain)
      : side(static_cast<std::size_t>(state.range(0))),
        values(bench::normal_values(side * side)),
        codes(values.size()),
        scales(grain.is_per_channel() ? side : 1) {}

  ptq::tensor_view<float> view() { return {values.data(), {side, side}}; }

  std::size_t side;
  std::vector<float> values;
  std::vector<typename D::storage> codes;
  std::vector<float> scales;
};

template <class D>
void finish(benchmark::State& state, const matrix<D>& m) {
  bench::count(state, m.values.size(), sizeof(float) + sizeof(typename D::storage));
}

template <class D, class B>
void quantize(benchmark::State& state, ptq::granularity grain) {
  matrix<D> m(state, grain);
  for (auto _ : state) {
    if (!ptq::quantize<D, B>(m.view(), m.codes, m.scales, grain)) state.SkipWithError("quantize failed");
    benchmark::ClobberMemory();
  }
  finish(state, m);
}

template <class D, class B>
void dequantize(benchmark::State& state, ptq::granularity grain) {
  matrix<D> m(state, grain);
  if (!ptq::quantize<D, B>(m.view(), m.codes, m.scales, grain)) state.SkipWithError("quantize failed");
  for (auto _ : state) {
    if (!ptq::dequantize<D>(m.codes, m.scales, grain, m.view())) state.SkipWithError("dequantize failed");
    benchmark::ClobberMemory();
  }
  finish(state, m);
}

/// Per tensor: find the largest magnitude, divide by it, round.
template <class D>
void raw_quantize(benchmark::State& state) {
  matrix<D> m(state, ptq::per_tensor());
  for (auto _ : state) {
    m.scales[0] = bench::raw_amax(m.values.data(), m.values.size()) / D::max_finite;
    bench::raw_encode<D>(m.values.data(), m.values.size(), m.scales[0], m.codes.data());
    benchmark::ClobberMemory();
  }
  finish(state, m);
}

/// Per tensor: multiply each decoded code by the scale.
template <class D>
void raw_dequantize(benchmark::State& state) {
  matrix<D> m(state, ptq::per_tensor());
  m.scales[0] = 0.0017F;
  bench::raw_encode<D>(m.values.data(), m.values.size(), m.scales[0], m.codes.data());
  for (auto _ : state) {
    bench::raw_decode<D>(m.codes.data(), m.values.size(), m.scales[0], m.values.data());
    benchmark::ClobberMemory();
  }
  finish(state, m);
}

template <class D, class B>
void add_pair() {
  for (const named_granularity& g : granularities) {
    const std::string tail = std::string("/") + D::name + "/" + B::name + "/" + g.name;
    const ptq::granularity grain = g.grain;
    benchmark::RegisterBenchmark(("quantize" + tail).c_str(), [grain](benchmark::State& s) {
      quantize<D, B>(s, grain);
    })->Apply(bench::add_sizes);
    benchmark::RegisterBenchmark(("dequantize" + tail).c_str(), [grain](benchmark::State& s) {
      dequantize<D, B>(s, grain);
    })->Apply(bench::add_sizes);
  }
}

const bool registered = [] {
  benchmark::RegisterBenchmark("memcpy", bench::run_memcpy)->Apply(bench::add_sizes);
  ptq::detail::for_each_type(ptq::dtypes{}, []<class D>(ptq::detail::type_tag<D>) {
    const std::string tail = std::string("/") + D::name + "/raw_loop/per_tensor";
    benchmark::RegisterBenchmark(("quantize" + tail).c_str(), raw_quantize<D>)->Apply(bench::add_sizes);
    benchmark::RegisterBenchmark(("dequantize" + tail).c_str(), raw_dequantize<D>)->Apply(bench::add_sizes);
    ptq::detail::for_each_type(ptq::backends{}, []<class B>(ptq::detail::type_tag<B>) { add_pair<D, B>(); });
  });
  return true;
}();

}  // namespace
