// SPDX-License-Identifier: Apache-2.0
// bfloat16 and half against a table of their values: every code, every midpoint, random floats.
#include <doctest/doctest.h>

#include <cstdint>

#include "ptq/numeric/bfloat16.hpp"
#include "ptq/numeric/half.hpp"
#include "support/random.hpp"
#include "support/rounding_table.hpp"

namespace {

struct half_format {
  using type = ptq::half;
  static constexpr int exponent_bits = 5;
  static constexpr int mantissa_bits = 10;
};
struct bfloat16_format {
  using type = ptq::bfloat16;
  static constexpr int exponent_bits = 8;
  static constexpr int mantissa_bits = 7;
};

constexpr std::uint32_t sign_bit = 0x80000000u;

template <class Half>
bool encodes(std::uint32_t magnitude, std::size_t code) {
  const auto positive = Half::from_float(ptq::detail::float_of(magnitude));
  const auto negative = Half::from_float(ptq::detail::float_of(sign_bit | magnitude));
  return positive.bits == code && negative.bits == (0x8000u | code);
}

}  // namespace

TEST_CASE_TEMPLATE("half types", Format, half_format, bfloat16_format) {
  using half_type = typename Format::type;
  constexpr int infinity_code = ((1 << Format::exponent_bits) - 1) << Format::mantissa_bits;
  // Infinity stands where the next value would be: what rounds to it overflows.
  const auto values = test::minifloat_values(Format::exponent_bits, Format::mantissa_bits, infinity_code);
  const test::rounding_table table(values);

  SUBCASE("decode to their values") {
    for (int code = 0; code < infinity_code; ++code) {
      const auto bits = static_cast<std::uint16_t>(code);
      if (static_cast<double>(half_type{bits}.to_float()) != values[bits]) FAIL_CHECK("code ", code);
      const auto negative = static_cast<std::uint16_t>(code | 0x8000);
      if (ptq::detail::bits_of(half_type{negative}.to_float()) !=
          (sign_bit | ptq::detail::bits_of(half_type{bits}.to_float())))
        FAIL_CHECK("code ", negative);
    }
  }

  SUBCASE("encode the last float before and the first after every midpoint") {
    for (std::size_t code = 0; code + 1 < table.size(); ++code)
      if (!encodes<half_type>(table.last(code), code) || !encodes<half_type>(table.last(code) + 1, code + 1))
        FAIL_CHECK("code ", code);
  }

  SUBCASE("encode random floats") {
    test::random_bits random(3);
    int wrong = 0;
    for (int i = 0; i < 1'000'000; ++i) {
      const auto magnitude = static_cast<std::uint32_t>(random.next() >> 33);
      if (magnitude <= test::infinity && !encodes<half_type>(magnitude, table.nearest(magnitude))) ++wrong;
    }
    CHECK(wrong == 0);
  }

  SUBCASE("keep infinities, and NaN as one NaN") {
    CHECK(encodes<half_type>(test::infinity, infinity_code));
    const auto nan = half_type::from_float(ptq::detail::float_of(0xff800001u));
    CHECK(nan.bits == 0x7fff);
    for (int code = infinity_code + 1; code < 0x8000; ++code) {
      const half_type positive{static_cast<std::uint16_t>(code)};
      const half_type negative{static_cast<std::uint16_t>(code | 0x8000)};
      if (ptq::detail::bits_of(positive.to_float()) != ptq::detail::nan_bits ||
          ptq::detail::bits_of(negative.to_float()) != ptq::detail::nan_bits)
        FAIL_CHECK("code ", code);
    }
  }
}
