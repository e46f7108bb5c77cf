// SPDX-License-Identifier: Apache-2.0
/// @file shape.hpp Flatten, Reshape, Transpose: the elements stay what they are.
#ifndef TINY_ENGINE_OPERATORS_SHAPE_HPP
#define TINY_ENGINE_OPERATORS_SHAPE_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "operator.hpp"
#include "ptq/text/shape_text.hpp"

namespace tiny {

inline result<tensor> flatten(const call& c) {
  tensor y = *c.input(0);
  const auto rank = static_cast<std::int64_t>(y.shape.rank);
  std::int64_t axis = c.node.integer("axis", 1);
  if (axis < 0) axis += rank;
  if (axis < 0 || axis > rank)
    return error(errc::axis_out_of_range, "", "there is no axis " + std::to_string(axis) + ".");
  const std::size_t outer = extent_between(y.shape, 0, static_cast<std::size_t>(axis));
  y.shape = {outer, extent_between(y.shape, static_cast<std::size_t>(axis), y.shape.rank)};
  return y;
}

inline result<tensor> reshape(const call& c) {
  tensor y = *c.input(0);
  if (c.input(1) == nullptr) return unsupported("the new shape is missing.");
  const auto wanted = integers_of(*c.input(1));
  if (!wanted) return wanted.error();
  if (wanted->size() > ptq::max_rank) return unsupported("the new shape has more than 8 axes.");
  const bool keeps_zero = c.node.integer("allowzero", 0) != 0;
  shape made;
  std::size_t known = 1;
  std::size_t open = ptq::max_rank;
  for (const std::int64_t extent : *wanted) {
    const std::size_t axis = made.rank++;
    if (extent == -1) {
      open = axis;
      continue;
    }
    if (extent < -1) return error(errc::invalid_value, "", "a new extent is " + std::to_string(extent) + ".");
    const bool is_copied = extent == 0 && !keeps_zero && axis < y.shape.rank;
    made.extents[axis] = is_copied ? y.shape[axis] : static_cast<std::size_t>(extent);
    if (__builtin_mul_overflow(known, made[axis], &known))
      return error(errc::size_mismatch, "", "the new shape has more elements than can be counted.");
  }
  if (open < ptq::max_rank) made.extents[open] = known == 0 ? 0 : y.size() / known;
  if (made.size() != y.size())
    return error(errc::size_mismatch, "",
                 std::to_string(y.size()) + " elements do not make " + ptq::extents_text(made) + ".");
  y.shape = made;
  return y;
}

inline result<tensor> transpose(const call& c) {
  const tensor& x = *c.input(0);
  const auto perm = c.node.integers("perm");
  const std::size_t rank = x.shape.rank;
  if (!perm.empty() && perm.size() != rank) return unsupported("perm has not one entry for each axis.");
  const auto from = ptq::row_major(x.shape);
  broadcast moved;  // its first strides are those of x, in the new order
  moved.shape.rank = rank;
  std::array<bool, ptq::max_rank> seen{};
  for (std::size_t i = 0; i < rank; ++i) {
    const auto axis = axis_of(perm.empty() ? static_cast<std::int64_t>(rank - 1 - i) : perm[i], rank);
    if (!axis) return axis.error();
    if (std::exchange(seen[*axis], true)) return unsupported("perm names an axis twice.");
    moved.shape.extents[i] = x.shape[*axis];
    moved.strides[0][i] = from[*axis];
  }
  tensor y(x.type, moved.shape);
  const std::size_t width = ptq::bits_of(x.type) / 8;
  moved.strides[1] = ptq::row_major(y.shape);
  if (y.bytes.empty()) return y;  // there is no address to count from
  std::byte* out = y.bytes.data();
  for_each_run(moved, [&](std::ptrdiff_t at, std::ptrdiff_t, std::ptrdiff_t step, std::ptrdiff_t,
                          std::ptrdiff_t count) {
    const std::byte* const in = x.bytes.data() + static_cast<std::size_t>(at) * width;
    const std::size_t stride = static_cast<std::size_t>(step) * width;
    const auto elements = static_cast<std::size_t>(count);
    if (step == 1)
      std::memcpy(out, in, elements * width);
    else if (width == sizeof(float))
      for (std::size_t k = 0; k < elements; ++k)
        std::memcpy(out + k * sizeof(float), in + k * stride, sizeof(float));
    else
      for (std::size_t k = 0; k < elements; ++k) std::memcpy(out + k * width, in + k * stride, width);
    out += elements * width;
  });
  return y;
}

}  // namespace tiny

#endif  // TINY_ENGINE_OPERATORS_SHAPE_HPP
