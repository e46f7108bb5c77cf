// SPDX-License-Identifier: Apache-2.0
// The kernels alone: contiguous floats to codes and back with one scale, beside a raw loop and memcpy.
#include <benchmark/benchmark.h>

#include <cstddef>
#include <string>
#include <vector>

#include "ptq/backends.hpp"
#include "ptq/dtypes.hpp"
#include "ptq/kernels/dispatch.hpp"
#include "support/raw_loops.hpp"
#include "support/sizes.hpp"

namespace {

constexpr float scale = 0.0017F;

template <class D>
struct buffers {
  explicit buffers(const benchmark::State& state)
      : n(static_cast<std::size_t>(state.range(0) * state.range(0))),
        values(bench::normal_values(n)),
        codes(n) {
    bench::raw_encode<D>(values.data(), n, scale, codes.data());
  }
  std::size_t n;
  bool streams = n > (std::size_t{4} << 20);
  std::vector<float> values;
  std::vector<typename D::storage> codes;
};

template <class D, class F>
void run(benchmark::State& state, F&& f) {
  buffers<D> b(state);
  for (auto _ : state) {
    f(b);
    benchmark::DoNotOptimize(b.codes.data());
    benchmark::DoNotOptimize(b.values.data());
    benchmark::ClobberMemory();
  }
  bench::count(state, b.n, sizeof(float) + sizeof(typename D::storage));
}

template <class D>
void add_dtype() {
  using ptq::arithmetic;
  const auto add = [](const std::string& name, auto f) {
    benchmark::RegisterBenchmark((name + "/" + D::name).c_str(), [f](benchmark::State& s) {
      run<D>(s, f);
    })->Apply(bench::add_sizes);
  };
  add("encode/divide", [](buffers<D>& b) {
    ptq::kernels::encode_run<D, arithmetic::divide, float>(b.values.data(), b.n, scale, b.codes.data(),
                                                           b.streams);
  });
  add("encode/multiply_by_reciprocal", [](buffers<D>& b) {
    constexpr arithmetic how = arithmetic::multiply_by_reciprocal;
    float factor = 0;
    ptq::kernels::factors<how>(&scale, 1, &factor);
    ptq::kernels::encode_run<D, how, float>(b.values.data(), b.n, factor, b.codes.data(), b.streams);
  });
  add("encode/raw_loop",
      [](buffers<D>& b) { bench::raw_encode<D>(b.values.data(), b.n, scale, b.codes.data()); });
  add("decode", [](buffers<D>& b) {
    ptq::kernels::decode_run<D>(b.codes.data(), b.n, scale, b.values.data(), b.streams);
  });
  add("decode/raw_loop",
      [](buffers<D>& b) { bench::raw_decode<D>(b.codes.data(), b.n, scale, b.values.data()); });
}

const bool registered = [] {
  benchmark::RegisterBenchmark("memcpy", bench::run_memcpy)->Apply(bench::add_sizes);
  ptq::detail::for_each_type(ptq::dtypes{}, []<class D>(ptq::detail::type_tag<D>) { add_dtype<D>(); });
  return true;
}();

}  // namespace
