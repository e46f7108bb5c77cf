// SPDX-License-Identifier: Apache-2.0
// Scales as multiplier and shift, against the form with std::frexp and std::round.
#include "ptq/fixed_point/multiplier_shift.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "support/random.hpp"

namespace {

using ptq::from_scale;
using ptq::from_scales;
using ptq::multiplier_shift;

constexpr std::uint64_t infinity_bits = 0x7ff0000000000000u;

/// TFLite's QuantizeMultiplier.
multiplier_shift by_frexp(double scale) {
  int shift = 0;
  auto multiplier = static_cast<std::int64_t>(std::round(std::frexp(scale, &shift) * 0x1p31));
  if (multiplier == std::int64_t{1} << 31) {
    multiplier /= 2;
    ++shift;
  }
  if (scale == 0 || shift < -31) return {0, 0};
  return {static_cast<std::int32_t>(multiplier), shift};
}

constexpr std::uint64_t fractions[] = {0x0000000000000, 0x0000000000001, 0x00000001fffff, 0x0000000200000,
                                       0x0000000200001, 0x0000000600000, 0x8000000000000, 0xfffffffdfffff,
                                       0xfffffffe00000, 0xfffffffe00001, 0xfffffffffffff};

bool agrees(std::uint64_t bits) {
  const auto scale = std::bit_cast<double>(bits);
  return from_scale(scale) == by_frexp(scale);
}

/// TFLite's scale of a layer.
bool agrees(std::uint32_t input, std::uint32_t weight, std::uint32_t output) {
  const auto in = std::bit_cast<float>(input);
  const auto by = std::bit_cast<float>(weight);
  const auto out = std::bit_cast<float>(output);
  return from_scales(in, by, out) ==
         by_frexp(static_cast<double>(in) * static_cast<double>(by) / static_cast<double>(out));
}

static_assert(from_scale(1.0) == multiplier_shift{1 << 30, 1});
static_assert(from_scale(0.5) == multiplier_shift{1 << 30, 0});
static_assert(from_scale(0.75F) == multiplier_shift{3 << 29, 0});
static_assert(from_scale(0.1) == multiplier_shift{1717986918, -3});
static_assert(from_scale(0.1F) == multiplier_shift{1717986944, -3});
static_assert(from_scale(1 - 0x1p-31) == multiplier_shift{0x7fffffff, 0});
static_assert(from_scale(1 - 0x1p-32) == multiplier_shift{1 << 30, 1}, "a tie is carried into the shift");
static_assert(from_scale(1 - 0x1p-32 - 0x1p-53) == multiplier_shift{0x7fffffff, 0});
static_assert(from_scale(0x1p-32) == multiplier_shift{1 << 30, -31});
static_assert(from_scale(0x1p-32 - 0x1p-85) == multiplier_shift{1 << 30, -31}, "carried back into range");
static_assert(from_scale(0x1p-32 - 0x1p-63) == multiplier_shift{}, "below the smallest");
static_assert(from_scale(0.0) == multiplier_shift{} && from_scale(-0.0F) == multiplier_shift{});
static_assert(from_scale(std::numeric_limits<float>::denorm_min()) == multiplier_shift{});
static_assert(from_scale(std::numeric_limits<double>::denorm_min()) == multiplier_shift{});
static_assert(from_scale(std::numeric_limits<float>::max()) == multiplier_shift{0x7fffff80, 128});
static_assert(from_scale(std::numeric_limits<double>::max()) == multiplier_shift{1 << 30, 1025});

static_assert(from_scales(0.5F, 0.5F, 0.25F) == multiplier_shift{1 << 30, 1});
static_assert(from_scales(0.1F, 0.3F, 0.7F) ==
              from_scale(static_cast<double>(0.1F) * static_cast<double>(0.3F) / static_cast<double>(0.7F)));
static_assert(from_scales(0.0F, 1.0F, 1.0F) == multiplier_shift{} &&
              from_scales(1.0F, -0.0F, 1.0F) == multiplier_shift{});

}  // namespace

TEST_CASE("every exponent: powers of two, their neighbours, ties and what rounds up to 2^31") {
  int wrong = 0;
  for (std::uint64_t field = 0; field < 0x7ff; ++field)
    for (const std::uint64_t fraction : fractions)
      if (!agrees((field << 52) | fraction)) ++wrong;
  CHECK(wrong == 0);
}

TEST_CASE("10^6 random doubles of all exponents, and as many floats") {
  test::random_bits random(14);
  int wrong = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    const std::uint64_t bits = random.next() % infinity_bits;
    if (!agrees(bits)) ++wrong;
    const auto scale = std::bit_cast<float>(static_cast<std::uint32_t>(bits) % 0x7f800000u);
    if (from_scale(scale) != by_frexp(static_cast<double>(scale))) ++wrong;
  }
  CHECK(wrong == 0);
}

TEST_CASE("10^6 random scales of layers") {
  test::random_bits random(15);
  int wrong = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    const std::uint64_t field = 1023 - 40 + random.next() % 50;
    if (!agrees((field << 52) | (random.next() >> 12))) ++wrong;
  }
  CHECK(wrong == 0);
}

TEST_CASE("scales of layers from floats: at the edges in all triples") {
  constexpr std::uint32_t edges[] = {0x00000000, 0x00000001, 0x00000003, 0x007fffff, 0x00800000,
                                     0x00ffffff, 0x34000000, 0x3dcccccd, 0x3f7fffff, 0x3f800000,
                                     0x3f800001, 0x3fffffff, 0x7effffff, 0x7f7fffff};
  int wrong = 0;
  for (const std::uint32_t input : edges)
    for (const std::uint32_t weight : edges)
      for (const std::uint32_t output : edges)
        if (output != 0 && !agrees(input, weight, output)) ++wrong;
  CHECK(wrong == 0);
}

TEST_CASE("scales of layers from floats: 10^6 random ones of all exponents, and as many ordinary ones") {
  test::random_bits random(17);
  int wrong = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    const std::uint64_t bits = random.next();
    const std::uint32_t output = static_cast<std::uint32_t>(random.next() % 0x7f7fffffu) + 1;
    if (!agrees(static_cast<std::uint32_t>(bits) % 0x7f800000u,
                static_cast<std::uint32_t>(bits >> 32) % 0x7f800000u, output))
      ++wrong;
    const auto ordinary = [&] {
      return std::bit_cast<std::uint32_t>(random.next_float(-16, 1)) & 0x7fffffffu;
    };
    const std::uint32_t input = ordinary();
    const std::uint32_t weight = ordinary();
    if (!agrees(input, weight, ordinary())) ++wrong;
  }
  CHECK(wrong == 0);
}
