// SPDX-License-Identifier: Apache-2.0
// Tensors as panels: what merges, how they are cut, and how codes lie.
#include "ptq/tensor/panels.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <initializer_list>
#include <vector>

#include "support/layouts.hpp"

using ptq::dense_strides;
using ptq::per_channel;
using ptq::per_tensor;
using ptq::row_major;
using ptq::tensor_shape;
using ptq::tensor_strides;
using ptq::walk;

namespace {

/// The number of runs, found by walking.
std::size_t runs_of(const walk& path) {
  std::size_t count = 0;
  for (const ptq::panel& p : ptq::panels(path)) count += p.rows;
  return count;
}

/// Where each code comes from, and its channel.
struct visits {
  std::vector<std::ptrdiff_t> source;
  std::vector<std::size_t> channels;

  explicit visits(std::size_t size) : source(size, -1), channels(size) {}

  void add(const ptq::panel& p) {
    for (std::size_t r = 0; r < p.rows; ++r)
      for (std::size_t c = 0; c < p.columns; ++c) {
        const std::size_t code = p.code_row(r) + c;
        CHECK(source[code] == -1);
        source[code] = p.row(r) + static_cast<std::ptrdiff_t>(c) * p.step;
        channels[code] = p.scale_of(r, c);
      }
  }
};

/// What a walk must do, whatever it merges and however it is cut: visit each element once, with its channel
/// and its place among the codes.
void check_visits(const tensor_shape& shape, const tensor_strides& strides, ptq::granularity grain,
                  std::size_t slice, ptq::cut where, std::size_t tile) {
  const walk path(shape, strides, grain);
  const tensor_strides dense = dense_strides(shape, strides);
  visits seen(shape.size());
  const ptq::slices parts(path, slice, where);
  const bool shares_scales = where == ptq::cut::anywhere || !grain.is_per_channel();
  std::size_t channels = 0;
  for (std::size_t i = 0; i < parts.count(); ++i) {
    const walk part = parts[i];
    if (!shares_scales) CHECK(part.first_channel == channels);
    channels += part.channels();
    for (const ptq::panel& p : ptq::panels(part))
      for (const ptq::panel& t : ptq::tiles(p, tile)) {
        CHECK(t.rows * t.columns <= tile);
        seen.add(t);
      }
  }
  if (!shares_scales && path.channels() > 1) CHECK(channels == path.channels());
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const auto code = static_cast<std::size_t>(test::place_of(i, shape, dense));
    CHECK(seen.source[code] == test::place_of(i, shape, strides));
    tensor_strides only_channel{};
    if (grain.is_per_channel()) only_channel[grain.axis] = 1;
    CHECK(seen.channels[code] == static_cast<std::size_t>(test::place_of(i, shape, only_channel)));
  }
}

void check_visits(const tensor_shape& shape, const tensor_strides& strides, ptq::granularity grain) {
  for (const std::size_t slice : {1u, 7u, 1000u})
    for (const std::size_t tile : {1u, 4u, 1000u})
      for (const ptq::cut where : {ptq::cut::anywhere, ptq::cut::between_scales})
        check_visits(shape, strides, grain, slice, where, tile);
}

constexpr tensor_shape shape{4, 3, 5};
constexpr tensor_strides column_major{1, 4, 12};
static_assert(ptq::column_major(shape) == column_major);
static_assert(row_major(shape) == tensor_strides{15, 5, 1});

}  // namespace

TEST_CASE("contiguous tensors are one run") {
  const walk rows(shape, row_major(shape), per_tensor());
  CHECK(rows.rank == 1);
  CHECK(rows.run().extent == 60);
  CHECK(rows.run().stride == 1);

  const walk columns(shape, column_major, per_tensor());
  CHECK(columns.rank == 1);
  CHECK(columns.run().extent == 60);
  CHECK(columns.run().stride == 1);

  const walk backwards(shape, {-15, -5, -1}, per_tensor());
  CHECK(backwards.rank == 1);
  CHECK(backwards.run().stride == -1);
}

