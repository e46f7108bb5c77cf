// SPDX-License-Identifier: Apache-2.0
/// @file float_pieces.hpp The values of codes, in the element type that the weight had.
#ifndef PTQ_FORMATS_FLOAT_PIECES_HPP
#define PTQ_FORMATS_FLOAT_PIECES_HPP

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "ptq/detail/platform.hpp"
#include "ptq/error.hpp"
#include "ptq/formats/checkpoint/row_major.hpp"
#include "ptq/formats/stored_codes.hpp"
#include "ptq/model/dtype_row.hpp"
#include "ptq/model/quantized_view.hpp"
#include "ptq/numeric/bfloat16.hpp"
#include "ptq/numeric/element_type.hpp"
#include "ptq/numeric/half.hpp"
#include "ptq/result.hpp"
#include "ptq/tensor/any_view.hpp"
#include "ptq/tensor/element.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1 {
namespace detail {
inline namespace PTQ_BUILD {

/// Some rows of codes that are row-major.
inline quantized_view rows_of(const quantized_view& q, std::size_t first, std::size_t count,
                              std::size_t row_size) {
  quantized_view part = q;
  if (q.shape.rank > 0) part.shape.extents[0] = count;
  part.strides = row_major(part.shape);
  const std::size_t size = q.dtype->code_size;
  part.codes = q.codes.subspan(first * row_size * size, count * row_size * size);
  if (q.grain.is_per_channel() && q.grain.axis == 0) part.scales = q.scales.subspan(first, count);
  return part;
}

inline result<void> dequantized(status outcome) {
  if (outcome) return {};
  return error(outcome.code, {}, "the codes and scales do not fit their shape.");
}

template <element T, class F>
result<void> for_each_piece_of(const quantized_view& q, F&& f) {
  std::vector<T> values;
  if (dense_strides(q.shape, q.strides) != row_major(q.shape)) {
    values.resize(q.size());
    const tensor_view<T> target(values.data(), q.shape, q.strides);
    if (auto done = dequantized(dequantize(q, target)); !done) return done;
    std::vector<std::byte> gathered(values.size() * sizeof(T));
    copy_row_major(any_view(values.data(), element_traits<T>::type, q.shape, q.strides), 0, gathered);
    return f(std::span<const std::byte>(gathered));
  }
  const std::size_t rows = q.shape.rank > 0 ? q.shape[0] : 1;
  const std::size_t row_size = rows > 0 ? q.size() / rows : 0;
  const std::size_t at_once =
      (std::max)(codes_per_piece / (std::max)(row_size, std::size_t{1}), std::size_t{1});
  for (std::size_t first = 0; first < rows && row_size > 0; first += at_once) {
    const quantized_view part = rows_of(q, first, (std::min)(at_once, rows - first), row_size);
    values.resize(part.size());
    const tensor_view<T> target(values.data(), part.shape);
    if (auto done = dequantized(dequantize(part, target)); !done) return done;
    if (auto done = f(std::as_bytes(std::span<const T>(values))); !done) return done;
  }
  return {};
}

}  // namespace PTQ_BUILD
}  // namespace detail

inline namespace PTQ_BUILD {

/// Calls f(piece) with the bytes of code * scale, in float32 with one rounding, then rounded to an element
/// type (to nearest, ties to even): row-major, in pieces that follow each other.
///
/// @param codes one byte or more each, not packed
/// @param type  float16, bfloat16, float32 or float64
/// @param f     returns a `result<void>`; an error stops
template <class F>
result<void> for_each_float_piece(const quantized_view& codes, element_type type, F&& f) {
  switch (type) {
    case element_type::float64:
      return detail::for_each_piece_of<double>(codes, f);
    case element_type::float16:
      return detail::for_each_piece_of<half>(codes, f);
    case element_type::bfloat16:
      return detail::for_each_piece_of<bfloat16>(codes, f);
    default:
      return detail::for_each_piece_of<float>(codes, f);
  }
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_FLOAT_PIECES_HPP
