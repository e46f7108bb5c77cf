// SPDX-License-Identifier: Apache-2.0
// What the tests of specifications share.
#ifndef TESTS_CONFIG_SPECS_HPP
#define TESTS_CONFIG_SPECS_HPP

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "ptq/config/yaml.hpp"

inline ptq::result<ptq::spec> parse(std::string_view text, const std::vector<std::string>& overrides = {}) {
  return ptq::parse_spec(text, "spec.yaml", overrides);
}

/// The specification, which must be right.
inline ptq::spec good(std::string_view text, const std::vector<std::string>& overrides = {}) {
  const auto made = parse(text, overrides);
  INFO(made.error().what);
  REQUIRE(made.has_value());
  return *made;
}

/// The message, as there must be one.
inline std::string message(std::string_view text, const std::vector<std::string>& overrides = {}) {
  const auto made = parse(text, overrides);
  REQUIRE(!made.has_value());
  CHECK(made.error().code != ptq::errc::ok);
  return made.error().what;
}

/// A rule with the slots given as YAML.
inline std::string one_rule(const std::string& slots, const std::string& head = "backend: torchao") {
  return "quantize:\n  " + head + "\n  layers:\n    - module_name: Linear\n      " + slots + "\n";
}

#endif  // TESTS_CONFIG_SPECS_HPP
