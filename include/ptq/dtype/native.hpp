// SPDX-License-Identifier: Apache-2.0
/// @file native.hpp The dtype that leaves a tensor as it is.
#ifndef PTQ_DTYPE_NATIVE_HPP
#define PTQ_DTYPE_NATIVE_HPP

#include <limits>

namespace ptq::inline v0_1 {

/// In a specification: the layer keeps its original precision. As a policy class: codes are the values
/// themselves and every scale is 1.
struct native {
  static constexpr const char* name = "native";
  using storage = float;
  static constexpr bool is_integer = false;
  static constexpr float max_finite = (std::numeric_limits<float>::max)();
  static constexpr float lowest = std::numeric_limits<float>::lowest();

  static constexpr storage encode(float value) noexcept { return value; }
  static constexpr float decode(storage code) noexcept { return code; }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_DTYPE_NATIVE_HPP
