// SPDX-License-Identifier: Apache-2.0
// torchao against TorchAO, bit for bit: every case, float32, bfloat16 and float16.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "ptq/adaptors/std_vector.hpp"
#include "ptq/core.hpp"
#include "support/compare.hpp"
#include "support/golden.hpp"

namespace {

/// Compares one scheme of one case. Rows in which the reference divided by a scale of 0 have the scale 1 and
/// the codes of 0 and -0 here: as many bytes, and the reference's values, but for its NaNs.
template <ptq::dtype D, ptq::element T>
void check_scheme(const test::golden_group& group, const test::json& weight, const test::json& result,
                  ptq::granularity grain) {
  using storage = typename D::storage;
  const auto values = group.array<T>(weight);
  const auto extents = test::golden_group::shape(weight);
  const ptq::tensor_shape shape{std::span<const std::size_t>(extents)};
  std::vector<storage> codes(shape.size());
  std::vector<float> scales(ptq::scale_count(shape, grain));
  const ptq::tensor_view<const T> view(values.data(), shape);
  CHECK(ptq::quantize<D, ptq::torchao>(view, codes, scales, grain) == ptq::status{});
  if (result.find("error") != nullptr) return;  // the reference has no answer

  auto expected_codes = group.array<storage>(result["codes"]);
  auto expected_scales = group.array<float>(result["scale"]);
  auto expected_values = group.array<float>(result["dequantized"]);
  const std::size_t row = shape.size() / expected_scales.size();
  std::size_t nans = 0;
  for (std::size_t r = 0; r < expected_scales.size(); ++r) {
    if (ptq::detail::bits_of(expected_scales[r]) != 0) continue;
    expected_scales[r] = 1;
    for (std::size_t i = r * row; i < (r + 1) * row; ++i) {
      const float original = ptq::element_traits<T>::to_float(values[i]);
      const float zero = ptq::detail::float_of(ptq::detail::bits_of(original) & ptq::detail::sign_bit);
      expected_codes[i] = D::encode(zero);
      if (!ptq::detail::is_nan(ptq::detail::bits_of(expected_values[i]))) continue;
      expected_values[i] = zero;
      ++nans;
    }
  }
  CHECK(nans == result["nan_count"].number());
  CHECK(test::differences(scales, expected_scales) == 0);
  CHECK(test::differences(codes, expected_codes) == 0);

  std::vector<T> back(shape.size());
  CHECK(ptq::dequantize<D>(codes, scales, grain, ptq::tensor_view<T>(back.data(), shape)) == ptq::status{});
  std::vector<float> widened;
  for (const T& value : back) widened.push_back(ptq::element_traits<T>::to_float(value));
  CHECK(test::differences(widened, expected_values) == 0);
}

/// Returns the number of schemes compared.
template <ptq::element T>
int check_case(const test::golden_group& group, const test::json& one) {
  int compared = 0;
  for (const test::json::member& of_scheme : one["results"].members) {
    const std::string& scheme = of_scheme.name;
    const test::json& result = of_scheme.value;
    if (scheme == "int8_version1") continue;  // what older releases did
    CAPTURE(scheme);
    ++compared;
    const test::json& weight = one["weight"];
    if (scheme == "int8")
      check_scheme<ptq::int8, T>(group, weight, result, ptq::per_channel(0));
    else if (scheme == "int8_per_tensor")
      check_scheme<ptq::int8, T>(group, weight, result, ptq::per_tensor());
    else if (scheme == "fp8_e4m3fn")
      check_scheme<ptq::fp8_e4m3fn, T>(group, weight, result, ptq::per_channel(0));
    else if (scheme == "fp8_e4m3fn_per_tensor")
      check_scheme<ptq::fp8_e4m3fn, T>(group, weight, result, ptq::per_tensor());
    else if (scheme == "fp8_e5m2")
      check_scheme<ptq::fp8_e5m2, T>(group, weight, result, ptq::per_channel(0));
    else
      FAIL_CHECK("unknown scheme");
  }
  return compared;
}

}  // namespace

TEST_CASE("codes, scales and dequantized weights are TorchAO's") {
  const test::golden_group group("b_weight_only");
  CHECK(group.cases().size() == 33);
  int compared = 0;
  for (const test::json& one : group.cases()) {
    CAPTURE(one["name"].word);
    const std::string& type = one["weight_dtype"].word;
    if (type == "float32") compared += check_case<float>(group, one);
    if (type == "bfloat16") compared += check_case<ptq::bfloat16>(group, one);
    if (type == "float16") compared += check_case<ptq::half>(group, one);
  }
  CHECK(compared == 97);
}
