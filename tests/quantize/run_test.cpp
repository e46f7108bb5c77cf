// SPDX-License-Identifier: Apache-2.0
// Runs: the codes and values of integers alone, at compile time too, and those of the doors for tensors.
#include "ptq/quantize/run.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <vector>

#include "ptq/adaptors/std_vector.hpp"
#include "ptq/quantize/dequantize.hpp"
#include "ptq/quantize/quantize.hpp"
#include "support/run_checks.hpp"
#include "support/subnormals.hpp"

namespace {

static_assert(test::wrong_codes<ptq::fp8_e5m2, ptq::modelopt>(0.0371F, 3) == 0);
static_assert(test::wrong_values<ptq::fp8_e4m3fn, ptq::decode_by_table>(0.0371F) == 0);

constexpr std::array<float, 4> values{-300.0F, -0.5F, 1.5F, 7.25F};

TEST_CASE("codes and values are those of integers") {
  CHECK(test::wrong_in_runs(2000) == 0);
}

TEST_CASE("flushing subnormals to zero changes none") {
  if (!test::flush_subnormals(true)) return;
  const int wrong = test::wrong_in_runs(200);
  test::flush_subnormals(false);
  CHECK(wrong == 0);
}

TEST_CASE("a run has the codes and the values that a tensor has") {
  test::random_bits random(5);
  std::vector<float> tensor(1000);
  for (float& value : tensor) value = random.next_float(-8, 3);
  const std::vector<float> scales{ptq::scale_for<ptq::int8, ptq::torchao>(4.0F)};
  std::vector<std::int8_t> expected(tensor.size());
  std::vector<std::int8_t> codes(tensor.size());
  REQUIRE(ptq::quantize_by<ptq::int8, ptq::torchao>(tensor, scales, expected));
  ptq::quantize_run<ptq::int8, ptq::torchao>(tensor, scales[0], codes);
  CHECK(codes == expected);

  std::vector<float> expected_values(tensor.size());
  std::vector<float> decoded(tensor.size());
  REQUIRE(ptq::dequantize<ptq::int8>(codes, scales, ptq::per_tensor(), expected_values));
  ptq::dequantize_run<ptq::int8>(codes, scales[0], decoded);
  CHECK(decoded == expected_values);
}

TEST_CASE("without a scale codes are those of the values") {
  std::array<std::uint8_t, 4> codes{};
  ptq::quantize_run<ptq::fp8_e4m3fn>(values, codes);
  for (std::size_t i = 0; i < values.size(); ++i) CHECK(codes[i] == ptq::fp8_e4m3fn::encode(values[i]));
}

TEST_CASE("a scale that is a power of two gives the codes of that scale") {
  std::array<std::int8_t, 4> codes{};
  std::array<std::int8_t, 4> expected{};
  ptq::quantize_run(values, ptq::power_of_two{-2}, codes);
  ptq::quantize_run<ptq::int8, ptq::modelopt>(values, 0.25F, expected);
  CHECK(codes == expected);
}

TEST_CASE("the largest magnitude of a run") {
  CHECK(ptq::amax_run(values) == 300.0F);
  CHECK(ptq::amax_run({}) == 0.0F);
}

}  // namespace
