// SPDX-License-Identifier: Apache-2.0
// Eigen's matrices and arrays, and everything that shows a part of one.
#include "ptq/adaptors/eigen.hpp"

#include <doctest/doctest.h>

#include <Eigen/Core>
#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <utility>
#include <vector>

#include "adaptors/support.hpp"

using adaptors::runs;
using adaptors::samples;
using row_major_matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

namespace {

const samples expected({4, 6});

/// Fills anything with (row, column) access.
template <class Matrix>
void fill(Matrix&& m) {
  for (Eigen::Index i = 0; i < m.rows(); ++i)
    for (Eigen::Index j = 0; j < m.cols(); ++j)
      m(i, j) = expected.values[static_cast<std::size_t>(i * 6 + j)];
}

template <class Matrix>
Matrix filled() {
  Matrix m(4, 6);
  fill(m);
  return m;
}

}  // namespace

TEST_CASE("both storage orders give the same codes") {
  auto columns = filled<Eigen::MatrixXf>();
  auto rows = filled<row_major_matrix>();
  auto array = filled<Eigen::ArrayXXf>();
  auto fixed = filled<Eigen::Matrix<float, 4, 6>>();
  auto fixed_rows = filled<Eigen::Array<float, 4, 6, Eigen::RowMajor>>();
  check_same_both_ways(expected, columns);
  check_same_both_ways(expected, rows);
  check_same_both_ways(expected, array);
  check_same_both_ways(expected, fixed);
  check_same_both_ways(expected, fixed_rows);

  SUBCASE("and are walked in long runs") {
    CHECK(adaptors::runs_of(columns, ptq::per_tensor()) == runs{1, 1});
    CHECK(adaptors::runs_of(rows, ptq::per_tensor()) == runs{1, 1});
    CHECK(adaptors::runs_of(rows, ptq::per_channel(0)) == runs{4, 1});
    CHECK(adaptors::runs_of(columns, ptq::per_channel(0)) == runs{6, 1});  // a scale for each element
  }
  SUBCASE("const matrices stay const") {
    const Eigen::MatrixXf& constant = columns;
    check_same(expected, constant);
    static_assert(std::same_as<decltype(ptq::view_of(constant)), ptq::tensor_view<const float>>);
    static_assert(std::same_as<decltype(ptq::view_of(columns)), ptq::tensor_view<float>>);
  }
}

TEST_CASE("transposes give the codes of what they show") {
  Eigen::MatrixXf other(6, 4);
  fill(other.transpose());
  check_same_both_ways(expected, other.transpose());
  check_same(expected, other.transpose().eval());
  CHECK(adaptors::runs_of(other.transpose(), ptq::per_tensor()) == runs{1, 1});
}

TEST_CASE("a block of whole columns is one run, any other block one a column") {
  Eigen::MatrixXf big = Eigen::MatrixXf::Zero(10, 12);
  fill(big.block(3, 2, 4, 6));
  check_same_both_ways(expected, big.block(3, 2, 4, 6));
  check_same(expected, big.block<4, 6>(3, 2));
  CHECK(adaptors::runs_of(big.block(3, 2, 4, 6), ptq::per_tensor()) == runs{6, 1});
  CHECK(adaptors::runs_of(big.middleCols(2, 6), ptq::per_tensor()) == runs{1, 1});

  const Eigen::MatrixXf& constant = big;
  check_same(expected, constant.block(3, 2, 4, 6));
  static_assert(
      std::same_as<decltype(ptq::view_of(constant.block(3, 2, 4, 6))), ptq::tensor_view<const float>>);
}

TEST_CASE("maps take inner and outer strides of either order, negative ones too") {
  using any_stride = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;
  std::vector<float> memory(200);
  SUBCASE("column-major, every third element") {
    Eigen::Map<Eigen::MatrixXf, 0, any_stride> map(memory.data(), 4, 6, any_stride(20, 3));
    fill(map);
    check_same_both_ways(expected, map);
    CHECK(adaptors::runs_of(map, ptq::per_tensor()) == runs{6, 3});
  }
  SUBCASE("row-major, every second element") {
    Eigen::Map<row_major_matrix, 0, any_stride> map(memory.data(), 4, 6, any_stride(20, 2));
    fill(map);
    check_same_both_ways(expected, map);
    CHECK(adaptors::runs_of(map, ptq::per_tensor()) == runs{4, 2});
  }
  SUBCASE("reversed along both axes") {
    Eigen::Map<Eigen::MatrixXf, 0, any_stride> map(&memory[199], 4, 6, any_stride(-20, -1));
    fill(map);
    check_same_both_ways(expected, map);
  }
  SUBCASE("const memory") {
    fill(Eigen::Map<Eigen::MatrixXf>(memory.data(), 4, 6));
    check_same(expected, Eigen::Map<const Eigen::MatrixXf>(memory.data(), 4, 6));
  }
}

TEST_CASE("references to matrices are tensors too") {
  auto matrix = filled<Eigen::MatrixXf>();
  auto rows = filled<row_major_matrix>();
  Eigen::Ref<Eigen::MatrixXf> reference(matrix);
  Eigen::Ref<const Eigen::MatrixXf> copy(rows);  // another order, so it holds a copy
  check_same_both_ways(expected, reference);
  check_same(expected, copy);
  check_same_both_ways(expected, matrix.array());
}

