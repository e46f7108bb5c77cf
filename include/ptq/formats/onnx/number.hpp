// SPDX-License-Identifier: Apache-2.0
/// @file number.hpp The numbers of TensorProto.DataType, and the words that messages say for them.
#ifndef PTQ_FORMATS_ONNX_NUMBER_HPP
#define PTQ_FORMATS_ONNX_NUMBER_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>

#include "ptq/numeric/element_type.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// In the order of the specification's numbers, from 0.
inline constexpr element_type onnx_types[] = {
    element_type::unknown,      element_type::float32,  element_type::uint8,
    element_type::int8,         element_type::uint16,   element_type::int16,
    element_type::int32,        element_type::int64,    element_type::string,
    element_type::boolean,      element_type::float16,  element_type::float64,
    element_type::uint32,       element_type::uint64,   element_type::complex64,
    element_type::complex128,   element_type::bfloat16, element_type::fp8_e4m3fn,
    element_type::fp8_e4m3fnuz, element_type::fp8_e5m2, element_type::fp8_e5m2fnuz,
    element_type::uint4,        element_type::int4,     element_type::fp4_e2m1,
    element_type::fp8_e8m0,     element_type::uint2,    element_type::int2};

/// Where the numbers of later versions begin among element types.
inline constexpr int later_onnx_types = 128;

}  // namespace detail

/// The type of a number in a file. Those of later versions, up to 127, keep their numbers behind all names.
constexpr element_type onnx_type(std::int64_t number) noexcept {
  const bool is_known = number >= 0 && number < static_cast<std::int64_t>(std::size(detail::onnx_types));
  if (is_known) return detail::onnx_types[number];
  const bool is_later = number >= 0 && number < detail::later_onnx_types;
  return is_later ? static_cast<element_type>(detail::later_onnx_types + number) : element_type::other;
}

/// Whether ONNX has the type.
constexpr bool has_onnx_number(element_type type) noexcept {
  return std::find(std::begin(detail::onnx_types) + 1, std::end(detail::onnx_types), type) !=
         std::end(detail::onnx_types);
}

/// The number of a type that ONNX has; 0 for all others.
constexpr std::int64_t onnx_number(element_type type) noexcept {
  if (!has_onnx_number(type)) return 0;
  return std::find(std::begin(detail::onnx_types), std::end(detail::onnx_types), type) -
         std::begin(detail::onnx_types);
}

/// What messages call a type that ONNX has; empty for those of later versions.
constexpr const char* onnx_name(element_type type) noexcept {
  if (type == element_type::unknown) return "undefined";
  if (type == element_type::boolean) return "boolean";
  return has_onnx_number(type) ? name_of(type) : "";
}

/// What messages call any type of a file: "float32", or "type 99" for one of a later version.
inline std::string onnx_word(element_type type) {
  const int place = static_cast<int>(type);
  if (place >= detail::later_onnx_types) return "type " + std::to_string(place - detail::later_onnx_types);
  const std::string name = onnx_name(type);
  return name.empty() ? "a type that ptq does not know" : name;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_NUMBER_HPP
