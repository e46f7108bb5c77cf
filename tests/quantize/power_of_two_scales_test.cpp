// SPDX-License-Identifier: Apache-2.0
// Tensors by scales that are powers of two, per tensor and per channel.
#include "ptq/quantize/power_of_two_scales.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "ptq/backend/modelopt.hpp"
#include "ptq/detail/strict_float.hpp"
#include "ptq/dtype/int8.hpp"
#include "ptq/fixed_point/half_up.hpp"
#include "ptq/quantize/quantize.hpp"
#include "ptq/quantize/run.hpp"

namespace {

using ptq::power_of_two;

constexpr std::array<float, 6> weights{1.0F, -0.5F, 0.0F, 100.0F, -127.5F, 0.25F};
constexpr ptq::tensor_shape shape{2, 3};

constexpr auto scales_of(ptq::granularity grain) {
  std::array<float, 3> scales{};
  const std::span<float> wanted(scales.data(), ptq::scale_count(shape, grain));
  if (!ptq::power_of_two_scales(ptq::tensor_view(weights.data(), shape), wanted, grain)) scales = {};
  return scales;
}
static_assert(scales_of(ptq::per_channel(0)) == std::array<float, 3>{0x1p-6F, 2.0F, 0.0F});
static_assert(scales_of(ptq::per_channel(1)) == std::array<float, 3>{1.0F, 2.0F, 0x1p-8F});
static_assert(scales_of(ptq::per_tensor()) == std::array<float, 3>{2.0F, 0.0F, 0.0F});

}  // namespace

TEST_CASE("rows are the codes of the integer path") {
  const ptq::tensor_view<const float> view(weights.data(), shape);
  std::array<float, 2> scales{};
  std::array<std::int8_t, 6> codes{};
  REQUIRE(ptq::power_of_two_scales(view, scales));
  REQUIRE(ptq::quantize_by<ptq::int8, ptq::modelopt>(view, scales, codes, ptq::per_channel(0)));
  CHECK(codes == std::array<std::int8_t, 6>{64, -32, 0, 50, -64, 0});
  std::array<std::int8_t, 6> in_integers{};
  for (std::size_t row = 0; row < 2; ++row)
    ptq::quantize_run(std::span(weights).subspan(3 * row, 3), power_of_two::of(scales[row]),
                      std::span(in_integers).subspan(3 * row, 3));
  CHECK(in_integers == codes);
  ptq::quantize_run<ptq::half_up>(std::span(weights).subspan(3, 3), power_of_two{0},
                                  std::span(in_integers).subspan(3, 3));
  CHECK(in_integers == std::array<std::int8_t, 6>{64, -32, 0, 100, -127, 0});
}

TEST_CASE("what is refused") {
  std::array<float, 6> bad = weights;
  std::array<float, 2> scales{};
  bad[4] = ptq::detail::float_of(0x7f800000u);
  const ptq::tensor_view<const float> view(bad.data(), shape);
  CHECK(ptq::power_of_two_scales(view, scales) == ptq::status{ptq::errc::not_finite, 4});
  CHECK(ptq::power_of_two_scales(view, scales, ptq::per_channel(1)) ==
        ptq::status{ptq::errc::size_mismatch, 3});
  CHECK(ptq::power_of_two_scales(view, scales, ptq::per_channel(2)) ==
        ptq::status{ptq::errc::axis_out_of_range, 2});
}
