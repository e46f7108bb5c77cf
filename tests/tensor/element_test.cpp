// SPDX-License-Identifier: Apache-2.0
#include "ptq/tensor/element.hpp"

#include <doctest/doctest.h>

#include <string_view>

using ptq::element_type;
using std::string_view;

static_assert(size_of(element_type::float32) == 4 && size_of(element_type::float64) == 8);
static_assert(size_of(element_type::float16) == 2 && size_of(element_type::bfloat16) == 2);

TEST_CASE("element types have NumPy's names, which model hashes hold, too") {
  CHECK(string_view(name_of(element_type::float32)) == "float32");
  CHECK(string_view(name_of(element_type::float64)) == "float64");
  CHECK(string_view(name_of(element_type::float16)) == "float16");
  CHECK(string_view(name_of(element_type::bfloat16)) == "bfloat16");
}
