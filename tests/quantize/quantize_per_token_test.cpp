// SPDX-License-Identifier: Apache-2.0
// Each token by a scale of its own: as if it had been quantized alone.
#include "ptq/quantize/quantize_per_token.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "ptq/adaptors/std_vector.hpp"
#include "ptq/core.hpp"

namespace {

std::vector<float> ramp(std::size_t size) {
  std::vector<float> values(size);
  for (std::size_t i = 0; i < size; ++i)
    values[i] = (static_cast<float>(i * 29 % 97) - 41.0F) * (1.0F + static_cast<float>(i / 7));
  return values;
}

template <class D, class B>
void check_tokens(const ptq::tensor_view<const float>& source) {
  const std::size_t tokens = ptq::token_count(source.shape);
  const std::size_t features = source.size() / tokens;
  std::vector<typename D::storage> codes(source.size());
  std::vector<float> scales(tokens);
  REQUIRE(ptq::quantize_per_token<D, B>(source, codes, scales));
  for (std::size_t token = 0; token < tokens; ++token) {
    std::vector<float> alone(features);
    for (std::size_t i = 0; i < features; ++i)
      alone[i] = source.data[ptq::offset_of(token * features + i, source.shape, source.strides)];
    std::vector<typename D::storage> wanted(features);
    float scale = 0;
    REQUIRE(ptq::quantize<D, B>(alone, wanted, {&scale, 1}, ptq::per_tensor()));
    CHECK(scales[token] == scale);
    for (std::size_t i = 0; i < features; ++i) CHECK(codes[token * features + i] == wanted[i]);
  }
}

}  // namespace

TEST_CASE("tokens of every rank and layout") {
  const std::vector<float> flat = ramp(2 * 3 * 300);
  const auto check = [&]<class D, class B>(D, B) {
    check_tokens<D, B>({flat.data(), {6, 300}});
    check_tokens<D, B>({flat.data(), {2, 3, 300}});
    check_tokens<D, B>({flat.data(), {2, 3, 300}, {1, 2, 6}});       // column-major
    check_tokens<D, B>({flat.data() + 2, {6, 100}, {300, 3}});       // every third feature
    check_tokens<D, B>({flat.data() + 1799, {6, 300}, {-300, -1}});  // from the end
    check_tokens<D, B>({flat.data(), {300}});                        // one token
    check_tokens<D, B>({flat.data(), {}});                           // one value
    check_tokens<D, B>({flat.data(), {5, 1}});
  };
  check(ptq::int8{}, ptq::modelopt{});
  check(ptq::int8{}, ptq::torchao{});
  check(ptq::fp8_e4m3fn{}, ptq::torchao{});
}

TEST_CASE("what cannot be done is told") {
  std::vector<float> values = ramp(12);
  std::vector<std::int8_t> codes(12);
  std::vector<float> scales(4);
  const auto quantize = [&](const ptq::tensor_shape& shape, std::size_t code_count, std::size_t scale_count) {
    return ptq::quantize_per_token<ptq::int8, ptq::modelopt>(
        ptq::tensor_view<const float>(values.data(), shape), std::span(codes).first(code_count),
        std::span(scales).first(scale_count));
  };
  CHECK(quantize({2, 2, 3}, 12, 4));
  CHECK(quantize({2, 2, 3}, 12, 3) == ptq::status{ptq::errc::size_mismatch, 4});
  CHECK(quantize({2, 2, 3}, 11, 4) == ptq::status{ptq::errc::size_mismatch, 12});
  CHECK(quantize({1, 1, 1, 1, 1, 1, 1, 1, 12}, 12, 1) == ptq::status{ptq::errc::wrong_rank, 9});
  CHECK(quantize({4, 0}, 0, 4));
  CHECK(quantize({0, 3}, 0, 0));
  values[7] = std::numeric_limits<float>::infinity();
  CHECK(quantize({4, 3}, 12, 4) == ptq::status{ptq::errc::not_finite, 7});
}

TEST_CASE("a column-major matrix does not take codes of tokens, which lie side by side") {
  const float values[2][2] = {{1, 2}, {3, 4}};
  std::int8_t codes[2][2] = {};
  float scales[2] = {};
  CHECK(ptq::quantize_per_token<ptq::int8, ptq::modelopt>(values, codes, scales));
  const ptq::tensor_view<const float> turned(&values[0][0], {2, 2}, {1, 2});
  REQUIRE(ptq::quantize_per_token<ptq::int8, ptq::modelopt>(turned, codes, scales));
  CHECK(codes[0][1] == 127);
  CHECK(scales[1] == 4.0F / 127.0F);
}
