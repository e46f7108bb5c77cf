// SPDX-License-Identifier: Apache-2.0
/// @file kernel_row.hpp What makes codes of a dtype at run time, and the backend's numbers that go with it.
#ifndef PTQ_MODEL_KERNEL_ROW_HPP
#define PTQ_MODEL_KERNEL_ROW_HPP

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>

#include "ptq/backend/concept.hpp"
#include "ptq/backend/recipe.hpp"
#include "ptq/config/words.hpp"
#include "ptq/detail/platform.hpp"
#include "ptq/detail/strict_float.hpp"
#include "ptq/detail/type_list.hpp"
#include "ptq/dtype/concept.hpp"
#include "ptq/error.hpp"
#include "ptq/kernels/executor.hpp"
#include "ptq/kernels/panel_kernels.hpp"
#include "ptq/model/any_floats.hpp"
#include "ptq/model/dtype_row.hpp"
#include "ptq/policies.hpp"
#include "ptq/quantize/quantize.hpp"
#include "ptq/quantize/quantize_per_token.hpp"
#include "ptq/quantize/scales.hpp"
#include "ptq/quantize/slices.hpp"
#include "ptq/tensor/any_view.hpp"
#include "ptq/tensor/contiguous.hpp"
#include "ptq/tensor/panels.hpp"

namespace ptq::inline v0_1 {

/// One of each dtype and arithmetic that backends ask for, for as long as the program runs.
struct kernel_row {
  const dtype_row* dtype;
  /// `kernels::encode`
  void (*encode)(const float* source, const panel& p, const float* scales, void* codes, bool streams);
};

/// How tensors become codes: what two words stand for, a dtype's and a backend's. One of each pair, for as
/// long as the program runs.
struct quantizer {
  const kernel_row* kernels;  ///< of the arithmetic that `numbers` asks for
  recipe numbers;