TEST_CASE("the channel axis is kept apart") {
  const walk outer(shape, row_major(shape), per_channel(0));
  CHECK(runs_of(outer) == 4);
  CHECK(outer.run().extent == 15);
  CHECK(!outer.run().is_channel);

  const walk middle(shape, row_major(shape), per_channel(1));
  CHECK(runs_of(middle) == 12);
  CHECK(middle.run().extent == 5);

  const walk inner(shape, row_major(shape), per_channel(2));
  CHECK(runs_of(inner) == 12);
  CHECK(inner.run().extent == 5);
  CHECK(inner.run().is_channel);

  const walk columns(shape, column_major, per_channel(0));
  CHECK(runs_of(columns) == 15);
  CHECK(columns.run().is_channel);
}

TEST_CASE("padding ends a run, unless it is at the end of every row alike") {
  CHECK(runs_of(walk({4, 5}, {8, 1}, per_tensor())) == 4);
  CHECK(runs_of(walk({4, 5}, {10, 2}, per_tensor())) == 1);
  CHECK(walk({4, 5}, {10, 2}, per_tensor()).run().stride == 2);
  CHECK(runs_of(walk({2, 4, 5}, {32, 8, 1}, per_tensor())) == 8);
}

TEST_CASE("each element is visited once") {
  const std::vector<float> elements(shape.size());
  for (const auto& laid : test::all_layouts(elements, shape, 0.0F)) {
    CAPTURE(laid.name);
    check_visits(shape, laid.strides, per_tensor());
    for (const std::size_t axis : {0u, 1u, 2u}) check_visits(shape, laid.strides, per_channel(axis));
  }
  check_visits({3, 4}, {0, 1}, per_channel(0));  // one row broadcast
  check_visits({2, 1, 3}, {1, 100, 2}, per_channel(2));
  check_visits({7}, {3}, per_channel(0));
  check_visits({2, 2, 2, 2, 2, 2, 2, 2}, {1, 2, 4, 8, 16, 32, 64, 128}, per_channel(4));
  check_visits({3, 1200}, {1200, 1}, per_channel(1));  // long enough for a run to be cut
  check_visits({1500}, {2}, per_tensor());
}

TEST_CASE("scalars are one element, empty tensors none") {
  const walk scalar(tensor_shape{}, {}, per_tensor());
  CHECK(runs_of(scalar) == 1);
  CHECK(scalar.run().extent == 1);
  CHECK(runs_of(walk({1, 1, 1}, {5, 7, 9}, per_channel(1))) == 1);
  for (const tensor_shape& empty :
       {tensor_shape{0}, tensor_shape{3, 0}, tensor_shape{0, 3}, tensor_shape{2, 0, 2}})
    CHECK(runs_of(walk(empty, row_major(empty), per_tensor())) == 0);
}

TEST_CASE("codes lie as the source does, without its gaps") {
  CHECK(dense_strides(shape, row_major(shape)) == row_major(shape));
  CHECK(dense_strides(shape, column_major) == column_major);
  CHECK(dense_strides({4, 5}, {8, 1}) == row_major({4, 5}));
  CHECK(dense_strides({4, 5}, {-5, -1}) == row_major({4, 5}));
  CHECK(dense_strides({4, 5}, {2, 16}) == tensor_strides{1, 4});
  // An axis of extent 1 may have any stride; it must not keep the others apart.
  CHECK(dense_strides({2, 1, 3}, {1, 2, 2}) == tensor_strides{1, 3, 2});
  CHECK(dense_strides({2, 1, 3}, {1, 1000, 2}) == tensor_strides{1, 3, 2});
  CHECK(dense_strides({2, 1, 3}, {3, 0, 1}) == row_major({2, 1, 3}));
}

static_assert(walk({64, 3, 3, 3}, row_major({64, 3, 3, 3}), per_channel(0)).rank == 2);
static_assert(dense_strides({4, 5}, {1, 4}) == tensor_strides{1, 4});
