// SPDX-License-Identifier: Apache-2.0
/// @file log2.hpp Binary logarithms of integers in fixed point: the same bits on every machine, without libm.
#ifndef PTQ_CALIBRATION_LOG2_HPP
#define PTQ_CALIBRATION_LOG2_HPP

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "ptq/detail/uint128.hpp"

namespace ptq::inline v0_1::detail {

inline constexpr int log2_fraction_bits = 48;

/// log2(e) / 2, in units of 2^-64.
inline constexpr std::uint64_t half_log2_e = 0xb8aa3b295c17f0bcu;

/// The numbers 128 / 128 to 255 / 128: what is left of any other is a factor below 1 + 2^-7.
struct log2_cells {
  struct cell {
    std::uint64_t reciprocal;  ///< of 128 .. 255, in units of 2^-64, rounded down
    std::uint64_t logarithm;   ///< log2(cell / 128) in units of 2^-63
  };
  std::array<cell, 128> cells{};

  /// Logarithms as a running sum of log2(n / (n - 1)).
  constexpr log2_cells() noexcept {
    std::uint64_t sum = 0;
    for (std::size_t n = 128; n < 256; ++n) {
      if (n > 128) sum += log2_of_step(2 * std::uint64_t{n} - 1);
      cells[n - 128] = {~std::uint64_t{0} / n, sum};
    }
  }

 private:
  /// log2((odd + 1) / (odd - 1)) by the series of artanh(1 / odd).
  static constexpr std::uint64_t log2_of_step(std::uint64_t odd) noexcept {
    std::uint64_t sum = 0;
    std::uint64_t power = ~std::uint64_t{0} / odd;
    for (std::uint64_t k = 1; power != 0; k += 2) {
      sum += power / k;
      power /= odd * odd;
    }
    return multiply_high(sum, half_log2_e) * 2;
  }
};

inline constexpr log2_cells log2_table;

/// log2(1 + r) in units of 2^-63, for r below 2^-7 in units of 2^-64: r - r^2 / 2 + ... - r^6 / 6 and the
/// base. What is left off is below 2^-51.
constexpr std::uint64_t log2_of_one_plus(std::uint64_t r) noexcept {
  constexpr std::uint64_t one = ~std::uint64_t{0};
  std::uint64_t sum = one / 5 - multiply_high(r, one / 6);
  sum = one / 4 - multiply_high(r, sum);
  sum = one / 3 - multiply_high(r, sum);
  sum = one / 2 - multiply_high(r, sum);
  sum = one - multiply_high(r, sum);
  return multiply_high(multiply_high(r, sum), half_log2_e);
}

/// log2(x) in units of 2^-48, for x >= 1. Exact for powers of two; elsewhere the error is below one unit.
constexpr std::uint64_t log2_fixed(std::uint64_t x) noexcept {
  const int zeros = std::countl_zero(x);
  const std::uint64_t scaled = x << zeros;
  const log2_cells::cell& cell = log2_table.cells[static_cast<std::size_t>(scaled >> 56) - 128];
  const std::uint64_t rest = scaled << 8;  // of the number beyond its cell
  std::uint64_t fraction = cell.logarithm;
  if (rest != 0) fraction += log2_of_one_plus(multiply_high(rest, cell.reciprocal));  // 0 for all below 256
  constexpr int drop = 63 - log2_fraction_bits;
  return (static_cast<std::uint64_t>(63 - zeros) << log2_fraction_bits) +
         ((fraction + (1u << (drop - 1))) >> drop);
}

}  // namespace ptq::inline v0_1::detail

#endif  // PTQ_CALIBRATION_LOG2_HPP
