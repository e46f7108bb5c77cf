// SPDX-License-Identifier: Apache-2.0
// The error that a histogram promises, against that of the values themselves.
#include "ptq/calibration/expected_error.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "calibration/samples.hpp"
#include "ptq/adaptors/std_vector.hpp"
#include "ptq/core.hpp"
#include "ptq/quantize/error_metrics.hpp"

namespace {

using floats = std::vector<float>;

struct named_values {
  std::string name;
  floats values;
};

/// What flows between the layers of networks.
std::vector<named_values> activations() {
  std::vector<named_values> all{{"normalised", test::bell(60000, 1.0F, 11, 12)}};
  const floats normal = all.front().values;
  const auto derived = [&](const char* name, auto&& f) {
    floats values;
    for (const float x : normal) values.push_back(static_cast<float>(f(static_cast<double>(x))));
    all.push_back({name, values});
  };
  derived("after relu", [](double x) { return std::fmax(x, 0.0); });
  derived("after gelu", [](double x) { return x / (1 + std::exp(-1.702 * x)); });
  derived("heavy tails", [](double x) { return x * std::exp(std::fabs(x)); });
  derived("probabilities", [](double x) { return 1 / (1 + std::exp(4 - 2 * x)); });
  all.push_back({"pixels, mostly 0", {}});
  test::generator random(12);
  for (int i = 0; i < 60000; ++i)
    all.back().values.push_back(random.below(5) != 0 ? 0.0F : static_cast<float>(random.below(256)) / 255.0F);
  all.push_back({"normalised, 40 outliers", normal});
  for (std::size_t i = 0; i < 40; ++i) all.back().values[i * 1000] *= 6.0F;
  return all;
}

template <ptq::dtype D>
double exact_sqnr_db(const floats& values, float amax) {
  const floats scale{ptq::scale_for<D, ptq::modelopt>(amax)};
  std::vector<typename D::storage> codes(values.size());
  CHECK(ptq::quantize_by<D, ptq::modelopt>(values, scale, codes) == ptq::status{});
  return ptq::quantization_error<D>(values, codes, scale, ptq::per_tensor()).sqnr_db;
}

ptq::statistics<> statistics_of(const floats& values) {
  ptq::statistics<> seen;
  CHECK(seen.collect(values) == ptq::status{});
  return seen;
}

std::uint64_t bits_of(double x) {
  return std::bit_cast<std::uint64_t>(x);
}

constexpr std::uint64_t infinity = 0x7ff0000000000000u;

}  // namespace

TEST_CASE_TEMPLATE("the estimate is within 0.3 dB, clipped or not", D, ptq::int8, ptq::fp8_e4m3fn,
                   ptq::fp8_e5m2) {
  for (const named_values& one : activations()) {
    const ptq::statistics<> seen = statistics_of(one.values);
    for (const float share : {1.0F, 0.9F, 0.5F, 0.25F, 0.1F}) {
      const float amax = seen.absmax * share;
      const double exact = exact_sqnr_db<D>(one.values, amax);
      const double expected = ptq::expected_sqnr_db(seen, amax, ptq::grid_of<D>());
      CAPTURE(one.name);
      CAPTURE(share);
      CAPTURE(exact);
      CAPTURE(expected);
      CHECK(std::fabs(expected - exact) <= 0.3);
    }
  }
}

TEST_CASE("in parts, in any order: the same bits") {
  const floats values = test::bell(5000, 1.0F, 3);
  const ptq::statistics<> whole = statistics_of(values);
  ptq::statistics<> last = statistics_of({values.begin() + 1234, values.end()});
  last.merge(statistics_of({values.begin(), values.begin() + 1234}));
  const auto levels = ptq::grid_of<ptq::fp8_e4m3fn>();
  CHECK(bits_of(ptq::expected_sqnr_db(whole, 1.0F, levels)) ==
        bits_of(ptq::expected_sqnr_db(last, 1.0F, levels)));
}

TEST_CASE("figures that can be known: nothing, zeros, one value, an even spread") {
  const ptq::grid levels(128);
  CHECK(bits_of(ptq::expected_sqnr_db(ptq::statistics<>(), 0.0F, levels)) == infinity);
  CHECK(bits_of(ptq::expected_sqnr_db(statistics_of({0.0F, -0.0F}), 0.0F, levels)) == infinity);
  // The largest value lies on the lower edge of its bin, and on the largest level.
  CHECK(ptq::expected_sqnr_db(statistics_of(floats(10, 4.0F)), 4.0F, levels) > 200);
  // Twice as large as the range: half of it is lost, everywhere 20 log10(2) dB.
  CHECK(ptq::expected_sqnr_db(statistics_of(floats(10, 4.0F)), 2.0F, levels) == doctest::Approx(6.0206));
  floats even;
  for (int i = 0; i < 100000; ++i) even.push_back(static_cast<float>(i) / 100000.0F);
  // Signal 1/3, noise (1/127)^2 / 12.
  CHECK(ptq::expected_sqnr_db(statistics_of(even), 0.99999F, levels) ==
        doctest::Approx(20 * std::log10(2 * 127.0)).epsilon(0.001));
}
