// SPDX-License-Identifier: Apache-2.0
// Arithmetic on bits against the machine's own.
#include <doctest/doctest.h>

#include <bit>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "ptq/detail/strict_float.hpp"
#include "support/random.hpp"

namespace {

using namespace ptq::detail;

/// What the library makes of NaN; everything else as it is.
std::uint32_t canonical(float x) {
  return is_nan(bits_of(x)) ? nan_bits : bits_of(x);
}

bool agree(std::uint32_t x, std::uint32_t y) {
  return divide(x, y) == canonical(float_of(x) / float_of(y)) &&
         multiply(x, y) == canonical(float_of(x) * float_of(y));
}

bool converts(std::uint64_t bits) {
  return narrow(bits) == canonical(static_cast<float>(std::bit_cast<double>(bits)));
}

bool widens(std::uint32_t bits) {
  return is_nan(bits) || widen(bits) == std::bit_cast<std::uint64_t>(static_cast<double>(float_of(bits)));
}

}  // namespace

TEST_CASE("special values in all pairs") {
  std::vector<std::uint32_t> specials;
  for (const std::uint32_t near :
       {0x00000002u, 0x00400000u, 0x00800000u, 0x01000000u, 0x0b800000u, 0x21800000u, 0x34000000u,
        0x3f000000u, 0x3f800000u, 0x40400000u, 0x4b800000u, 0x5d800000u, 0x7e800000u, 0x7f000000u,
        0x7f800000u, 0x7fc00000u})
    for (std::uint32_t step = 0; step < 5; ++step)
      for (const std::uint32_t sign : {0u, sign_bit}) specials.push_back(sign | (near - 2 + step));
  int wrong = 0;
  for (const std::uint32_t x : specials) {
    if (!widens(x)) ++wrong;
    for (const std::uint32_t y : specials)
      if (!agree(x, y)) ++wrong;
  }
  CHECK(wrong == 0);
}

TEST_CASE("10^7 random pairs") {
  test::random_bits random(1);
  int wrong = 0;
  for (int i = 0; i < 10'000'000; ++i) {
    const std::uint64_t bits = random.next();
    const auto x = static_cast<std::uint32_t>(bits);
    if (!agree(x, static_cast<std::uint32_t>(bits >> 32)) || !widens(x)) ++wrong;
  }
  CHECK(wrong == 0);
}

TEST_CASE("10^7 doubles, most of them in the range of floats and near its midpoints") {
  test::random_bits random(2);
  int wrong = 0;
  for (int i = 0; i < 10'000'000; ++i) {
    const std::uint64_t bits = random.next();
    const std::uint64_t near_float = widen(static_cast<std::uint32_t>(bits)) + 0x10000000u - 2 + (bits >> 62);
    if (!converts(i % 4 == 0 ? bits : near_float)) ++wrong;
  }
  CHECK(wrong == 0);
}
