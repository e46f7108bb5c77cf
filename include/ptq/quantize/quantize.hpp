// SPDX-License-Identifier: Apache-2.0
/// @file quantize.hpp Tensors to codes and scales, into the caller's memory.
#ifndef PTQ_QUANTIZE_QUANTIZE_HPP
#define PTQ_QUANTIZE_QUANTIZE_HPP

#include <cstddef>
#include <span>

#include "ptq/backend/concept.hpp"
#include "ptq/backend/recipe.hpp"
#include "ptq/detail/platform.hpp"
#include "ptq/error.hpp"
#include "ptq/kernels/executor.hpp"
#include "ptq/quantize/scales.hpp"
#include "ptq/quantize/slices.hpp"
#include "ptq/tensor/contiguous.hpp"
#include "ptq/tensor/traits.hpp"

namespace ptq::inline v0_1 {
inline namespace PTQ_BUILD {

/// Quantizes a tensor by a backend's numbers.
///
/// @param tensor any adaptable tensor of float32, float64 (rounded to float32 first), float16 or bfloat16
/// @param codes  as many as the tensor has elements; written in the source's memory order (`dense_strides`),
///               to any contiguous memory: a span, an array, a vector, a matrix with an adaptor
/// @param scales 1 per tensor, or one per index of the axis; value = code * scale
/// @param grain  how many elements share a scale; the backend's default for weights if not given
/// @param run    who computes: `serial`, `threads`, or a callable of yours; the answer is the same
/// @return wrong_rank, with a rank above `max_rank`; axis_out_of_range, with the axis; size_mismatch, with
///         the length wanted; unsupported, where a matrix for codes has another order than the source (one
///         is row-major, one column-major); not_finite, with the row-major index of the first NaN or infinity
///         (codes and scales are then unspecified)
template <dtype D, backend B, adaptable_tensor Tensor, executor Executor = serial>
constexpr status quantize(const Tensor& tensor, contiguous<typename D::storage> codes,
                          contiguous<float> scales, granularity grain = recipe_of<D, B>.weights,
                          const Executor& run = {}) {
  const auto view = view_of(tensor);
  using value_type = typename decltype(view)::value_type;
  if (!codes.lies_as(view.shape, view.strides)) return {errc::unsupported, 0};
  if (const status sizes = detail::check_sizes(view.shape, grain, scales.size(), codes.size()); !sizes)
    return sizes;
  return detail::quantize_slices(walk(view.shape, view.strides, grain),
                                 detail::quantization_of<D, B, value_type>(view, codes.data()), scales, run);
}

/// The scale that a backend gives a dtype for values up to amax (finite, not negative).
template <dtype D, backend B>
constexpr float scale_for(const float& amax) noexcept {
  return detail::scale_of<float>(amax, recipe_of<D, B>);
}

/// Quantizes a tensor by scales found before, as for calibrated activations. Values beyond the range
/// saturate; NaN becomes the dtype's code for it.
///
/// @return wrong_rank, axis_out_of_range, size_mismatch or unsupported, as `quantize`
template <dtype D, backend B, adaptable_tensor Tensor, executor Executor = serial>
constexpr status quantize_by(const Tensor& tensor, contiguous<const float> scales,
                             contiguous<typename D::storage> codes, granularity grain = per_tensor(),
                             const Executor& run = {}) {
  const auto view = view_of(tensor);
  using value_type = typename decltype(view)::value_type;
  if (const status sizes = detail::check_sizes(view.shape, grain, scales.size(), codes.size()); !sizes)
    return sizes;
  if (!codes.lies_as(view.shape, view.strides)) return {errc::unsupported, 0};
  detail::encode_slices(walk(view.shape, view.strides, grain),
                        detail::quantization_of<D, B, value_type>(view, codes.data()), scales, run);
  return {};
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_QUANTIZE_QUANTIZE_HPP
