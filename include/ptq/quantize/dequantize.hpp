// SPDX-License-Identifier: Apache-2.0
/// @file dequantize.hpp Codes and scales back to values, into the caller's memory.
#ifndef PTQ_QUANTIZE_DEQUANTIZE_HPP
#define PTQ_QUANTIZE_DEQUANTIZE_HPP

#include <cstddef>
#include <span>

#include "ptq/backend/recipe.hpp"
#include "ptq/detail/platform.hpp"
#include "ptq/dtype/concept.hpp"
#include "ptq/error.hpp"
#include "ptq/kernels/executor.hpp"
#include "ptq/kernels/panel_kernels.hpp"
#include "ptq/quantize/scales.hpp"
#include "ptq/quantize/slices.hpp"
#include "ptq/tensor/contiguous.hpp"
#include "ptq/tensor/traits.hpp"

namespace ptq::inline v0_1 {
namespace detail {
inline namespace PTQ_BUILD {

template <element T, class Decoder, executor Executor>
constexpr void decode_slices(tensor_view<T> target, const walk& path, std::span<const float> scales,
                             const Decoder& decoder, const Executor& run) {
  const auto decode = [&](const walk& part, bool streams) {
    for (const panel& p : panels(part)) kernels::decode<T>(target.data, p, scales.data(), decoder, streams);
    kernels::finish_streams(streams);
  };
  if constexpr (is_cut<Executor>) {
    const bool streams = path.size() > streamed_bytes / sizeof(T);
    const slices parts(path, slice_size, cut::anywhere);
    run(parts.count(), [&](std::size_t i) { decode(parts[i], streams); });
  } else {
    decode(path, false);
  }
}

template <element T, class Decoder, executor Executor = serial>
constexpr status dequantize_view(tensor_view<T> target, granularity grain, const Decoder& decoder,
                                 std::size_t code_count, std::span<const float> scales,
                                 const Executor& run = {}) {
  if (const status sizes = check_sizes(target.shape, grain, scales.size(), code_count); !sizes) return sizes;
  decode_slices(target, walk(target.shape, target.strides, grain), scales, decoder, run);
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
/// @param run    who computes, as for `quantize`
/// @return wrong_rank, axis_out_of_range, size_mismatch or unsupported, as `quantize`
template <dtype D, adaptable_tensor Tensor, executor Executor = serial>
constexpr status dequantize(contiguous<const typename D::storage> codes, contiguous<const float> scales,
                            granularity grain, Tensor&& target, const Executor& run = {}) {
  const auto view = view_of(target);
  if (!codes.lies_as(view.shape, view.strides)) return {errc::unsupported, 0};
  return detail::dequantize_view<typename decltype(view)::value_type>(
      view, grain, kernels::typed_decoder<D>{codes.data()}, codes.size(), scales, run);
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_QUANTIZE_DEQUANTIZE_HPP
