// SPDX-License-Identifier: Apache-2.0
/// @file stored_tensor.hpp A tensor as a checkpoint stores it: a name, an element type, a shape and bytes.
#ifndef PTQ_FORMATS_CHECKPOINT_STORED_TENSOR_HPP
#define PTQ_FORMATS_CHECKPOINT_STORED_TENSOR_HPP

#include <cstddef>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/file/byte_order.hpp"
#include "ptq/model/any_view.hpp"
#include "ptq/result.hpp"
#include "ptq/tensor/element.hpp"
#include "ptq/tensor/view.hpp"
#include "ptq/text/shape_text.hpp"

namespace ptq::inline v0_1 {

/// The element types of safetensors, in its order: files list tensors of the last ones first.
enum class stored_type : unsigned char {
  boolean,
  f4,
  f6_e2m3,
  f6_e3m2,
  u8,
  i8,
  f8_e5m2,
  f8_e4m3,
  f8_e8m0,
  f8_e4m3fnuz,
  f8_e5m2fnuz,
  i16,
  u16,
  f16,
  bf16,
  i32,
  u32,
  f32,
  c64,
  f64,
  i64,
  u64,
};

namespace detail {

struct stored_type_row {
  std::string_view word;
  std::size_t bits;
};

inline constexpr stored_type_row stored_types[] = {
    {"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"U8", 8},          {"I8", 8},
    {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
    {"U16", 16},    {"F16", 16},    {"BF16", 16},   {"I32", 32},        {"U32", 32},        {"F32", 32},
    {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64}};

}  // namespace detail

/// The word in files: "F32", "F8_E4M3".
constexpr std::string_view name_of(stored_type type) noexcept {
  return detail::stored_types[static_cast<std::size_t>(type)].word;
}

/// Of one element. Types of 4 and 6 bits are packed.
constexpr std::size_t bits_of(stored_type type) noexcept {
  return detail::stored_types[static_cast<std::size_t>(type)].bits;
}

constexpr std::optional<stored_type> find_stored_type(std::string_view word) noexcept {
  for (std::size_t i = 0; i < std::size(detail::stored_types); ++i)
    if (detail::stored_types[i].word == word) return static_cast<stored_type>(i);
  return {};
}

/// The type to compute with, if elements of the stored one can be quantized.
constexpr std::optional<element_type> element_type_of(stored_type type) noexcept {
  switch (type) {
    case stored_type::f32:
      return element_type::float32;
    case stored_type::f64:
      return element_type::float64;
    case stored_type::f16:
      return element_type::float16;
    case stored_type::bf16:
      return element_type::bfloat16;
    default:
      return {};
  }
}

/// The bytes that a tensor takes.
///
/// @return validation_overflow; misaligned_slice where the last byte would not be full
inline result<std::size_t> stored_size_of(stored_type type, std::span<const std::size_t> shape) {
  constexpr std::size_t most = (std::numeric_limits<std::size_t>::max)();
  const auto fail = [&](errc code, const char* text) {
    return error(code, "", "shape " + extents_text(shape) + " of " + std::string(name_of(type)) + text);
  };
  const auto overflow = [&] {
    return fail(errc::validation_overflow, " takes more bytes than can be counted.");
  };
  std::size_t elements = 1;
  for (const std::size_t extent : shape) {
    if (extent != 0 && elements > most / extent) return overflow();
    elements *= extent;
  }
  if (elements > most / bits_of(type)) return overflow();
  const std::size_t bits = elements * bits_of(type);
  if (bits % 8 != 0) return fail(errc::misaligned_slice, " does not fill its last byte.");
  return bits / 8;
}

/// Non-owning, row-major, little-endian. `shape` may be longer than `max_rank`: such a tensor is opaque.
struct stored_tensor {
  std::string name;
  stored_type type = stored_type::f32;
  std::vector<std::size_t> shape;
  std::span<const std::byte> data;

  /// For matching and quantizing. It has no element type where the elements are not floats, and neither shape
  /// nor data where the rank is above `max_rank`. Files need not align their data: read it by `visit`
  /// (any_view.hpp), which takes care of that.
  any_view view() const noexcept {
    if (shape.size() > max_rank) return {};
    return {data.data(), element_type_of(type), tensor_shape(std::span(shape)), name_of(type)};
  }
};

/// What a checkpoint says about itself: free text by key.
using metadata_map = std::map<std::string, std::string>;

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_CHECKPOINT_STORED_TENSOR_HPP
