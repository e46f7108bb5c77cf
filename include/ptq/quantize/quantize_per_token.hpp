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
#include "ptq/quantize/blocks.hpp"
#include "ptq/quantize/quantize.hpp"
#include "ptq/tensor/contiguous.hpp"
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

/// Token by token, so that each is still in the cache when its codes are written.
///
/// @param encoder_at gives the encoder that writes from a code on
template <element T, class EncoderAt>
constexpr status quantize_tokens(tensor_view<const T> source, const recipe& numbers, std::size_t code_count,
                                 std::span<float> scales, EncoderAt&& encoder_at) {
  const tensor_shape& shape = source.shape;
  if (shape.rank > max_rank) return {errc::wrong_rank, shape.rank};
  if (const std::size_t tokens = token_count(shape); scales.size() != tokens)
    return {errc::size_mismatch, tokens};
  if (code_count != shape.size()) return {errc::size_mismatch, shape.size()};
  const std::size_t last = shape.rank > 0 ? shape.rank - 1 : 0;
  const std::size_t features = shape.rank > 0 ? shape[last] : 1;
  for (std::size_t token = 0; token < scales.size(); ++token) {
    const std::size_t at = token * features;
    const std::ptrdiff_t begin = features > 0 ? offset_of(at, shape, source.strides) : 0;
    const tensor_view<const T> values(source.data + begin, {features}, {source.strides[last]});
    const status done =
        quantize_view<T>(values, numbers, per_tensor(), encoder_at(at), features, scales.subspan(token, 1));
    if (!done) return {done.code, at + done.at};
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
/// @return as `quantize`; not_finite leaves the codes of the tokens before it written
template <dtype D, backend B, adaptable_tensor Tensor>
constexpr status quantize_per_token(const Tensor& tensor, contiguous<typename D::storage> codes,
                                    contiguous<float> scales) {
  constexpr recipe numbers = recipe_of<D, B>;
  const auto view = view_of(tensor);
  using value_type = typename decltype(view)::value_type;
  if (!codes.lies_as(view.shape, row_major(view.shape))) return {errc::unsupported, 0};
  return detail::quantize_tokens<value_type>(view, numbers, codes.size(), scales, [&](std::size_t at) {
    return detail::typed_encoder<D, numbers.how>{codes.data() + at};
  });
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_QUANTIZE_QUANTIZE_PER_TOKEN_HPP
