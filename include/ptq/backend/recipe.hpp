// SPDX-License-Identifier: Apache-2.0
/// @file recipe.hpp The numbers by which a backend quantizes a dtype. A backend is data; kernels never know
/// its name.
#ifndef PTQ_BACKEND_RECIPE_HPP
#define PTQ_BACKEND_RECIPE_HPP

#include <cstddef>

namespace ptq::inline v0_1 {

/// How many elements share a scale: the whole tensor, or each index of one axis.
struct granularity {
  enum class kind_type : unsigned char { per_tensor, per_channel };

  kind_type kind = kind_type::per_tensor;
  std::size_t axis = 0;  ///< meaningful per channel only

  constexpr bool is_per_channel() const noexcept { return kind == kind_type::per_channel; }
  friend constexpr bool operator==(const granularity&, const granularity&) = default;
};

constexpr granularity per_tensor() noexcept {
  return {};
}

constexpr granularity per_channel(std::size_t axis = 0) noexcept {
  return {granularity::kind_type::per_channel, axis};
}

/// How a value becomes a quotient before it is rounded to a code.
enum class arithmetic : unsigned char {
  divide,                  ///< value / scale
  multiply_by_reciprocal,  ///< value * (1 / scale)
};

/// What is rounded to the source's element type when that is a half or a bfloat16.
enum class half_rounding : unsigned char {
  nothing,             ///< float32 throughout
  scale,               ///< the scale
  scale_and_quotient,  ///< the scale, and each quotient before it is rounded to a code
};

/// scale = max(amax / divisor, floor), in float32 with one rounding an operation; code = encode(value
/// (arithmetic) scale). A scale that comes out as 0 becomes 1, and the codes are 0. With divisor 0 nothing is
/// scaled: the scale is always 1.
struct recipe {
  float divisor = 0;
  float floor = 0;
  arithmetic how = arithmetic::divide;
  granularity weights;  ///< the default for weights
  half_rounding halves = half_rounding::nothing;

  friend constexpr bool operator==(const recipe&, const recipe&) = default;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_BACKEND_RECIPE_HPP
