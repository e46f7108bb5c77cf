// SPDX-License-Identifier: Apache-2.0
/// @file fake_quantize.hpp Quantize and dequantize in one go, in place: what a quantized tensor will look
/// like as floats.
#ifndef PTQ_QUANTIZE_FAKE_QUANTIZE_HPP
#define PTQ_QUANTIZE_FAKE_QUANTIZE_HPP

#include <cstddef>
#include <span>

#include "ptq/backend/concept.hpp"
#include "ptq/detail/platform.hpp"
#include "ptq/error.hpp"
#include "ptq/quantize/blocks.hpp"
#include "ptq/quantize/dequantize.hpp"
#include "ptq/quantize/quantize.hpp"
#include "ptq/tensor/contiguous.hpp"
#include "ptq/tensor/traits.hpp"

namespace ptq::inline v0_1 {
namespace detail {
inline namespace PTQ_BUILD {

/// Replaces each value by that of its code, a few at a time. The scales are those to encode by.
template <dtype D, recipe Numbers, element T>
constexpr void fake_quantize_view(tensor_view<T> target, const walk& path, std::span<const float> scales) {
  const std::size_t length = path.run().extent;
  path.for_each_run([&](std::ptrdiff_t offset, std::size_t, std::size_t channel) {
    for (std::size_t first = 0; first < length; first += block_size) {
      const std::size_t n = length - first < block_size ? length - first : block_size;
      const bool each = path.channel_is_innermost();
      const std::ptrdiff_t begin = offset + static_cast<std::ptrdiff_t>(first) * path.run().stride;
      const tensor_view<T> block(target.data + begin, {n}, {path.run().stride});
      const std::span<const float> own = each ? scales.subspan(first, n) : scales.subspan(channel, 1);
      const walk straight(block.shape, block.strides, each ? per_channel(0) : per_tensor());
      typename D::storage codes[block_size] = {};
      encode_tensor<T>(block, straight, Numbers, own, typed_encoder<D, Numbers.how>{codes});
      float decoding[block_size] = {};
      for (std::size_t i = 0; i < own.size(); ++i) decoding[i] = decoding_scale_of(own[i]);
      decode_tensor<T>(block, straight, {static_cast<const float*>(decoding), own.size()},
                       typed_decoder<D>{codes});
    }
  });
}

}  // namespace PTQ_BUILD
}  // namespace detail

inline namespace PTQ_BUILD {

/// Replaces each value by the nearest one that the dtype has under the backend's numbers, with scales from
/// the tensor itself: exactly dequantize(quantize(tensor)).
///
/// @param scales receives the scales: 1 per tensor, or one per index of the axis
/// @return as `quantize`; the tensor is untouched then
template <dtype D, backend B, adaptable_tensor Tensor>
constexpr status fake_quantize(Tensor&& tensor, contiguous<float> scales,
                               granularity grain = recipe_of<D, B>.weights) {
  constexpr recipe numbers = recipe_of<D, B>;
  const auto view = view_of(tensor);
  using value_type = typename decltype(view)::value_type;
  if (const status sizes = detail::check_sizes(view.shape, grain, scales.size(), view.size()); !sizes)
    return sizes;
  const walk path(view.shape, view.strides, grain);
  if (const status found = detail::find_scales<value_type>(view, path, numbers, scales); !found) return found;
  detail::fake_quantize_view<D, numbers, value_type>(view, path, std::span<float>(scales));
  detail::make_decoding_scales(scales);
  return {};
}

/// The same with one scale for the whole tensor, from an amax found by calibration. Values beyond it
/// saturate. The tensor has at most `max_rank` axes.
template <dtype D, backend B, adaptable_tensor Tensor>
constexpr void fake_quantize(Tensor&& tensor, const float& amax) {
  const auto view = view_of(tensor);
  PTQ_ASSERT(view.rank() <= max_rank);
  const float scale = scale_for<D, B>(amax);
  detail::fake_quantize_view<D, recipe_of<D, B>, typename decltype(view)::value_type>(
      view, walk(view.shape, view.strides, per_tensor()), {&scale, 1});
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_QUANTIZE_FAKE_QUANTIZE_HPP
