// SPDX-License-Identifier: Apache-2.0
/// @file layouts.hpp The same tensor in every memory layout a view can describe.
#ifndef PTQ_TESTS_SUPPORT_LAYOUTS_HPP
#define PTQ_TESTS_SUPPORT_LAYOUTS_HPP

#include <cstddef>
#include <string>
#include <vector>

#include "ptq/tensor/view.hpp"

namespace test {

/// Where the element with a row-major index lies, in elements from the one whose indices are all 0.
inline std::ptrdiff_t place_of(std::size_t index, const ptq::tensor_shape& shape,
                               const ptq::tensor_strides& strides) {
  std::ptrdiff_t offset = 0;
  for (std::size_t axis = shape.rank; axis-- > 0;) {
    offset += static_cast<std::ptrdiff_t>(index % shape[axis]) * strides[axis];
    index /= shape[axis];
  }
  return offset;
}

/// Elements in memory of their own, gaps filled with `gap`.
template <class T>
struct laid_out {
  std::string name;
  ptq::tensor_shape shape;
  ptq::tensor_strides strides{};
  std::vector<T> memory;
  std::ptrdiff_t first = 0;

  ptq::tensor_view<T> view() { return {memory.data() + first, shape, strides}; }

  std::vector<T> row_major() const {
    std::vector<T> elements;
    for (std::size_t i = 0; i < shape.size(); ++i)
      elements.push_back(memory[static_cast<std::size_t>(first + place_of(i, shape, strides))]);
    return elements;
  }
};

/// Lays row-major elements out with `order` from the outermost axis to the innermost, `padding` unused
/// elements after each innermost run, and the axes of `reversed` running backwards.
template <class T>
laid_out<T> lay_out(const std::string& name, const std::vector<T>& elements, const ptq::tensor_shape& shape,
                    const std::vector<std::size_t>& order, std::ptrdiff_t padding,
                    const std::vector<std::size_t>& reversed, T gap) {
  laid_out<T> laid{name, shape, {}, {}, 0};
  std::ptrdiff_t step = padding > 0 ? 2 : 1;  // padded runs are not contiguous either
  std::ptrdiff_t size = 1;
  for (std::size_t k = order.size(); k-- > 0;) {
    laid.strides[order[k]] = step;
    step = step * static_cast<std::ptrdiff_t>(shape[order[k]]) + padding;
    size = step;
  }
  for (const std::size_t axis : reversed) {
    laid.first += laid.strides[axis] * (static_cast<std::ptrdiff_t>(shape[axis]) - 1);
    laid.strides[axis] = -laid.strides[axis];
  }
  laid.memory.assign(static_cast<std::size_t>(size), gap);
  for (std::size_t i = 0; i < elements.size(); ++i)
    laid.memory[static_cast<std::size_t>(laid.first + place_of(i, shape, laid.strides))] = elements[i];
  return laid;
}

/// A tensor of rank 3 in row-major and eight other layouts.
template <class T>
std::vector<laid_out<T>> all_layouts(const std::vector<T>& elements, const ptq::tensor_shape& shape, T gap) {
  return {lay_out<T>("row-major", elements, shape, {0, 1, 2}, 0, {}, gap),
          lay_out<T>("column-major", elements, shape, {2, 1, 0}, 0, {}, gap),
          lay_out<T>("channels last", elements, shape, {1, 2, 0}, 0, {}, gap),
          lay_out<T>("permuted", elements, shape, {1, 0, 2}, 0, {}, gap),
          lay_out<T>("padded", elements, shape, {0, 1, 2}, 3, {}, gap),
          lay_out<T>("padded, column-major", elements, shape, {2, 1, 0}, 1, {}, gap),
          lay_out<T>("last axis backwards", elements, shape, {0, 1, 2}, 0, {2}, gap),
          lay_out<T>("all axes backwards", elements, shape, {0, 1, 2}, 0, {0, 1, 2}, gap),
          lay_out<T>("permuted, padded, backwards", elements, shape, {2, 0, 1}, 2, {0, 1}, gap)};
}

/// Codes from the memory order that `quantize` writes them in to row-major.
template <class Code>
std::vector<Code> to_row_major(const std::vector<Code>& codes, const ptq::tensor_shape& shape,
                               const ptq::tensor_strides& dense) {
  std::vector<Code> sorted;
  for (std::size_t i = 0; i < codes.size(); ++i)
    sorted.push_back(codes[static_cast<std::size_t>(place_of(i, shape, dense))]);
  return sorted;
}

}  // namespace test

#endif  // PTQ_TESTS_SUPPORT_LAYOUTS_HPP
