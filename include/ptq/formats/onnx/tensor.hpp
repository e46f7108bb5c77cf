// SPDX-License-Identifier: Apache-2.0
/// @file tensor.hpp ONNX element types, and a constant tensor of an ONNX file.
#ifndef PTQ_FORMATS_ONNX_TENSOR_HPP
#define PTQ_FORMATS_ONNX_TENSOR_HPP

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ptq/file/byte_order.hpp"
#include "ptq/model/any_view.hpp"
#include "ptq/tensor/element.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1 {

/// TensorProto.DataType: the specification's numbers. Others that a file holds are kept as they are.
enum class onnx_type : std::int32_t {
  undefined = 0,
  float32 = 1,
  uint8 = 2,
  int8 = 3,
  uint16 = 4,
  int16 = 5,
  int32 = 6,
  int64 = 7,
  string = 8,
  boolean = 9,
  float16 = 10,
  float64 = 11,
  uint32 = 12,
  uint64 = 13,
  complex64 = 14,
  complex128 = 15,
  bfloat16 = 16,
  fp8_e4m3fn = 17,
  fp8_e4m3fnuz = 18,
  fp8_e5m2 = 19,
  fp8_e5m2fnuz = 20,
  uint4 = 21,
  int4 = 22,
  fp4_e2m1 = 23,
  fp8_e8m0 = 24,
  uint2 = 25,
  int2 = 26,
};

/// The bits of one element; 0 where there is no fixed size (strings) or it is not known.
constexpr std::size_t bits_of(onnx_type type) noexcept {
  switch (type) {
    case onnx_type::int2:
    case onnx_type::uint2:
      return 2;
    case onnx_type::int4:
    case onnx_type::uint4:
    case onnx_type::fp4_e2m1:
      return 4;
    case onnx_type::uint8:
    case onnx_type::int8:
    case onnx_type::boolean:
    case onnx_type::fp8_e4m3fn:
    case onnx_type::fp8_e4m3fnuz:
    case onnx_type::fp8_e5m2:
    case onnx_type::fp8_e5m2fnuz:
    case onnx_type::fp8_e8m0:
      return 8;
    case onnx_type::uint16:
    case onnx_type::int16:
    case onnx_type::float16:
    case onnx_type::bfloat16:
      return 16;
    case onnx_type::float32:
    case onnx_type::int32:
    case onnx_type::uint32:
      return 32;
    case onnx_type::float64:
    case onnx_type::int64:
    case onnx_type::uint64:
    case onnx_type::complex64:
      return 64;
    case onnx_type::complex128:
      return 128;
    case onnx_type::undefined:
    case onnx_type::string:
      break;
  }
  return 0;
}

namespace detail {

/// Empty for numbers that are no type yet.
constexpr std::string_view word_of(onnx_type type) noexcept {
  constexpr const char* names[] = {
      "undefined", "float32",    "uint8",    "int8",       "uint16",       "int16",    "int32",
      "int64",     "string",     "boolean",  "float16",    "float64",      "uint32",   "uint64",
      "complex64", "complex128", "bfloat16", "fp8_e4m3fn", "fp8_e4m3fnuz", "fp8_e5m2", "fp8_e5m2fnuz",
      "uint4",     "int4",       "fp4_e2m1", "fp8_e8m0",   "uint2",        "int2"};
  const auto number = static_cast<std::int32_t>(type);
  if (number < 0 || static_cast<std::size_t>(number) >= std::size(names)) return {};
  return names[number];
}

}  // namespace detail

inline std::string name_of(onnx_type type) {
  const std::string_view word = detail::word_of(type);
  return word.empty() ? "type " + std::to_string(static_cast<std::int32_t>(type)) : std::string(word);
}

/// Nothing for types that are not floats we can quantize.
constexpr std::optional<element_type> element_of(onnx_type type) noexcept {
  switch (type) {
    case onnx_type::float32:
      return element_type::float32;
    case onnx_type::float64:
      return element_type::float64;
    case onnx_type::float16:
      return element_type::float16;
    case onnx_type::bfloat16:
      return element_type::bfloat16;
    default:
      return std::nullopt;
  }
}

/// The entries of TensorProto.external_data.
struct onnx_location {
  std::string file;  ///< relative to the model's folder
  std::uint64_t offset = 0;
  std::optional<std::uint64_t> length;  ///< nothing: up to the end of the file
};

/// TensorProto, of an initializer or of an attribute.
struct onnx_tensor {
  std::string name;
  onnx_type type = onnx_type::undefined;
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
    std::string text = name_of(type) + "[";
    for (std::size_t i = 0; i < dims.size(); ++i) {
      if (i > 0) text += ", ";
      text += std::to_string(static_cast<std::int64_t>(dims[i]));
    }
    return text + "]";
  }

  /// Beyond `max_rank` dimensions the view has no type.
  any_view view() const {
    if (dims.size() > max_rank) return {};
    return {data.data(), element_of(type), tensor_shape(std::span<const std::size_t>(dims)),
            detail::word_of(type)};
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_TENSOR_HPP
