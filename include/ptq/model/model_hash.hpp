// SPDX-License-Identifier: Apache-2.0
/// @file model_hash.hpp Tells models apart: statistics of one must not be used for another.
#ifndef PTQ_MODEL_MODEL_HASH_HPP
#define PTQ_MODEL_MODEL_HASH_HPP

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "ptq/model/any_view.hpp"
#include "ptq/model/layer.hpp"
#include "ptq/tensor/element.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// A hash of words of 8 bytes: the rounds of one lane of XXH64, and its avalanche
/// (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md). Each round is a bijection of the state
/// and of the word, and its multiplications spread every bit, so that two changes do not cancel as they do in
/// sums.
class word_hash {
 public:
  void add(std::uint64_t word) noexcept { state_ = std::rotl(state_ + word * prime2, 31) * prime1; }

  /// The last word is filled up with zeros: add the length, too, where it is not fixed.
  void add(std::span<const std::byte> bytes) noexcept {
    std::uint64_t word = 0;
    for (; bytes.size() >= sizeof word; bytes = bytes.subspan(sizeof word)) {
      std::memcpy(&word, bytes.data(), sizeof word);
      add(word);
    }
    if (bytes.empty()) return;
    word = 0;
    std::memcpy(&word, bytes.data(), bytes.size());
    add(word);
  }

  void add(std::string_view text) noexcept {
    add(std::uint64_t{text.size()});
    add(std::as_bytes(std::span(text)));
  }

  std::uint64_t value() const noexcept {
    std::uint64_t h = (state_ ^ (state_ >> 33)) * prime2;
    h = (h ^ (h >> 29)) * prime3;
    return h ^ (h >> 32);
  }

 private:
  static constexpr std::uint64_t prime1 = 0x9e3779b185ebca87u;
  static constexpr std::uint64_t prime2 = 0xc2b2ae3d27d4eb4fu;
  static constexpr std::uint64_t prime3 = 0x165667b19e3779f9u;

  std::uint64_t state_ = 0;
};

/// Calls f(bytes) with the elements of a tensor in row-major order, in pieces of whole words but for the
/// last.
template <class F>
void for_each_piece(const any_view& view, F&& f) {
  const std::size_t size = size_of(*view.type);
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
  if (one.weight.type) {
    hash.add(name_of(*one.weight.type));
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
  std::string digits(16, '0');
  for (std::size_t i = digits.size(); i-- > 0; sum >>= 4) digits[i] = "0123456789abcdef"[sum & 15u];
  return digits;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_MODEL_MODEL_HASH_HPP
