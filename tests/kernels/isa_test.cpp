// SPDX-License-Identifier: Apache-2.0
#include "ptq/kernels/isa.hpp"

#include <doctest/doctest.h>

#include <string>

using ptq::isa;

static_assert(*ptq::find_isa("avx512") == isa::avx512);
static_assert(ptq::find_isa("avx") == nullptr && ptq::find_isa("avx5122") == nullptr);
static_assert(ptq::find_isa("") == nullptr);

TEST_CASE("every instruction set is found by its name") {
  for (const isa& set : ptq::all_isas) {
    CAPTURE(std::string(ptq::name_of(set)));
    REQUIRE(ptq::find_isa(ptq::name_of(set)) != nullptr);
    CHECK(*ptq::find_isa(ptq::name_of(set)) == set);
  }
}

TEST_CASE("kernels begin with the best, and use what is forced") {
  CHECK(ptq::active_isa() == ptq::best_isa());
  CHECK(ptq::is_available(ptq::best_isa()));
  CHECK(ptq::is_available(isa::portable));
  for (const isa set : ptq::all_isas) {
    if (!ptq::is_available(set)) {
      MESSAGE("this machine or build has no " << std::string(ptq::name_of(set)));
      continue;
    }
    ptq::force_isa(set);
    CHECK(ptq::active_isa() == set);
  }
  ptq::choose_best_isa();
  CHECK(ptq::active_isa() == ptq::best_isa());
}
