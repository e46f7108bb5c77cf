// SPDX-License-Identifier: Apache-2.0
// What quantize and its relatives answer: sizes, axes, NaN and infinity, empty tensors, rows of zeros, given
// scales.
#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

#include "ptq/adaptors/std_vector.hpp"
#include "ptq/core.hpp"
#include "support/compare.hpp"
#include "support/layouts.hpp"

using ptq::errc;
using ptq::per_channel;
using ptq::per_tensor;
using ptq::status;
using ptq::detail::bits_of;
using ptq::detail::float_of;

namespace {

const float infinity = float_of(ptq::detail::infinity_bits);
const float quiet_nan = float_of(ptq::detail::nan_bits);
const float negative_nan = float_of(0xffc00000u);

}  // namespace

TEST_CASE("buffers of the wrong length and axes that do not exist are errors") {
  const float weight[2][3] = {{1, 2, 3}, {4, 5, 6}};
  std::vector<std::int8_t> codes(6);
  std::vector<float> scales(2);
  using ptq::int8, ptq::torchao;

  CHECK(ptq::quantize<int8, torchao>(weight, codes, scales, per_channel(2)) ==
        status{errc::axis_out_of_range, 2});
  CHECK(ptq::quantize<int8, torchao>(weight, codes, scales, per_channel(256)) ==
        status{errc::axis_out_of_range, 256});
  CHECK(ptq::quantize<int8, torchao>(weight, codes, scales, per_channel(1)) ==
        status{errc::size_mismatch, 3});
  CHECK(ptq::quantize<int8, torchao>(weight, codes, scales, per_tensor()) == status{errc::size_mismatch, 1});
  std::vector<std::int8_t> short_codes(5);
  CHECK(ptq::quantize<int8, torchao>(weight, short_codes, scales, per_channel(0)) ==
        status{errc::size_mismatch, 6});

  CHECK(ptq::quantize_by<int8, torchao>(weight, scales, codes, per_channel(2)) ==
        status{errc::axis_out_of_range, 2});
  CHECK(ptq::quantize_by<int8, torchao>(weight, scales, codes, per_tensor()) ==
        status{errc::size_mismatch, 1});
  CHECK(ptq::quantize_by<int8, torchao>(weight, scales, short_codes, per_channel(0)) ==
        status{errc::size_mismatch, 6});

  float back[2][3];
  CHECK(ptq::dequantize<int8>(codes, scales, per_channel(2), back) == status{errc::axis_out_of_range, 2});
  CHECK(ptq::dequantize<int8>(codes, scales, per_channel(1), back) == status{errc::size_mismatch, 3});
  CHECK(ptq::dequantize<int8>(short_codes, scales, per_channel(0), back) == status{errc::size_mismatch, 6});

  CHECK(ptq::fake_quantize<int8, torchao>(back, scales, per_channel(2)) ==
        status{errc::axis_out_of_range, 2});
  CHECK(ptq::fake_quantize<int8, torchao>(back, scales, per_channel(1)) == status{errc::size_mismatch, 3});
}

TEST_CASE_TEMPLATE("NaN and infinity are found at their row-major index, in every layout", T, float, double,
                   ptq::half, ptq::bfloat16) {
  const ptq::tensor_shape shape{4, 3, 5};
  for (const float bad : {quiet_nan, negative_nan, infinity, -infinity}) {
    for (const std::size_t at : {std::size_t{0}, std::size_t{23}, std::size_t{59}}) {
      std::vector<T> elements(shape.size(), ptq::element_traits<T>::from_float(0.5F));
      elements[at] = elements[59] = ptq::element_traits<T>::from_float(bad);
      for (auto& laid : test::all_layouts<T>(elements, shape, T{})) {
        CAPTURE(laid.name);
        std::vector<std::uint8_t> codes(shape.size());
        for (const ptq::granularity grain : {per_tensor(), per_channel(0), per_channel(1), per_channel(2)}) {
          std::vector<float> scales(ptq::scale_count(shape, grain));
          const auto before = laid.memory;
          const status expected{errc::not_finite, at};
          CHECK(ptq::quantize<ptq::fp8_e5m2, ptq::torchao>(laid.view(), codes, scales, grain) == expected);
          CHECK(ptq::fake_quantize<ptq::fp8_e5m2, ptq::torchao>(laid.view(), scales, grain) == expected);
          CHECK(test::differences(laid.memory, before) == 0);
        }
      }
    }
  }
}

TEST_CASE("a double beyond the floats is not finite") {
  const double weight[] = {1.0, -1e300};
  std::int8_t codes[2];
  float scale[1];
  CHECK(ptq::quantize<ptq::int8, ptq::torchao>(weight, codes, scale, per_tensor()) ==
        status{errc::not_finite, 1});
}

