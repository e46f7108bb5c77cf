// SPDX-License-Identifier: Apache-2.0
// Codes of fewer than 8 bits side by side: every width, code and place.
#include "ptq/quantize/pack.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <vector>

namespace {

constexpr std::byte b(unsigned value) {
  return static_cast<std::byte>(value);
}

/// Bit by bit: bit k of code i is bit i * bits + k of the stream, and bit j of the stream is bit j % 8 of
/// byte j / 8.
std::vector<std::byte> packed_bit_by_bit(const std::vector<std::byte>& codes, int bits) {
  const auto width = static_cast<std::size_t>(bits);
  std::vector<std::byte> packed((codes.size() * width + 7) / 8);
  for (std::size_t j = 0; j < codes.size() * width; ++j) {
    const std::byte bit_of_code = codes[j / width] >> (j % width) & std::byte{1};
    packed[j / 8] |= bit_of_code << (j % 8);
  }
  return packed;
}

/// What a code of so many bits is in a byte of its own.
std::byte extended(std::byte code, int bits, bool is_signed) {
  const unsigned value = std::to_integer<unsigned>(code) & ((1u << bits) - 1u);
  const bool is_negative = is_signed && (value >> (bits - 1)) != 0;
  return b(is_negative ? value | (0xffu << bits & 0xffu) : value);
}

}  // namespace

TEST_CASE("two codes of 4 bits: the first is the lower nibble, as in ONNX") {
  static constexpr auto packed = [] {
    std::array<std::byte, 2> made{};
    ptq::pack(std::array{b(0x1), b(0xf8), b(0x7)}, 4, made);  // 1, -8, 7
    return made;
  }();
  static_assert(packed[0] == b(0x81) && packed[1] == b(0x07));
  constexpr auto codes = [] {
    std::array<std::byte, 3> made{};
    ptq::unpack(packed, 4, true, 0, made);
    return made;
  }();
  static_assert(codes[0] == b(0x01) && codes[1] == b(0xf8) && codes[2] == b(0x07));
  CHECK(ptq::packed_size(3, 4) == 2);
}

TEST_CASE("every width: packed as the bits say, and every run of codes comes out again") {
  for (int bits = 1; bits <= 8; ++bits) {
    CAPTURE(bits);
    for (std::size_t size = 0; size <= 40; ++size) {
      CAPTURE(size);
      std::vector<std::byte> codes(size);
      for (std::size_t i = 0; i < size; ++i) codes[i] = b(static_cast<unsigned>(i * 151 + 77) & 0xffu);
      std::vector<std::byte> packed(ptq::packed_size(size, bits), b(0xff));
      ptq::pack(codes, bits, packed);
      REQUIRE(packed == packed_bit_by_bit(codes, bits));
      for (const bool is_signed : {false, true})
        for (std::size_t first = 0; first <= size; ++first)
          for (std::size_t count = 0; count <= size - first; ++count) {
            std::vector<std::byte> found(count);
            ptq::unpack(packed, bits, is_signed, first, found);
            std::vector<std::byte> wanted(count);
            for (std::size_t i = 0; i < count; ++i) wanted[i] = extended(codes[first + i], bits, is_signed);
            REQUIRE(found == wanted);
          }
    }
  }
}

TEST_CASE("every code of every width beside every other") {
  for (int bits = 1; bits <= 8; ++bits)
    for (const bool is_signed : {false, true})
      for (unsigned left = 0; left < 1u << bits; ++left)
        for (unsigned right = 0; right < 1u << bits; ++right) {
          const std::vector<std::byte> codes{b(left), b(right), b(left)};
          std::vector<std::byte> packed(ptq::packed_size(3, bits));
          ptq::pack(codes, bits, packed);
          std::vector<std::byte> found(3);
          ptq::unpack(packed, bits, is_signed, 0, found);
          const bool right_codes = found[0] == extended(codes[0], bits, is_signed) &&
                                   found[1] == extended(codes[1], bits, is_signed) && found[2] == found[0];
          REQUIRE(right_codes);
        }
}

TEST_CASE("the size of the largest tensors does not overflow on the way") {
  constexpr std::size_t most = static_cast<std::size_t>(-1);
  CHECK(ptq::packed_size(most, 1) == most / 8 + 1);
  CHECK(ptq::packed_size(most, 4) == most / 2 + 1);
}
