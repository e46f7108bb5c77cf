// SPDX-License-Identifier: Apache-2.0
/// @file fwd.hpp The names of the core's types, for headers that only mention them: one that specialises
/// `tensor_traits<T>`, names a dtype, or declares a function that returns a `status`.
#ifndef PTQ_FWD_HPP
#define PTQ_FWD_HPP

namespace ptq::inline v0_1 {

enum class errc : unsigned char;
struct status;

// tensors
struct tensor_shape;
template <class T>
struct tensor_view;
template <class T>
struct tensor_traits;
template <class T>
struct element_traits;

// policies
struct builtin;
struct int8;
struct fp8_e4m3fn;
struct fp8_e5m2;
struct native;
struct minmax;
struct entropy;
struct percentile;
struct mse;
struct torchao;
struct modelopt;
struct granularity;
struct recipe;

// fixed point
struct multiplier_shift;
struct power_of_two;
struct single_rounding;
struct double_rounding;
struct half_even;
struct half_away;
struct half_up;

}  // namespace ptq::inline v0_1

#endif  // PTQ_FWD_HPP
