// SPDX-License-Identifier: Apache-2.0
// Fixed-point logarithms against digits found one by one, and wide products against schoolbook ones.
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "ptq/calibration/log2.hpp"
#include "ptq/detail/uint128.hpp"

using ptq::detail::log2_fixed;
using ptq::detail::multiply_halves;
using ptq::detail::multiply_wide;
using ptq::detail::uint128;

namespace {

/// a * b by shifts and additions.
constexpr uint128 multiply_slowly(std::uint64_t a, std::uint64_t b) {
  uint128 product;
  uint128 shifted{0, a};
  for (; b != 0; b >>= 1) {
    if ((b & 1u) != 0) product += shifted;
    shifted += shifted;
  }
  return product;
}

/// log2(x) in units of 2^-52: squaring a number in [1, 2) gives the next binary digit.
std::uint64_t log2_slowly(std::uint64_t x) {
  const int zeros = std::countl_zero(x);
  std::uint64_t square = x << zeros;  // in units of 2^-63
  std::uint64_t digits = static_cast<std::uint64_t>(63 - zeros);
  for (int i = 0; i < 52; ++i) {
    const uint128 product = multiply_wide(square, square);
    const bool two_or_more = product.high >> 63 != 0;
    square = two_or_more ? product.high : (product.high << 1) | (product.low >> 63);
    digits = digits * 2 + (two_or_more ? 1u : 0u);
  }
  return digits;
}

/// The distance from the true logarithm in units of 2^-48, rounded up.
std::uint64_t error_of(std::uint64_t x) {
  const std::uint64_t found = log2_fixed(x) << 4;
  const std::uint64_t wanted = log2_slowly(x);
  return ((found > wanted ? found - wanted : wanted - found) + 15) / 16;
}

static_assert(log2_fixed(1) == 0);
static_assert(log2_fixed(std::uint64_t{1} << 63) == std::uint64_t{63} << 48);
static_assert(log2_fixed(3) == 446127282977751);
static_assert(ptq::detail::log2_table.cells[0].logarithm == 0);  // of 128 / 128
static_assert(multiply_wide(~std::uint64_t{0}, ~std::uint64_t{0}) == uint128{~std::uint64_t{0} - 1, 1});

}  // namespace

TEST_CASE("log2 is exact for powers of two and errs by less than one unit elsewhere") {
  for (int i = 0; i < 64; ++i)
    CHECK(log2_fixed(std::uint64_t{1} << i) == static_cast<std::uint64_t>(i) << 48);
  std::uint64_t worst = 0;
  for (std::uint64_t x = 1; x < 100000; ++x) worst = std::max(worst, error_of(x));
  std::uint64_t x = 1;
  for (int i = 0; i < 100000; ++i) {
    x = x * 6364136223846793005u + 1442695040888963407u;
    worst = std::max(worst, error_of((x >> (i % 60)) | 1u));
  }
  CHECK(worst <= 1);
}

TEST_CASE("log2 rises wherever its argument grows by more than the resolution") {
  std::size_t flat = 0;
  for (std::uint64_t x = 1; x < 200000; ++x) flat += log2_fixed(x) < log2_fixed(x + 1) ? 0u : 1u;
  CHECK(flat == 0);
}

TEST_CASE("wide products and sums") {
  std::size_t wrong = 0;
  std::uint64_t x = 1;
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t a = x = x * 6364136223846793005u + 1442695040888963407u;
    const std::uint64_t b = (x = x * 6364136223846793005u + 1442695040888963407u) >> (i % 64);
    const uint128 product = multiply_slowly(a, b);
    wrong += multiply_wide(a, b) == product ? 0u : 1u;
    wrong += multiply_halves(a, b) == product ? 0u : 1u;
    wrong += product + uint128{0, a} - product == uint128{0, a} ? 0u : 1u;
  }
  CHECK(wrong == 0);
  CHECK(uint128{0, ~std::uint64_t{0}} < uint128{1, 0});
}
