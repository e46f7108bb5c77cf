// SPDX-License-Identifier: Apache-2.0
/// @file word_hash.hpp A 64-bit hash of bytes.
#ifndef PTQ_TEXT_WORD_HASH_HPP
#define PTQ_TEXT_WORD_HASH_HPP

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace ptq::inline v0_1::detail {

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

}  // namespace ptq::inline v0_1::detail

#endif  // PTQ_TEXT_WORD_HASH_HPP
