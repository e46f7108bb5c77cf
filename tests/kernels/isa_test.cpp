// SPDX-License-Identifier: Apache-2.0
#include "ptq/kernels/isa.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <limits>
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

#if PTQ_NATIVE_X86

namespace {

/// Nanoseconds of the fastest of many rounds.
template <class F>
double fastest(F&& f) {
  double least = std::numeric_limits<double>::max();
  for (int i = 0; i < 200; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    for (int k = 0; k < 20; ++k) f();
    const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - begin;
    least = taken.count() < least ? taken.count() : least;
  }
  return least;
}

}  // namespace

// A virtual machine takes microseconds to answer, and kernels ask for every tensor. An optimiser could move
// the question in front of the look at what is known.
TEST_CASE("the processor is asked once") {
  CHECK(ptq::active_isa() == ptq::best_isa());
  const double asking = fastest([] { static_cast<void>(ptq::best_isa()); });
  volatile unsigned char seen = 0;
  CHECK(fastest([&] { seen = static_cast<unsigned char>(ptq::active_isa()); }) < 0.5 * asking);
}

#endif
