// SPDX-License-Identifier: Apache-2.0
// The standard library's arrays, and views of plain memory.
#include <doctest/doctest.h>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "adaptors/support.hpp"
#include "ptq/adaptors/std_vector.hpp"

using adaptors::runs;
using adaptors::samples;

TEST_CASE("flat memory has rank 1, whatever holds it") {
  const samples expected({12});
  std::vector<float> vector = expected.values;
  std::array<float, 12> array{};
  float plain[12] = {};
  for (std::size_t i = 0; i < 12; ++i) plain[i] = array[i] = vector[i];
  check_same_both_ways(expected, vector);
  check_same_both_ways(expected, array);
  check_same_both_ways(expected, plain);
  check_same_both_ways(expected, std::span<float>(vector));
  check_same_both_ways(expected, std::span<float, 12>(array));
  CHECK(adaptors::runs_of(vector, ptq::per_tensor()) == runs{1, 1});
}

TEST_CASE("arrays in arrays have a rank each") {
  const samples expected({2, 3, 4});
  float plain[2][3][4] = {};
  std::array<std::array<std::array<float, 4>, 3>, 2> array{};
  std::array<float[3][4], 2> mixed{};
  for (std::size_t i = 0; i < 24; ++i)
    plain[i / 12][i / 4 % 3][i % 4] = array[i / 12][i / 4 % 3][i % 4] = mixed[i / 12][i / 4 % 3][i % 4] =
        expected.values[i];
  check_same_both_ways(expected, plain);
  check_same_both_ways(expected, array);
  check_same_both_ways(expected, mixed);
  CHECK(adaptors::runs_of(plain, ptq::per_tensor()) == runs{1, 1});
  CHECK(adaptors::runs_of(plain, ptq::per_channel(0)) == runs{2, 1});
}

TEST_CASE("const tensors are read, and stay const") {
  const samples expected({2, 3});
  const float plain[2][3] = {{expected.values[0], expected.values[1], expected.values[2]},
                             {expected.values[3], expected.values[4], expected.values[5]}};
  check_same(expected, plain);
  const std::vector<float> vector = expected.values;
  const std::array<float, 2> array{};
  static_assert(std::same_as<decltype(ptq::view_of(plain)), ptq::tensor_view<const float>>);
  static_assert(std::same_as<decltype(ptq::view_of(vector)), ptq::tensor_view<const float>>);
  static_assert(std::same_as<decltype(ptq::view_of(array)), ptq::tensor_view<const float>>);
}

TEST_CASE("a view with strides gives the codes of the tensor it shows") {
  const samples expected({4, 6});
  SUBCASE("column-major") {
    std::vector<float> memory(24);
    for (std::size_t i = 0; i < 24; ++i) memory[i % 6 * 4 + i / 6] = expected.values[i];
    const ptq::tensor_view<float> view(memory.data(), {4, 6}, {1, 4});
    check_same_both_ways(expected, view);
    CHECK(adaptors::runs_of(view, ptq::per_tensor()) == runs{1, 1});
    CHECK(adaptors::runs_of(view, ptq::per_channel(0)) == runs{6, 1});
    CHECK(adaptors::runs_of(view, ptq::per_channel(1)) == runs{6, 1});
  }
  SUBCASE("reversed along both axes, with gaps") {
    std::vector<float> memory(4 * 20);
    for (std::size_t i = 0; i < 24; ++i) memory[(3 - i / 6) * 20 + (5 - i % 6) * 2] = expected.values[i];
    const ptq::tensor_view<float> view(&memory[3 * 20 + 5 * 2], {4, 6}, {-20, -2});
    check_same_both_ways(expected, view);
    CHECK(adaptors::runs_of(view, ptq::per_tensor()) == runs{4, -2});
  }
  SUBCASE("a slice of whole rows is as good as contiguous") {
    std::vector<float> memory(8 * 6);
    for (std::size_t i = 0; i < 24; ++i) memory[12 + i] = expected.values[i];
    const ptq::tensor_view<float> view(&memory[12], {4, 6});
    check_same_both_ways(expected, view);
    CHECK(adaptors::runs_of(view, ptq::per_tensor()) == runs{1, 1});
  }
}

TEST_CASE("more axes than a view can have are told, by their number") {
  const std::array<std::size_t, 9> ones{1, 1, 1, 1, 1, 1, 1, 1, 1};
  float value = 1.0F;
  std::int8_t code = 1;
  float scale = 2.0F;
  const ptq::tensor_view<float> most(&value, ptq::tensor_shape(std::span(ones).first(8)));
  CHECK(ptq::quantize<ptq::int8, ptq::torchao>(most, {&code, 1}, {&scale, 1}));

  const ptq::tensor_view<float> view(&value, ptq::tensor_shape(ones));
  CHECK(view.rank() == 9);
  CHECK(view.size() == 0);
  const ptq::status wanted{ptq::errc::wrong_rank, 9};
  for (const auto grain : {ptq::per_tensor(), ptq::per_channel(0), ptq::per_channel(8)}) {
    CHECK(ptq::quantize<ptq::int8, ptq::torchao>(view, {}, {&scale, 1}, grain) == wanted);
    CHECK(ptq::quantize_by<ptq::int8, ptq::torchao>(view, {&scale, 1}, {}, grain) == wanted);
    CHECK(ptq::dequantize<ptq::int8>({}, {&scale, 1}, grain, view) == wanted);
    CHECK(ptq::fake_quantize<ptq::int8, ptq::torchao>(view, {&scale, 1}, grain) == wanted);
  }
  ptq::statistics<> seen;
  CHECK(seen.collect(view) == wanted);
  CHECK(seen == ptq::statistics<>{});
}

TEST_CASE("the index of a NaN is that of the tensor, not of its memory") {
  std::vector<float> memory(12, 1.0F);
  memory[1 * 4 + 2] = ptq::detail::float_of(ptq::detail::nan_bits);
  const ptq::tensor_view<float> column_major(memory.data(), {4, 3}, {1, 4});  // element [2, 1]
  std::vector<std::int8_t> codes(12);
  std::vector<float> scales(4);
  CHECK(ptq::quantize<ptq::int8, ptq::torchao>(column_major, codes, scales) ==
        ptq::status{ptq::errc::not_finite, 2 * 3 + 1});
}

namespace {

struct no_traits {};

template <class T> concept view_of_temporary = requires(T (&make)()) { ptq::view_of(make()); };

static_assert(ptq::adaptable_tensor<std::vector<double>>);
static_assert(ptq::adaptable_tensor<const std::vector<ptq::half>>);
static_assert(ptq::adaptable_tensor<std::array<ptq::bfloat16, 3>>);
static_assert(!ptq::adaptable_tensor<no_traits>);
static_assert(!ptq::adaptable_tensor<std::vector<bool>>);
static_assert(!ptq::adaptable_tensor<std::vector<int>>);
static_assert(!ptq::adaptable_tensor<std::vector<std::vector<float>>>, "not one block of memory");

static_assert(view_of_temporary<std::span<float>>);
static_assert(view_of_temporary<ptq::tensor_view<float>>);
static_assert(!view_of_temporary<std::vector<float>>);
static_assert(!view_of_temporary<const std::vector<float>>);
static_assert(!view_of_temporary<std::array<float, 3>>);

}  // namespace