TEST_CASE("empty tensors and scalars") {
  const std::vector<float> none;
  std::vector<std::int8_t> codes;
  std::vector<float> scale(1);
  CHECK(ptq::quantize<ptq::int8, ptq::torchao>(none, codes, scale, per_tensor()) == status{});
  CHECK(scale[0] == 0x1p-23F);
  CHECK(ptq::quantize<ptq::int8, ptq::modelopt>(none, codes, scale, per_tensor()) == status{});
  CHECK(scale[0] == 1.0F);
  std::vector<float> scales(5);
  CHECK(ptq::quantize<ptq::int8, ptq::modelopt>(ptq::tensor_view<const float>(nullptr, {0, 5}), codes, scales,
                                                per_channel(1)) == status{});
  CHECK(scales[4] == 1.0F);

  const float value = -254;
  std::vector<std::int8_t> code(1);
  const ptq::tensor_view<const float> scalar(&value, ptq::tensor_shape{});
  CHECK(ptq::quantize<ptq::int8, ptq::modelopt>(scalar, code, scale, per_tensor()) == status{});
  CHECK(code[0] == -127);
  CHECK(scale[0] == 2.0F);
  CHECK(ptq::quantize<ptq::int8, ptq::modelopt>(scalar, code, scale, per_channel(0)) ==
        status{errc::axis_out_of_range, 0});
}

TEST_CASE("rows of zeros keep their zeros, signs included") {
  const float weight[2][3] = {{0.0F, -0.0F, 0.0F}, {448, -448, 1}};
  std::uint8_t codes[6];
  float scales[2];
  CHECK(ptq::quantize<ptq::fp8_e4m3fn, ptq::torchao>(weight, codes, scales, per_channel(0)) == status{});
  CHECK(scales[0] == 1.0F);
  CHECK(codes[0] == 0);
  CHECK(codes[1] == 0x80);
  CHECK(codes[3] == 0x7e);

  float back[2][3];
  CHECK(ptq::dequantize<ptq::fp8_e4m3fn>(codes, scales, per_channel(0), back) == status{});
  CHECK(bits_of(back[0][0]) == 0);
  CHECK(bits_of(back[0][1]) == ptq::detail::sign_bit);

  float in_place[3] = {0.0F, -0.0F, 0.0F};
  float scale[1];
  CHECK(ptq::fake_quantize<ptq::fp8_e4m3fn, ptq::torchao>(in_place, scale, per_tensor()) == status{});
  CHECK(bits_of(in_place[0]) == 0);
  CHECK(bits_of(in_place[1]) == ptq::detail::sign_bit);
  CHECK(scale[0] == 1.0F);
}

TEST_CASE_TEMPLATE("a scale that underflows is 1, and the codes are 0, signs included", Backend, ptq::torchao,
                   ptq::modelopt) {
  using ptq::half;
  // 57344 * 2^-25 is where amax / 57344 of a half rounds to 0. Its neighbour's scale is the smallest half.
  const half least = half::from_float(57344 * 0x1p-25F);
  half weight[2][3] = {{least, half::from_float(-0x1p-12F), half::from_float(0)},
                       {half::from_float(57376 * 0x1p-25F), half::from_float(0x1p-12F), least}};
  const auto check = [&](ptq::granularity grain, auto view) {
    std::uint8_t codes[6];
    float scales[2];
    CHECK(ptq::quantize<ptq::fp8_e5m2, Backend>(view, codes, scales, grain) == status{});
    CHECK(scales[0] == 1.0F);
    CHECK(scales[1] == 0x1p-24F);
    const std::size_t step = view.strides[0] == 3 ? 1 : 2;
    const std::size_t row = step == 1 ? 3 : 1;
    CHECK(codes[0] == 0);
    CHECK(codes[step] == 0x80);
    CHECK(codes[2 * step] == 0);
    CHECK(codes[row] != 0);
    CHECK(codes[row + step] == ptq::fp8_e5m2::encode(0x1p12F));

    half back[6];
    const ptq::tensor_view<half> target(back, view.shape, view.strides);
    for (std::size_t i = 0; i < 6; ++i) back[i] = view.data[i];
    CHECK(ptq::fake_quantize<ptq::fp8_e5m2, Backend>(target, scales, grain) == status{});
    CHECK(scales[0] == 1.0F);
    half twin[6];
    CHECK(ptq::dequantize<ptq::fp8_e5m2>(codes, scales, grain,
                                         ptq::tensor_view<half>(twin, view.shape, view.strides)) == status{});
    for (std::size_t i = 0; i < 6; ++i) CHECK(back[i].bits == twin[i].bits);
    CHECK(back[0].bits == 0);
    CHECK(back[step].bits == 0x8000);
  };
  check(per_channel(0), ptq::tensor_view<const half>(&weight[0][0], {2, 3}));
  half columns[6];
  for (std::size_t i = 0; i < 6; ++i) columns[i % 3 * 2 + i / 3] = weight[i / 3][i % 3];
  check(per_channel(0), ptq::tensor_view<const half>(columns, {2, 3}, {1, 2}));
}

