// SPDX-License-Identifier: Apache-2.0
/// @file fwd_user.hpp A user's header: it teaches ptq a tensor and mentions ptq's types, by their names
/// alone.
#ifndef PTQ_TESTS_TENSOR_FWD_USER_HPP
#define PTQ_TESTS_TENSOR_FWD_USER_HPP

#include "ptq/fwd.hpp"

namespace user {

struct weights {
  float values[2][3];
};

template <class Dtype, class Backend>
struct engine;
using small_engine = engine<ptq::fp8_e4m3fn, ptq::torchao>;

/// Quantizes to int8 by torchao's numbers, a scale for each row.
ptq::status quantize(const weights& from, signed char (&codes)[6], float (&scales)[2]);

}  // namespace user

template <>
struct ptq::tensor_traits<user::weights> {
  static ptq::tensor_view<const float> view(const user::weights& w) noexcept;
};

#endif  // PTQ_TESTS_TENSOR_FWD_USER_HPP
