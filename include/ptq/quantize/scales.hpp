// SPDX-License-Identifier: Apache-2.0
/// @file scales.hpp How many scales a tensor has, what they are, and what refuses to be quantized.
#ifndef PTQ_QUANTIZE_SCALES_HPP
#define PTQ_QUANTIZE_SCALES_HPP

#include <cstddef>
#include <span>

#include "ptq/backend/recipe.hpp"
#include "ptq/detail/platform.hpp"
#include "ptq/detail/strict_float.hpp"
#include "ptq/error.hpp"
#include "ptq/kernels/panel_kernels.hpp"
#include "ptq/tensor/element.hpp"
#include "ptq/tensor/panels.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1 {

/// The number of scales that a tensor of this shape has: 1 per tensor, else the extent of the axis (0 if it
/// has none).
constexpr std::size_t scale_count(const tensor_shape& shape, granularity grain) noexcept {
  if (!grain.is_per_channel()) return 1;
  return grain.axis < shape.axes() ? shape[grain.axis] : 0;
}

namespace detail {
inline namespace PTQ_BUILD {

/// Whether the tensor can be viewed, the axis exists, and the buffers have the lengths that the shape asks
/// for.
constexpr status check_sizes(const tensor_shape& shape, granularity grain, std::size_t scales,
                             std::size_t codes) noexcept {
  if (shape.rank > max_rank) return {errc::wrong_rank, shape.rank};
  if (grain.is_per_channel() && grain.axis >= shape.rank) return {errc::axis_out_of_range, grain.axis};
  if (const std::size_t wanted = scale_count(shape, grain); scales != wanted)
    return {errc::size_mismatch, wanted};
  if (codes != shape.size()) return {errc::size_mismatch, shape.size()};
  return {};
}

/// Raises the largest magnitudes, one a scale, to those of a tensor (NaN or infinity where it holds one).
template <element T>
constexpr void find_amax(tensor_view<const T> source, const walk& path, std::span<float> amax) noexcept {
  for (const panel& p : panels(path)) kernels::amax_of<T>(source.data, p, amax.data());
}

/// The row-major index of the first NaN or infinity.
template <element T>
constexpr std::size_t find_not_finite(tensor_view<const T> source) noexcept {
  const std::size_t size = source.size();
  for (std::size_t at = 0; at < size; ++at) {
    const T& value = source.data[offset_of(at, source.shape, source.strides)];
    if (!is_finite(bits_of(element_traits<T>::to_float(value)))) return at;
  }
  return size;
}

constexpr bool are_finite(std::span<const float> amax) noexcept {
  return is_finite(kernels::amax_run<float>(amax.data(), amax.size(), 0));
}

/// The scale to decode by: 1 instead of infinity.
constexpr float decoding_scale_of(const float& scale) noexcept {
  return bits_of(scale) == infinity_bits ? float_of(one_bits) : scale;
}
constexpr void make_decoding_scales(std::span<float> scales) noexcept {
  for (float& scale : scales) scale = decoding_scale_of(scale);
}

template <element T>
constexpr float scale_of(const float& amax, const recipe& numbers) noexcept {
  return decoding_scale_of(kernels::encoding_scale_of<T>(amax, numbers));
}

}  // namespace PTQ_BUILD
}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_QUANTIZE_SCALES_HPP