TEST_CASE("vectors, rows, columns and diagonals have rank 2") {
  auto matrix = filled<Eigen::MatrixXf>();
  const Eigen::VectorXf vector = matrix.col(1);
  CHECK(ptq::view_of(vector).shape == ptq::tensor_shape{4, 1});
  CHECK(ptq::view_of(matrix.row(2)).shape == ptq::tensor_shape{1, 6});
  CHECK(ptq::view_of(matrix.diagonal()).shape == ptq::tensor_shape{4, 1});

  samples row({1, 6});
  std::copy_n(expected.values.begin() + 12, 6, row.values.begin());
  check_same(row, matrix.row(2));
  samples diagonal({4, 1});
  for (std::size_t i = 0; i < 4; ++i) diagonal.values[i] = expected.values[i * 7];
  check_same(diagonal, matrix.diagonal());
}

TEST_CASE("double is rounded to float first; Eigen's half types are element types") {
  const Eigen::MatrixXd doubles = filled<Eigen::MatrixXf>().cast<double>();
  const Eigen::Matrix<Eigen::half, Eigen::Dynamic, Eigen::Dynamic> halves = doubles.cast<Eigen::half>();
  const Eigen::Matrix<Eigen::bfloat16, Eigen::Dynamic, Eigen::Dynamic> brains =
      doubles.cast<float>().cast<Eigen::bfloat16>();
  check_codes<ptq::int8, ptq::torchao>(expected, doubles, ptq::per_channel(0));

  const auto check_halves = [](const auto& matrix, auto own) {
    using half_type = decltype(own);
    std::vector<half_type> plain(24);
    for (std::size_t i = 0; i < 24; ++i) plain[i] = half_type::from_float(expected.values[i]);
    const ptq::tensor_view<const half_type> view(plain.data(), {4, 6});
    const auto wanted = adaptors::quantize_row_major<ptq::int8, ptq::torchao>(view, ptq::per_channel(0));
    const auto got = adaptors::quantize_row_major<ptq::int8, ptq::torchao>(matrix, ptq::per_channel(0));
    CHECK(got.codes == wanted.codes);
    CHECK(got.scales == wanted.scales);
  };
  check_halves(halves, ptq::half{});
  check_halves(brains, ptq::bfloat16{});
}

namespace {

template <class T> concept view_of_temporary = requires(T (&make)()) { ptq::view_of(make()); };

using sum = decltype(std::declval<Eigen::MatrixXf&>() + std::declval<Eigen::MatrixXf&>());
using product = decltype(std::declval<Eigen::MatrixXf&>() * std::declval<Eigen::MatrixXf&>());
using reversed = decltype(std::declval<Eigen::MatrixXf&>().colwise().reverse());
using indexed = decltype(std::declval<Eigen::MatrixXf&>()(Eigen::seq(0, 2), Eigen::seq(0, 4, 2)));
using transposed_sum = decltype(std::declval<sum&>().transpose());

static_assert(!ptq::adaptable_tensor<sum>);
static_assert(!ptq::adaptable_tensor<product>);
static_assert(!ptq::adaptable_tensor<reversed>);
static_assert(!ptq::adaptable_tensor<indexed>);
static_assert(!ptq::adaptable_tensor<transposed_sum>);
static_assert(!ptq::adaptable_tensor<Eigen::MatrixXi>);

static_assert(view_of_temporary<Eigen::Map<Eigen::MatrixXf>>);
static_assert(view_of_temporary<Eigen::Block<Eigen::MatrixXf>>);
static_assert(view_of_temporary<Eigen::Ref<Eigen::MatrixXf>>);
static_assert(!view_of_temporary<Eigen::MatrixXf>);
static_assert(!view_of_temporary<Eigen::ArrayXf>);
static_assert(!view_of_temporary<Eigen::Ref<const Eigen::MatrixXf>>, "it may hold a copy");

}  // namespace

TEST_CASE("codes and scales go to matrices that lie in memory as the source does") {
  using by_columns = Eigen::Matrix<std::int8_t, Eigen::Dynamic, Eigen::Dynamic>;
  using by_rows = Eigen::Matrix<std::int8_t, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const Eigen::MatrixXf source = Eigen::MatrixXf::Random(3, 4);
  by_columns codes(3, 4);
  Eigen::VectorXf scales(3);
  REQUIRE(ptq::quantize<ptq::int8, ptq::modelopt>(source, codes, scales));
  for (Eigen::Index row = 0; row < 3; ++row) {
    Eigen::Index largest = 0;
    CHECK(scales[row] == source.row(row).cwiseAbs().maxCoeff(&largest) / 127.0F);
    CHECK(std::abs(codes(row, largest)) == 127);
    for (Eigen::Index column = 0; column < 4; ++column)
      CHECK((codes(row, column) < 0) == (source(row, column) < 0));
  }
  Eigen::MatrixXf values(3, 4);
  REQUIRE(ptq::dequantize<ptq::int8>(codes, scales, ptq::per_channel(0), values));
  CHECK((values - source).cwiseAbs().maxCoeff() < 0.01F);

  by_rows turned(3, 4);
  CHECK(ptq::quantize<ptq::int8, ptq::modelopt>(source, turned, scales).code == ptq::errc::unsupported);
  CHECK(ptq::dequantize<ptq::int8>(turned, scales, ptq::per_channel(0), values).code ==
        ptq::errc::unsupported);
  std::vector<std::int8_t> flat(12);
  Eigen::MatrixXf more_scales(3, 2);
  REQUIRE(ptq::quantize<ptq::int8, ptq::modelopt>(source, Eigen::Map<by_columns>(flat.data(), 3, 4),
                                                  more_scales.col(1)));
  CHECK(std::equal(flat.begin(), flat.end(), codes.data()));
  CHECK(more_scales.col(1) == scales);
}
