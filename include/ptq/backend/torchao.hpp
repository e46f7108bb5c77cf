// SPDX-License-Identifier: Apache-2.0
/// @file torchao.hpp The numbers of TorchAO 0.18, weight-only.
#ifndef PTQ_BACKEND_TORCHAO_HPP
#define PTQ_BACKEND_TORCHAO_HPP

#include "ptq/backend/recipe.hpp"
#include "ptq/dtype/concept.hpp"

namespace ptq::inline v0_1 {

/// Integers: scale = max(amax / half the span of codes, 2^-23) (127.5 for int8), codes by the reciprocal of
/// the scale. Floats: scale = amax / largest finite, codes by division. One scale per output channel; of half
/// weights the scale is rounded to the weight's type.
struct torchao {
  static constexpr const char* name = "torchao";
  static constexpr const char* mode = "weight_only_ptq";
  static constexpr bool activations = false;

  template <dtype D>
  static constexpr recipe numbers =
      D::is_integer ? recipe{(D::max_finite - D::lowest) / 2, 0x1p-23F, arithmetic::multiply_by_reciprocal,
                             per_channel(), half_rounding::scale}
                    : recipe{D::max_finite, 0, arithmetic::divide, per_channel(), half_rounding::scale};
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_BACKEND_TORCHAO_HPP
