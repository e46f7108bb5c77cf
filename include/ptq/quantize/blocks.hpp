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

/// The number of scales a tensor needs, or why its axis does not exist.
struct scale_count {
  std::size_t count = 1;
  status outcome;
};

constexpr scale_count count_scales(const tensor_shape& shape, granularity grain) noexcept {
  if (!grain.is_per_channel()) return {};
  if (grain.axis >= shape.rank) return {0, {errc::axis_out_of_range, grain.axis}};
  return {shape[grain.axis], {}};
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
    std::ptrdiff_t offset = 0;
    std::size_t rest = at;
    for (std::size_t axis = source.rank(); axis-- > 0;) {
      offset += static_cast<std::ptrdiff_t>(rest % source.shape[axis]) * source.strides[axis];
      rest /= source.shape[axis];
    }
    if (!is_finite(bits_of(element_traits<T>::to_float(source.data[offset])))) return at;
  }
  return size;
}

/// The scale for an amax. A scale that comes out as 0 is given as infinity here: every quotient is then 0,
/// and `settle_scales` makes it 1 once the codes are written.
template <element T>
constexpr float unsettled_scale(float amax, const recipe& numbers) noexcept {
  if (numbers.divisor == 0) return 1;
  std::uint32_t scale = divide(bits_of(amax), bits_of(numbers.divisor));
  if constexpr (is_half<T>) {
    if (numbers.halves != half_rounding::nothing)
      scale = bits_of(element_traits<T>::to_float(element_traits<T>::from_float(float_of(scale))));
  }
  const std::uint32_t floor = bits_of(numbers.floor);
  if (scale < floor) scale = floor;  // magnitudes compare as integers
  return float_of(scale == 0 ? infinity_bits : scale);
}

constexpr void settle_scales(std::span<float> scales) noexcept {
  for (float& scale : scales)
    if (bits_of(scale) == infinity_bits) scale = 1;
}

/// Quotients rounded to a half type, for recipes that ask for it. They need no further scaling.
template <element T>
constexpr void divide_and_round(const float* values, std::size_t n, float scale, float* out) noexcept {
  for (std::size_t i = 0; i < n; ++i) {
    const float quotient = float_of(divide(bits_of(values[i]), bits_of(scale)));
    out[i] = element_traits<T>::to_float(element_traits<T>::from_float(quotient));
  }
}

/// The codes of a whole tensor. `Encoder` writes blocks: run(values, n, scale, at), each(values, n, factors,
/// at), and prepare(scales, n, factors) turns scales into factors.
template <element T, class Encoder>
constexpr void encode_tensor(tensor_view<const T> source, const walk& path, half_rounding halves,
                             std::span<const float> scales, const Encoder& encoder) {
  const bool rounds_quotients = is_half<T> && halves == half_rounding::scale_and_quotient;
  const std::size_t length = path.run().extent;
  const std::ptrdiff_t stride = path.run().stride;
  if (!path.channel_is_innermost()) {
    path.for_each_run([&](std::ptrdiff_t offset, std::size_t at, std::size_t channel) {
      for_each_block(source.data + offset, stride, 0, length,
                     [&](const float* values, std::size_t n, std::size_t first) {
                       if (rounds_quotients) {
                         float quotients[block_size] = {};
                         divide_and_round<T>(values, n, scales[channel], quotients);
                         encoder.run(quotients, n, 1.0F, at + first);
                       } else {
                         encoder.run(values, n, scales[channel], at + first);
                       }
                     });
    });
    return;
  }
  // One scale an element: take the channels in blocks, so that factors are prepared once for all runs.
  float factors[block_size] = {};
  for (std::size_t begin = 0; begin < length; begin += block_size) {
    const std::size_t end = length - begin < block_size ? length : begin + block_size;
    if (!rounds_quotients) encoder.prepare(scales.data() + begin, end - begin, static_cast<float*>(factors));
    path.for_each_run([&](std::ptrdiff_t offset, std::size_t at, std::size_t) {
      for_each_block(source.data + offset, stride, begin, end,
                     [&](const float* values, std::size_t n, std::size_t first) {
                       if (rounds_quotients) {
                         float quotients[block_size] = {};
                         for (std::size_t i = 0; i < n; ++i)
                           divide_and_round<T>(values + i, 1, scales[first + i], quotients + i);
                         encoder.run(quotients, n, 1.0F, at + first);
                       } else {
                         encoder.each(values, n, factors, at + first);
                       }
                     });
    });
  }
}

}  // namespace PTQ_BUILD
}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_QUANTIZE_BLOCKS_HPP
