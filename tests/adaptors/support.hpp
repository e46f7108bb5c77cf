// SPDX-License-Identifier: Apache-2.0
/// @file support.hpp What every adaptor must keep: how a tensor lies in memory changes no code and no scale.
#ifndef PTQ_TESTS_ADAPTORS_SUPPORT_HPP
#define PTQ_TESTS_ADAPTORS_SUPPORT_HPP

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ptq/core.hpp"
#include "support/layouts.hpp"

namespace adaptors {

/// Element i of every sample tensor, in row-major order: both signs, and magnitudes that differ along each
/// axis.
inline float sample(std::size_t i) {
  const int wave = static_cast<int>(i * 37 % 101) - 50;
  return static_cast<float>(wave) * 0.0371F + static_cast<float>(i) * 0.003F;
}

/// A row-major sample tensor with its shape.
struct samples {
  ptq::tensor_shape shape;
  std::vector<float> values;

  explicit samples(const ptq::tensor_shape& extents) : shape(extents), values(extents.size()) {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = sample(i);
  }
  ptq::tensor_view<const float> view() const { return {values.data(), shape}; }
};

/// Codes put into row-major order, and their scales.
template <class D>
struct quantized {
  std::vector<typename D::storage> codes;
  std::vector<float> scales;
};

template <class D, class B, class Tensor>
quantized<D> quantize_row_major(const Tensor& tensor, ptq::granularity grain) {
  const auto view = ptq::view_of(tensor);
  std::vector<typename D::storage> stored(view.size());
  quantized<D> q{std::vector<typename D::storage>(view.size()),
                 std::vector<float>(ptq::scale_count(view.shape, grain))};
  REQUIRE(ptq::quantize<D, B>(tensor, stored, q.scales, grain));
  const ptq::tensor_strides dense = ptq::dense_strides(view.shape, view.strides);
  for (std::size_t i = 0; i < q.codes.size(); ++i)
    q.codes[i] = stored[static_cast<std::size_t>(test::place_of(i, view.shape, dense))];
  return q;
}

template <class D, class B, class Tensor>
void check_codes(const samples& expected, const Tensor& tensor, ptq::granularity grain) {
  CAPTURE(D::name);
  CAPTURE(B::name);
  CAPTURE(grain.is_per_channel());
  CAPTURE(grain.axis);
  const auto wanted = quantize_row_major<D, B>(expected.view(), grain);
  const auto got = quantize_row_major<D, B>(tensor, grain);
  CHECK(got.codes == wanted.codes);
  CHECK(got.scales == wanted.scales);
}

/// The tensor has the samples' shape and elements, and gives their codes and scales at every granularity.
template <class Tensor>
void check_same(const samples& expected, const Tensor& tensor) {
  const auto view = ptq::view_of(tensor);
  REQUIRE(view.shape == expected.shape);
  for (std::size_t i = 0; i < view.size(); ++i) {
    CAPTURE(i);
    CHECK(view.data[test::place_of(i, view.shape, view.strides)] == expected.values[i]);
  }
  for (std::size_t axis = 0; axis <= view.rank(); ++axis) {
    const ptq::granularity grain = axis < view.rank() ? ptq::per_channel(axis) : ptq::per_tensor();
    check_codes<ptq::int8, ptq::torchao>(expected, tensor, grain);
    check_codes<ptq::fp8_e4m3fn, ptq::modelopt>(expected, tensor, grain);
  }
}

/// An axis that the tensor lacks, and buffers one too short or too long, are told; nothing is written.
template <class Tensor>
void check_refusals(Tensor&& tensor) {
  using ptq::errc, ptq::int8, ptq::status, ptq::torchao;
  const auto view = ptq::view_of(tensor);
  const std::size_t size = view.size();
  const std::size_t channels = view.shape[0];
  std::vector<std::int8_t> codes(size + 1, 1);
  std::vector<float> scales(channels + 1, 2.0F);
  const auto check = [&](std::size_t code_count, std::size_t scale_count, ptq::granularity grain,
                         const status& wanted) {
    const auto some_codes = std::span(codes).first(code_count);
    const auto some_scales = std::span(scales).first(scale_count);
    CHECK(ptq::quantize<int8, torchao>(tensor, some_codes, some_scales, grain) == wanted);
    CHECK(ptq::quantize_by<int8, torchao>(tensor, some_scales, some_codes, grain) == wanted);
    CHECK(ptq::dequantize<int8>(some_codes, some_scales, grain, tensor) == wanted);
    if (code_count == size) CHECK(ptq::fake_quantize<int8, torchao>(tensor, some_scales, grain) == wanted);
  };
  const ptq::granularity rows = ptq::per_channel(0);
  check(size, channels, ptq::per_channel(view.rank()), status{errc::axis_out_of_range, view.rank()});
  check(size, channels, ptq::per_channel(1000), status{errc::axis_out_of_range, 1000});
  check(size, channels - 1, rows, status{errc::size_mismatch, channels});
  check(size, channels + 1, rows, status{errc::size_mismatch, channels});
  check(size, 0, ptq::per_tensor(), status{errc::size_mismatch, 1});
  check(size, 2, ptq::per_tensor(), status{errc::size_mismatch, 1});
  check(size - 1, channels, rows, status{errc::size_mismatch, size});
  check(size + 1, channels, rows, status{errc::size_mismatch, size});
  CHECK(codes == std::vector<std::int8_t>(size + 1, 1));
  CHECK(scales == std::vector<float>(channels + 1, 2.0F));
}

/// The same, what is refused leaves the tensor alone, and `dequantize` and `fake_quantize` write where the
/// elements are.
template <class Tensor>
void check_same_both_ways(const samples& expected, Tensor&& tensor) {
  check_refusals(tensor);
  check_same(expected, tensor);
  const auto view = ptq::view_of(tensor);
  for (std::size_t axis = 0; axis < view.rank(); ++axis) {
    const ptq::granularity grain = ptq::per_channel(axis);
    const auto rewrite = [&] {
      for (std::size_t i = 0; i < view.size(); ++i)
        view.data[test::place_of(i, view.shape, view.strides)] = expected.values[i];
    };
    std::vector<std::int8_t> codes(view.size());
    std::vector<float> scales(view.shape[axis]);
    REQUIRE(ptq::quantize<ptq::int8, ptq::torchao>(tensor, codes, scales, grain));
    REQUIRE(ptq::dequantize<ptq::int8>(codes, scales, grain, tensor));
    std::vector<float> dequantized(view.size());
    for (std::size_t i = 0; i < view.size(); ++i)
      dequantized[i] = view.data[test::place_of(i, view.shape, view.strides)];

    samples twin = expected;
    const ptq::tensor_view<float> twin_view(twin.values.data(), twin.shape);
    REQUIRE(ptq::fake_quantize<ptq::int8, ptq::torchao>(twin_view, scales, grain));
    CHECK(dequantized == twin.values);

    rewrite();
    REQUIRE(ptq::fake_quantize<ptq::int8, ptq::torchao>(tensor, scales, grain));
    for (std::size_t i = 0; i < view.size(); ++i)
      dequantized[i] = view.data[test::place_of(i, view.shape, view.strides)];
    CHECK(dequantized == twin.values);
    rewrite();
  }
}

/// How many runs the kernels get, and how far apart the elements of one are.
struct runs {
  std::size_t count = 0;
  std::ptrdiff_t stride = 0;

  friend bool operator==(const runs&, const runs&) = default;
};

template <class Tensor>
runs runs_of(const Tensor& tensor, ptq::granularity grain) {
  const auto view = ptq::view_of(tensor);
  const ptq::walk path(view.shape, view.strides, grain);
  runs counted{0, path.run().stride};
  for (const ptq::panel& p : ptq::panels(path)) counted.count += p.rows;
  return counted;
}

}  // namespace adaptors

#endif  // PTQ_TESTS_ADAPTORS_SUPPORT_HPP
