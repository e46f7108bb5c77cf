// SPDX-License-Identifier: Apache-2.0
// An own element type whose traits lack a member is told which.
//
// BAD NO_TRAITS: element_traits
// BAD NO_TYPE: element_traits<T>::type
// BAD NO_TO_FLOAT: element_traits<T>::to_float
// BAD NO_FROM_FLOAT: element_traits<T>::from_float
// BAD OTHER_SIZE: size_of
#include <array>
#include <cstdint>

#include "ptq/core.hpp"

struct my_half {
#ifdef OTHER_SIZE
  std::uint32_t bits = 0;
#else
  std::uint16_t bits = 0;
#endif
};

#ifndef NO_TRAITS
template <>
struct ptq::element_traits<my_half> {
#ifndef NO_TYPE
  static constexpr element_type type = element_type::float16;
#endif
#ifndef NO_TO_FLOAT
  static float to_float(my_half) { return 0; }
#endif
#ifndef NO_FROM_FLOAT
  static my_half from_float(float) { return {}; }
#endif
};
#endif

static_assert(ptq::element<my_half>);
