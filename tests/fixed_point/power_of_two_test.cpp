// SPDX-License-Identifier: Apache-2.0
// Codes by powers of two: those of the float path, and each policy's ties against exact quotients.
#include "ptq/fixed_point/power_of_two.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <type_traits>
#include <vector>

#include "ptq/backend/modelopt.hpp"
#include "ptq/backend/torchao.hpp"
#include "ptq/dtype/int8.hpp"
#include "ptq/fixed_point/half_away.hpp"
#include "ptq/fixed_point/half_even.hpp"
#include "ptq/fixed_point/half_up.hpp"
#include "ptq/quantize/dequantize.hpp"
#include "ptq/quantize/quantize.hpp"
#include "support/random.hpp"

namespace {

using ptq::power_of_two;
using ptq::detail::bits_of;
using ptq::detail::float_of;

constexpr float infinity = float_of(0x7f800000u);
constexpr float minus_infinity = float_of(0xff800000u);
constexpr float largest = float_of(0x7f7fffffu);
constexpr float smallest = float_of(1);

static_assert(power_of_two{-3}.encode(1.0F) == 8 && power_of_two{-3}.encode(-1.0F) == -8);
static_assert(power_of_two{-3}.value() == 0.125F && power_of_two{-125}.value() == 0x1p-125F);
static_assert(power_of_two{0}.encode(2.5F) == 2 && power_of_two{0}.encode(-3.5F) == -4);
static_assert(power_of_two{0}.encode<ptq::half_away>(2.5F) == 3 &&
              power_of_two{0}.encode<ptq::half_away>(-2.5F) == -3);
static_assert(power_of_two{0}.encode<ptq::half_up>(2.5F) == 3 &&
              power_of_two{0}.encode<ptq::half_up>(-2.5F) == -2);
static_assert(power_of_two{0}.encode<ptq::half_up>(-128.5F) == -128 &&
              power_of_two{0}.encode(-129.0F) == -128);
static_assert(power_of_two{0}.encode<ptq::half_away>(127.5F) == 127 && power_of_two{0}.encode(1e9F) == 127);
static_assert(power_of_two{127}.encode(infinity) == 127 && power_of_two{127}.encode(largest) == 2);
static_assert(power_of_two{-125}.encode(minus_infinity) == -128 && power_of_two{-125}.encode(smallest) == 0);
static_assert(power_of_two{5}.encode(float_of(0xffc00000u)) == 0);
static_assert(power_of_two{-3}.decode(-128) == -16.0F && power_of_two{-3}.decode(0) == 0.0F);
static_assert(power_of_two{127}.decode(1) == 0x1p127F &&
              bits_of(power_of_two{127}.decode(-2)) == 0xff800000u);

static_assert(power_of_two::of(0.125F).exponent == -3 && power_of_two::of(0x1p127F).exponent == 127);

static_assert(power_of_two::covering(127.0F).exponent == 0 && power_of_two::covering(127.01F).exponent == 1);
static_assert(power_of_two::covering(1.0F).exponent == -6 &&
              power_of_two::covering(0.9921875F).exponent == -7);
static_assert(power_of_two::covering(0.0F).exponent == 0 && power_of_two::covering(largest).exponent == 122);
static_assert(power_of_two::covering(smallest).exponent == -125);

/// Edges, ties of every scale among them, and random floats of all exponents.
std::vector<float> values() {
  std::vector<float> made;
  for (const std::uint32_t bits :
       {0x00000000u, 0x00000001u, 0x00400000u, 0x007fffffu, 0x00800000u, 0x00800001u, 0x7f7fffffu,
        0x7f800000u, 0x7f800001u, 0x7fc00000u, 0x7fffffffu})
    for (const std::uint32_t sign : {0u, 0x80000000u}) made.push_back(float_of(bits | sign));
  for (std::uint32_t field = 1; field < 255; ++field)
    for (const std::uint32_t fraction :
         {0x000000u, 0x000001u, 0x400000u, 0x600000u, 0x200000u, 0x7f0000u, 0x7e8000u, 0x7effffu, 0x7fffffu})
      for (const std::uint32_t sign : {0u, 0x80000000u})
        made.push_back(float_of(sign | (field << 23) | fraction));
  test::random_bits random(18);
  for (int i = 0; i < 20'000; ++i) made.push_back(float_of(static_cast<std::uint32_t>(random.next())));
  return made;
}

template <class B>
int differing_from(const std::vector<float>& floats, power_of_two by) {
  std::vector<std::int8_t> codes(floats.size());
  const std::array<float, 1> scale{by.value()};
  if (!ptq::quantize_by<ptq::int8, B>(std::span(floats), scale, codes)) return 1;
  int differing = 0;
  for (std::size_t i = 0; i < floats.size(); ++i)
    if (codes[i] != by.encode(floats[i])) ++differing;
  return differing;
}

/// What an exact quotient becomes, with ties as the policy has them.
template <class Ties>
int rounded(std::int64_t twice) {
  const std::int64_t down = twice / 2 - (twice % 2 < 0 ? 1 : 0);
  if (twice % 2 == 0) return static_cast<int>(down);
  if (std::is_same_v<Ties, ptq::half_up> || (std::is_same_v<Ties, ptq::half_away> && twice > 0))
    return static_cast<int>(down + 1);
  if (std::is_same_v<Ties, ptq::half_away>) return static_cast<int>(down);
  return static_cast<int>(down % 2 == 0 ? down : down + 1);
}

}  // namespace

TEST_CASE("every scale gives the codes of the float path") {
  const std::vector<float> floats = values();
  for (int exponent = power_of_two::lowest_exponent; exponent <= power_of_two::highest_exponent; ++exponent) {
    CAPTURE(exponent);
    CHECK(differing_from<ptq::modelopt>(floats, {exponent}) == 0);
    CHECK(differing_from<ptq::torchao>(floats, {exponent}) == 0);
  }
}

TEST_CASE("every code is decoded to what the float path makes of it, and encoded to itself") {
  for (int exponent = power_of_two::lowest_exponent; exponent <= power_of_two::highest_exponent; ++exponent) {
    const power_of_two by{exponent};
    int wrong = 0;
    for (int i = -128; i <= 127; ++i) {
      const std::array<std::int8_t, 1> code{static_cast<std::int8_t>(i)};
      const std::array<float, 1> scale{by.value()};
      std::array<float, 1> value{};
      if (!ptq::dequantize<ptq::int8>(code, scale, ptq::per_tensor(), value)) ++wrong;
      if (bits_of(value[0]) != bits_of(by.decode(code[0]))) ++wrong;
      if (exponent <= 120 && by.encode(value[0]) != code[0]) ++wrong;
    }
    CAPTURE(exponent);
    CHECK(wrong == 0);
  }
}

TEST_CASE_TEMPLATE("all halves and what is beside them", Ties, ptq::half_even, ptq::half_away, ptq::half_up) {
  for (const int exponent : {-125, -20, -1, 0, 1, 30, 119}) {
    const power_of_two by{exponent};
    int wrong = 0;
    for (std::int64_t twice = -300; twice <= 300; ++twice) {
      const float value = static_cast<float>(twice) * (by.value() / 2);
      const int code = rounded<Ties>(twice);
      if (by.encode<Ties>(value) != (code < -128 ? -128 : code > 127 ? 127 : code)) ++wrong;
      if (twice % 2 == 0 || twice < -255 || twice > 253) continue;
      const int inside = static_cast<int>(twice / 2);  // towards zero, as the float before is
      if (by.encode<Ties>(float_of(bits_of(value) - 1)) != inside) ++wrong;
      if (by.encode<Ties>(float_of(bits_of(value) + 1)) != inside + (twice > 0 ? 1 : -1)) ++wrong;
    }
    CAPTURE(exponent);
    CHECK(wrong == 0);
  }
}

TEST_CASE("the scale for an amax is the smallest that covers it") {
  test::random_bits random(19);
  int wrong = 0;
  for (int i = 0; i < 100'000; ++i) {
    const float amax = float_of(bits_of(random.next_float(-110, 128)) & 0x7fffffffu);
    const power_of_two by = power_of_two::covering(amax);
    const double end = 127 * static_cast<double>(by.value());
    if (static_cast<double>(amax) > end || static_cast<double>(amax) <= end / 2) ++wrong;
  }
  CHECK(wrong == 0);
}
