// SPDX-License-Identifier: Apache-2.0
/// @file modelopt.hpp The numbers that ModelOpt 0.47 packs and exports, static.
#ifndef PTQ_BACKEND_MODELOPT_HPP
#define PTQ_BACKEND_MODELOPT_HPP

#include "ptq/backend/recipe.hpp"
#include "ptq/dtype/concept.hpp"

namespace ptq::inline v0_1 {

/// scale = amax / largest finite, codes by division (as ONNX QuantizeLinear computes too). Integer weights
/// have one scale per output channel, floating ones one per tensor; of half tensors scale and quotient are
/// rounded to their type.
struct modelopt {
  static constexpr const char* name = "modelopt";
  static constexpr const char* other_names[] = {"modelopt.pytorch", "modelopt.onnx"};
  static constexpr const char* mode = "static_ptq";
  static constexpr bool activations = true;

  template <dtype D>
  static constexpr recipe numbers =
      recipe{D::max_finite, 0, arithmetic::divide, D::is_integer ? per_channel() : per_tensor(),
             half_rounding::scale_and_quotient};
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_BACKEND_MODELOPT_HPP
