// SPDX-License-Identifier: Apache-2.0
#include "ptq/engine/outputs.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace {

/// What is said of the first implausible one of six doubles in two rows, and its index.
std::string found_in(const std::vector<double>& numbers) {
  const auto found = ptq::find_implausible({numbers.data(), ptq::element_type::float64, {2, 3}});
  return found ? std::to_string(found->at) + " " + found->text : "";
}

}  // namespace

TEST_CASE("the first number that no trained network makes, with its place") {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  CHECK(found_in({0, -1, 1e10, 1e36, -1e36, 0}).empty());
  CHECK(found_in({0, 1, 2, 3, infinity, infinity}) == "4 [1, 1] is infinite");
  CHECK(found_in({0, -infinity, 2, 3, 4, 5}) == "1 [0, 1] is infinite");
  CHECK(found_in({0, 1, 2, 3, 4, std::numeric_limits<double>::quiet_NaN()}) == "5 [1, 2] is NaN");
  CHECK(found_in({0, 1, static_cast<double>(std::numeric_limits<float>::lowest()), 3, 4, 5}) ==
        "2 [0, 2] is -3.4028e+38, beyond 1e36");
  CHECK(found_in({1.0000001e36, 1, 2, 3, 4, 5}) == "0 [0, 0] is 1e+36, beyond 1e36");
  const std::vector<std::uint64_t> integers(6, ~std::uint64_t{0});
  CHECK_FALSE(ptq::find_implausible({integers.data(), ptq::element_type::uint64, {2, 3}}));
}
