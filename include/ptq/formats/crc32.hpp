// SPDX-License-Identifier: Apache-2.0
/// @file crc32.hpp The CRC-32 of ZIP, of bytes that may come in any order.
///
/// Source: ISO 3309, with the reflected polynomial 0xedb88320, 16 bytes at a time by as many tables; joining
/// is multiplication by x^(8 n) modulo that polynomial.
#ifndef PTQ_FORMATS_CRC32_HPP
#define PTQ_FORMATS_CRC32_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "ptq/file/byte_order.hpp"

namespace ptq::inline v0_1 {
namespace detail {

inline constexpr std::uint32_t crc32_polynomial = 0xedb88320;

/// Table k is what a byte does to the rest, k bytes behind it.
inline constexpr auto crc32_tables = [] {
  std::array<std::array<std::uint32_t, 256>, 16> tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t rest = byte;
    for (int bit = 0; bit < 8; ++bit) rest = rest >> 1 ^ ((rest & 1) != 0 ? crc32_polynomial : 0);
    tables[0][byte] = rest;
  }
  for (std::size_t k = 1; k < tables.size(); ++k)
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t before = tables[k - 1][byte];
      tables[k][byte] = before >> 8 ^ tables[0][before & 0xff];
    }
  return tables;
}();

/// The product of two polynomials, modulo that of the CRC. The highest bit is x^0.
constexpr std::uint32_t crc32_product(std::uint32_t a, std::uint32_t b) noexcept {
  std::uint32_t product = 0;
  for (std::uint32_t power = 1u << 31; power != 0; power >>= 1) {
    if ((a & power) != 0) product ^= b;
    b = b >> 1 ^ ((b & 1) != 0 ? crc32_polynomial : 0);
  }
  return product;
}

}  // namespace detail

/// Of what came before and these bytes.
///
/// @param before the CRC-32 of what came before; 0 of nothing
inline std::uint32_t crc32_of(std::span<const std::byte> bytes, std::uint32_t before = 0) noexcept {
  const auto& tables = detail::crc32_tables;
  std::uint32_t rest = ~before;
  for (; bytes.size() >= 16; bytes = bytes.subspan(16)) {
    std::array<std::uint64_t, 2> words{};
    std::memcpy(words.data(), bytes.data(), 16);
    words[0] ^= rest;
    rest = 0;
    for (std::size_t k = 0; k < 8; ++k) {
      rest ^= tables[15 - k][words[0] & 0xff] ^ tables[7 - k][words[1] & 0xff];
      words[0] >>= 8;
      words[1] >>= 8;
    }
  }
  for (const std::byte byte : bytes)
    rest = rest >> 8 ^ tables[0][(rest ^ std::to_integer<std::uint32_t>(byte)) & 0xff];
  return ~rest;
}

/// The CRC-32 of two pieces, one behind the other.
///
/// @param size of the second, in bytes
constexpr std::uint32_t crc32_joined(std::uint32_t first, std::uint32_t second, std::uint64_t size) noexcept {
  std::uint32_t power = 1u << 23;  // x^8
  for (; size != 0; size >>= 1) {
    if ((size & 1) != 0) first = detail::crc32_product(power, first);
    power = detail::crc32_product(power, power);
  }
  return first ^ second;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_CRC32_HPP
