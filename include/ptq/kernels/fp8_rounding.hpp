// SPDX-License-Identifier: Apache-2.0
/// @file fp8_rounding.hpp How sets round floats to the formats of 8 bits: one kernel for both, by these
/// numbers.
///
/// A magnitude plus a power of two so large that the sum has only the format's bits below it is rounded by
/// the addition. Below the smallest normal number the power stays the same.
#ifndef PTQ_KERNELS_FP8_ROUNDING_HPP
#define PTQ_KERNELS_FP8_ROUNDING_HPP

#include <cstdint>

#include "ptq/dtype/concept.hpp"

namespace ptq::inline v0_1 {
namespace kernels {

struct fp8_rounding {
  float limit;                 ///< the largest number
  std::uint32_t first_normal;  ///< the smallest normal number, as float bits
  std::uint32_t drop;          ///< mantissa bits that a float has beyond the format's
  /// The power of two, by that of the magnitude. It makes the low 7 bits of the sum, plus its exponent, the
  /// code; whole powers, as ties look at the last bit.
  float up;
  std::uint8_t nan_code;
};

template <dtype D>
constexpr fp8_rounding make_fp8_rounding() noexcept {
  constexpr int mantissa_bits = D::codec::mantissa_bits;
  constexpr int drop = 23 - mantissa_bits;
  constexpr std::uint32_t first_normal_field = 129u - (1u << (6 - mantissa_bits));
  constexpr std::uint32_t offset = (0u - ((first_normal_field + drop) << mantissa_bits)) & 0x7fu;
  return {D::max_finite, first_normal_field << 23, drop,
          static_cast<float>((1u << drop) + (offset >> mantissa_bits)), D::codec::nan_code};
}

template <dtype D>
inline constexpr fp8_rounding fp8_rounding_of = make_fp8_rounding<D>();

}  // namespace kernels
}  // namespace ptq::inline v0_1

#endif  // PTQ_KERNELS_FP8_ROUNDING_HPP