  constexpr const dtype_row& dtype() const noexcept { return *kernels->dtype; }
};

namespace detail {
inline namespace PTQ_BUILD {

template <dtype D, arithmetic How>
void encode_untyped(const float* source, const panel& p, const float* scales, void* codes, bool streams) {
  kernels::encode<D, How>(source, p, scales, static_cast<typename D::storage*>(codes), streams);
}

/// A tensor to be quantized, and where its codes go: `typed_quantization` for run time.
struct untyped_quantization {
  any_view source;
  const quantizer* how;
  std::byte* codes;

  std::size_t code_size() const noexcept { return how->dtype().code_size; }
  void amax(const panel& p, float* found) const {
    as_floats(source, p, [&](const float* floats, const panel& part) { kernels::amax(floats, part, found); });
  }
  void scales(std::span<float> amax) const {
    visit_plain(source.type, [&]<class T>() { kernels::scales<T>(amax.data(), amax.size(), how->numbers); });
  }
  void encode(const panel& p, const float* scales, bool streams) const {
    const auto encode_floats = [&](const float* floats, const panel& part, const float* own) {
      how->kernels->encode(floats, part, own, codes, streams);
    };
    const bool rounds = how->numbers.halves == half_rounding::scale_and_quotient;
    as_floats(source, p, [&](const float* floats, const panel& part) {
      visit_plain(rounds ? source.type : element_type::float32, [&]<class T>() {
        if constexpr (is_half<T>)
          kernels::encode_rounded<T>(floats, part, how->numbers.how, scales, encode_floats);
        else
          encode_floats(floats, part, scales);
      });
    });
  }
  std::size_t first_not_finite() const {
    std::size_t at = 0;
    for (float value = 0; at < source.size(); ++at) {
      widen(source, offset_of(at, source.shape, source.strides), 1, 1, &value);
      if (!is_finite(bits_of(value))) break;
    }
    return at;
  }
};

/// Whether there are floats to quantize.
inline status check_floats(const any_view& tensor) noexcept {
  if (tensor.misfits) return {errc::size_mismatch, tensor.size()};
  if (!tensor.has_floats()) return {errc::unsupported, 0};
  return {};
}

/// Whether any of the backends quantizes the dtype so. Kernels that none uses are not compiled.
template <dtype D, arithmetic How, class... Backends>
constexpr bool is_used(list<Backends...>) noexcept {
  return ((recipe_of<D, Backends>.how == How) || ...);
}

}  // namespace PTQ_BUILD
}  // namespace detail

inline namespace PTQ_BUILD {

/// The row of a dtype and an arithmetic that are known when you compile.
template <dtype D, arithmetic How>
inline constexpr kernel_row kernel_row_of{&dtype_row_of<D>, &detail::encode_untyped<D, How>};

template <dtype D, backend B>
inline constexpr quantizer quantizer_of{&kernel_row_of<D, recipe_of<D, B>.how>, recipe_of<D, B>};

/// The row of a word; null if the bundle has no such dtype, or no backend that takes it so.
template <class Policies = builtin>
const kernel_row* find_kernel_row(std::string_view dtype_word, arithmetic how) noexcept {
  const kernel_row* found = nullptr;
  detail::for_each_type(typename Policies::dtypes{}, [&]<class D>(detail::type_tag<D>) {
    using backends = typename Policies::backends;
    constexpr arithmetic reciprocal = arithmetic::multiply_by_reciprocal;
    if (dtype_word != D::name) return;
    if constexpr (detail::is_used<D, arithmetic::divide>(backends{}))
      if (how == arithmetic::divide) found = &kernel_row_of<D, arithmetic::divide>;
    if constexpr (detail::is_used<D, reciprocal>(backends{}))
      if (how == reciprocal) found = &kernel_row_of<D, reciprocal>;
  });
  return found;
}

/// The quantizer of two words, the backend's being its name or another that it is called by; null if the
/// bundle lacks one of them.
template <class Policies = builtin>
const quantizer* find_quantizer(std::string_view dtype_word, std::string_view backend_word) noexcept {
  const quantizer* found = nullptr;
  detail::for_each_type(typename Policies::dtypes{}, [&]<class D>(detail::type_tag<D>) {
    if (dtype_word != D::name) return;
    detail::for_each_type(typename Policies::backends{}, [&]<class B>(detail::type_tag<B>) {
      if (words_of_backend<B>().is_called(backend_word)) found = &quantizer_of<D, B>;
    });
  });
  return found;
}

/// `quantize` with a dtype and a backend that are known at run time.
///
/// @param tensor a tensor of floating-point elements
/// @param codes  `code_size` bytes for each element, in any contiguous memory; written in the source's memory
///               order (`dense_strides`)
/// @return as the other `quantize`, with size_mismatch counting codes
template <executor Executor = serial>
status quantize(const any_view& tensor, const quantizer& how, contiguous<std::byte> codes,
                contiguous<float> scales, granularity grain, const Executor& run = {}) {
  if (const status viewable = detail::check_floats(tensor); !viewable) return viewable;
  if (!codes.lies_as(tensor.shape, tensor.strides)) return {errc::unsupported, 0};
  const std::size_t count = codes.size() / how.dtype().code_size;
  if (const status sizes = detail::check_sizes(tensor.shape, grain, scales.size(), count); !sizes)
    return sizes;
  return detail::quantize_slices(walk(tensor.shape, tensor.strides, grain),
                                 detail::untyped_quantization{tensor, &how, codes.data()}, scales, run);
}

/// `quantize_by` with a dtype and a backend that are known at run time.
///
/// @param codes as for `quantize`
template <executor Executor = serial>
status quantize_by(const any_view& tensor, const quantizer& how, contiguous<const float> scales,
                   contiguous<std::byte> codes, granularity grain = per_tensor(), const Executor& run = {}) {
  if (const status viewable = detail::check_floats(tensor); !viewable) return viewable;
  const std::size_t count = codes.size() / how.dtype().code_size;
  if (const status sizes = detail::check_sizes(tensor.shape, grain, scales.size(), count); !sizes)
    return sizes;
  if (!codes.lies_as(tensor.shape, tensor.strides)) return {errc::unsupported, 0};
  detail::encode_slices(walk(tensor.shape, tensor.strides, grain),
                        detail::untyped_quantization{tensor, &how, codes.data()}, scales, run);
  return {};
}

/// `quantize_per_token` with a dtype and a backend that are known at run time.
///
/// @param codes `code_size` bytes for each element
template <executor Executor = serial>
status quantize_per_token(const any_view& tensor, const quantizer& how, contiguous<std::byte> codes,
                          contiguous<float> scales, const Executor& run = {}) {
  if (const status viewable = detail::check_floats(tensor); !viewable) return viewable;
  if (!codes.lies_as(tensor.shape, row_major(tensor.shape))) return {errc::unsupported, 0};
  return detail::quantize_tokens(tensor.shape, tensor.strides, codes.size() / how.dtype().code_size,
                                 detail::untyped_quantization{tensor, &how, codes.data()}, scales, run);
}

/// `fake_quantize` with a dtype that is known at run time.
///
/// @param scale for all values; those beyond it saturate
inline void fake_quantize(std::span<float> values, const kernel_row& kernels, float scale) noexcept {
  constexpr std::size_t block_size = ptq::kernels::block_size;
  alignas(std::max_align_t) std::byte codes[block_size * sizeof(double)];
  PTQ_ASSERT(kernels.dtype->code_size <= sizeof(double));
  for (std::size_t first = 0; first < values.size(); first += block_size) {
    const auto block = values.subspan(first, (std::min)(block_size, values.size() - first));
    panel run;
    run.columns = block.size();
    kernels.encode(block.data(), run, &scale, codes, false);
    kernels.dtype->decode_run(codes, block.size(), scale, block.data(), false);
  }
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_MODEL_KERNEL_ROW_HPP
