// SPDX-License-Identifier: Apache-2.0
// One tensor in nine memory layouts: the same codes, scales and values, element by element.
#include <doctest/doctest.h>

#include <cstddef>
#include <initializer_list>
#include <vector>

#include "ptq/core.hpp"
#include "support/compare.hpp"
#include "support/layouts.hpp"
#include "support/random.hpp"

namespace {

/// Values of very different size, so that a mistaken channel shows; longer than a block along the middle
/// axis.
template <class T>
std::vector<T> make_elements(std::size_t count) {
  test::random_bits random(5);
  std::vector<T> elements;
  for (std::size_t i = 0; i < count; ++i)
    elements.push_back(ptq::element_traits<T>::from_float(random.next_float(-8, 4)));
  return elements;
}

template <ptq::dtype D, ptq::backend B, ptq::element T>
void check_layouts(const ptq::tensor_shape& shape, ptq::granularity grain) {
  const auto elements = make_elements<T>(shape.size());
  std::vector<typename D::storage> expected_codes;
  std::vector<float> expected_scales;
  std::vector<T> expected_values;
  for (auto& laid : test::all_layouts<T>(elements, shape, ptq::element_traits<T>::from_float(1e4F))) {
    CAPTURE(laid.name);
    std::vector<typename D::storage> codes(shape.size());
    std::vector<float> scales(ptq::scale_count(shape, grain));
    CHECK(ptq::quantize<D, B>(laid.view(), codes, scales, grain) == ptq::status{});
    const auto sorted = test::to_row_major(codes, shape, ptq::dense_strides(shape, laid.strides));

    auto target = laid;
    CHECK(ptq::dequantize<D>(codes, scales, grain, target.view()) == ptq::status{});
    std::vector<float> own_scales(scales.size());
    auto in_place = laid;
    CHECK(ptq::fake_quantize<D, B>(in_place.view(), own_scales, grain) == ptq::status{});
    CHECK(test::differences(in_place.memory, target.memory) == 0);  // elements alike, gaps untouched by both
    CHECK(test::differences(own_scales, scales) == 0);

    if (expected_codes.empty()) {
      expected_codes = sorted;
      expected_scales = scales;
      expected_values = target.row_major();
    }
    CHECK(test::differences(sorted, expected_codes) == 0);
    CHECK(test::differences(scales, expected_scales) == 0);
    CHECK(test::differences(target.row_major(), expected_values) == 0);
  }
}

template <ptq::element T>
void check_element_type() {
  for (const ptq::tensor_shape& shape : {ptq::tensor_shape{4, 300, 3}, ptq::tensor_shape{5, 1, 7}}) {
    for (const ptq::granularity grain :
         {ptq::per_tensor(), ptq::per_channel(0), ptq::per_channel(1), ptq::per_channel(2)}) {
      CAPTURE(grain.is_per_channel());
      CAPTURE(grain.axis);
      check_layouts<ptq::int8, ptq::torchao, T>(shape, grain);
      check_layouts<ptq::fp8_e4m3fn, ptq::modelopt, T>(shape, grain);
    }
  }
}

}  // namespace

TEST_CASE("float32") {
  check_element_type<float>();
}
TEST_CASE("float64") {
  check_element_type<double>();
}
TEST_CASE("float16") {
  check_element_type<ptq::half>();
}
TEST_CASE("bfloat16") {
  check_element_type<ptq::bfloat16>();
}
