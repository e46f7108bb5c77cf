// SPDX-License-Identifier: Apache-2.0
/// @file shape_text.hpp Shapes and places in tensors, as messages show them.
#ifndef PTQ_TEXT_SHAPE_TEXT_HPP
#define PTQ_TEXT_SHAPE_TEXT_HPP

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1 {

/// The extents of a shape, as a list.
inline std::vector<std::size_t> extents_of(const tensor_shape& shape) {
  return {shape.extents.begin(), shape.extents.begin() + static_cast<std::ptrdiff_t>(shape.axes())};
}

/// "[8, 1, 5, 5]": the extents of a shape, outermost first.
inline std::string extents_text(std::span<const std::size_t> extents) {
  std::string text;
  for (const std::size_t extent : extents) text += (text.empty() ? "" : ", ") + std::to_string(extent);
  return "[" + text + "]";
}
inline std::string extents_text(const tensor_shape& shape) {
  if (shape.rank > max_rank) return "of " + std::to_string(shape.rank) + " axes";
  return extents_text(std::span(shape.extents).first(shape.rank));
}

namespace detail {

/// What follows "has": a tensor that no view can show.
inline std::string too_many_axes_text(std::size_t rank) {
  return std::to_string(rank) + " axes; " + std::to_string(max_rank) + " is the most that ptq can view.";
}

/// What follows "its weight": flat memory does not have the size of its shape.
inline std::string misfit_text(std::size_t held, const tensor_shape& shape) {
  return " lies in memory of " + std::to_string(held) + " elements, but its shape " + extents_text(shape) +
         " has " + std::to_string(shape.size());
}

/// "[2, 0, 7]": the indices of a row-major position.
inline std::string index_text(std::size_t at, const tensor_shape& shape) {
  std::string text;
  for (std::size_t axis = shape.rank; axis-- > 0;) {
    text = std::to_string(at % shape[axis]) + (text.empty() ? "" : ", ") + text;
    at /= shape[axis];
  }
  return "[" + text + "]";
}

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_TEXT_SHAPE_TEXT_HPP
