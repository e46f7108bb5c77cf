// SPDX-License-Identifier: Apache-2.0
/// @file types.hpp The element types of safetensors: their words and their order.
#ifndef PTQ_FORMATS_SAFETENSORS_TYPES_HPP
#define PTQ_FORMATS_SAFETENSORS_TYPES_HPP

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ptq/error.hpp"
#include "ptq/numeric/element_type.hpp"
#include "ptq/result.hpp"
#include "ptq/text/shape_text.hpp"

namespace ptq::inline v0_1 {
namespace detail {

struct safetensors_type {
  const char* word;
  element_type type;
};

/// In the format's order: files list tensors of the last ones first.
inline constexpr safetensors_type safetensors_types[] = {
    {"BOOL", element_type::boolean},
    {"F4", element_type::fp4_e2m1},
    {"F6_E2M3", element_type::fp6_e2m3},
    {"F6_E3M2", element_type::fp6_e3m2},
    {"U8", element_type::uint8},
    {"I8", element_type::int8},
    {"F8_E5M2", element_type::fp8_e5m2},
    {"F8_E4M3", element_type::fp8_e4m3fn},
    {"F8_E8M0", element_type::fp8_e8m0},
    {"F8_E4M3FNUZ", element_type::fp8_e4m3fnuz},
    {"F8_E5M2FNUZ", element_type::fp8_e5m2fnuz},
    {"I16", element_type::int16},
    {"U16", element_type::uint16},
    {"F16", element_type::float16},
    {"BF16", element_type::bfloat16},
    {"I32", element_type::int32},
    {"U32", element_type::uint32},
    {"F32", element_type::float32},
    {"C64", element_type::complex64},
    {"F64", element_type::float64},
    {"I64", element_type::int64},
    {"U64", element_type::uint64},
};

}  // namespace detail

/// The place of a type in the format's order; nothing where the format does not have it.
constexpr std::optional<std::size_t> safetensors_place(element_type type) noexcept {
  for (std::size_t i = 0; i < std::size(detail::safetensors_types); ++i)
    if (detail::safetensors_types[i].type == type) return i;
  return {};
}

/// The word of a type that the format has: "F32", "F8_E4M3".
constexpr const char* safetensors_word(element_type type) noexcept {
  const auto place = safetensors_place(type);
  return place ? detail::safetensors_types[*place].word : "";
}

/// The type of a word in a file; unknown where the format does not have it.
constexpr element_type find_safetensors_type(std::string_view word) noexcept {
  for (const detail::safetensors_type& known : detail::safetensors_types)
    if (known.word == word) return known.type;
  return element_type::unknown;
}

/// The bytes that a tensor takes.
///
/// @return validation_overflow; misaligned_slice where the last byte would not be full
inline result<std::size_t> safetensors_size(element_type type, std::span<const std::size_t> shape) {
  constexpr std::size_t most = (std::numeric_limits<std::size_t>::max)();
  const auto fail = [&](errc code, const char* text) {
    return error(code, "", "shape " + extents_text(shape) + " of " + safetensors_word(type) + text);
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

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_SAFETENSORS_TYPES_HPP