TEST_CASE("given scales: values beyond them saturate, NaN has its code") {
  const std::vector<float> values{1.0F,      -3.5F,     1000.0F,      -1000.0F, infinity,
                                  -infinity, quiet_nan, negative_nan, 0.25F};
  for (const float scale : {1.0F, 0.5F, 0x1p-70F}) {
    std::vector<float> scaled;
    for (const float& value : values)
      scaled.push_back(float_of(ptq::detail::multiply(bits_of(value), bits_of(scale))));
    const std::vector<float> scales{scale};
    CAPTURE(scale);
    std::vector<std::int8_t> integers(values.size());
    CHECK(ptq::quantize_by<ptq::int8, ptq::modelopt>(scaled, scales, integers) == status{});
    CHECK(integers == std::vector<std::int8_t>{1, -4, 127, -128, 127, -128, 0, 0, 0});
    std::vector<std::uint8_t> floats(values.size());
    CHECK(ptq::quantize_by<ptq::fp8_e4m3fn, ptq::modelopt>(scaled, scales, floats) == status{});
    CHECK(floats == std::vector<std::uint8_t>{0x38, 0xc6, 0x7e, 0xfe, 0x7e, 0xfe, 0x7f, 0x7f, 0x28});
  }
}

TEST_CASE("given scales: those that quantize found give its codes") {
  const float weight[2][3] = {{1, -2, 3}, {40, 50, -60}};
  for (const ptq::granularity grain : {per_tensor(), per_channel(0), per_channel(1)}) {
    std::vector<std::int8_t> codes(6);
    std::vector<std::int8_t> again(6);
    std::vector<float> scales(ptq::scale_count({2, 3}, grain));
    CHECK(ptq::quantize<ptq::int8, ptq::torchao>(weight, codes, scales, grain) == status{});
    CHECK(ptq::quantize_by<ptq::int8, ptq::torchao>(weight, scales, again, grain) == status{});
    CHECK(codes == again);
  }
}

TEST_CASE("fake quantization with a calibrated amax is quantization by its scale and back") {
  const std::vector<float> values{0.1F, -0.7F, 2.5F, -9.0F, 0.0F};
  std::vector<float> in_place = values;
  ptq::fake_quantize<ptq::int8, ptq::modelopt>(in_place, 2.0F);
  const std::vector<float> scale{ptq::scale_for<ptq::int8, ptq::modelopt>(2.0F)};
  std::vector<std::int8_t> codes(values.size());
  std::vector<float> back(values.size());
  CHECK(ptq::quantize_by<ptq::int8, ptq::modelopt>(values, scale, codes) == status{});
  CHECK(ptq::dequantize<ptq::int8>(codes, scale, per_tensor(), back) == status{});
  CHECK(test::differences(in_place, back) == 0);
  CHECK(codes[3] == -128);
}

TEST_CASE("native leaves values as they are") {
  const std::vector<float> values{0.1F, -0.0F, 3e38F, 0x1p-149F};
  std::vector<float> codes(values.size());
  std::vector<float> scale(1);
  CHECK(ptq::quantize<ptq::native, ptq::torchao>(values, codes, scale, per_tensor()) == status{});
  CHECK(scale[0] == 1.0F);
  CHECK(test::differences(codes, values) == 0);
}

TEST_CASE("an extent of 0 empties a tensor, whatever the others are") {
  constexpr std::size_t huge = std::size_t{1} << (sizeof(std::size_t) * 4);
  const ptq::tensor_view<const float> none(nullptr, {0, huge, huge});
  float scale = 5;
  CHECK(ptq::quantize<ptq::int8, ptq::torchao>(none, std::span<std::int8_t>(), std::span<float>(&scale, 1),
                                               ptq::per_tensor()));
  CHECK(ptq::detail::bits_of(scale) == ptq::detail::bits_of(0x1p-23F));
  CHECK(ptq::quantize_by<ptq::int8, ptq::torchao>(none, std::span<const float>(&scale, 1),
                                                  std::span<std::int8_t>()));
}
