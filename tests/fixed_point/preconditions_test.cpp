// SPDX-License-Identifier: Apache-2.0
// What is no scale is a broken precondition; where that is only counted, there is a result still.
namespace {
int broken = 0;
}
#define PTQ_ASSERT(condition) ((condition) ? static_cast<void>(0) : static_cast<void>(++broken))

#include <doctest/doctest.h>

#include <bit>
#include <cstdint>
#include <initializer_list>

#include "ptq/detail/strict_float.hpp"
#include "ptq/fixed_point/multiplier_shift.hpp"
#include "ptq/fixed_point/power_of_two.hpp"

namespace {

using ptq::multiplier_shift;
using ptq::detail::float_of;

/// Runs f, and tells whether it broke one precondition.
template <class F>
bool breaks(const F& f) {
  broken = 0;
  f();
  return broken == 1;
}

}  // namespace

TEST_CASE("negative scales, infinities and NaN") {
  for (const std::uint64_t bits : {0xbff0000000000000u, 0x8000000000000001u, 0x7ff0000000000000u,
                                   0xfff0000000000000u, 0x7ff8000000000000u, 0xfff0000000000001u}) {
    const auto scale = std::bit_cast<double>(bits);
    CHECK(breaks([&] { CHECK(ptq::from_scale(scale) == multiplier_shift{}); }));
  }
  for (const std::uint32_t bits :
       {0xbf800000u, 0x80000001u, 0x7f800000u, 0xff800000u, 0x7fc00000u, 0xff800001u}) {
    const float scale = float_of(bits);
    CHECK(breaks([&] { CHECK(ptq::from_scale(scale) == multiplier_shift{}); }));
    CHECK(breaks([&] { CHECK(ptq::from_scales(scale, 1.0F, 1.0F) == multiplier_shift{}); }));
    CHECK(breaks([&] { CHECK(ptq::from_scales(0.0F, scale, 1.0F) == multiplier_shift{}); }));
    CHECK(breaks([&] { CHECK(ptq::from_scales(1.0F, 1.0F, scale) == multiplier_shift{}); }));
    CHECK(breaks([&] { static_cast<void>(ptq::power_of_two::covering(scale)); }));
    CHECK(breaks([&] { static_cast<void>(ptq::power_of_two::of(scale)); }));
  }
  CHECK(breaks([] { CHECK(ptq::from_scales(1.0F, 1.0F, 0.0F) == multiplier_shift{}); }));
  CHECK(breaks([] { static_cast<void>(ptq::power_of_two::of(3.0F)); }));
  CHECK(breaks([] { static_cast<void>(ptq::power_of_two::of(0x1p-126F)); }));
  CHECK_FALSE(breaks([] { CHECK(ptq::from_scale(-0.0F) == multiplier_shift{}); }));
}
