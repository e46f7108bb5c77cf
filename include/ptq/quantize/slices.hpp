// SPDX-License-Identifier: Apache-2.0
/// @file slices.hpp The driver: quantizes a tensor slice by slice, on the threads of an executor. The answer
/// does not depend on how it is cut.
#ifndef PTQ_QUANTIZE_SLICES_HPP
#define PTQ_QUANTIZE_SLICES_HPP

#include <concepts>
#include <cstddef>
#include <span>

#include "ptq/backend/concept.hpp"
#include "ptq/backend/recipe.hpp"
#include "ptq/detail/platform.hpp"
#include "ptq/dtype/concept.hpp"
#include "ptq/error.hpp"
#include "ptq/kernels/executor.hpp"
#include "ptq/kernels/panel_kernels.hpp"
#include "ptq/quantize/scales.hpp"
#include "ptq/tensor/element.hpp"
#include "ptq/tensor/panels.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1 {
namespace detail {
inline namespace PTQ_BUILD {

/// Elements of a slice: a second look finds them in the cache.
inline constexpr std::size_t slice_size = std::size_t{16} << 10;

/// Per column, the most slices, of neighbouring columns each, whose amax is found at once.
inline constexpr std::size_t most_columns = 16;

/// Whether tensors are cut at all: a single thread gains nothing by it with portable kernels.
template <executor Executor>
inline constexpr bool is_cut = PTQ_NATIVE || !std::same_as<Executor, serial>;

/// From so many bytes on, what is written does not stay in the cache.
inline constexpr std::size_t streamed_bytes = std::size_t{4} << 20;

/// Per tensor, the most slices whose amax is found at once.
inline constexpr std::size_t most_partial = 64;

/// A tensor to be quantized, and where its codes go. Types that are known when you compile.
template <dtype D, arithmetic How, element T>
struct typed_quantization {
  tensor_view<const T> source;
  const recipe& numbers;
  typename D::storage* codes;

  constexpr std::size_t code_size() const noexcept { return sizeof(typename D::storage); }
  constexpr void amax(const panel& p, float* found) const noexcept {
    kernels::amax_of<T>(source.data, p, found);
  }
  constexpr void scales(std::span<float> amax) const noexcept {
    kernels::scales<plain_element<T>>(amax.data(), amax.size(), numbers);
  }
  constexpr void encode(const panel& p, const float* scales, bool streams) const noexcept {
    const auto encode_floats = [&](const float* floats, const panel& part, const float* own) {
      kernels::encode<D, How>(floats, part, own, codes, streams);
    };
    const bool rounds = is_half<T> && numbers.halves == half_rounding::scale_and_quotient;
    if constexpr (kernels::has_halves<T> && kernels::has_codes<D>) {
      if (p.step == 1 && !rounds) return kernels::encode<D, How>(source.data, p, scales, codes, streams);
    }
    kernels::as_floats<T>(source.data, p, [&](const float* floats, const panel& part) {
      if constexpr (is_half<T>) {
        if (rounds)
          return kernels::encode_rounded<plain_element<T>>(floats, part, numbers.how, scales, encode_floats);
      }
      encode_floats(floats, part, scales);
    });
  }
  constexpr std::size_t first_not_finite() const noexcept { return find_not_finite(source); }
};

/// By the numbers of a backend.
template <dtype D, backend B, element T>
constexpr auto quantization_of(tensor_view<const T> source, typename D::storage* codes) noexcept {
  return typed_quantization<D, recipe_of<D, B>.how, T>{source, recipe_of<D, B>, codes};
}

template <class Quantization>
constexpr bool streams_codes(const walk& path, const Quantization& of) noexcept {
  return path.size() > streamed_bytes / of.code_size();
}

/// A slice of columns has many rows, as each has the same factors.
constexpr std::size_t size_of_slices(const walk& path) noexcept {
  return path.run().is_channel ? 4 * slice_size : slice_size;
}

/// Writes the codes of a tensor by scales that are known.
template <class Quantization, executor Executor>
constexpr void encode_slices(const walk& path, const Quantization& of, std::span<const float> scales,
                             const Executor& run) {
  const auto encode = [&](const walk& part, bool streams) {
    for (const panel& p : panels(part)) of.encode(p, scales.data(), streams);
    kernels::finish_streams(streams);
  };
  if constexpr (is_cut<Executor>) {
    const bool streams = streams_codes(path, of);
    const slices parts(path, size_of_slices(path), cut::anywhere);
    run(parts.count(), [&](std::size_t i) { encode(parts[i], streams); });
  } else {
    encode(path, false);
  }
}

/// The largest magnitude of a whole tensor.
template <class Quantization, executor Executor>
constexpr float amax_of_slices(const walk& path, const Quantization& of, const Executor& run) {
  float partial[most_partial] = {};
  const std::size_t fewest = path.size() / most_partial + 1;
  const slices parts(path, fewest < slice_size ? slice_size : fewest, cut::anywhere);
  run(parts.count(), [&](std::size_t i) {
    float* const found = partial + i;
    const walk part = parts[i];
    for (const panel& p : panels(part)) of.amax(p, found);
  });
  return float_of(kernels::amax_run<float>(static_cast<const float*>(partial), parts.count(), 0));
}

/// Quantizes part of a tensor that has all elements of its own scales: amax, scales, codes. Where it holds
/// NaN or infinity, a scale is that, and there are no codes.
///
/// @param scales of the whole tensor
template <class Quantization>
constexpr void quantize_part(const walk& part, const Quantization& of, std::span<float> scales,
                             std::span<float> own, bool streams) {
  for (float& scale : own) scale = 0;
  for (const panel& p : panels(part)) of.amax(p, scales.data());
  if (!are_finite(own)) return;
  of.scales(own);
  for (const panel& p : panels(part)) of.encode(p, scales.data(), streams);
  kernels::finish_streams(streams);
  make_decoding_scales(own);
}

/// Quantizes a tensor of one scale: its slices share that.
template <class Quantization, executor Executor>
constexpr void quantize_by_one_scale(const walk& path, const Quantization& of, float& scale,
                                     const Executor& run) {
  scale = amax_of_slices(path, of, run);
  if (!is_finite(bits_of(scale))) return;
  of.scales({&scale, 1});
  encode_slices(path, of, {&scale, 1}, run);
  scale = decoding_scale_of(scale);
}

/// Quantizes a tensor whose neighbours in memory have scales of their own: whole rows at a time, as memory
/// likes it.
template <class Quantization, executor Executor>
constexpr void quantize_by_columns(const walk& path, const Quantization& of, std::span<float> scales,
                                   const Executor& run) {
  const bool is_one = std::same_as<Executor, serial>;
  const slices columns(path, is_one ? path.size() : path.size() / most_columns, cut::between_scales);
  for (float& scale : scales) scale = 0;
  run(columns.count(), [&](std::size_t i) {
    const walk part = columns[i];
    for (const panel& p : panels(part)) of.amax(p, scales.data());
  });
  if (!are_finite(scales)) return;
  of.scales(scales);
  encode_slices(path, of, scales, run);
  make_decoding_scales(scales);
}

/// Quantizes a tensor by scales from its own values: not_finite with the row-major index of the first NaN or
/// infinity. Where slices do not share scales, each is looked at a second time while it is in the cache.
template <class Quantization, executor Executor>
constexpr status quantize_slices(const walk& path, const Quantization& of, std::span<float> scales,
                                 const Executor& run) {
  if constexpr (is_cut<Executor>) {
    const slices parts(path, slice_size, cut::between_scales);
    if (parts.count() > 1 && scales.size() == 1) {
      quantize_by_one_scale(path, of, scales[0], run);
    } else if (path.size() > slice_size && path.run().is_channel) {
      quantize_by_columns(path, of, scales, run);
    } else if (parts.count() > 1) {
      const bool streams = streams_codes(path, of);
      run(parts.count(), [&](std::size_t i) {
        const walk part = parts[i];
        quantize_part(part, of, scales, scales.subspan(part.first_channel, part.channels()), streams);
      });
    } else {
      quantize_part(path, of, scales, scales, false);
    }
  } else {
    quantize_part(path, of, scales, scales, false);
  }
  if (!are_finite(scales)) return {errc::not_finite, of.first_not_finite()};
  return {};
}

}  // namespace PTQ_BUILD
}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_QUANTIZE_SLICES_HPP
