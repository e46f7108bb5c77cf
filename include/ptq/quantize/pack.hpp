// SPDX-License-Identifier: Apache-2.0
/// @file pack.hpp Codes of fewer than 8 bits, several to a byte: how files hold them. In memory a code has a
/// byte of its own.
#ifndef PTQ_QUANTIZE_PACK_HPP
#define PTQ_QUANTIZE_PACK_HPP

#include <cstddef>
#include <span>

#include "ptq/detail/platform.hpp"

namespace ptq::inline v0_1 {

/// The bytes that codes of so many bits (1 to 8) take side by side; bits that are left of the last are 0.
constexpr std::size_t packed_size(std::size_t codes, int bits) noexcept {
  const auto width = static_cast<std::size_t>(bits);
  return codes / 8 * width + (codes % 8 * width + 7) / 8;
}

/// Puts codes side by side, the first in the lowest bits: of 4 bits two to a byte, as ONNX has them. Codes of
/// 1, 2 and 4 bits never lie across two bytes; those of other widths do.
///
/// @param codes  one to a byte, the low bits count
/// @param packed `packed_size` bytes
constexpr void pack(std::span<const std::byte> codes, int bits, std::span<std::byte> packed) noexcept {
  PTQ_ASSERT(bits >= 1 && bits <= 8 && packed.size() == packed_size(codes.size(), bits));
  const unsigned mask = (1u << bits) - 1u;
  unsigned pending = 0;  // the bits that do not fill a byte yet
  int count = 0;
  std::size_t at = 0;
  for (std::size_t i = 0; i < codes.size(); ++i) {
    pending |= (static_cast<unsigned>(codes[i]) & mask) << count;
    for (count += bits; count >= 8; count -= 8, pending >>= 8)
      packed[at++] = static_cast<std::byte>(pending & 0xffu);
  }
  if (count > 0) packed[at] = static_cast<std::byte>(pending);
}

/// Takes codes apart again, from one in the middle on.
///
/// @param packed    `pack` made it
/// @param is_signed whether the highest bit of a code is its sign, as in int4
/// @param first     the place of the first code wanted
/// @param codes     as many as are wanted, one to a byte
constexpr void unpack(std::span<const std::byte> packed, int bits, bool is_signed, std::size_t first,
                      std::span<std::byte> codes) noexcept {
  PTQ_ASSERT(bits >= 1 && bits <= 8 && packed.size() >= packed_size(first + codes.size(), bits));
  const unsigned mask = (1u << bits) - 1u;
  const unsigned sign = is_signed ? 1u << (bits - 1) : 0u;
  const auto width = static_cast<std::size_t>(bits);
  std::size_t at = first / 8 * width + first % 8 * width / 8;
  int skipped = static_cast<int>(first % 8 * width % 8);
  for (std::size_t i = 0; i < codes.size(); ++i) {
    unsigned found = static_cast<unsigned>(packed[at]) >> skipped;
    skipped += bits;
    if (skipped > 8) found |= static_cast<unsigned>(packed[at + 1]) << (8 - (skipped - bits));
    if (skipped >= 8) {
      ++at;
      skipped -= 8;
    }
    codes[i] = static_cast<std::byte>((((found & mask) ^ sign) - sign) & 0xffu);
  }
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_QUANTIZE_PACK_HPP
