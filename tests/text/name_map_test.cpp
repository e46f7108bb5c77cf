// SPDX-License-Identifier: Apache-2.0
#include "ptq/text/name_map.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

using ptq::name_map;

TEST_CASE("a map of names answers as std::map does, and keeps the order") {
  std::mt19937 random(20261129);
  for (const std::size_t reserved : {0U, 1U, 300U, 5000U}) {
    name_map<std::size_t> names;
    names.reserve(reserved);
    std::map<std::string, std::size_t> expected;
    std::vector<std::string> order;
    std::deque<std::string> texts;
    CHECK(names.find("") == nullptr);
    for (std::size_t i = 0; i < 3000; ++i) {
      const std::string& text = texts.emplace_back(random() % 7, static_cast<char>('a' + random() % 4)) +=
          std::to_string(random() % 400);
      const auto [known, is_new] = expected.emplace(text, i);
      if (is_new) order.push_back(text);
      const auto [value, is_added] = names.add(text, i);
      REQUIRE(is_added == is_new);
      REQUIRE(*value == known->second);
    }
    REQUIRE(names.size() == expected.size());
    std::size_t at = 0;
    for (const auto& [name, value] : names) {
      CHECK(name == order[at++]);
      CHECK(value == expected.at(std::string(name)));
    }
    for (std::size_t i = 0; i < 400; ++i) {
      const std::string text = "b" + std::to_string(i);
      const std::size_t* const found = names.find(text);
      REQUIRE((found != nullptr) == expected.contains(text));
      const std::size_t number = names.number_of(text);
      REQUIRE((number == names.none) == (found == nullptr));
      CHECK(names.contains(text) == expected.contains(text));
      if (found == nullptr) continue;
      CHECK(*found == expected.at(text));
      CHECK(&names[number] == found);
      CHECK(order[number] == text);
    }
  }
}

TEST_CASE("values of a map of names can be changed, and the empty name is one like others") {
  name_map<int> names;
  *names.add("a", 1).first = 2;
  *names.find("a") += 3;
  CHECK(*names.find("a") == 5);
  CHECK(!names.contains(""));
  CHECK(names.add("", 7).second);
  CHECK(!names.add("", 8).second);
  CHECK(*names.find("") == 7);
  for (auto& [name, value] : names) value += static_cast<int>(name.size());
  CHECK(*names.find("a") == 6);
}
