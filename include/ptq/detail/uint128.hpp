// SPDX-License-Identifier: Apache-2.0
/// @file uint128.hpp 128-bit sums and products on every machine: 32-bit targets have no __int128.
#ifndef PTQ_DETAIL_UINT128_HPP
#define PTQ_DETAIL_UINT128_HPP

#include <compare>
#include <cstdint>

namespace ptq::inline v0_1::detail {

/// Unsigned and modulo 2^128, so that a sum may pass through "negative" values on its way.
struct uint128 {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  constexpr uint128& operator+=(uint128 other) noexcept {
    low += other.low;
    high += other.high + (low < other.low ? 1u : 0u);
    return *this;
  }
  constexpr uint128& operator-=(uint128 other) noexcept {
    high -= other.high + (low < other.low ? 1u : 0u);
    low -= other.low;
    return *this;
  }
  friend constexpr uint128 operator+(uint128 a, uint128 b) noexcept { return a += b; }
  friend constexpr uint128 operator-(uint128 a, uint128 b) noexcept { return a -= b; }

  friend constexpr bool operator==(const uint128&, const uint128&) = default;
  friend constexpr std::strong_ordering operator<=>(const uint128&, const uint128&) = default;
};

/// a * b, exact, by products of 32-bit halves.
constexpr uint128 multiply_halves(std::uint64_t a, std::uint64_t b) noexcept {
  constexpr std::uint64_t half = 0xffffffffu;
  const std::uint64_t low = (a & half) * (b & half);
  const std::uint64_t left = (a >> 32) * (b & half) + (low >> 32);
  const std::uint64_t right = (a & half) * (b >> 32) + (left & half);
  return {(a >> 32) * (b >> 32) + (left >> 32) + (right >> 32), (right << 32) | (low & half)};
}

/// a * b, exact.
constexpr uint128 multiply_wide(std::uint64_t a, std::uint64_t b) noexcept {
#ifdef __SIZEOF_INT128__
  __extension__ using native = unsigned __int128;
  const native product = static_cast<native>(a) * b;
  return {static_cast<std::uint64_t>(product >> 64), static_cast<std::uint64_t>(product)};
#else
  return multiply_halves(a, b);
#endif
}

/// a * b / 2^64, rounded down.
constexpr std::uint64_t multiply_high(std::uint64_t a, std::uint64_t b) noexcept {
  return multiply_wide(a, b).high;
}

}  // namespace ptq::inline v0_1::detail

#endif  // PTQ_DETAIL_UINT128_HPP
