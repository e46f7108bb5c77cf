// SPDX-License-Identifier: Apache-2.0
// Every code of every built-in 8-bit dtype, both ways; the edges of encoding; what makes a class a dtype.
#include <doctest/doctest.h>

#include <cstdint>
#include <initializer_list>

#include "ptq/dtype/concept.hpp"
#include "ptq/dtypes.hpp"

using ptq::detail::bits_of;
using ptq::detail::float_of;

namespace {

const float infinity = float_of(ptq::detail::infinity_bits);

// int8: ties to even, the ends of the range, what is beyond them.
static_assert(ptq::int8::encode(0.5F) == 0 && ptq::int8::encode(1.5F) == 2 && ptq::int8::encode(-2.5F) == -2);
static_assert(ptq::int8::encode(0.50000006F) == 1 && ptq::int8::encode(-0.49999997F) == 0);
static_assert(ptq::int8::encode(126.5F) == 126 && ptq::int8::encode(127.5F) == 127 &&
              ptq::int8::encode(1e30F) == 127);
static_assert(ptq::int8::encode(-127.5F) == -128 && ptq::int8::encode(-128.5F) == -128 &&
              ptq::int8::encode(-1e30F) == -128);
static_assert(ptq::int8::encode(float_of(1)) == 0 && ptq::int8::encode(-0.0F) == 0);

// fp8: ties to even, subnormals, saturation, the sign of zero.
static_assert(ptq::fp8_e4m3fn::encode(448.0F) == 0x7e && ptq::fp8_e4m3fn::encode(464.0F) == 0x7e &&
              ptq::fp8_e4m3fn::encode(1e30F) == 0x7e && ptq::fp8_e4m3fn::encode(-1e30F) == 0xfe);
static_assert(ptq::fp8_e4m3fn::encode(0x1p-9F) == 1 && ptq::fp8_e4m3fn::encode(0x1p-10F) == 0 &&
              ptq::fp8_e4m3fn::encode(0x1.8p-9F) == 2 && ptq::fp8_e4m3fn::encode(-0x1p-11F) == 0x80);
static_assert(ptq::fp8_e5m2::encode(57344.0F) == 0x7b && ptq::fp8_e5m2::encode(61440.0F) == 0x7b &&
              ptq::fp8_e5m2::encode(1e30F) == 0x7b);
static_assert(ptq::fp8_e5m2::encode(0x1p-16F) == 1 && ptq::fp8_e5m2::encode(0x1p-17F) == 0);

/// What a dtype needs, and twins in which one member each is something else.
struct archetype {
  static constexpr const char* name = "archetype";
  using storage = std::uint8_t;
  static constexpr bool is_integer = true;
  static constexpr float max_finite = 1;
  static constexpr float lowest = -1;
  static constexpr storage encode(float) noexcept { return 0; }
  static constexpr float decode(storage) noexcept { return 0; }
};
struct without_name : archetype {
  struct name;
};
struct without_storage : archetype {
  using storage = void;
};
struct without_is_integer : archetype {
  struct is_integer;
};
struct with_integer_max : archetype {
  static constexpr int max_finite = 1;  // halves of integers would be cut
};
struct with_double_lowest : archetype {
  static constexpr double lowest = -1;
};
struct without_encode : archetype {
  static void encode();
};
struct with_throwing_encode : archetype {
  static constexpr storage encode(float) { return 0; }
};
struct without_decode : archetype {
  static void decode();
};
struct with_double_decode : archetype {
  static constexpr double decode(storage) noexcept { return 0; }
};
struct with_state : archetype {
  int state = 0;
};
static_assert(ptq::dtype<archetype>);
static_assert(ptq::dtype<ptq::int8> && ptq::dtype<ptq::fp8_e4m3fn> && ptq::dtype<ptq::fp8_e5m2> &&
              ptq::dtype<ptq::native>);
static_assert(!ptq::dtype<without_name> && !ptq::dtype<without_storage> && !ptq::dtype<without_is_integer> &&
              !ptq::dtype<with_integer_max> && !ptq::dtype<with_double_lowest> &&
              !ptq::dtype<without_encode> && !ptq::dtype<with_throwing_encode> &&
              !ptq::dtype<without_decode> && !ptq::dtype<with_double_decode> && !ptq::dtype<with_state>);

}  // namespace

TEST_CASE_TEMPLATE("each code decodes to a value that encodes to it", D, ptq::int8, ptq::fp8_e4m3fn,
                   ptq::fp8_e5m2) {
  for (int i = 0; i < 256; ++i) {
    const auto code = static_cast<typename D::storage>(i);
    const float value = D::decode(code);
    if (!ptq::detail::is_finite(bits_of(value))) continue;
    CAPTURE(i);
    CHECK(D::encode(value) == code);
  }
}

TEST_CASE_TEMPLATE("the ends of the range are codes, infinity is the end", D, ptq::int8, ptq::fp8_e4m3fn,
                   ptq::fp8_e5m2) {
  CHECK(D::decode(D::encode(D::max_finite)) == D::max_finite);
  CHECK(D::decode(D::encode(D::lowest)) == D::lowest);
  CHECK(D::encode(infinity) == D::encode(D::max_finite));
  CHECK(D::encode(-infinity) == D::encode(D::lowest));
}

TEST_CASE("NaN is 0 or the one NaN code, whatever its sign and payload") {
  for (const std::uint32_t nan : {0x7fc00000u, 0xffc00000u, 0x7f800001u, 0xffffffffu}) {
    CHECK(ptq::int8::encode(float_of(nan)) == 0);
    CHECK(ptq::fp8_e4m3fn::encode(float_of(nan)) == 0x7f);
    CHECK(ptq::fp8_e5m2::encode(float_of(nan)) == 0x7f);
  }
  for (const int code : {0x7f, 0xff})
    CHECK(bits_of(ptq::fp8_e4m3fn::decode(static_cast<std::uint8_t>(code))) == ptq::detail::nan_bits);
  for (const int code : {0x7d, 0x7e, 0x7f, 0xfd, 0xfe, 0xff})
    CHECK(bits_of(ptq::fp8_e5m2::decode(static_cast<std::uint8_t>(code))) == ptq::detail::nan_bits);
  CHECK(bits_of(ptq::fp8_e5m2::decode(0xfc)) == 0xff800000u);
}
