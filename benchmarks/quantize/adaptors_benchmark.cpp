// SPDX-License-Identifier: Apache-2.0
// The same matrix as different tensor types, with one scale for all: contiguous ones cost the same, whatever
// their type; strided ones show the price of gathering and scattering.
#include <benchmark/benchmark.h>

#include <Eigen/Core>
#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <unsupported/Eigen/CXX11/Tensor>
#include <vector>
#include <xtensor/xstrided_view.hpp>
#include <xtensor/xtensor.hpp>

#include "ptq/adaptors/eigen.hpp"
#include "ptq/adaptors/eigen_tensor.hpp"
#include "ptq/adaptors/std_vector.hpp"
#include "ptq/adaptors/xtensor.hpp"
#include "ptq/backends.hpp"
#include "ptq/dtypes.hpp"
#include "ptq/quantize/dequantize.hpp"
#include "ptq/quantize/quantize.hpp"
#include "support/raw_loops.hpp"
#include "support/sizes.hpp"

namespace {

using row_major = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using column_major = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor>;
using any_stride = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;

/// `use` gets the values as the tensor that the adaptor is about.
struct vector_adaptor {
  static constexpr const char* name = "std_vector";
  static void with(std::vector<float>& values, std::size_t, auto use) { use(values); }
};
struct span_adaptor {
  static constexpr const char* name = "std_span";
  static void with(std::vector<float>& values, std::size_t, auto use) { use(std::span<float>(values)); }
};
template <class Matrix>
void with_eigen_map(std::vector<float>& values, std::size_t side, auto use) {
  const auto extent = static_cast<Eigen::Index>(side);
  use(Eigen::Map<Matrix>(values.data(), extent, extent));
}
struct eigen_row_major_adaptor {
  static constexpr const char* name = "eigen_row_major";
  static void with(std::vector<float>& values, std::size_t side, auto use) {
    with_eigen_map<row_major>(values, side, use);
  }
};
struct eigen_column_major_adaptor {
  static constexpr const char* name = "eigen_column_major";
  static void with(std::vector<float>& values, std::size_t side, auto use) {
    with_eigen_map<column_major>(values, side, use);
  }
};
struct eigen_strided_adaptor {
  static constexpr const char* name = "eigen_every_second_column";
  static void with(std::vector<float>& values, std::size_t side, auto use) {
    const auto extent = static_cast<Eigen::Index>(side);
    values.resize(2 * values.size());
    use(Eigen::Map<row_major, 0, any_stride>(values.data(), extent, extent, any_stride(2 * extent, 2)));
  }
};
struct eigen_tensor_adaptor {
  static constexpr const char* name = "eigen_tensor";
  static void with(std::vector<float>& values, std::size_t side, auto use) {
    const auto extent = static_cast<Eigen::Index>(side);
    use(Eigen::TensorMap<Eigen::Tensor<float, 2, Eigen::RowMajor>>(values.data(), extent, extent));
  }
};
template <class Use>
void with_xtensor(const std::vector<float>& values, std::size_t rows, std::size_t columns, Use use) {
  xt::xtensor<float, 2> tensor({rows, columns});
  std::copy(values.begin(), values.end(), tensor.data());
  use(tensor);
}
struct xtensor_adaptor {
  static constexpr const char* name = "xtensor";
  static void with(std::vector<float>& values, std::size_t side, auto use) {
    with_xtensor(values, side, side, use);
  }
};
struct xtensor_strided_adaptor {
  static constexpr const char* name = "xtensor_every_second_column";
  static void with(std::vector<float>& values, std::size_t side, auto use) {
    values.resize(2 * values.size());
    with_xtensor(values, side, 2 * side, [&](auto& tensor) {
      use(xt::strided_view(tensor, {xt::all(), xt::range(0, static_cast<std::ptrdiff_t>(2 * side), 2)}));
    });
  }
};

using adaptors =
    ptq::list<vector_adaptor, span_adaptor, eigen_row_major_adaptor, eigen_column_major_adaptor,
              eigen_strided_adaptor, eigen_tensor_adaptor, xtensor_adaptor, xtensor_strided_adaptor>;

/// Runs `step(tensor, codes, scale)` on a matrix whose codes are there.
template <class D, class Adaptor>
void run(benchmark::State& state, auto step) {
  const auto side = static_cast<std::size_t>(state.range(0));
  std::vector<float> values = bench::normal_values(side * side);
  std::vector<typename D::storage> codes(side * side);
  std::vector<float> scale(1);
  Adaptor::with(values, side, [&](auto&& tensor) {
    if (!ptq::quantize<D, ptq::torchao>(tensor, codes, scale, ptq::per_tensor()))
      state.SkipWithError("quantize failed");
    for (auto _ : state) {
      if (!step(tensor, codes, scale)) state.SkipWithError("it failed");
      benchmark::ClobberMemory();
    }
  });
  bench::count(state, codes.size(), sizeof(float) + sizeof(typename D::storage));
}

template <class D, class Adaptor>
void quantize(benchmark::State& state) {
  run<D, Adaptor>(state, [](const auto& tensor, auto& codes, auto& scale) {
    return ptq::quantize<D, ptq::torchao>(tensor, codes, scale, ptq::per_tensor());
  });
}

template <class D, class Adaptor>
void dequantize(benchmark::State& state) {
  run<D, Adaptor>(state, [](auto& tensor, const auto& codes, const auto& scale) {
    return ptq::dequantize<D>(codes, scale, ptq::per_tensor(), tensor);
  });
}

/// What one would write for memory that is contiguous.
template <class D>
void raw_quantize(benchmark::State& state) {
  run<D, vector_adaptor>(state, [](const auto& values, auto& codes, auto& scale) {
    scale[0] = bench::raw_amax(values.data(), values.size()) / D::max_finite;
    bench::raw_encode<D>(values.data(), values.size(), scale[0], codes.data());
    return true;
  });
}
template <class D>
void raw_dequantize(benchmark::State& state) {
  run<D, vector_adaptor>(state, [](auto& values, const auto& codes, const auto& scale) {
    bench::raw_decode<D>(codes.data(), codes.size(), scale[0], values.data());
    return true;
  });
}

template <class D>
void add_dtype() {
  const auto add = [](const char* verb, const char* name, void (*f)(benchmark::State&)) {
    benchmark::RegisterBenchmark((std::string(verb) + "/" + D::name + "/" + name).c_str(), f)
        ->Apply(bench::add_sizes);
  };
  add("quantize", "raw_loop", raw_quantize<D>);
  add("dequantize", "raw_loop", raw_dequantize<D>);
  ptq::detail::for_each_type(adaptors{}, [&]<class A>(ptq::detail::type_tag<A>) {
    add("quantize", A::name, quantize<D, A>);
    add("dequantize", A::name, dequantize<D, A>);
  });
}

const bool registered = [] {
  benchmark::RegisterBenchmark("memcpy", bench::run_memcpy)->Apply(bench::add_sizes);
  ptq::detail::for_each_type(ptq::dtypes{}, []<class D>(ptq::detail::type_tag<D>) { add_dtype<D>(); });
  return true;
}();

}  // namespace
