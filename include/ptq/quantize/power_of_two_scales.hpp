// SPDX-License-Identifier: Apache-2.0
/// @file power_of_two_scales.hpp Scales of tensors that are powers of two, for targets that shift instead of
/// multiplying.
#ifndef PTQ_QUANTIZE_POWER_OF_TWO_SCALES_HPP
#define PTQ_QUANTIZE_POWER_OF_TWO_SCALES_HPP

#include <span>

#include "ptq/backend/recipe.hpp"
#include "ptq/detail/platform.hpp"
#include "ptq/error.hpp"
#include "ptq/fixed_point/power_of_two.hpp"
#include "ptq/quantize/scales.hpp"
#include "ptq/tensor/contiguous.hpp"
#include "ptq/tensor/traits.hpp"
#include "ptq/tensor/walk.hpp"

namespace ptq::inline v0_1 {
inline namespace PTQ_BUILD {

/// Finds the scales by which int8 codes of a tensor are made without a value saturating: for each the
/// smallest power of two (`power_of_two::covering`). Codes come from `quantize_by`, whose numbers are then
/// the same under every backend; `power_of_two::of` tells a scale's exponent.
///
/// @param scales 1 per tensor, or one per index of the axis
/// @return wrong_rank, axis_out_of_range or size_mismatch, as `quantize`; not_finite, with the row-major
///         index of the first NaN or infinity (scales are then unspecified)
template <adaptable_tensor Tensor>
constexpr status power_of_two_scales(const Tensor& tensor, contiguous<float> scales,
                                     granularity grain = per_channel()) {
  const auto view = view_of(tensor);
  using value_type = typename decltype(view)::value_type;
  if (const status sizes = detail::check_sizes(view.shape, grain, scales.size(), view.size()); !sizes)
    return sizes;
  const std::span<float> found = scales;
  for (float& scale : found) scale = 0;
  detail::find_amax<value_type>(view, walk(view.shape, view.strides, grain), found);
  if (!detail::are_finite(found)) return {errc::not_finite, detail::find_not_finite<value_type>(view)};
  for (float& scale : found) scale = power_of_two::covering(scale).value();
  return {};
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_QUANTIZE_POWER_OF_TWO_SCALES_HPP
