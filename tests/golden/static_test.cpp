// SPDX-License-Identifier: Apache-2.0
// modelopt against what ModelOpt packs and exports, bit for bit, and minmax against its calibration.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "ptq/adaptors/std_vector.hpp"
#include "ptq/core.hpp"
#include "support/compare.hpp"
#include "support/golden.hpp"

namespace {

ptq::granularity grain_of(const test::json& axis) {
  return axis.is_null() ? ptq::per_tensor() : ptq::per_channel(axis.number());
}

ptq::tensor_shape shape_of(const test::json& described) {
  return ptq::tensor_shape{std::span<const std::size_t>(test::golden_group::shape(described))};
}

/// Codes and scales of one quantizer. Channels in which the reference divided by 0 are scale 1 and the codes
/// of 0 and -0 here.
template <ptq::dtype D, ptq::element T>
void check_quantizer(const test::golden_group& group, const test::json& one) {
  using storage = typename D::storage;
  const ptq::granularity grain = grain_of(one["axis"]);
  const ptq::tensor_shape shape = shape_of(one["x"]);
  const auto values = group.array<T>(one["x"]);
  std::vector<storage> codes(shape.size());
  std::vector<float> scales(ptq::scale_count(shape, grain));
  const ptq::tensor_view<const T> view(values.data(), shape);
  CHECK(ptq::quantize<D, ptq::modelopt>(view, codes, scales, grain) == ptq::status{});

  auto expected_codes = group.array<storage>(one["real_codes"]);
  auto expected_scales = group.array<float>(one["real_scale"]);
  const std::size_t channel = shape.size() / expected_scales.size();
  std::size_t replaced = 0;
  for (std::size_t c = 0; c < expected_scales.size(); ++c) {
    if (ptq::detail::bits_of(expected_scales[c]) != 0) continue;
    expected_scales[c] = 1;
    for (std::size_t i = c * channel; i < (c + 1) * channel; ++i)
      expected_codes[i] = D::encode(ptq::element_traits<T>::to_float(values[i]));  // 0 or -0
    replaced += channel;
  }
  CHECK(replaced == one["real_nonfinite"].number());
  CHECK(test::differences(scales, expected_scales) == 0);
  CHECK(test::differences(codes, expected_codes) == 0);

  // The same scales by way of the amax that the reference recorded.
  if constexpr (std::same_as<T, float>) {
    std::vector<float> by_amax;
    for (const float amax : group.array<float>(one["amax"]))
      by_amax.push_back(ptq::scale_for<D, ptq::modelopt>(amax));
    CHECK(test::differences(by_amax, expected_scales) == 0);
  }
}

/// The running maximum of the calibration batches, and the scales of the weight.
template <ptq::dtype D>
void check_layer(const test::golden_group& group, const test::json& one) {
  const auto batches = group.array<float>(one["calib"]);
  const std::size_t batch = batches.size() / 3;
  ptq::statistics<> seen;
  for (std::size_t first = 0; first < batches.size(); first += batch)
    CHECK(seen.collect(std::span(batches).subspan(first, batch)) == ptq::status{});
  CHECK(test::differences({ptq::minmax{}.range(seen).amax}, group.array<float>(one["input_amax"])) == 0);

  const ptq::granularity grain = grain_of(one["weight_axis"]);
  const ptq::tensor_shape shape = shape_of(one["weight"]);
  const auto weight = group.array<float>(one["weight"]);
  std::vector<typename D::storage> codes(shape.size());
  std::vector<float> scales(ptq::scale_count(shape, grain));
  CHECK(ptq::quantize<D, ptq::modelopt>(ptq::tensor_view<const float>(weight.data(), shape), codes, scales,
                                        grain) == ptq::status{});
  std::vector<float> expected;
  for (const float amax : group.array<float>(one["weight_amax"]))
    expected.push_back(ptq::scale_for<D, ptq::modelopt>(amax));
  CHECK(test::differences(scales, expected) == 0);
}

template <ptq::dtype D>
void check_case(const test::golden_group& group, const test::json& one) {
  if (one["kind"].word == "layer")
    check_layer<D>(group, one);
  else if (one["input_dtype"].word == "bfloat16")
    check_quantizer<D, ptq::bfloat16>(group, one);
  else
    check_quantizer<D, float>(group, one);
}

}  // namespace

TEST_CASE("packed codes and scales, and calibrated ranges, are ModelOpt's") {
  const test::golden_group group("c_static");
  CHECK(group.cases().size() == 70);
  for (const test::json& one : group.cases()) {
    CAPTURE(one["name"].word);
    if (one["dtype"].word == "int8")
      check_case<ptq::int8>(group, one);
    else
      check_case<ptq::fp8_e4m3fn>(group, one);
  }
}
