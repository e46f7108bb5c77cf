// SPDX-License-Identifier: Apache-2.0
// A tensor that owns its codes and scales: made, viewed, decoded, quantized anew, copied and moved.
#include "ptq/model/quantized_tensor.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ptq/adaptors/std_vector.hpp"

namespace {

constexpr ptq::quantizer int8 = ptq::quantizer_of<ptq::int8, ptq::torchao>;

const std::vector<float> flat{1, -2, 3, 4, 5, -6, 7, 8, 9, -10, 11, 12};
const ptq::tensor_view<const float> rows(flat.data(), {3, 4});
const ptq::tensor_view<const float> columns(flat.data(), {3, 4}, {1, 3});

}  // namespace

TEST_CASE("codes, scales and values are those of the functions, in the order of the source") {
  for (const auto& source : {rows, columns})
    for (const ptq::granularity grain : {ptq::per_tensor(), ptq::per_channel(0), ptq::per_channel(1)}) {
      std::vector<std::int8_t> codes(12);
      std::vector<float> scales(ptq::scale_count(source.shape, grain));
      REQUIRE(ptq::quantize<ptq::int8, ptq::torchao>(source, codes, scales, grain));
      const auto made = ptq::quantized_tensor::of(source, int8, grain);
      REQUIRE(made);
      CHECK(made->size() == 12);
      CHECK(made->shape() == source.shape);
      CHECK(made->grain() == grain);
      CHECK(made->bytes() == 12 + 4 * scales.size());
      CHECK(std::equal(scales.begin(), scales.end(), made->scales().begin(), made->scales().end()));
      const auto view = made->view();
      CHECK(view.dtype == &ptq::dtype_row_of<ptq::int8>);
      const auto seen = view.codes_as<ptq::int8>();
      CHECK(std::equal(codes.begin(), codes.end(), seen.begin(), seen.end()));
      const auto tensor = made->codes_as<ptq::int8>();
      CHECK(tensor.shape == source.shape);
      CHECK(tensor.data[ptq::offset_of(5, tensor.shape, tensor.strides)] ==
            codes[static_cast<std::size_t>(ptq::offset_of(5, source.shape, source.strides))]);

      std::vector<float> values(12), wanted(12);
      REQUIRE(made->dequantize(ptq::tensor_view<float>(values.data(), source.shape, source.strides)));
      REQUIRE(ptq::dequantize<ptq::int8>(
          codes, scales, grain, ptq::tensor_view<float>(wanted.data(), source.shape, source.strides)));
      CHECK(values == wanted);
    }
  CHECK(ptq::quantized_tensor::of(rows, int8)->grain() == ptq::per_channel(0));
  CHECK(ptq::quantized_tensor::of(rows, ptq::quantizer_of<ptq::fp8_e5m2, ptq::modelopt>)->grain() ==
        ptq::per_tensor());
}

TEST_CASE("copies are of their own, and moving leaves the codes where they are") {
  auto made = *ptq::quantized_tensor::of(rows, int8);
  const ptq::quantized_tensor copy = made;
  CHECK(copy.view().codes.data() != made.view().codes.data());
  const auto* const codes = made.view().codes.data();
  const ptq::quantized_tensor moved = std::move(made);
  CHECK(moved.view().codes.data() == codes);
  std::vector<float> from_copy(12), from_moved(12);
  REQUIRE(copy.dequantize(ptq::tensor_view<float>(from_copy.data(), {3, 4})));
  REQUIRE(moved.dequantize(ptq::tensor_view<float>(from_moved.data(), {3, 4})));
  CHECK(from_copy == from_moved);
}

TEST_CASE("quantized anew by the scales that are there, values saturate") {
  auto made = *ptq::quantized_tensor::of(rows, int8);
  const std::vector<float> before(made.scales().begin(), made.scales().end());
  std::vector<float> twice = flat;
  for (float& value : twice) value *= 2;
  REQUIRE(made.quantize_by(ptq::tensor_view<const float>(twice.data(), {3, 4})));
  CHECK(std::equal(before.begin(), before.end(), made.scales().begin()));
  CHECK(made.codes_as<ptq::int8>().data[3] == 127);
  std::vector<std::int8_t> wanted(12);
  REQUIRE(ptq::quantize_by<ptq::int8, ptq::torchao>(ptq::tensor_view<const float>(twice.data(), {3, 4}),
                                                    before, wanted, ptq::per_channel(0)));
  CHECK(std::equal(wanted.begin(), wanted.end(), made.view().codes_as<ptq::int8>().begin()));

  CHECK(made.quantize_by(columns) == ptq::status{ptq::errc::unsupported, 0});
  CHECK(made.quantize_by(flat) == ptq::status{ptq::errc::size_mismatch, 12});
  CHECK(made.quantize_by(ptq::any_view(wanted.data(), ptq::element_type::int8, {3, 4})).code ==
        ptq::errc::unsupported);
}

