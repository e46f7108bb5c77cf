// SPDX-License-Identifier: Apache-2.0
/// @file dequantize.hpp Codes and scales back to values, into the caller's memory.
#ifndef PTQ_QUANTIZE_DEQUANTIZE_HPP
#define PTQ_QUANTIZE_DEQUANTIZE_HPP

#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>

#include "ptq/backend/recipe.hpp"
#include "ptq/detail/platform.hpp"
#include "ptq/dtype/concept.hpp"
#include "ptq/error.hpp"
#include "ptq/quantize/blocks.hpp"
#include "ptq/tensor/contiguous.hpp"
#include "ptq/tensor/traits.hpp"

namespace ptq::inline v0_1 {
namespace detail {
inline namespace PTQ_BUILD {

/// Reads codes of a dtype known at compile time.
template <dtype D>
struct typed_decoder {
  const typename D::storage* codes;

  constexpr void run(std::size_t at, std::size_t n, float scale, float* values) const noexcept {
    kernels::decode_run<D>(codes + at, n, scale, values);
  }
  constexpr void each(std::size_t at, std::size_t n, const float* scales, float* values) const noexcept {
    kernels::decode_each<D>(codes + at, n, scales, values);
  }
};

template <element T, class Decoder>
constexpr void decode_tensor(tensor_view<T> target, const walk& path, std::span<const float> scales,
                             const Decoder& decoder) {
  const std::size_t length = path.run().extent;
  const std::ptrdiff_t stride = path.run().stride;
  const auto decode = [&](std::size_t at, std::size_t n, std::size_t channel, std::size_t first,
                          float* values) {
    if (path.channel_is_innermost())
      decoder.each(at + first, n, scales.data() + first, values);
    else
      decoder.run(at + first, n, scales[channel], values);
  };
  path.for_each_run([&](std::ptrdiff_t offset, std::size_t at, std::size_t channel) {
    T* run = target.data + offset;
    if constexpr (std::same_as<T, float>) {
      if (stride == 1) {
        decode(at, length, channel, 0, run);
        return;
      }
    }
    float buffer[block_size] = {};
    for (std::size_t first = 0; first < length; first += block_size) {
      const std::size_t n = length - first < block_size ? length - first : block_size;
      decode(at, n, channel, first, static_cast<float*>(buffer));
      for (std::size_t i = 0; i < n; ++i)
        run[static_cast<std::ptrdiff_t>(first + i) * stride] = element_traits<T>::from_float(buffer[i]);
    }
  });
}

template <element T, class Decoder>
constexpr status dequantize_view(tensor_view<T> target, granularity grain, const Decoder& decoder,
                                 std::size_t code_count, std::span<const float> scales) {
  if (const status sizes = check_sizes(target.shape, grain, scales.size(), code_count); !sizes) return sizes;
  decode_tensor(target, walk(target.shape, target.strides, grain), scales, decoder);
  return {};
}

}  // namespace PTQ_BUILD
}  // namespace detail

inline namespace PTQ_BUILD {

/// value = code * scale, in float32 with one rounding, then rounded to the target's element type.
///
/// @param codes  in the target's memory order (`dense_strides`), as `quantize` writes them
/// @param scales 1 per tensor, or one per index of the axis
/// @param target any adaptable tensor; its shape says how the codes are laid out
/// @return wrong_rank, axis_out_of_range, size_mismatch or unsupported, as `quantize`
template <dtype D, adaptable_tensor Tensor>
constexpr status dequantize(contiguous<const typename D::storage> codes, contiguous<const float> scales,
                            granularity grain, Tensor&& target) {
  const auto view = view_of(target);
  if (!codes.lies_as(view.shape, view.strides)) return {errc::unsupported, 0};
  return detail::dequantize_view<typename decltype(view)::value_type>(
      view, grain, detail::typed_decoder<D>{codes.data()}, codes.size(), scales);
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_QUANTIZE_DEQUANTIZE_HPP
