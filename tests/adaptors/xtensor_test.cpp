// SPDX-License-Identifier: Apache-2.0
// xtensor's containers, adaptors and strided views.
#include "ptq/adaptors/xtensor.hpp"

#include <doctest/doctest.h>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>
#include <xtensor/xadapt.hpp>
#include <xtensor/xarray.hpp>
#include <xtensor/xfixed.hpp>
#include <xtensor/xmanipulation.hpp>
#include <xtensor/xnoalias.hpp>
#include <xtensor/xstrided_view.hpp>
#include <xtensor/xtensor.hpp>
#include <xtensor/xview.hpp>

#include "adaptors/support.hpp"

using adaptors::runs;
using adaptors::samples;
using xt::placeholders::_;

namespace {

const samples expected({2, 3, 4});

template <class Tensor>
Tensor filled(Tensor t) {
  for (std::size_t i = 0; i < 24; ++i) t(i / 12, i / 4 % 3, i % 4) = expected.values[i];
  return t;
}

xt::xarray<float> array() {
  return filled(xt::xarray<float>(xt::xarray<float>::shape_type{2, 3, 4}));
}

}  // namespace

TEST_CASE("containers of any kind and layout give the same codes") {
  auto dynamic = array();
  auto rows = filled(xt::xtensor<float, 3>({2, 3, 4}));
  auto columns = filled(xt::xtensor<float, 3, xt::layout_type::column_major>({2, 3, 4}));
  auto fixed = filled(xt::xtensor_fixed<float, xt::xshape<2, 3, 4>>());
  check_same_both_ways(expected, dynamic);
  check_same_both_ways(expected, rows);
  check_same_both_ways(expected, columns);
  check_same_both_ways(expected, fixed);
  CHECK(adaptors::runs_of(dynamic, ptq::per_tensor()) == runs{1, 1});
  CHECK(adaptors::runs_of(columns, ptq::per_tensor()) == runs{1, 1});
  CHECK(adaptors::runs_of(rows, ptq::per_channel(0)) == runs{2, 1});
  CHECK(adaptors::runs_of(columns, ptq::per_channel(2)) == runs{4, 1});

  const auto& constant = dynamic;
  check_same(expected, constant);
  static_assert(std::same_as<decltype(ptq::view_of(constant)), ptq::tensor_view<const float>>);
}

TEST_CASE("adapted memory is a tensor without a copy") {
  std::vector<float> memory = expected.values;
  const std::array<std::size_t, 3> shape{2, 3, 4};
  auto adapted = xt::adapt(memory, shape);
  check_same_both_ways(expected, adapted);
  CHECK(ptq::view_of(adapted).data == memory.data());
  auto pointer = xt::adapt(memory.data(), memory.size(), xt::no_ownership(), shape);
  check_same_both_ways(expected, pointer);
}

TEST_CASE("slices, steps and reversed ranges give the codes of what they show") {
  xt::xarray<float> big = xt::zeros<float>({4, 6, 12});
  auto slice = xt::view(big, xt::range(1, 3), xt::range(2, 5), xt::range(3, 11, 2));
  xt::noalias(slice) = array();
  check_same_both_ways(expected, slice);
  CHECK(adaptors::runs_of(slice, ptq::per_tensor()) == runs{6, 2});

  auto strided = xt::strided_view(big, {xt::range(1, 3), xt::range(2, 5), xt::range(3, 11, 2)});
  check_same_both_ways(expected, strided);

  auto memory = array();
  const auto whole = array();
  auto reversed = xt::view(memory, xt::range(_, _, -1), xt::all(), xt::range(_, _, -1));
  xt::noalias(reversed) = whole;
  check_same_both_ways(expected, reversed);
  CHECK(adaptors::runs_of(reversed, ptq::per_tensor()).stride == -1);

  auto flipped = xt::flip(memory, 1);
  xt::noalias(flipped) = whole;
  check_same_both_ways(expected, flipped);

  auto inner = xt::view(big, xt::range(0, 3), xt::all(), xt::all());
  auto outer = xt::view(inner, xt::range(1, 3), xt::range(2, 5), xt::range(3, 11, 2));
  check_same_both_ways(expected, outer);
}

