// SPDX-License-Identifier: Apache-2.0
/// @file stored_tensor.hpp A tensor as a checkpoint stores it: a name, an element type, a shape and bytes.
#ifndef PTQ_FORMATS_CHECKPOINT_STORED_TENSOR_HPP
#define PTQ_FORMATS_CHECKPOINT_STORED_TENSOR_HPP

#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ptq/file/byte_order.hpp"
#include "ptq/numeric/element_type.hpp"
#include "ptq/tensor/any_view.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1 {

/// Non-owning, little-endian. `shape` may be longer than `max_rank`: such a tensor is opaque, and row-major.
struct stored_tensor {
  std::string name;
  element_type type = element_type::unknown;
  const char* type_name = "";  ///< as the format calls it
  std::vector<std::size_t> shape;
  std::span<const std::byte> data;  ///< from its first element to its last
  /// In elements, where it is not row-major or has gaps.
  std::optional<tensor_strides> strides{};

  /// Of its elements alone, as a row-major file has them.
  std::size_t bytes() const noexcept {
    return strides ? tensor_shape(std::span(shape)).size() * size_of(type) : data.size();
  }

  /// For matching and quantizing. It has neither type, shape nor data where the rank is above `max_rank`.
  /// Files need not align their data: read it by `visit` (any_view.hpp), which takes care of that.
  any_view view() const noexcept {
    if (shape.size() > max_rank) return {};
    any_view seen(data.data(), type, tensor_shape(std::span(shape)), type_name);
    if (strides) seen.strides = *strides;
    return seen;
  }
};

/// What a checkpoint says about itself: free text by key.
using metadata_map = std::map<std::string, std::string>;

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_CHECKPOINT_STORED_TENSOR_HPP
