// SPDX-License-Identifier: Apache-2.0
// Memory for codes and scales: what is taken, and what would be written in another order.
#include "ptq/tensor/contiguous.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ptq/core.hpp"

namespace {

template <class C, class T>
inline constexpr bool is_taken = ptq::contiguous_memory<C, T>;

static_assert(is_taken<std::vector<float>&, float>);
static_assert(is_taken<std::vector<float>&, const float>);
static_assert(is_taken<const std::vector<float>&, const float>);
static_assert(is_taken<std::vector<float>, const float>, "it lives until the call is over");
static_assert(!is_taken<const std::vector<float>&, float>, "constant");
static_assert(!is_taken<std::vector<float>, float>, "what is written would be lost");
static_assert(!is_taken<std::vector<double>&, float>, "other elements");
static_assert(!is_taken<std::vector<std::uint8_t>&, std::int8_t>, "other elements");
static_assert(is_taken<std::span<float>, float>);
static_assert(is_taken<std::span<float, 3>, float>);
static_assert(!is_taken<std::span<const float>, float>);
static_assert(is_taken<float (&)[2], float>);
static_assert(!is_taken<const float (&)[2], float>);
static_assert(is_taken<float (&)[2][3], float>);
static_assert(is_taken<std::array<std::array<std::int8_t, 2>, 3>&, std::int8_t>);
static_assert(!is_taken<const std::array<std::int8_t, 2>&, std::int8_t>);
static_assert(!is_taken<ptq::tensor_view<float>&, float>, "its strides are known when it runs");
static_assert(!is_taken<float&, float>);

/// A matrix of somebody's, column-major, that says that nothing lies between its elements.
template <class T>
struct matrix {
  T values[6];
};

/// A matrix of one column.
struct column {
  std::int8_t values[6];
};

/// Another one, which does not say so.
struct silent_matrix {
  std::int8_t values[6];
};

}  // namespace

template <class T>
struct ptq::tensor_traits<matrix<T>> {
  static constexpr bool is_contiguous = true;
  static constexpr auto view(auto& t) noexcept {
    return ptq::tensor_view<std::remove_reference_t<decltype(t.values[0])>>{&t.values[0], {2, 3}, {1, 2}};
  }
};
template <>
struct ptq::tensor_traits<column> {
  static constexpr bool is_contiguous = true;
  static constexpr auto view(auto& t) noexcept { return ptq::tensor_view{&t.values[0], {6, 1}, {1, 6}}; }
};
template <>
struct ptq::tensor_traits<silent_matrix> {
  static constexpr auto view(auto& t) noexcept { return ptq::tensor_view{&t.values[0], {2, 3}, {1, 2}}; }
};

static_assert(is_taken<matrix<std::int8_t>&, std::int8_t>);
static_assert(!is_taken<const matrix<std::int8_t>&, std::int8_t>);
static_assert(is_taken<const matrix<std::int8_t>&, const std::int8_t>);
static_assert(!is_taken<matrix<std::int8_t>, std::int8_t>, "what is written would be lost");
static_assert(!is_taken<silent_matrix&, std::int8_t>);

template <class C, class T>
inline constexpr bool gives_bytes = std::is_constructible_v<ptq::contiguous<T>, C>;
static_assert(gives_bytes<std::vector<std::int8_t>&, std::byte>);
static_assert(gives_bytes<const std::vector<std::int8_t>&, const std::byte>);
static_assert(!gives_bytes<const std::vector<std::int8_t>&, std::byte>);
static_assert(!gives_bytes<std::vector<std::int8_t>, std::byte>);
static_assert(gives_bytes<matrix<std::int16_t>&, std::byte>);
static_assert(gives_bytes<std::int8_t (&)[2][3], std::byte>);
static_assert(!gives_bytes<silent_matrix&, std::byte>);
static_assert(!gives_bytes<std::vector<std::vector<int>>&, std::byte>);
static_assert(!gives_bytes<std::vector<std::int8_t>&, float>);

TEST_CASE("a matrix takes the codes of tensors that lie in memory as it does") {
  const float rows[2][3] = {{1, -2, 3}, {4, 5, -6}};
  const matrix<float> columns{{1, 4, -2, 5, 3, -6}};
  float scales[2] = {};
  std::int8_t flat[6] = {};
  const ptq::status other_order{ptq::errc::unsupported, 0};

  std::int8_t row_codes[2][3] = {};
  REQUIRE(ptq::quantize<ptq::int8, ptq::modelopt>(rows, row_codes, scales));
  REQUIRE(ptq::quantize<ptq::int8, ptq::modelopt>(rows, flat, scales));
  CHECK(std::span(flat)[5] == -127);
  for (int i = 0; i < 6; ++i) CHECK(row_codes[i / 3][i % 3] == flat[i]);

  matrix<std::int8_t> column_codes{};
  REQUIRE(ptq::quantize<ptq::int8, ptq::modelopt>(columns, column_codes, scales));
  for (int i = 0; i < 6; ++i) CHECK(column_codes.values[i % 3 * 2 + i / 3] == flat[i]);

  CHECK(ptq::quantize<ptq::int8, ptq::modelopt>(rows, column_codes, scales) == other_order);
  CHECK(ptq::quantize<ptq::int8, ptq::modelopt>(columns, row_codes, scales) == other_order);
  CHECK(ptq::quantize_by<ptq::int8, ptq::modelopt>(columns, scales, row_codes, ptq::per_channel(0)) ==
        other_order);
  CHECK(ptq::quantize_by<ptq::int8, ptq::modelopt>(columns, scales, column_codes, ptq::per_channel(0)));

  matrix<float> target{};
  CHECK(ptq::dequantize<ptq::int8>(row_codes, scales, ptq::per_channel(0), target) == other_order);
  REQUIRE(ptq::dequantize<ptq::int8>(column_codes, scales, ptq::per_channel(0), target));
  CHECK(target.values[5] == -6.0F);

  // One row, or one column, is the same in either order.
  std::int8_t one_row[1][6] = {};
  const std::span one_scale = std::span(scales).first(1);
  const ptq::tensor_view<const float> by_columns(&columns.values[0], {6, 1}, {1, 6});
  CHECK(ptq::quantize<ptq::int8, ptq::modelopt>(by_columns, one_row, one_scale, ptq::per_tensor()));
  const ptq::tensor_view<const float> by_rows(&columns.values[0], {6, 1});
  column one_column{};
  CHECK(ptq::quantize<ptq::int8, ptq::modelopt>(by_rows, one_column, one_scale, ptq::per_tensor()));
}

TEST_CASE("codes and scales in constant expressions") {
  constexpr auto scales = [] {
    const std::array<float, 3> values{1.0F, -127.0F, 3.0F};
    std::array<std::int8_t, 3> codes{};
    std::array<float, 1> made{};
    if (!ptq::quantize<ptq::int8, ptq::modelopt>(values, codes, made, ptq::per_tensor())) return -1.0F;
    return codes[1] == -127 ? made[0] : -1.0F;
  }();
  static_assert(scales == 1.0F);
}
