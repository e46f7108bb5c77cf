// SPDX-License-Identifier: Apache-2.0
/// @file blocks.hpp Feeds the kernels: runs of any element type and stride as blocks of contiguous floats.
#ifndef PTQ_QUANTIZE_BLOCKS_HPP
#define PTQ_QUANTIZE_BLOCKS_HPP

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include "ptq/backend/recipe.hpp"
#include "ptq/detail/platform.hpp"
#include "ptq/detail/strict_float.hpp"
#include "ptq/error.hpp"
#include "ptq/kernels/scalar.hpp"
#include "ptq/tensor/element.hpp"
#include "ptq/tensor/view.hpp"
#include "ptq/tensor/walk.hpp"

namespace ptq::inline v0_1 {

/// The number of scales that a tensor of this shape has: 1 per tensor, else the extent of the axis (0 if it
/// has none).
constexpr std::size_t scale_count(const tensor_shape& shape, granularity grain) noexcept {
  if (!grain.is_per_channel()) return 1;
  return grain.axis < shape.axes() ? shape[grain.axis] : 0;
}

namespace detail {
inline namespace PTQ_BUILD {

inline constexpr std::size_t block_size = 256;

/// Calls f(values, count, index of the first) over elements [begin, end) of a run. Contiguous floats are
/// passed as they are, in one block; everything else goes through a buffer on the stack.
template <element T, class F>
constexpr void for_each_block(const T* run, std::ptrdiff_t stride, std::size_t begin, std::size_t end,
                              F&& f) {
  if constexpr (std::same_as<T, float>) {
    if (stride == 1) {
      f(run + begin, end - begin, begin);
      return;
    }
  }
  float buffer[block_size] = {};
  while (begin < end) {
    const std::size_t n = end - begin < block_size ? end - begin : block_size;
    for (std::size_t i = 0; i < n; ++i)
      buffer[i] = element_traits<T>::to_float(run[static_cast<std::ptrdiff_t>(begin + i) * stride]);
    f(static_cast<const float*>(buffer), n, begin);
    begin += n;
  }
}

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

/// The largest magnitude per scale, as floats (NaN or infinity where the data holds one).
template <element T>
constexpr void find_amax(tensor_view<const T> source, const walk& path, std::span<float> amax) noexcept {
  for (float& a : amax) a = 0;
  path.for_each_run([&](std::ptrdiff_t offset, std::size_t, std::size_t channel) {
    const T* run = source.data + offset;
    for_each_block(run, path.run().stride, 0, path.run().extent,
                   [&](const float* values, std::size_t n, std::size_t first) {
                     if (path.channel_is_innermost()) {
                       for (std::size_t i = 0; i < n; ++i)
                         amax[first + i] =
                             float_of(kernels::amax_run(values + i, 1, bits_of(amax[first + i])));
                     } else {
                       amax[channel] = float_of(kernels::amax_run(values, n, bits_of(amax[channel])));
                     }
                   });
  });
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

/// The scale to encode by, for an amax in a tensor of elements T. Where it underflows to 0 it is infinity:
/// then every code is that of 0.
template <element T>
constexpr float encoding_scale_of(const float& amax, const recipe& numbers) noexcept {
  if (numbers.divisor == 0) return 1;
  std::uint32_t scale = magnitude(divide(bits_of(amax), bits_of(numbers.divisor)));
  if constexpr (is_half<T>) {
    if (numbers.halves != half_rounding::nothing)
      scale = bits_of(element_traits<T>::to_float(element_traits<T>::from_float(float_of(scale))));
  }
  const std::uint32_t floor = bits_of(numbers.floor);
  if (scale < floor) scale = floor;  // magnitudes compare as integers
  return float_of(scale == 0 ? infinity_bits : scale);
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
  return decoding_scale_of(encoding_scale_of<T>(amax, numbers));
}

/// Finds the scales to encode by, from the tensor's own values: not_finite with the row-major index of the
/// first NaN or infinity.
template <element T>
constexpr status find_scales(tensor_view<const T> source, const walk& path, const recipe& numbers,
                             std::span<float> scales) noexcept {
  find_amax(source, path, scales);
  for (const float& amax : scales)
    if (!is_finite(bits_of(amax))) return {errc::not_finite, find_not_finite(source)};
  for (float& scale : scales) scale = encoding_scale_of<T>(scale, numbers);
  return {};
}

/// A quotient rounded to a half type, for recipes that ask for it. It needs no further scaling.
template <element T>
constexpr float rounded_quotient(const float& value, const float& scale, arithmetic how) noexcept {
  const float quotient = how == arithmetic::divide
                             ? kernels::apply_strictly<arithmetic::divide>(value, scale)
                             : kernels::apply_strictly<arithmetic::multiply_by_reciprocal>(
                                   value, kernels::factor_of<arithmetic::multiply_by_reciprocal>(scale));
  return element_traits<T>::to_float(element_traits<T>::from_float(quotient));
}

/// The codes of a whole tensor. `Encoder` writes blocks: run(values, n, scale, at), each(values, n, factors,
/// at), and prepare(scales, n, factors) turns scales into factors.
template <element T, class Encoder>
constexpr void encode_tensor(tensor_view<const T> source, const walk& path, const recipe& numbers,
                             std::span<const float> scales, const Encoder& encoder) {
  const bool rounds_quotients = is_half<T> && numbers.halves == half_rounding::scale_and_quotient;
  const bool each = path.channel_is_innermost();
  const std::size_t length = path.run().extent;
  // Where each element has its own scale, channels are taken in blocks, so that factors are prepared once for
  // all runs.
  const std::size_t step = each ? block_size : length;
  float factors[block_size] = {};
  for (std::size_t begin = 0; begin < length; begin += step) {
    const std::size_t end = length - begin < step ? length : begin + step;
    if (each) encoder.prepare(scales.data() + begin, end - begin, static_cast<float*>(factors));
    path.for_each_run([&](std::ptrdiff_t offset, std::size_t at, std::size_t channel) {
      const auto encode = [&](const float* values, std::size_t n, std::size_t first) {
        if (rounds_quotients) {
          float quotients[block_size] = {};
          for (std::size_t i = 0; i < n; ++i)
            quotients[i] = rounded_quotient<T>(values[i], scales[each ? first + i : channel], numbers.how);
          encoder.run(static_cast<const float*>(quotients), n, 1.0F, at + first);
        } else if (each) {
          encoder.each(values, n, static_cast<const float*>(factors), at + first);
        } else {
          encoder.run(values, n, scales[channel], at + first);
        }
      };
      for_each_block(source.data + offset, path.run().stride, begin, end, encode);
    });
  }
}

}  // namespace PTQ_BUILD
}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_QUANTIZE_BLOCKS_HPP
