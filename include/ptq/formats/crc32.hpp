// SPDX-License-Identifier: Apache-2.0
/// @file crc32.hpp The CRC-32 of ZIP, of bytes that may come in any order.
#ifndef PTQ_FORMATS_CRC32_HPP
#define PTQ_FORMATS_CRC32_HPP

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace ptq::inline v0_1 {

/// Of what came before and these bytes.
///
/// @param before the CRC-32 of what came before; 0 of nothing
inline std::uint32_t crc32_of(std::span<const std::byte> bytes, std::uint32_t before = 0) noexcept {
  const auto* const first = static_cast<const Bytef*>(static_cast<const void*>(bytes.data()));
  // Without bytes zlib would forget what came before.
  return bytes.empty() ? before : static_cast<std::uint32_t>(::crc32_z(before, first, bytes.size()));
}

/// The CRC-32 of two pieces, one behind the other.
///
/// @param size of the second, in bytes
inline std::uint32_t crc32_joined(std::uint32_t first, std::uint32_t second, std::uint64_t size) noexcept {
  return static_cast<std::uint32_t>(::crc32_combine(first, second, static_cast<z_off_t>(size)));
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_CRC32_HPP
