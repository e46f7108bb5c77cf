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
#include "ptq/detail/type_list.hpp"
#include "ptq/dtype/concept.hpp"
#include "ptq/error.hpp"
#include "ptq/kernels/scalar.hpp"
#include "ptq/model/dtype_row.hpp"
#include "ptq/policies.hpp"
#include "ptq/quantize/blocks.hpp"
#include "ptq/quantize/quantize.hpp"
#include "ptq/quantize/quantize_per_token.hpp"
#include "ptq/tensor/any_view.hpp"
#include "ptq/tensor/contiguous.hpp"

namespace ptq::inline v0_1 {

/// One of each dtype and arithmetic that backends ask for, for as long as the program runs.
struct kernel_row {
  const dtype_row* dtype;
  void (*prepare)(const float* scales, std::size_t n, float* factors);
  void (*encode_run)(const float* values, std::size_t n, float scale, void* codes);
  void (*encode_each)(const float* values, std::size_t n, const float* factors, void* codes);
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
struct untyped_encoding {
  using storage = typename D::storage;

  static void run(const float* values, std::size_t n, float scale, void* codes) {
    kernels::encode_run<D, How>(values, n, scale, static_cast<storage*>(codes));
  }
  static void each(const float* values, std::size_t n, const float* factors, void* codes) {
    kernels::encode_each<D, How>(values, n, factors, static_cast<storage*>(codes));
  }
};

/// Writes codes: `typed_encoder` for run time.
struct untyped_encoder {
  const kernel_row* kernels;
  std::byte* codes;

  void prepare(const float* scales, std::size_t n, float* factors) const {
    kernels->prepare(scales, n, factors);
  }
  void run(const float* values, std::size_t n, float scale, std::size_t at) const {
    kernels->encode_run(values, n, scale, codes + at * kernels->dtype->code_size);
  }
  void each(const float* values, std::size_t n, const float* factors, std::size_t at) const {
    kernels->encode_each(values, n, factors, codes + at * kernels->dtype->code_size);
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
inline constexpr kernel_row kernel_row_of{&dtype_row_of<D>, &detail::typed_encoder<D, How>::prepare,
                                          &detail::untyped_encoding<D, How>::run,
                                          &detail::untyped_encoding<D, How>::each};

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
inline status quantize(const any_view& tensor, const quantizer& how, contiguous<std::byte> codes,
                       contiguous<float> scales, granularity grain) {
  if (const status viewable = detail::check_floats(tensor); !viewable) return viewable;
  if (!codes.lies_as(tensor.shape, tensor.strides)) return {errc::unsupported, 0};
  return visit(tensor, [&]<class T>(tensor_view<const T> view) {
    return detail::quantize_view<T>(view, how.numbers, grain,
                                    detail::untyped_encoder{how.kernels, codes.data()},
                                    codes.size() / how.dtype().code_size, scales);
  });
}

/// `quantize_by` with a dtype and a backend that are known at run time.
///
/// @param codes as for `quantize`
inline status quantize_by(const any_view& tensor, const quantizer& how, contiguous<const float> scales,
                          contiguous<std::byte> codes, granularity grain = per_tensor()) {
  if (const status viewable = detail::check_floats(tensor); !viewable) return viewable;
  const std::size_t count = codes.size() / how.dtype().code_size;
  if (const status sizes = detail::check_sizes(tensor.shape, grain, scales.size(), count); !sizes)
    return sizes;
  if (!codes.lies_as(tensor.shape, tensor.strides)) return {errc::unsupported, 0};
  visit(tensor, [&]<class T>(tensor_view<const T> view) {
    detail::encode_tensor<T>(view, walk(view.shape, view.strides, grain), how.numbers, scales,
                             detail::untyped_encoder{how.kernels, codes.data()});
  });
  return {};
}

/// `quantize_per_token` with a dtype and a backend that are known at run time.
///
/// @param codes `code_size` bytes for each element
inline status quantize_per_token(const any_view& tensor, const quantizer& how, contiguous<std::byte> codes,
                                 contiguous<float> scales) {
  if (const status viewable = detail::check_floats(tensor); !viewable) return viewable;
  if (!codes.lies_as(tensor.shape, row_major(tensor.shape))) return {errc::unsupported, 0};
  const std::size_t size = how.dtype().code_size;
  return visit(tensor, [&]<class T>(tensor_view<const T> view) {
    return detail::quantize_tokens<T>(view, how.numbers, codes.size() / size, scales, [&](std::size_t at) {
      return detail::untyped_encoder{how.kernels, codes.data() + at * size};
    });
  });
}

/// `fake_quantize` with a dtype that is known at run time.
///
/// @param scale for all values; those beyond it saturate
inline void fake_quantize(std::span<float> values, const kernel_row& kernels, float scale) noexcept {
  alignas(std::max_align_t) std::byte codes[detail::block_size * sizeof(double)];
  PTQ_ASSERT(kernels.dtype->code_size <= sizeof(double));
  for (std::size_t first = 0; first < values.size(); first += detail::block_size) {
    const auto block = values.subspan(first, (std::min)(detail::block_size, values.size() - first));
    kernels.encode_run(block.data(), block.size(), scale, codes);
    kernels.dtype->decode_run(codes, block.size(), scale, block.data());
  }
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_MODEL_KERNEL_ROW_HPP
