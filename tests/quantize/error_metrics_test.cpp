// SPDX-License-Identifier: Apache-2.0
// Error figures against a plain double computation, and the definition of each at its edges.
#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <utility>
#include <vector>

#include "ptq/adaptors/std_vector.hpp"
#include "ptq/core.hpp"
#include "ptq/quantize/error_metrics.hpp"
#include "support/layouts.hpp"
#include "support/random.hpp"

namespace {

using ptq::per_channel;
using ptq::per_tensor;

double as_double(float x) {
  return static_cast<double>(x);
}

template <ptq::dtype D, ptq::backend B>
void check_metrics(ptq::granularity grain) {
  const ptq::tensor_shape shape{4, 30, 7};
  test::random_bits random(6);
  std::vector<float> elements;
  for (std::size_t i = 0; i < shape.size(); ++i) elements.push_back(random.next_float(-6, 3));
  for (auto& laid : test::all_layouts<float>(elements, shape, 1e6F)) {
    CAPTURE(laid.name);
    std::vector<typename D::storage> codes(shape.size());
    std::vector<float> scales(ptq::scale_count(shape, grain));
    CHECK(ptq::quantize<D, B>(laid.view(), codes, scales, grain) == ptq::status{});
    auto back = laid;
    CHECK(ptq::dequantize<D>(codes, scales, grain, back.view()) == ptq::status{});
    const std::vector<float> values = back.row_major();

    double noise = 0;
    double signal = 0;
    double energy = 0;
    double product = 0;
    double largest = 0;
    for (std::size_t i = 0; i < elements.size(); ++i) {
      const double x = as_double(elements[i]);
      const double y = as_double(values[i]);
      noise += (x - y) * (x - y);
      signal += x * x;
      energy += y * y;
      product += x * y;
      largest = std::fmax(largest, std::fabs(x - y));
    }
    const ptq::error_metrics found = ptq::quantization_error<D>(laid.view(), codes, scales, grain);
    CHECK(found.count == elements.size());
    CHECK(found.mse == doctest::Approx(noise / as_double(static_cast<float>(elements.size()))).epsilon(1e-9));
    CHECK(found.max_abs == doctest::Approx(largest).epsilon(1e-12));
    CHECK(found.sqnr_db == doctest::Approx(10 * std::log10(signal / noise)).epsilon(1e-9));
    CHECK(found.cosine == doctest::Approx(product / std::sqrt(signal * energy)).epsilon(1e-9));
    CHECK(found.clipped_share == 0);  // scales from the tensor itself clip nothing
  }
}

}  // namespace

TEST_CASE_TEMPLATE("figures agree with a plain computation", D, ptq::int8, ptq::fp8_e4m3fn, ptq::fp8_e5m2) {
  for (const ptq::granularity grain : {per_tensor(), per_channel(0), per_channel(1), per_channel(2)}) {
    check_metrics<D, ptq::torchao>(grain);
    check_metrics<D, ptq::modelopt>(grain);
  }
}

TEST_CASE("clipped: beyond the last code by more than rounding brings back") {
  const std::vector<float> scale{2.0F};
  // Quotients 127.25, 127.75, -128.25, -128.75, 0, 300: the last code takes in half a step more.
  const std::vector<float> values{254.5F, 255.5F, -256.5F, -257.5F, 0.0F, 600.0F};
  std::vector<std::int8_t> codes(values.size());
  CHECK(ptq::quantize_by<ptq::int8, ptq::modelopt>(values, scale, codes) == ptq::status{});
  CHECK(ptq::quantization_error<ptq::int8>(values, codes, scale, per_tensor()).clipped_share == 3.0 / 6.0);

  const std::vector<float> floats{896.0F, 900.0F, -896.0F, -1000.0F};
  std::vector<std::uint8_t> fp8(floats.size());
  CHECK(ptq::quantize_by<ptq::fp8_e4m3fn, ptq::modelopt>(floats, scale, fp8) == ptq::status{});
  CHECK(ptq::quantization_error<ptq::fp8_e4m3fn>(floats, fp8, scale, per_tensor()).clipped_share ==
        2.0 / 4.0);
}

TEST_CASE("no error at all, no signal, no elements") {
  const std::vector<float> scale{1.0F};
  const std::vector<float> exact{1.0F, -2.0F};
  const std::vector<std::int8_t> codes{1, -2};
  const ptq::error_metrics none = ptq::quantization_error<ptq::int8>(exact, codes, scale, per_tensor());
  CHECK(none.mse == 0);
  CHECK(std::bit_cast<std::uint64_t>(none.sqnr_db) == 0x7ff0000000000000u);  // infinity
  CHECK(none.cosine == doctest::Approx(1));

  const std::vector<float> zeros{0.0F, 0.0F};
  CHECK(
      ptq::quantization_error<ptq::int8>(zeros, std::vector<std::int8_t>{0, 0}, scale, per_tensor()).cosine ==
      1);
  CHECK(
      ptq::quantization_error<ptq::int8>(zeros, std::vector<std::int8_t>{0, 1}, scale, per_tensor()).cosine ==
      0);

  const std::vector<float> empty;
  const ptq::error_metrics nothing =
      ptq::quantization_error<ptq::int8>(empty, std::vector<std::int8_t>{}, scale, per_tensor());
  CHECK(nothing.count == 0);
  CHECK(nothing.mse == 0);
  CHECK(nothing.max_abs == 0);
  CHECK(nothing.sqnr_db == 0);
  CHECK(nothing.cosine == 1);
  CHECK(nothing.clipped_share == 0);
}

TEST_CASE("decibels: ten for a power of ten, whatever the unit") {
  CHECK(ptq::sqnr_db(500, 5) == doctest::Approx(20));
  CHECK(ptq::sqnr_db(0x1p-40, 0x1p-41) == doctest::Approx(3.0103));
  CHECK(ptq::sqnr_db(0x1p-41, 0x1p-40) == doctest::Approx(-3.0103));
}

TEST_CASE("NaN and infinity are no small errors; a signal of zeros has no ratio above noise") {
  const double nan = std::bit_cast<double>(std::uint64_t{0x7ff8000000000000u});
  const double infinity = std::bit_cast<double>(std::uint64_t{0x7ff0000000000000u});
  const auto bits = [](const double& x) { return std::bit_cast<std::uint64_t>(x); };
  const std::uint64_t above = bits(infinity);
  const std::uint64_t below = above | std::uint64_t{1} << 63;
  for (const auto& [x, y] :
       {std::pair{1.0, nan}, {nan, 1.0}, {nan, nan}, {1.0, infinity}, {-infinity, 1.0}}) {
    ptq::error_accumulator sums;
    sums.add(2, 2);
    sums.add(x, y);
    const ptq::error_metrics m = sums.metrics();
    CHECK(m.count == 2);
    CHECK(bits(m.max_abs) == above);
    CHECK(bits(m.mse) == above);
    CHECK(bits(m.sqnr_db) == below);
    CHECK(m.cosine == 0);
  }
  CHECK(bits(ptq::sqnr_db(0, 0)) == above);
  CHECK(bits(ptq::sqnr_db(0, 1)) == below);
}
