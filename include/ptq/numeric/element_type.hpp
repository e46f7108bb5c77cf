// SPDX-License-Identifier: Apache-2.0
/// @file element_type.hpp The element types that tensors may have, in memory, in files and in graphs: the one
/// run-time enum of them. Each format has a table of its own words or numbers for them.
#ifndef PTQ_NUMERIC_ELEMENT_TYPE_HPP
#define PTQ_NUMERIC_ELEMENT_TYPE_HPP

#include <cstddef>

namespace ptq::inline v0_1 {

enum class element_type : unsigned char {
  unknown,  ///< nothing tells it
  other,    ///< none of those below
  boolean,  ///< one byte, 0 or 1
  uint2,
  int2,
  uint4,
  int4,
  uint8,
  int8,
  uint16,
  int16,
  uint32,
  int32,
  uint64,
  int64,
  fp4_e2m1,
  fp6_e2m3,
  fp6_e3m2,
  fp8_e4m3fn,
  fp8_e4m3fnuz,
  fp8_e5m2,
  fp8_e5m2fnuz,
  fp8_e8m0,
  float16,
  bfloat16,
  float32,
  float64,
  complex64,
  complex128,
  string,  ///< of no fixed size
};

/// What the bits of an element mean: the type codes of DLPack, but for floats of 8 bits and fewer, which have
/// a code each there.
enum class element_kind : unsigned char { none, boolean, unsigned_integer, integer, floating, complex, text };

namespace detail {

struct element_type_row {
  const char* name;
  unsigned char bits;
  element_kind kind;
};

inline constexpr element_type_row element_types[] = {
    {"unknown", 0, element_kind::none},         {"other", 0, element_kind::none},
    {"bool", 8, element_kind::boolean},         {"uint2", 2, element_kind::unsigned_integer},
    {"int2", 2, element_kind::integer},         {"uint4", 4, element_kind::unsigned_integer},
    {"int4", 4, element_kind::integer},         {"uint8", 8, element_kind::unsigned_integer},
    {"int8", 8, element_kind::integer},         {"uint16", 16, element_kind::unsigned_integer},
    {"int16", 16, element_kind::integer},       {"uint32", 32, element_kind::unsigned_integer},
    {"int32", 32, element_kind::integer},       {"uint64", 64, element_kind::unsigned_integer},
    {"int64", 64, element_kind::integer},       {"fp4_e2m1", 4, element_kind::floating},
    {"fp6_e2m3", 6, element_kind::floating},    {"fp6_e3m2", 6, element_kind::floating},
    {"fp8_e4m3fn", 8, element_kind::floating},  {"fp8_e4m3fnuz", 8, element_kind::floating},
    {"fp8_e5m2", 8, element_kind::floating},    {"fp8_e5m2fnuz", 8, element_kind::floating},
    {"fp8_e8m0", 8, element_kind::floating},    {"float16", 16, element_kind::floating},
    {"bfloat16", 16, element_kind::floating},   {"float32", 32, element_kind::floating},
    {"float64", 64, element_kind::floating},    {"complex64", 64, element_kind::complex},
    {"complex128", 128, element_kind::complex}, {"string", 0, element_kind::text},
};

/// A value behind the last is a type of a later version of some format: as `other`.
constexpr const element_type_row& row_of(element_type type) noexcept {
  const auto place = static_cast<std::size_t>(type);
  return element_types[place < sizeof element_types / sizeof element_types[0]
                           ? place
                           : static_cast<std::size_t>(element_type::other)];
}

}  // namespace detail

/// NumPy's name, or the dtype's: "float32", "bool", "fp8_e4m3fn".
constexpr const char* name_of(element_type type) noexcept {
  return detail::row_of(type).name;
}

constexpr element_kind kind_of(element_type type) noexcept {
  return detail::row_of(type).kind;
}

/// Of one element; 0 where there is no fixed size. Fewer than 8 are packed in files.
constexpr std::size_t bits_of(element_type type) noexcept {
  return detail::row_of(type).bits;
}

/// The bytes of one element of 8 bits or more.
constexpr std::size_t size_of(element_type type) noexcept {
  return bits_of(type) / 8;
}

/// Whether elements of the type can be quantized, and calibrated with: floats of 16, 32 and 64 bits.
constexpr bool is_float(element_type type) noexcept {
  return kind_of(type) == element_kind::floating && bits_of(type) >= 16;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_NUMERIC_ELEMENT_TYPE_HPP
