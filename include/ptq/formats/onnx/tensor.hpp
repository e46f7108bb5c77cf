// SPDX-License-Identifier: Apache-2.0
/// @file tensor.hpp A constant tensor of an ONNX file.
#ifndef PTQ_FORMATS_ONNX_TENSOR_HPP
#define PTQ_FORMATS_ONNX_TENSOR_HPP

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ptq/file/byte_order.hpp"
#include "ptq/formats/onnx/number.hpp"
#include "ptq/numeric/element_type.hpp"
#include "ptq/tensor/any_view.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1 {

/// The entries of TensorProto.external_data.
struct onnx_location {
  std::string file;  ///< relative to the model's folder
  std::uint64_t offset = 0;
  std::optional<std::uint64_t> length;  ///< nothing: up to the end of the file
};

/// TensorProto, of an initializer or of an attribute.
struct onnx_tensor {
  std::string name;
  element_type type = element_type::unknown;
  std::vector<std::size_t> dims;          ///< empty: a scalar
  std::span<const std::byte> data;        ///< row-major, little-endian, of any alignment; empty for strings
  std::optional<onnx_location> external;  ///< where the bytes lie, if not in the model's own file
  std::string_view source;  ///< the message as it stands in the file; empty for a list in an attribute

  /// The number of elements.
  std::size_t size() const noexcept {
    std::size_t product = 1;
    for (const std::size_t extent : dims) product *= extent;
    return product;
  }

  /// "float32[64, 3, 5, 5]"
  std::string type_text() const {
    std::string text = onnx_word(type) + "[";
    for (std::size_t i = 0; i < dims.size(); ++i) {
      if (i > 0) text += ", ";
      text += std::to_string(static_cast<std::int64_t>(dims[i]));
    }
    return text + "]";
  }

  /// Beyond `max_rank` dimensions the view has no type.
  any_view view() const {
    if (dims.size() > max_rank) return {};
    return {data.data(), type, tensor_shape(std::span<const std::size_t>(dims)), onnx_name(type)};
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_TENSOR_HPP
