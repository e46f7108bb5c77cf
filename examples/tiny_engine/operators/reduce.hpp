// SPDX-License-Identifier: Apache-2.0
/// @file reduce.hpp Softmax, LayerNormalization, ReduceMean: sums in double, from the first element to the
/// last.
#ifndef TINY_ENGINE_OPERATORS_REDUCE_HPP
#define TINY_ENGINE_OPERATORS_REDUCE_HPP

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "operator.hpp"

namespace tiny {

/// y_i = exp(x_i - max) / sum, along one axis.
inline result<tensor> softmax(const call& c) {
  if (auto floats = expect_floats(c, 1); !floats) return floats.error();
  tensor y = *c.input(0);
  const auto axis = axis_of(c.node.integer("axis", -1), y.shape.rank);
  if (!axis) return axis.error();
  const std::size_t length = y.shape[*axis];
  const std::size_t step = extent_between(y.shape, *axis + 1, y.shape.rank);
  const std::size_t outer = extent_between(y.shape, 0, *axis);
  for (std::size_t line = 0; length > 0 && line < outer * step; ++line) {
    float* const x = y.floats().data() + line / step * length * step + line % step;
    float largest = x[0];
    for (std::size_t i = 1; i < length; ++i) largest = std::max(largest, x[i * step]);
    double sum = 0;
    for (std::size_t i = 0; i < length; ++i)
      sum += static_cast<double>(x[i * step] = std::exp(x[i * step] - largest));
    for (std::size_t i = 0; i < length; ++i)
      x[i * step] = static_cast<float>(static_cast<double>(x[i * step]) / sum);
  }
  return y;
}

/// y = (x - mean) / sqrt(variance + epsilon) * weight + bias, over the axes from `axis` on.
inline result<tensor> layer_normalization(const call& c) {
  if (auto floats = expect_floats(c, c.input(2) != nullptr ? 3 : 2); !floats) return floats.error();
  tensor y = *c.input(0);
  const auto axis = axis_of(c.node.integer("axis", -1), y.shape.rank);
  if (!axis) return axis.error();
  const std::size_t length = extent_between(y.shape, *axis, y.shape.rank);
  const auto weight = c.input(1)->floats();
  const tensor* const bias = c.input(2);
  if (weight.size() != length || (bias != nullptr && bias->floats().size() != length))
    return error(errc::size_mismatch, "", "weight and bias need " + std::to_string(length) + " elements.");
  const auto epsilon = static_cast<double>(c.node.real("epsilon", 1e-5F));
  for (std::size_t first = 0; first < y.size(); first += length) {
    const auto row = y.floats().subspan(first, length);
    double sum = 0;
    for (const float x : row) sum += static_cast<double>(x);
    const double mean = sum / static_cast<double>(length);
    double squares = 0;
    for (const float x : row) squares += (static_cast<double>(x) - mean) * (static_cast<double>(x) - mean);
    const double factor = 1 / std::sqrt(squares / static_cast<double>(length) + epsilon);
    for (std::size_t i = 0; i < length; ++i)
      row[i] = static_cast<float>((static_cast<double>(row[i]) - mean) * factor) * weight[i] +
               (bias != nullptr ? bias->floats()[i] : 0.0F);
  }
  return y;
}

/// The axes are an input since opset 18, an attribute before.
inline result<tensor> reduce_mean(const call& c) {
  if (auto floats = expect_floats(c, 1); !floats) return floats.error();
  const tensor& x = *c.input(0);
  std::vector<std::int64_t> axes(c.node.integers("axes").begin(), c.node.integers("axes").end());
  if (const tensor* const given = c.input(1)) {
    const auto numbers = integers_of(*given);
    if (!numbers) return numbers.error();
    axes = *numbers;
  }
  if (axes.empty() && c.node.integer("noop_with_empty_axes", 0) != 0) return x;
  std::array<bool, ptq::max_rank> is_reduced{};
  for (const std::int64_t number : axes) {
    const auto axis = axis_of(number, x.shape.rank);
    if (!axis) return axis.error();
    is_reduced[*axis] = true;
  }
  if (axes.empty()) is_reduced.fill(true);

  const bool keeps = c.node.integer("keepdims", 1) != 0;
  shape small;       // what stays
  broadcast beside;  // walks x, and beside it the sums, whose strides are 0 along reduced axes
  beside.shape = x.shape;
  beside.strides[0] = ptq::row_major(x.shape);
  std::ptrdiff_t step = 1;
  for (std::size_t axis = x.shape.rank; axis-- > 0;) {
    beside.strides[1][axis] = is_reduced[axis] ? 0 : step;
    if (!is_reduced[axis]) step *= static_cast<std::ptrdiff_t>(x.shape[axis]);
  }
  for (std::size_t axis = 0; axis < x.shape.rank; ++axis)
    if (!is_reduced[axis] || keeps) small.extents[small.rank++] = is_reduced[axis] ? 1 : x.shape[axis];

  tensor y(small);
  std::vector<double> sums(y.size());
  for_each_pair(beside, x.shape.rank, [&](std::ptrdiff_t from, std::ptrdiff_t to) {
    sums[static_cast<std::size_t>(to)] += static_cast<double>(x.floats()[static_cast<std::size_t>(from)]);
  });
  const double count =
      static_cast<double>(x.size()) / static_cast<double>(std::max<std::size_t>(y.size(), 1));
  std::transform(sums.begin(), sums.end(), y.floats().begin(),
                 [&](double sum) { return static_cast<float>(sum / count); });
  return y;
}

}  // namespace tiny

#endif  // TINY_ENGINE_OPERATORS_REDUCE_HPP
