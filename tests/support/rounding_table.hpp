// SPDX-License-Identifier: Apache-2.0
/// @file rounding_table.hpp Rounding to nearest even by table, for checking encoders: it lists the values of
/// a format and the midpoints between them, and shares no code with the library.
#ifndef PTQ_TESTS_SUPPORT_ROUNDING_TABLE_HPP
#define PTQ_TESTS_SUPPORT_ROUNDING_TABLE_HPP

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace test {

inline constexpr std::uint32_t infinity = 0x7f800000u;

/// The values 0, 1, ... of the codes 0, 1, ... of a floating-point format, up to and including
/// `largest_code`.
inline std::vector<double> minifloat_values(int exponent_bits, int mantissa_bits, int largest_code) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  std::vector<double> values;
  for (int code = 0; code <= largest_code; ++code) {
    const int field = code >> mantissa_bits;
    const double fraction = std::ldexp(code & ((1 << mantissa_bits) - 1), -mantissa_bits);
    values.push_back(field == 0 ? std::ldexp(fraction, 1 - bias) : std::ldexp(1 + fraction, field - bias));
  }
  return values;
}

/// Which float magnitudes round to which value of an ascending list that starts at 0.
class rounding_table {
 public:
  explicit rounding_table(const std::vector<double>& values) {
    for (std::size_t i = 0; i + 1 < values.size(); ++i) {
      const double midpoint = (values[i] + values[i + 1]) / 2;
      const auto bits =
          std::bit_cast<std::uint32_t>(static_cast<float>(midpoint));  // exact for these formats
      last_.push_back(i % 2 == 0 ? bits : bits - 1);                   // a tie goes to the even number
    }
    last_.push_back(infinity);
  }

  /// The largest magnitude, as float bits, that rounds to value number i.
  std::uint32_t last(std::size_t i) const { return last_[i]; }
  std::size_t size() const { return last_.size(); }

  /// The number of the value nearest to a magnitude up to infinity.
  std::size_t nearest(std::uint32_t magnitude) const {
    return static_cast<std::size_t>(std::lower_bound(last_.begin(), last_.end(), magnitude) - last_.begin());
  }

 private:
  std::vector<std::uint32_t> last_;
};

}  // namespace test

#endif  // PTQ_TESTS_SUPPORT_ROUNDING_TABLE_HPP
