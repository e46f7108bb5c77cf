// SPDX-License-Identifier: Apache-2.0
/// @file row_major.hpp Elements in row-major order, however they lie in memory.
#ifndef PTQ_FORMATS_CHECKPOINT_ROW_MAJOR_HPP
#define PTQ_FORMATS_CHECKPOINT_ROW_MAJOR_HPP

#include <array>
#include <cstddef>
#include <cstring>
#include <span>

#include "ptq/numeric/element_type.hpp"
#include "ptq/tensor/any_view.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1 {

/// Copies some elements of a tensor of whole bytes, so many as `out` has room for.
///
/// @param first the row-major index of the first of them
inline void copy_row_major(const any_view& tensor, std::size_t first, std::span<std::byte> out) noexcept {
  const std::size_t size = size_of(tensor.type);
  const tensor_shape& shape = tensor.shape;
  std::array<std::size_t, max_rank> index{};
  for (std::size_t axis = shape.axes(), left = first; axis-- > 0 && left > 0; left /= shape[axis])
    index[axis] = left % shape[axis];
  std::ptrdiff_t offset = first == 0 ? 0 : offset_of(first, shape, tensor.strides);
  for (; out.size() >= size; out = out.subspan(size)) {
    std::memcpy(out.data(), tensor.at(offset), size);
    for (std::size_t axis = shape.axes(); axis-- > 0;) {
      offset += tensor.strides[axis];
      if (++index[axis] < shape[axis]) break;
      offset -= tensor.strides[axis] * static_cast<std::ptrdiff_t>(shape[axis]);
      index[axis] = 0;
    }
  }
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_CHECKPOINT_ROW_MAJOR_HPP
