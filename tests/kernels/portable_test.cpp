// SPDX-License-Identifier: Apache-2.0
// Kernels against one value at a time on integers: every path, scales on both sides of every limit.
#include "ptq/kernels/portable.hpp"

#include <doctest/doctest.h>

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

#include <cstdint>
#include <initializer_list>
#include <vector>

#include "ptq/dtypes.hpp"
#include "support/compare.hpp"
#include "support/random.hpp"

using ptq::arithmetic;
using ptq::detail::bits_of;
using ptq::detail::float_of;
using ptq::kernels::portable;

namespace {

/// Subnormal, just outside and just inside the range where hardware may compute, 1, odd ones, huge.
const std::vector<float> scales{0x1p-149F, 0x1p-127F, 0x1.fffffep-61F, 0x1p-60F, 0x1.8p-30F, 0.0371F,
                                1.0F,      3.0F,      0x1.234568p40F,  0x1p60F,  0x1p61F,    0x1.fp127F};

/// Special values, ties for each scale, random ones.
std::vector<float> make_values(float scale) {
  std::vector<float> values;
  for (const std::uint32_t bits :
       {0x00000000u, 0x80000000u, 0x00000001u, 0x807fffffu, 0x00800000u, 0x7f7fffffu, 0xff7fffffu,
        0x7f800000u, 0xff800000u, 0x7fc00000u, 0xffc00001u})
    values.push_back(float_of(bits));
  for (int halves = -300; halves <= 300; ++halves)
    values.push_back(
        float_of(ptq::detail::multiply(bits_of(static_cast<float>(halves) / 2), bits_of(scale))));
  test::random_bits random(4);
  for (int i = 0; i < 1000; ++i) values.push_back(float_of(static_cast<std::uint32_t>(random.next())));
  for (int i = 0; i < 1000; ++i)
    values.push_back(float_of(ptq::detail::multiply(bits_of(random.next_float(-12, 18)), bits_of(scale))));
  return values;
}

template <ptq::dtype D, arithmetic How>
void check_encoding(float scale) {
  CAPTURE(scale);
  const std::vector<float> values = make_values(scale);
  const float factor = ptq::kernels::factor_of<How>(scale);
  std::vector<typename D::storage> expected;
  for (const float& value : values) {
    const std::uint32_t quotient = How == arithmetic::divide
                                       ? ptq::detail::divide(bits_of(value), bits_of(scale))
                                       : ptq::detail::multiply(bits_of(value), bits_of(factor));
    expected.push_back(D::encode(float_of(quotient)));
  }
  std::vector<typename D::storage> codes(values.size());
  portable::encode_run<D, How>(values.data(), values.size(), factor, codes.data());
  CHECK(test::differences(codes, expected) == 0);

  const std::vector<float> factors(values.size(), factor);
  std::vector<typename D::storage> each(values.size());
  portable::encode_each<D, How>(values.data(), values.size(), factors.data(), each.data());
  CHECK(test::differences(each, expected) == 0);
}

template <ptq::dtype D>
void check_decoding(float scale) {
  CAPTURE(scale);
  std::vector<typename D::storage> codes;
  std::vector<float> expected;
  for (int i = 0; i < 256; ++i) {
    const auto code = static_cast<typename D::storage>(i);
    codes.push_back(code);
    expected.push_back(float_of(ptq::detail::multiply(bits_of(D::decode(code)), bits_of(scale))));
  }
  std::vector<float> run(256);
  portable::decode_run<D>(codes.data(), codes.size(), scale, run.data());
  CHECK(test::differences(run, expected) == 0);
  const std::vector<float> all(256, scale);
  std::vector<float> each(256);
  portable::decode_each<D>(codes.data(), codes.size(), all.data(), each.data());
  CHECK(test::differences(each, expected) == 0);
}

}  // namespace

TEST_CASE_TEMPLATE("runs encode as single values do", D, ptq::int8, ptq::fp8_e4m3fn, ptq::fp8_e5m2) {
  for (const float scale : scales) {
    check_encoding<D, arithmetic::divide>(scale);
    check_encoding<D, arithmetic::multiply_by_reciprocal>(scale);
  }
}

TEST_CASE_TEMPLATE("runs decode as single codes do", D, ptq::int8, ptq::fp8_e4m3fn, ptq::fp8_e5m2) {
  for (const float scale : scales) check_decoding<D>(scale);
}

#if defined(__SSE2__)
TEST_CASE_TEMPLATE("the same where the program flushes subnormals to zero", D, ptq::int8, ptq::fp8_e4m3fn,
                   ptq::fp8_e5m2) {
  const unsigned before = _mm_getcsr();
  _mm_setcsr(before | 0x8040u);  // results and operands
  for (const float scale : scales) {
    check_encoding<D, arithmetic::divide>(scale);
    check_encoding<D, arithmetic::multiply_by_reciprocal>(scale);
    check_decoding<D>(scale);
  }
  _mm_setcsr(before);
}
#endif

TEST_CASE("native values come through as they are") {
  const std::vector<float> values = make_values(1.0F);
  std::vector<float> codes(values.size());
  portable::encode_run<ptq::native, arithmetic::divide>(values.data(), values.size(), 1.0F, codes.data());
  CHECK(test::differences(codes, values) == 0);
}

TEST_CASE("the largest magnitude; NaN and infinity win") {
  std::vector<float> values{1.0F, -3.0F, 0x1p-149F, -0.0F};
  CHECK(portable::amax_run<float>(values.data(), values.size(), 0) == bits_of(3.0F));
  CHECK(portable::amax_run<float>(values.data(), values.size(), bits_of(4.0F)) == bits_of(4.0F));
  CHECK(portable::amax_run<float>(values.data(), 0, 7) == 7);
  CHECK(portable::amax_run<float>(values.data() + 2, 2, 0) == 1);
  values.push_back(float_of(0xff800000u));
  CHECK(portable::amax_run<float>(values.data(), values.size(), 0) == 0x7f800000u);
  values.push_back(float_of(0xffc00000u));
  CHECK(portable::amax_run<float>(values.data(), values.size(), 0) == 0x7fc00000u);
}
