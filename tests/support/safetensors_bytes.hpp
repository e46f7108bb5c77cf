// SPDX-License-Identifier: Apache-2.0
// Safetensors files made by hand, so that tests can lie in them.
#ifndef PTQ_TESTS_SUPPORT_SAFETENSORS_BYTES_HPP
#define PTQ_TESTS_SUPPORT_SAFETENSORS_BYTES_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

/// 8 bytes, little-endian.
inline std::string length_bytes(std::uint64_t length) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(static_cast<unsigned char>(length >> (8 * i)));
  return bytes;
}

inline std::string safetensors_bytes(const std::string& header, const std::string& data = "") {
  return length_bytes(header.size()) + header + data;
}

inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

/// The bytes of an array of numbers.
template <class Numbers>
std::string data_of(const Numbers& numbers) {
  std::string bytes(std::size(numbers) * sizeof(*std::data(numbers)), '\0');
  if (!bytes.empty()) std::memcpy(bytes.data(), std::data(numbers), bytes.size());
  return bytes;
}

#endif  // PTQ_TESTS_SUPPORT_SAFETENSORS_BYTES_HPP
