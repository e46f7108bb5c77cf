// SPDX-License-Identifier: Apache-2.0
/// @file fp8_e4m3fn.hpp 8-bit floats with 4 exponent and 3 mantissa bits: no infinities, and NaN only where
/// all bits are set.
#ifndef PTQ_DTYPE_FP8_E4M3FN_HPP
#define PTQ_DTYPE_FP8_E4M3FN_HPP

#include <cstdint>

#include "ptq/detail/strict_float.hpp"
#include "ptq/dtype/stored_type.hpp"
#include "ptq/numeric/element_type.hpp"
#include "ptq/numeric/minifloat.hpp"

namespace ptq::inline v0_1 {

/// Source: OCP 8-bit Floating Point Specification 1.0, E4M3.
struct fp8_e4m3fn {
  static constexpr const char* name = "fp8_e4m3fn";
  using codec = minifloat<minifloat_format{4, 3, false}>;
  using storage = codec::storage;
  static constexpr bool is_integer = false;
  static constexpr float max_finite = 448.0F;
  static constexpr float lowest = -max_finite;

  static constexpr storage encode(const float& value) noexcept {
    return codec::encode<saturate>(detail::bits_of(value));
  }
  static constexpr float decode(storage code) noexcept { return detail::float_of(codec::decode(code)); }
};

template <>
inline constexpr element_type stored_type_of<fp8_e4m3fn> = element_type::fp8_e4m3fn;

}  // namespace ptq::inline v0_1

#endif  // PTQ_DTYPE_FP8_E4M3FN_HPP
