// SPDX-License-Identifier: Apache-2.0
/// @file stored_codes.hpp Codes and scales as artifacts hold them.
#ifndef PTQ_FORMATS_STORED_CODES_HPP
#define PTQ_FORMATS_STORED_CODES_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "ptq/backend/recipe.hpp"
#include "ptq/detail/strict_float.hpp"
#include "ptq/model/dtype_row.hpp"
#include "ptq/model/quantized_view.hpp"
#include "ptq/quantize/pack.hpp"
#include "ptq/result.hpp"
#include "ptq/tensor/view.hpp"
#include "ptq/tensor/walk.hpp"

namespace ptq::inline v0_1 {

/// Positive and finite: by the bits, so that no flag of the compiler changes the answer.
inline bool is_scale(float x) noexcept {
  return detail::is_finite(detail::bits_of(x)) && detail::bits_of(x) - 1 < 0x7fffffff;
}

/// The weight's rank, and 1 in every dimension but the axis, so that codes * scales broadcasts to the weight;
/// a scalar per tensor.
inline std::vector<std::size_t> stored_scale_shape(const tensor_shape& weight, granularity grain) {
  if (!grain.is_per_channel()) return {};
  std::vector<std::size_t> shape(weight.rank, 1);
  shape[grain.axis] = weight[grain.axis];
  return shape;
}

namespace detail {

/// Codes that are packed together fill whole bytes.
inline constexpr std::size_t codes_per_piece = std::size_t{1} << 16;

/// Calls f(piece) with codes in row-major order: all at once where they lie so. Codes in another order, as of
/// a column-major weight, are gathered: `codes_per_piece` at a time.
template <class F>
result<void> for_each_row_major_piece(const quantized_view& q, F&& f) {
  const tensor_shape& shape = q.shape;
  const std::size_t size = q.dtype->code_size;
  const tensor_strides strides = dense_strides(shape, q.strides);  // those of one index say nothing
  if (strides == row_major(shape)) return f(q.codes);
  std::vector<std::byte> gathered;
  std::array<std::size_t, max_rank> index{};
  std::size_t offset = 0;
  for (std::size_t left = shape.size(); left > 0; --left) {
    const auto code = q.codes.subspan(offset * size, size);
    gathered.insert(gathered.end(), code.begin(), code.end());
    if (gathered.size() == codes_per_piece * size || left == 1) {
      if (auto done = f(std::span<const std::byte>(gathered)); !done) return done;
      gathered.clear();
    }
    for (std::size_t axis = shape.rank; axis-- > 0;) {
      const auto stride = static_cast<std::size_t>(strides[axis]);
      offset += stride;
      if (++index[axis] < shape[axis]) break;
      offset -= stride * shape[axis];
      index[axis] = 0;
    }
  }
  return {};
}

}  // namespace detail

/// Calls f(piece) with the bytes of codes as files hold them, in pieces that follow each other:
/// row-major, and packed where a code has fewer than 8 bits.
///
/// @param f returns a `result<void>`; an error stops
template <class F>
result<void> for_each_stored_piece(const quantized_view& q, F&& f) {
  if (!q.dtype->is_packed()) return detail::for_each_row_major_piece(q, f);
  std::vector<std::byte> packed;
  return detail::for_each_row_major_piece(q, [&](std::span<const std::byte> codes) -> result<void> {
    while (!codes.empty()) {
      const auto part = codes.first((std::min)(detail::codes_per_piece, codes.size()));
      packed.resize(packed_size(part.size(), q.dtype->bits));
      pack(part, q.dtype->bits, packed);
      if (auto done = f(std::span<const std::byte>(packed)); !done) return done;
      codes = codes.subspan(part.size());
    }
    return {};
  });
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_STORED_CODES_HPP
