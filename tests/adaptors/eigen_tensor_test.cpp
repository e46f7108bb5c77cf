// SPDX-License-Identifier: Apache-2.0
// Eigen's tensors of any rank.
#include "ptq/adaptors/eigen_tensor.hpp"

#include <doctest/doctest.h>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "adaptors/support.hpp"

using adaptors::runs;
using adaptors::samples;
using columns = Eigen::Tensor<float, 3>;
using rows = Eigen::Tensor<float, 3, Eigen::RowMajor>;

namespace {

const samples expected({2, 3, 4});

template <class Tensor>
void fill(Tensor& t) {
  for (Eigen::Index i = 0; i < 24; ++i)
    t(i / 12, i / 4 % 3, i % 4) = expected.values[static_cast<std::size_t>(i)];
}

}  // namespace

TEST_CASE("both layouts give the same codes, in long runs") {
  columns column_major(2, 3, 4);
  rows row_major(2, 3, 4);
  fill(column_major);
  fill(row_major);
  check_same_both_ways(expected, column_major);
  check_same_both_ways(expected, row_major);
  CHECK(adaptors::runs_of(column_major, ptq::per_tensor()) == runs{1, 1});
  CHECK(adaptors::runs_of(row_major, ptq::per_tensor()) == runs{1, 1});
  CHECK(adaptors::runs_of(row_major, ptq::per_channel(0)) == runs{2, 1});
  CHECK(adaptors::runs_of(column_major, ptq::per_channel(2)) == runs{4, 1});

  const columns& constant = column_major;
  check_same(expected, constant);
  static_assert(std::same_as<decltype(ptq::view_of(constant)), ptq::tensor_view<const float>>);
}

TEST_CASE("fixed sizes and maps are tensors too") {
  Eigen::TensorFixedSize<float, Eigen::Sizes<2, 3, 4>, Eigen::RowMajor> fixed;
  fill(fixed);
  check_same_both_ways(expected, fixed);

  std::vector<float> memory(24);
  Eigen::TensorMap<columns> map(memory.data(), 2, 3, 4);
  fill(map);
  check_same_both_ways(expected, map);
  check_same(expected, Eigen::TensorMap<const columns>(memory.data(), 2, 3, 4));
}

TEST_CASE("slices, shuffles and reversals give the same codes once they are evaluated") {
  using axes = std::array<Eigen::Index, 3>;
  columns big(4, 5, 8);
  big.setZero();
  columns small(2, 3, 4);
  fill(small);
  big.slice(axes{1, 1, 2}, axes{2, 3, 4}) = small;
  const columns sliced = big.slice(axes{1, 1, 2}, axes{2, 3, 4});
  check_same(expected, sliced);

  const columns shuffled = small.shuffle(axes{2, 0, 1});
  const columns back = shuffled.shuffle(axes{1, 2, 0});
  check_same(expected, back);

  const std::array<bool, 3> every{true, true, true};
  const columns reversed = small.reverse(every);
  const columns again = reversed.reverse(every);
  check_same(expected, again);
}

TEST_CASE("a tensor of rank 0 is one element") {
  Eigen::Tensor<float, 0> scalar;
  scalar() = 2.0F;
  CHECK(ptq::view_of(scalar).shape == ptq::tensor_shape{});
  std::int8_t code = 0;
  float scale = 0;
  REQUIRE(ptq::quantize<ptq::int8, ptq::modelopt>(scalar, {&code, 1}, {&scale, 1}, ptq::per_tensor()));
  CHECK(code == 127);
}

namespace {

template <class T> concept view_of_temporary = requires(T (&make)()) { ptq::view_of(make()); };

using sum = decltype(std::declval<columns&>() + std::declval<columns&>());
using slice = decltype(std::declval<columns&>().slice(std::array<int, 3>{}, std::array<int, 3>{}));
static_assert(!ptq::adaptable_tensor<sum>);
static_assert(!ptq::adaptable_tensor<slice>);
static_assert(!ptq::adaptable_tensor<Eigen::Tensor<int, 2>>);
static_assert(view_of_temporary<Eigen::TensorMap<columns>>);
static_assert(!view_of_temporary<columns>);

}  // namespace
