// SPDX-License-Identifier: Apache-2.0
/// @file quantize_per_token.hpp Activations to codes while a model runs: each token by a scale of its own.
#ifndef PTQ_QUANTIZE_QUANTIZE_PER_TOKEN_HPP
#define PTQ_QUANTIZE_QUANTIZE_PER_TOKEN_HPP

#include <cstddef>
#include <span>

#include "ptq/backend/concept.hpp"
#include "ptq/backend/recipe.hpp"
#include "ptq/detail/platform.hpp"
#include "ptq/error.hpp"
#include "ptq/kernels/executor.hpp"
#include "ptq/quantize/scales.hpp"
#include "ptq/quantize/slices.hpp"
#include "ptq/tensor/contiguous.hpp"
#include "ptq/tensor/panels.hpp"
#include "ptq/tensor/traits.hpp"

namespace ptq::inline v0_1 {

/// How many tokens a tensor has: the product of all extents but the last.
constexpr std::size_t token_count(const tensor_shape& shape) noexcept {
  std::size_t product = 1;
  for (std::size_t axis = 0; axis + 1 < shape.axes(); ++axis) product *= shape[axis];
  return product;
}

namespace detail {
inline namespace PTQ_BUILD {

/// The tokens of a tensor as the rows of panels: as many a panel as lie evenly. The codes are row-major.
template <class F>
constexpr void for_each_token_panel(const tensor_shape& shape, const tensor_strides& strides, F&& f) {
  if (shape.size() == 0) return;
  const std::size_t axes = shape.axes();
  panel p;
  p.by = scaling::per_row;
  p.columns = axes > 0 ? shape[axes - 1] : 1;
  p.step = axes > 0 ? strides[axes - 1] : 1;
  p.code_row_step = p.columns;
  for (std::size_t axis = axes > 0 ? axes - 1 : 0; axis-- > 0;) {
    if (shape[axis] == 1) continue;
    if (p.rows == 1) p.row_step = strides[axis];
    if (p.rows > 1 && strides[axis] != p.row_step * static_cast<std::ptrdiff_t>(p.rows)) break;
    p.rows *= shape[axis];
  }
  for (; p.scale < token_count(shape); p.scale += p.rows) {
    p.code = p.scale * p.columns;
    p.begin = offset_of(p.code, shape, strides);
    f(static_cast<const panel&>(p));
  }
}

/// Few enough tokens at a time that each is still in the cache when its codes are written.
template <class Quantization, executor Executor>
constexpr status quantize_tokens(const tensor_shape& shape, const tensor_strides& strides,
                                 std::size_t code_count, const Quantization& of, std::span<float> scales,
                                 const Executor& run) {
  if (shape.rank > max_rank) return {errc::wrong_rank, shape.rank};
  if (const std::size_t tokens = token_count(shape); scales.size() != tokens)
    return {errc::size_mismatch, tokens};
  if (code_count != shape.size()) return {errc::size_mismatch, shape.size()};
  for (float& scale : scales) scale = 0;
  for_each_token_panel(shape, strides, [&](const panel& all) {
    const std::size_t at_once = slice_size / all.columns + 1;
    run((all.rows + at_once - 1) / at_once, [&](std::size_t i) {
      const std::size_t first = i * at_once;
      const panel p = all.rows_from(first, all.rows - first < at_once ? all.rows - first : at_once);
      const std::span<float> own = scales.subspan(p.scale, p.rows);
      of.amax(p, scales.data());
      if (!are_finite(own)) return;
      of.scales(own);
      of.encode(p, scales.data(), false);
      make_decoding_scales(own);
    });
  });
  if (!are_finite(scales)) return {errc::not_finite, of.first_not_finite()};
  if (shape.size() == 0) {
    of.scales(scales);
    make_decoding_scales(scales);
  }
  return {};
}

}  // namespace PTQ_BUILD
}  // namespace detail

inline namespace PTQ_BUILD {

/// Quantizes each token by its own largest magnitude: dynamic activations. A token is what all indices but
/// the last pick: a row of [tokens, features] or of [batch, tokens, features].
///
/// @param codes  as many as the tensor has elements; row-major whatever the source is, so that the codes of
///               a token lie side by side for the product with a weight
/// @param scales one for each token (`token_count`); value = code * scale
/// @param run    who computes, as for `quantize`
/// @return as `quantize`
template <dtype D, backend B, adaptable_tensor Tensor, executor Executor = serial>
constexpr status quantize_per_token(const Tensor& tensor, contiguous<typename D::storage> codes,
                                    contiguous<float> scales, const Executor& run = {}) {
  const auto view = view_of(tensor);
  using value_type = typename decltype(view)::value_type;
  if (!codes.lies_as(view.shape, row_major(view.shape))) return {errc::unsupported, 0};
  return detail::quantize_tokens(view.shape, view.strides, codes.size(),
                                 detail::quantization_of<D, B, value_type>(view, codes.data()), scales, run);
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_QUANTIZE_QUANTIZE_PER_TOKEN_HPP
