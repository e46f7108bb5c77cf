// SPDX-License-Identifier: Apache-2.0
// Sums times a factor, against the exact product rounded in wide integers.
#include "ptq/fixed_point/requantize.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>

#include "ptq/fixed_point/half_away.hpp"
#include "ptq/fixed_point/half_even.hpp"
#include "ptq/fixed_point/half_up.hpp"
#include "support/random.hpp"

namespace {

using ptq::double_rounding;
using ptq::multiplier_shift;
using ptq::requantize;
using ptq::requantize_to_int8;
using ptq::single_rounding;

constexpr std::int32_t lowest = std::numeric_limits<std::int32_t>::lowest();
constexpr std::int32_t highest = std::numeric_limits<std::int32_t>::max();
constexpr multiplier_shift one{1 << 30, 1};
constexpr multiplier_shift half{1 << 30, 0};

static_assert(requantize(5, half) == 3 && requantize(-5, half) == -2, "ties go up");
static_assert(requantize<double_rounding>(5, half) == 3 && requantize<double_rounding>(-5, half) == -2);
static_assert(requantize(-5, {1 << 30, -1}) == -1 && requantize<double_rounding>(-5, {1 << 30, -1}) == -1);
static_assert(requantize(-6, {1 << 30, -1}) == -1 && requantize<double_rounding>(-6, {1 << 30, -1}) == -2,
              "the second rounding takes ties away from zero");
static_assert(requantize(3, {1 << 30, -1}) == 1 && requantize(1, {1 << 30, -1}) == 0);
static_assert(requantize<double_rounding>(1, {1 << 30, -1}) == 1, "a half, then another");
static_assert(requantize(lowest, one) == lowest && requantize(highest, one) == highest);
static_assert(requantize(highest, {1 << 30, 2}) == highest && requantize(lowest, {1 << 30, 2}) == lowest);
static_assert(requantize(1, {1 << 30, highest}) == highest && requantize(-1, {1 << 30, highest}) == lowest);
static_assert(requantize(highest, {1 << 30, lowest}) == 0 && requantize(lowest, {1 << 30, lowest}) == 0);
static_assert(requantize(lowest, {lowest, -32}) == 1 && requantize(highest, {lowest, -32}) == 0 &&
              requantize(lowest, {lowest, -33}) == 0);
static_assert(requantize<double_rounding>(lowest, {highest, -31}) == -1 &&
              requantize<double_rounding>(lowest, {highest, -32}) == 0 &&
              requantize<double_rounding>(highest, {highest, -33}) == 0);
static_assert(requantize(-1, {1, 62}) == lowest && requantize(-1, {1, 61}) == lowest / 2 &&
              requantize(1, {1, 61}) == 1 << 30 && requantize(1, {1, 62}) == highest);
static_assert(requantize(lowest, {lowest, 0}) == highest && requantize(0, {lowest, highest}) == 0);
static_assert(requantize<double_rounding>(lowest, {lowest, 0}) == highest);
static_assert(requantize<double_rounding>(1, {1 << 30, highest}) == 1 << 30,
              "the sum saturates, then the product");
static_assert(requantize<double_rounding>(highest, {highest, lowest}) == 0);

// Ties by policies: 2.5, -2.5, 3.5, -3.5.
template <class Ties>
constexpr bool rounds_to(std::int32_t a, std::int32_t b, std::int32_t c, std::int32_t d) {
  return requantize<Ties>(5, half) == a && requantize<Ties>(-5, half) == b &&
         requantize<Ties>(7, half) == c && requantize<Ties>(-7, half) == d;
}
static_assert(rounds_to<ptq::half_even>(2, -2, 4, -4));
static_assert(rounds_to<ptq::half_away>(3, -3, 4, -4));
static_assert(rounds_to<ptq::half_up>(3, -2, 4, -3));

static_assert(requantize_to_int8(100, one) == 100 && requantize_to_int8(100, one, 100) == 127);
static_assert(requantize_to_int8(-100, one, -100) == -128 && requantize_to_int8(-100, one, 0, 0) == 0);
static_assert(requantize_to_int8(100, one, 0, 0, 6) == 6);
static_assert(requantize_to_int8(highest, one, highest) == 127 &&
              requantize_to_int8(lowest, one, lowest) == -128);

}  // namespace

// The arithmetic once more, as integer divisions of exact products.
namespace {

std::int64_t floor_of(std::int64_t numerator, std::int64_t denominator) {
  return numerator / denominator - (numerator % denominator < 0 ? 1 : 0);
}

std::int32_t limited(std::int64_t value) {
  if (value < lowest) return lowest;
  return value > highest ? highest : static_cast<std::int32_t>(value);
}

/// Of shifts from -31 to 31. The product is below 2^62 and what is added to it below 2^62.
std::int32_t rounded_once(std::int32_t sum, multiplier_shift by) {
  const std::int64_t product = std::int64_t{sum} * by.multiplier;
  const std::int64_t unit = std::int64_t{1} << (31 - by.shift);
  return limited(unit == 1 ? product : floor_of(product + unit / 2, unit));
}

std::int32_t rounded_twice(std::int32_t sum, multiplier_shift by) {
  const std::int64_t left = by.shift > 0 ? std::int64_t{1} << by.shift : 1;
  const std::int64_t right = by.shift < 0 ? std::int64_t{1} << -by.shift : 1;
  const std::int64_t product = limited(sum * left) * std::int64_t{by.multiplier};
  const std::int64_t high = limited(floor_of(product + (1 << 30), std::int64_t{1} << 31));
  const std::int64_t size = ((high < 0 ? -high : high) + right / 2) / right;
  return limited(high < 0 ? -size : size);
}

bool agrees(std::int32_t sum, multiplier_shift by) {
  return requantize(sum, by) == rounded_once(sum, by) &&
         requantize<double_rounding>(sum, by) == rounded_twice(sum, by);
}

}  // namespace

TEST_CASE("sums and multipliers at the edges, by every shift") {
  constexpr std::int32_t edges[] = {
      lowest, lowest + 1, lowest / 2 - 1, lowest / 2,      lowest / 2 + 1, -3,     -2, -1, 0, 1,
      2,      3,          highest / 2,    highest / 2 + 1, highest - 1,    highest};
  int wrong = 0;
  for (std::int32_t shift = -31; shift <= 31; ++shift)
    for (const std::int32_t multiplier : edges)
      for (const std::int32_t sum : edges)
        if (!agrees(sum, {multiplier, shift})) ++wrong;
  CHECK(wrong == 0);
}

TEST_CASE("10^6 random sums") {
  test::random_bits random(16);
  int wrong = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    const std::uint64_t bits = random.next();
    const auto multiplier = static_cast<std::int32_t>((bits >> 33) | 0x40000000u);
    const auto width = static_cast<int>(bits % 32);
    const auto sum = static_cast<std::int32_t>(static_cast<std::uint32_t>(random.next())) >> width;
    if (!agrees(sum, {multiplier, static_cast<std::int32_t>(random.next() % 63) - 31})) ++wrong;
  }
  CHECK(wrong == 0);
}
