// SPDX-License-Identifier: Apache-2.0
/// @file fp8_e5m2.hpp 8-bit floats with 5 exponent and 2 mantissa bits: infinities and NaN as in IEEE
/// formats.
#ifndef PTQ_DTYPE_FP8_E5M2_HPP
#define PTQ_DTYPE_FP8_E5M2_HPP

#include <cstdint>

#include "ptq/detail/strict_float.hpp"
#include "ptq/dtype/stored_type.hpp"
#include "ptq/numeric/element_type.hpp"
#include "ptq/numeric/minifloat.hpp"

namespace ptq::inline v0_1 {

/// Source: OCP 8-bit Floating Point Specification 1.0, E5M2.
struct fp8_e5m2 {
  static constexpr const char* name = "fp8_e5m2";
  using codec = minifloat<minifloat_format{5, 2, true}>;
  using storage = codec::storage;
  static constexpr bool is_integer = false;
  static constexpr float max_finite = 57344.0F;
  static constexpr float lowest = -max_finite;

  static constexpr storage encode(const float& value) noexcept {
    return codec::encode<saturate>(detail::bits_of(value));
  }
  static constexpr float decode(storage code) noexcept { return detail::float_of(codec::decode(code)); }
};

template <>
inline constexpr element_type stored_type_of<fp8_e5m2> = element_type::fp8_e5m2;

}  // namespace ptq::inline v0_1

#endif  // PTQ_DTYPE_FP8_E5M2_HPP
