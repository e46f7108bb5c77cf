// SPDX-License-Identifier: Apache-2.0
// A broken precondition goes where the user wants it.
namespace {
int broken = 0;
}
#define PTQ_ASSERT(condition) ((condition) ? static_cast<void>(0) : static_cast<void>(++broken))

#include <doctest/doctest.h>

#include <cstddef>
#include <vector>

#include "ptq/adaptors/std_vector.hpp"
#include "ptq/tensor/any_view.hpp"

TEST_CASE("PTQ_ASSERT of the user's is told of a broken precondition, and of no other") {
  const std::vector<float> values(6);
  static_cast<void>(ptq::any_view(values, {2, 3}));
  CHECK(broken == 0);
  const float not_flat[2][3] = {};
  static_cast<void>(ptq::any_view(not_flat, {2, 3}));
  CHECK(broken == 1);
}
