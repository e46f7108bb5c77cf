// SPDX-License-Identifier: Apache-2.0
// A backend that lacks a member is told which.
//
// BAD NO_NAME: T::name
// BAD NO_MODE: T::mode
// BAD NO_ACTIVATIONS: T::activations
// BAD NO_NUMBERS: numbers
// BAD WRONG_NUMBERS: recipe
#include <array>
#include <cstdint>

#include "ptq/core.hpp"

struct powers_of_two {
#ifndef NO_NAME
  static constexpr const char* name = "powers_of_two";
#endif
#ifndef NO_MODE
  static constexpr const char* mode = "weight_only_ptq";
#endif
#ifndef NO_ACTIVATIONS
  static constexpr bool activations = false;
#endif
#ifdef WRONG_NUMBERS
  template <ptq::dtype D>
  static constexpr const char* numbers = D::name;
#elif !defined(NO_NUMBERS)
  template <ptq::dtype D>
  static constexpr ptq::recipe numbers{128.0F, 0.0F, ptq::arithmetic::divide, ptq::per_tensor()};
#endif
};

ptq::status quantize_three(std::array<float, 3>& values, std::array<std::int8_t, 3>& codes, float& scale) {
  return ptq::quantize<ptq::int8, powers_of_two>(values, codes, {&scale, 1});
}
