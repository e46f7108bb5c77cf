// SPDX-License-Identifier: Apache-2.0
// Every code of every built-in 8-bit dtype, both ways.
#include <doctest/doctest.h>

#include <cstdint>

#include "ptq/dtypes.hpp"

TEST_CASE_TEMPLATE("each code decodes to a value that encodes to it", D, ptq::int8, ptq::fp8_e4m3fn,
                   ptq::fp8_e5m2) {
  for (int i = 0; i < 256; ++i) {
    const auto code = static_cast<typename D::storage>(i);
    const float value = D::decode(code);
    if (!ptq::detail::is_finite(ptq::detail::bits_of(value))) continue;
    CAPTURE(i);
    CHECK(D::encode(value) == code);
  }
}
