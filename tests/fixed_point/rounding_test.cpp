// SPDX-License-Identifier: Apache-2.0
// The policies for ties, against remainders.
#include "ptq/fixed_point/rounding.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <initializer_list>
#include <type_traits>

#include "ptq/fixed_point/half_away.hpp"
#include "ptq/fixed_point/half_even.hpp"
#include "ptq/fixed_point/half_up.hpp"

namespace {

static_assert(ptq::tie_rounding<ptq::half_even> && ptq::tie_rounding<ptq::half_away> &&
              ptq::tie_rounding<ptq::half_up> && !ptq::tie_rounding<int>);

/// value / 2^places, rounded: down, and up from a half on; a tie where the policy says so.
template <class Ties>
std::int64_t expected(std::int64_t value, int places) {
  const std::int64_t unit = std::int64_t{1} << places;
  const std::int64_t rest = (value % unit + unit) % unit;
  const std::int64_t down = (value - rest) / unit;
  if (rest * 2 != unit) return rest * 2 < unit ? down : down + 1;
  if (std::is_same_v<Ties, ptq::half_up>) return down + 1;
  if (std::is_same_v<Ties, ptq::half_away>) return value < 0 ? down : down + 1;
  return down % 2 == 0 ? down : down + 1;
}

template <class Ties>
bool agrees(std::int32_t value, int places) {
  const std::int64_t rounded = expected<Ties>(value, places);
  return Ties::shift_right(value, places) == rounded &&
         Ties::shift_right(std::int64_t{value}, places) == rounded;
}

}  // namespace

TEST_CASE_TEMPLATE("all small integers, and the largest, by all places", Ties, ptq::half_even, ptq::half_away,
                   ptq::half_up) {
  constexpr std::int32_t largest = 1 << 30;
  int wrong = 0;
  for (int places = 1; places < 32; ++places)
    for (std::int32_t value = -2000; value <= 2000; ++value)
      for (const std::int32_t near : {value, value < 0 ? -largest - value : largest - value})
        if (!agrees<Ties>(near, places)) ++wrong;
  CHECK(wrong == 0);
}

TEST_CASE_TEMPLATE("products of 64 bits", Ties, ptq::half_even, ptq::half_away, ptq::half_up) {
  constexpr std::int64_t most = std::int64_t{1} << 62;
  int wrong = 0;
  for (int places = 1; places < 62; ++places)
    for (std::int64_t near = -3; near <= 3; ++near)
      for (const std::int64_t value :
           {near, most + near, near - most, (std::int64_t{1} << (places - 1)) + near,
            near - (std::int64_t{1} << (places - 1))})
        if (Ties::shift_right(value, places) != expected<Ties>(value, places)) ++wrong;
  CHECK(wrong == 0);
  CHECK(Ties::shift_right(most - 1, 63) == 0);
  CHECK(Ties::shift_right(most + 1, 63) == 1);
  CHECK(Ties::shift_right(-most + 1, 63) == 0);
  CHECK(Ties::shift_right(-most - 1, 63) == -1);
}