TEST_CASE("transposes, new axes and fixed indices give the codes of what they show") {
  xt::xarray<float> other(xt::xarray<float>::shape_type{4, 2, 3});
  auto transposed = xt::transpose(other, {1, 2, 0});
  xt::noalias(transposed) = array();
  check_same_both_ways(expected, transposed);
  CHECK(adaptors::runs_of(transposed, ptq::per_tensor()) == runs{1, 1});

  auto memory = array();
  samples with_axis({2, 1, 3, 4});
  with_axis.values = expected.values;
  check_same_both_ways(with_axis, xt::view(memory, xt::all(), xt::newaxis(), xt::all(), xt::all()));

  samples plane({2, 4});
  for (std::size_t i = 0; i < 8; ++i) plane.values[i] = expected.values[i / 4 * 12 + 4 + i % 4];
  check_same_both_ways(plane, xt::view(memory, xt::all(), 1, xt::all()));
}

TEST_CASE("more axes than a view can have are told, by their number") {
  const xt::xarray<float> nine = xt::ones<float>({1, 1, 1, 1, 1, 1, 1, 1, 2});
  std::vector<std::int8_t> codes(2);
  float scale = 0;
  CHECK(ptq::quantize<ptq::int8, ptq::torchao>(nine, codes, {&scale, 1}, ptq::per_tensor()) ==
        ptq::status{ptq::errc::wrong_rank, 9});
}

namespace {

template <class T> concept view_of_temporary = requires(T (&make)()) { ptq::view_of(make()); };

using tensor = xt::xtensor<float, 2>;
using sum = decltype(std::declval<tensor&>() + std::declval<tensor&>());
using broadcast = decltype(xt::broadcast(std::declval<tensor&>(), {2, 3, 4}));
using picked = decltype(xt::view(std::declval<tensor&>(), xt::keep(0, 2), xt::all()));
using part = decltype(xt::view(std::declval<tensor&>(), xt::all(), 1));
using owning_part = decltype(xt::view(std::declval<tensor>(), xt::all(), 1));

static_assert(!ptq::adaptable_tensor<sum>);
static_assert(!ptq::adaptable_tensor<broadcast>);
static_assert(!ptq::adaptable_tensor<picked>);
static_assert(!ptq::adaptable_tensor<xt::xarray<int>>);

static_assert(view_of_temporary<part>);
static_assert(view_of_temporary<decltype(xt::view(std::declval<part>(), 1))>);
static_assert(view_of_temporary<decltype(xt::transpose(std::declval<tensor&>()))>);
static_assert(!view_of_temporary<owning_part>);
static_assert(!view_of_temporary<decltype(xt::view(std::declval<owning_part>(), 1))>);
static_assert(!view_of_temporary<tensor>);

}  // namespace

TEST_CASE("codes and scales go to tensors that lie in memory as the source does") {
  const auto check = []<xt::layout_type Order>(std::integral_constant<xt::layout_type, Order>) {
    xt::xtensor<float, 2, Order> source{{1, -2, 3}, {4, 5, -6}};
    auto codes = xt::xtensor<std::int8_t, 2, Order>::from_shape({2, 3});
    auto scales = xt::xtensor<float, 1>::from_shape({2});
    REQUIRE(ptq::quantize<ptq::int8, ptq::modelopt>(source, codes, scales));
    CHECK(codes(0, 2) == 127);
    CHECK(codes(1, 0) == 85);
    CHECK(codes(1, 2) == -127);
    auto values = xt::xtensor<float, 2, Order>::from_shape({2, 3});
    REQUIRE(ptq::dequantize<ptq::int8>(codes, scales, ptq::per_channel(0), values));
    CHECK(values(1, 2) == -6.0F);
    constexpr auto other =
        Order == xt::layout_type::row_major ? xt::layout_type::column_major : xt::layout_type::row_major;
    auto turned = xt::xtensor<std::int8_t, 2, other>::from_shape({2, 3});
    CHECK(ptq::quantize<ptq::int8, ptq::modelopt>(source, turned, scales).code == ptq::errc::unsupported);
  };
  check(std::integral_constant<xt::layout_type, xt::layout_type::row_major>{});
  check(std::integral_constant<xt::layout_type, xt::layout_type::column_major>{});
}

static_assert(ptq::contiguous_memory<xt::xarray<std::int8_t>&, std::int8_t>);
static_assert(!ptq::contiguous_memory<xt::xtensor<std::int8_t, 2, xt::layout_type::dynamic>&, std::int8_t>);
