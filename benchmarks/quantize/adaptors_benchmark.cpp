// SPDX-License-Identifier: Apache-2.0
// The same matrix as different tensor types: contiguous ones cost the same, strided ones show the price of
// gathering.
#include <benchmark/benchmark.h>

#include <Eigen/Core>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>
#include <xtensor/xstrided_view.hpp>
#include <xtensor/xtensor.hpp>
#include <xtensor/xview.hpp>

#include "ptq/adaptors/eigen.hpp"
#include "ptq/adaptors/xtensor.hpp"
#include "ptq/backends.hpp"
#include "ptq/dtypes.hpp"
#include "ptq/quantize/quantize.hpp"
#include "support/sizes.hpp"

namespace {

using row_major = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using column_major = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor>;

template <class D, class Tensor>
void quantize(benchmark::State& state, const Tensor& tensor) {
  const std::size_t n = ptq::view_of(tensor).size();
  std::vector<typename D::storage> codes(n);
  std::vector<float> scales(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    if (!ptq::quantize<D, ptq::torchao>(tensor, codes, scales)) state.SkipWithError("quantize failed");
    benchmark::ClobberMemory();
  }
  bench::count(state, n, sizeof(float) + sizeof(typename D::storage));
}

template <class Matrix>
Matrix filled(Eigen::Index rows, Eigen::Index columns) {
  const std::vector<float> values = bench::normal_values(static_cast<std::size_t>(rows * columns));
  return Eigen::Map<const Matrix>(values.data(), rows, columns);
}

template <class D>
void add_dtype() {
  const auto add = [](const char* name, auto f) {
    benchmark::RegisterBenchmark((std::string("quantize/") + D::name + "/" + name).c_str(), f)
        ->Apply(bench::add_sizes);
  };
  add("view", [](benchmark::State& s) {
    const auto side = static_cast<std::size_t>(s.range(0));
    const std::vector<float> values = bench::normal_values(side * side);
    quantize<D>(s, ptq::tensor_view<const float>(values.data(), {side, side}));
  });
  add("eigen_row_major",
      [](benchmark::State& s) { quantize<D>(s, filled<row_major>(s.range(0), s.range(0))); });
  add("eigen_column_major",
      [](benchmark::State& s) { quantize<D>(s, filled<column_major>(s.range(0), s.range(0))); });
  add("eigen_every_second_column", [](benchmark::State& s) {
    const row_major wide = filled<row_major>(s.range(0), 2 * s.range(0));
    const Eigen::Map<const row_major, 0, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>> map(
        wide.data(), s.range(0), s.range(0), Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>(wide.cols(), 2));
    quantize<D>(s, map);
  });
  add("xtensor", [](benchmark::State& s) {
    const auto side = static_cast<std::size_t>(s.range(0));
    xt::xtensor<float, 2> tensor({side, side});
    const std::vector<float> values = bench::normal_values(side * side);
    std::copy(values.begin(), values.end(), tensor.data());
    quantize<D>(s, tensor);
  });
}

const bool registered = [] {
  benchmark::RegisterBenchmark("memcpy", bench::run_memcpy)->Apply(bench::add_sizes);
  ptq::detail::for_each_type(ptq::dtypes{}, []<class D>(ptq::detail::type_tag<D>) { add_dtype<D>(); });
  return true;
}();

}  // namespace