TEST_CASE("decoding asks for the shape and the order that the codes have") {
  const auto made = *ptq::quantized_tensor::of(rows, int8);
  std::vector<float> values(12);
  CHECK(made.dequantize(ptq::tensor_view<float>(values.data(), {4, 3})) ==
        ptq::status{ptq::errc::size_mismatch, 12});
  CHECK(made.dequantize(ptq::tensor_view<float>(values.data(), {3, 4}, {1, 3})) ==
        ptq::status{ptq::errc::unsupported, 0});
  // With gaps, but in the same order.
  std::vector<double> wide(24);
  REQUIRE(made.dequantize(ptq::tensor_view<double>(wide.data(), {3, 4}, {8, 2})));
  REQUIRE(made.dequantize(ptq::tensor_view<float>(values.data(), {3, 4})));
  CHECK(wide[22] == static_cast<double>(values[11]));
}

TEST_CASE("what it was made with need not live on") {
  ptq::quantizer passing = int8;
  const auto made = *ptq::quantized_tensor::of(rows, passing);
  passing = ptq::quantizer_of<ptq::fp8_e5m2, ptq::modelopt>;
  CHECK(made.view().dtype == &ptq::dtype_row_of<ptq::int8>);
}

TEST_CASE("nothing is nothing") {
  ptq::quantized_tensor none;
  std::vector<float> values(1);
  CHECK(none.size() == 0);
  CHECK(none.bytes() == 0);
  CHECK(none.view().dtype == nullptr);
  CHECK(none.codes_as<ptq::int8>().data == nullptr);
  CHECK(none.dequantize(values).code == ptq::errc::no_data);
  CHECK(none.quantize_by(values).code == ptq::errc::no_data);
}

TEST_CASE("what a sink receives can be kept") {
  const std::vector<ptq::layer> layers{{"fc", "Linear", columns}};
  ptq::plan plan;
  plan.backend = "torchao";
  plan.layers.emplace_back().name = "fc";
  plan.layers[0].shape = columns.shape;
  plan.layers[0].weights.dtype = "fp8_e4m3fn";
  ptq::quantized_tensor kept;
  REQUIRE(ptq::apply(plan, layers, [&](const ptq::quantized_layer& q) {
    CHECK(q.view().codes.data() == q.codes.data());
    kept = ptq::quantized_tensor(q);
  }));
  const auto wanted = *ptq::quantized_tensor::of(columns, ptq::quantizer_of<ptq::fp8_e4m3fn, ptq::torchao>);
  CHECK(kept.view().dtype == wanted.view().dtype);
  CHECK(std::equal(kept.view().codes.begin(), kept.view().codes.end(), wanted.view().codes.begin(),
                   wanted.view().codes.end()));
  std::vector<float> values(12);
  CHECK(kept.dequantize(ptq::tensor_view<float>(values.data(), {3, 4}, {1, 3})));
}

TEST_CASE("what cannot be quantized is told in words") {
  std::vector<float> values = flat;
  values[6] = std::numeric_limits<float>::quiet_NaN();
  const auto text = [](const auto& tensor, std::optional<ptq::granularity> grain = {}) {
    return ptq::quantized_tensor::of(tensor, int8, grain).error().what;
  };
  CHECK(text(ptq::tensor_view<const float>(values.data(), {3, 4})) ==
        "the tensor[1, 2] is NaN or infinite. Repair the data.");
  CHECK(text(rows, ptq::per_channel(2)) ==
        "the tensor of shape [3, 4] has no axis 2 to have scales for. Name one of its axes.");
  CHECK(
      text(ptq::any_view(flat, {3, 5})) ==
      "the tensor lies in memory of 12 elements, but its shape [3, 5] has 15. Give the shape that the memory "
      "has.");
  CHECK(text(ptq::any_view(flat.data(), ptq::element_type::int32, {3, 4})) ==
        "the tensor does not hold floating-point numbers. Give it as floats.");
  CHECK(text(ptq::tensor_view<const float>(flat.data(), {1, 1, 1, 1, 1, 1, 1, 1, 12}), ptq::per_tensor()) ==
        "the tensor has 9 axes; 8 is the most that ptq can view.");
}
