// SPDX-License-Identifier: Apache-2.0
// The codecs against PyTorch and ml_dtypes, bit for bit.
#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "ptq/dtype/fp8_e4m3fn.hpp"
#include "ptq/dtype/fp8_e5m2.hpp"
#include "ptq/numeric/bfloat16.hpp"
#include "ptq/numeric/half.hpp"
#include "support/golden.hpp"

namespace {

using ptq::propagate;
using ptq::saturate;

struct e4m3fn : ptq::fp8_e4m3fn {
  static constexpr const char* golden = "e4m3fn";
  static constexpr const char* decoded = "decode_bits";
};
struct e5m2 : ptq::fp8_e5m2 {
  static constexpr const char* golden = "e5m2";
  static constexpr const char* decoded = "decode_bits";
};
struct bf16 : ptq::bfloat16 {
  static constexpr const char* golden = "bf16";
  static constexpr const char* decoded = "decode_of_encoded_bits";
};
struct fp16 : ptq::half {
  static constexpr const char* golden = "fp16";
  static constexpr const char* decoded = "decode_of_encoded_bits";
};

/// Encodes each input and counts the codes that differ from a column of the golden. Of NaN any NaN code will
/// do.
template <class Format, class Overflow>
int differing_codes(const char* column) {
  using codec = typename Format::codec;
  const test::golden_group group("a_codec");
  const test::json& golden = group[Format::golden];
  const auto inputs = group.array<std::uint32_t>(golden["encode_input_bits"]);
  const auto expected = group.array<typename codec::storage>(golden[column]);
  CHECK(inputs.size() > 5000);
  CHECK(inputs.size() == expected.size());
  int differing = 0;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const auto code = codec::template encode<Overflow>(inputs[i]);
    const bool both_nan =
        ptq::detail::is_nan(codec::decode(code)) && ptq::detail::is_nan(codec::decode(expected[i]));
    if (code != expected[i] && !both_nan) ++differing;
  }
  return differing;
}

}  // namespace

TEST_CASE_TEMPLATE("fp8 codes decode to the reference's values", Format, e4m3fn, e5m2) {
  const test::golden_group group("a_codec");
  const auto expected = group.array<std::uint32_t>(group[Format::golden][Format::decoded]);
  CHECK(expected.size() == 256);
  for (std::size_t code = 0; code < expected.size(); ++code) {
    CAPTURE(code);
    const std::uint32_t value = Format::codec::decode(static_cast<std::uint8_t>(code));
    CHECK((value == expected[code] || (ptq::detail::is_nan(value) && ptq::detail::is_nan(expected[code]))));
  }
}

TEST_CASE("fp8 codes are the reference's") {
  CHECK(differing_codes<e4m3fn, saturate>("encode_saturating") == 0);
  CHECK(differing_codes<e4m3fn, saturate>("encode_torch") == 0);
  CHECK(differing_codes<e4m3fn, propagate>("encode_ml_dtypes") == 0);
  CHECK(differing_codes<e5m2, saturate>("encode_saturating") == 0);
  CHECK(differing_codes<e5m2, propagate>("encode_torch") == 0);
  CHECK(differing_codes<e5m2, propagate>("encode_ml_dtypes") == 0);
}

TEST_CASE_TEMPLATE("halves convert as the reference does", Format, bf16, fp16) {
  CHECK(differing_codes<Format, propagate>("encode_torch") == 0);
  const test::golden_group group("a_codec");
  const auto codes = group.array<std::uint16_t>(group[Format::golden]["encode_torch"]);
  const auto expected = group.array<std::uint32_t>(group[Format::golden][Format::decoded]);
  CHECK(codes.size() == expected.size());
  int differing = 0;
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const std::uint32_t value = Format::codec::decode(codes[i]);
    if (value != expected[i] && !(ptq::detail::is_nan(value) && ptq::detail::is_nan(expected[i])))
      ++differing;
  }
  CHECK(differing == 0);
}
