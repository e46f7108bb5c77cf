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
#include "ptq/kernels/panel_kernels.hpp"
#include "ptq/quantize/quantize.hpp"
#include "ptq/quantize/scales.hpp"
#include "ptq/quantize/slices.hpp"
#include "ptq/tensor/contiguous.hpp"
#include "ptq/tensor/traits.hpp"

namespace ptq::inline v0_1 {
namespace detail {
inline namespace PTQ_BUILD {

/// Reads codes by the scales that they were made by.
template <dtype D>
struct reversing_decoder {
  kernels::typed_decoder<D> decoder;

  constexpr void run(std::size_t at, std::size_t n, const float& scale, float* values,
                     bool streams) const noexcept {
    decoder.run(at, n, decoding_scale_of(scale), values, streams);
  }
  constexpr void each(std::size_t at, std::size_t n, const float* scales, float* values, bool streams,
                      bool ordinary) const noexcept {
    if (ordinary) {
      decoder.each(at, n, scales, values, streams, true);
    } else {
      for (std::size_t i = 0; i < n; ++i) run(at + i, 1, scales[i], values + i, streams);
    }
  }
};

/// Replaces each value by that of its code, a tile at a time. The scales are those to encode by.
template <dtype D, arithmetic How, element T>
constexpr void fake_quantize_view(tensor_view<T> target, const walk& path, const recipe& numbers,
                                  std::span<const float> scales) {
  typename D::storage codes[kernels::block_size] = {};
  const typed_quantization<D, How, T> encoding{target, numbers, codes};
  const reversing_decoder<D> decoding{{codes}};
  for (const panel& all : panels(path))
    for (const panel& part : tiles(all, kernels::block_size)) {
      const panel tile = part.with_codes_apart();
      encoding.encode(tile, scales.data(), false);
      kernels::decode<T>(target.data, tile, scales.data(), decoding, false);
    }
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
  constexpr const recipe& numbers = recipe_of<D, B>;
  const auto view = view_of(tensor);
  using value_type = typename decltype(view)::value_type;
  if (const status sizes = detail::check_sizes(view.shape, grain, scales.size(), view.size()); !sizes)
    return sizes;
  const walk path(view.shape, view.strides, grain);
  const std::span<float> found = scales;
  for (float& scale : found) scale = 0;
  detail::find_amax<value_type>(view, path, found);
  if (!detail::are_finite(found)) return {errc::not_finite, detail::find_not_finite<value_type>(view)};
  kernels::scales<detail::plain_element<value_type>>(found.data(), found.size(), numbers);
  detail::fake_quantize_view<D, numbers.how, value_type>(view, path, numbers, found);
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
  const recipe& numbers = recipe_of<D, B>;
  detail::fake_quantize_view<D, recipe_of<D, B>.how, typename decltype(view)::value_type>(
      view, walk(view.shape, view.strides, per_tensor()), numbers, {&scale, 1});
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_QUANTIZE_FAKE_QUANTIZE_HPP
