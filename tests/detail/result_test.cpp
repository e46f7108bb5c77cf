// SPDX-License-Identifier: Apache-2.0
#include "ptq/result.hpp"

#include <doctest/doctest.h>

#include <string>

using ptq::errc;
using ptq::error;

TEST_CASE("an error says where, what, and the nearest word") {
  CHECK(error(errc::invalid_value, "", "is wrong.").what == "is wrong.");
  const error found(errc::invalid_value, "dtype", "is wrong.", "int8");
  CHECK(found.code == errc::invalid_value);
  CHECK(found.where == "dtype");
  CHECK(found.what == "dtype: is wrong. Did you mean \"int8\"?");
  CHECK(found.nearest == "int8");
  CHECK(found.in("a.yaml").where == "a.yaml: dtype");
  CHECK(found.in("a.yaml").what == "a.yaml: dtype: is wrong. Did you mean \"int8\"?");
  CHECK(error(errc::invalid_value, "", "is wrong.").in("a.yaml").where == "a.yaml");
  CHECK(error().code == errc::ok);
  CHECK(error().at == 0);
}

TEST_CASE("a result is a value, or the error in its place") {
  const ptq::result<std::string> good(std::string("x"));
  CHECK(good);
  CHECK(good.has_value());
  CHECK(*good == "x");
  CHECK(good->size() == 1);
  const ptq::result<std::string> bad(error(errc::no_data, "", "none"));
  CHECK_FALSE(bad);
  CHECK_FALSE(bad.has_value());
  CHECK(bad.error().code == errc::no_data);
  const ptq::result<void> done;
  CHECK(done);
  CHECK(done.has_value());
  const ptq::result<void> failed(error(errc::no_data, "", "none"));
  CHECK_FALSE(failed);
  CHECK_FALSE(failed.has_value());
  CHECK(failed.error().what == "none");
}
