// SPDX-License-Identifier: Apache-2.0
/// @file model_hash.hpp Tells models apart: statistics of one must not be used for another.
#ifndef PTQ_MODEL_MODEL_HASH_HPP
#define PTQ_MODEL_MODEL_HASH_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "ptq/model/layer.hpp"
#include "ptq/tensor/any_view.hpp"
#include "ptq/tensor/element.hpp"
#include "ptq/tensor/view.hpp"
#include "ptq/text/printable.hpp"
#include "ptq/text/word_hash.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// Calls f(bytes) with the elements of a tensor in row-major order, in pieces of whole words but for the
/// last.
template <class F>
void for_each_piece(const any_view& view, F&& f) {
  const std::size_t size = size_of(view.type);
  const auto* first = static_cast<const std::byte*>(view.data);
  if (view.strides == row_major(view.shape)) return f(std::span(first, view.size() * size));
  std::array<std::byte, 4096> piece;
  std::size_t filled = 0;
  for (std::size_t at = 0; at < view.size(); ++at) {
    const std::ptrdiff_t offset = offset_of(at, view.shape, view.strides) * static_cast<std::ptrdiff_t>(size);
    std::memcpy(piece.data() + filled, first + offset, size);
    filled += size;
    if (filled < piece.size()) continue;
    f(std::span<const std::byte>(piece));
    filled = 0;
  }
  f(std::span<const std::byte>(piece).first(filled));
}

inline std::uint64_t hash_of(const layer& one) {
  word_hash hash;
  hash.add(one.name);
  hash.add(std::uint64_t{one.weight.shape.rank});
  for (std::size_t axis = 0; axis < one.weight.shape.axes(); ++axis)
    hash.add(std::uint64_t{one.weight.shape[axis]});
  if (one.weight.has_floats()) {
    hash.add(name_of(one.weight.type));
    for_each_piece(one.weight, [&](std::span<const std::byte> bytes) { hash.add(bytes); });
  }
  return hash.value();
}

}  // namespace detail

/// 16 hexadecimal digits of the names and weights of all layers. Neither the order of the layers nor how
/// their weights lie in memory matters. Two models that differ in a name, a shape, an element type or an
/// element differ here, too, but for accidents (one in 2^64); it is no protection from intent.
inline std::string model_hash(std::span<const layer> layers) {
  std::uint64_t sum = 0;
  for (const layer& one : layers) sum += detail::hash_of(one);
  return detail::hex_digits(sum, 16);
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_MODEL_MODEL_HASH_HPP
