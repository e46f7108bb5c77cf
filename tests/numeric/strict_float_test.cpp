// SPDX-License-Identifier: Apache-2.0
// Arithmetic on bits: cases with known answers, in constant expressions and at run time.
#include "ptq/detail/strict_float.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <initializer_list>

using namespace ptq::detail;

namespace {

constexpr std::uint32_t smallest = 1;           // 2^-149
constexpr std::uint32_t largest = 0x7f7fffffu;  // 2^128 - 2^104
constexpr std::uint32_t two = 0x40000000u;
constexpr std::uint32_t half_of_one = 0x3f000000u;

// Exact, inexact, ties, underflow, overflow.
static_assert(divide(bits_of(1.0F), bits_of(3.0F)) == bits_of(1.0F / 3.0F));
static_assert(divide(bits_of(448.0F), bits_of(127.5F)) == bits_of(448.0F / 127.5F));
static_assert(divide(smallest, two) == 0, "half of the last place: a tie, and 0 is even");
static_assert(divide(3 * smallest, two) == 2 * smallest);
static_assert(divide(largest, half_of_one) == infinity_bits);
static_assert(divide(largest, smallest) == infinity_bits);
static_assert(divide(smallest, largest) == 0);
static_assert(divide(smallest, smallest) == one_bits);
static_assert(multiply(bits_of(0.1F), bits_of(0.2F)) == bits_of(0.1F * 0.2F));
static_assert(multiply(smallest, half_of_one) == 0);
static_assert(multiply(3 * smallest, half_of_one) == 2 * smallest);
static_assert(multiply(0x00ffffffu, half_of_one) == 0x00800000u, "rounds up into the normal numbers");
static_assert(multiply(largest, two) == infinity_bits);

// Signs, zeros, infinities, NaN.
static_assert(divide(sign_bit | one_bits, two) == (sign_bit | half_of_one));
static_assert(divide(sign_bit, two) == sign_bit);
static_assert(divide(one_bits, sign_bit) == (sign_bit | infinity_bits));
static_assert(divide(one_bits, infinity_bits) == 0);
static_assert(divide(0, 0) == nan_bits && divide(infinity_bits, infinity_bits) == nan_bits);
static_assert(multiply(sign_bit | one_bits, 0) == sign_bit);
static_assert(multiply(0, infinity_bits) == nan_bits);
static_assert(multiply(sign_bit | nan_bits, one_bits) == nan_bits, "a NaN has no sign");
static_assert(divide(0x7f800001u, one_bits) == nan_bits, "nor a payload");

// double and back.
static_assert(narrow(0x3ff0000000000000u) == one_bits);
static_assert(narrow(0x3ff0000010000000u) == one_bits, "a tie, to even");
static_assert(narrow(0x3ff0000010000001u) == one_bits + 1);
static_assert(narrow(0x3ff0000030000000u) == one_bits + 2, "a tie, to even");
static_assert(narrow(0x47efffffefffffffu) == largest && narrow(0x47effffff0000000u) == infinity_bits);
static_assert(narrow(0x36a0000000000000u) == smallest && narrow(0x3690000000000000u) == 0);
static_assert(narrow(0x3690000000000001u) == smallest);
static_assert(narrow(0x8000000000000001u) == sign_bit);
static_assert(narrow(0xfff0000000000001u) == nan_bits);
static_assert(widen(smallest) == 0x36a0000000000000u && widen(0x007fffffu) == 0x380fffffc0000000u);
static_assert(widen(largest) == 0x47efffffe0000000u && widen(sign_bit) == 0x8000000000000000u);
static_assert(widen(sign_bit | nan_bits) == 0x7ff8000000000000u);

static_assert(is_ordinary(bits_of(0x1p-60F)) && is_ordinary(bits_of(0x1p60F)) && is_ordinary(one_bits));
static_assert(!is_ordinary(bits_of(0x1p-60F) - 1) && !is_ordinary(bits_of(0x1p60F) + 1));
static_assert(!is_ordinary(0) && !is_ordinary(infinity_bits) && !is_ordinary(sign_bit | one_bits));

static_assert(shift_right_rounded(5, 0) == 5 && shift_right_rounded(5, 1) == 2 &&
              shift_right_rounded(7, 1) == 4);
static_assert(shift_right_rounded(~std::uint64_t{0} >> 1, 63) == 1 &&
              shift_right_rounded(~std::uint64_t{0} >> 1, 64) == 0);

}  // namespace

TEST_CASE("each float survives the way through double") {
  // Every exponent, both signs, some significands.
  for (std::uint32_t high = 0; high < 0x10000u; ++high) {
    for (const std::uint32_t low : {0x0000u, 0x0001u, 0x8000u, 0xffffu}) {
      const std::uint32_t bits = high << 16 | low;
      const std::uint32_t expected = is_nan(bits) ? nan_bits : bits;
      if (narrow(widen(bits)) != expected) FAIL_CHECK("differs: ", bits);
    }
  }
}

TEST_CASE("a value over itself is 1, times 1 is itself") {
  for (std::uint32_t bits = 1; bits < infinity_bits; bits += 0x1235u) {
    if (divide(bits, bits) != one_bits) FAIL_CHECK("x / x: ", bits);
    if (multiply(bits, one_bits) != bits || divide(bits, one_bits) != bits) FAIL_CHECK("x * 1: ", bits);
  }
}
