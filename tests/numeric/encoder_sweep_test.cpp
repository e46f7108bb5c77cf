// SPDX-License-Identifier: Apache-2.0
// All 2^32 floats through each 8-bit encoder, against a table of the format's values.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "ptq/dtypes.hpp"
#include "support/rounding_table.hpp"

namespace {

constexpr std::uint32_t sign_bit = 0x80000000u;

struct int8_format {
  using dtype = ptq::int8;
  static std::vector<double> values(bool negative) {
    std::vector<double> integers;
    for (int i = 0; i <= (negative ? 128 : 127); ++i) integers.push_back(i);
    return integers;
  }
  static std::int8_t code(std::size_t number, bool negative) {
    return static_cast<std::int8_t>(negative ? -static_cast<int>(number) : static_cast<int>(number));
  }
  static constexpr std::int8_t nan_code = 0;
};

template <class D, int ExponentBits, int MantissaBits, int LargestCode>
struct fp8_format {
  using dtype = D;
  static std::vector<double> values(bool) {
    return test::minifloat_values(ExponentBits, MantissaBits, LargestCode);
  }
  static std::uint8_t code(std::size_t number, bool negative) {
    return static_cast<std::uint8_t>(number + (negative ? 0x80u : 0u));
  }
  static constexpr std::uint8_t nan_code = 0x7f;
};
using e4m3fn_format = fp8_format<ptq::fp8_e4m3fn, 4, 3, 0x7e>;
using e5m2_format = fp8_format<ptq::fp8_e5m2, 5, 2, 0x7b>;

/// The number of wrong codes among the floats with bit patterns in [begin, end), all of one sign.
template <class Format>
std::uint64_t wrong_codes(std::uint32_t begin, std::uint32_t end) {
  const bool negative = (begin & sign_bit) != 0;
  const test::rounding_table table(Format::values(negative));
  std::uint64_t wrong = 0;
  std::uint32_t bits = begin;
  while (bits < end && (bits & ~sign_bit) <= test::infinity) {
    const std::size_t number = table.nearest(bits & ~sign_bit);
    const auto expected = Format::code(number, negative);
    const std::uint32_t stop = std::min(end - 1, table.last(number) | (begin & sign_bit));
    const std::uint32_t count = stop - bits + 1;
    std::uint32_t differing = 0;  // a plain counted loop: compilers vectorize it
    for (std::uint32_t i = 0; i < count; ++i)
      differing += Format::dtype::encode(ptq::detail::float_of(bits + i)) != expected ? 1u : 0u;
    wrong += differing;
    bits += count;
  }
  for (; bits < end; ++bits)
    if (Format::dtype::encode(ptq::detail::float_of(bits)) != Format::nan_code) ++wrong;
  return wrong;
}

}  // namespace

TEST_CASE_TEMPLATE("all 2^32 floats", Format, int8_format, e4m3fn_format, e5m2_format) {
  constexpr std::uint32_t chunk = 1u << 24;
  std::atomic<std::uint32_t> next{0};
  std::atomic<std::uint64_t> wrong{0};
  const auto work = [&] {
    for (std::uint32_t i = next++; i < 256; i = next++) {
      const std::uint32_t begin = i * chunk;
      // The last chunk ends at the last bit pattern, which has no successor.
      wrong += wrong_codes<Format>(begin, i == 255 ? 0xffffffffu : begin + chunk);
    }
  };
  std::thread other(work);
  work();
  other.join();
  CHECK(Format::dtype::encode(ptq::detail::float_of(0xffffffffu)) == Format::nan_code);
  CHECK(wrong == 0);
}
