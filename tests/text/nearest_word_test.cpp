// SPDX-License-Identifier: Apache-2.0
#include "ptq/text/nearest_word.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <random>
#include <string>
#include <string_view>
#include <vector>

TEST_CASE("the nearest word is the one that a typo may mean") {
  const std::vector<std::string_view> dtypes{"int8", "fp8_e4m3fn", "fp8_e5m2", "native"};
  CHECK(ptq::nearest_word("fp8_e4m3", dtypes) == "fp8_e4m3fn");
  CHECK(ptq::nearest_word("tni8", dtypes) == "int8");
  CHECK(ptq::nearest_word("something", dtypes).empty());
  CHECK(ptq::nearest_word("FP8_E5M3", dtypes) == "fp8_e5m2");
  CHECK(ptq::nearest_word("fp8", dtypes) == "fp8_e4m3fn");
  CHECK(ptq::nearest_word("FP8_E5", dtypes) == "fp8_e5m2");
  CHECK(ptq::nearest_word("E4M3", dtypes) == "fp8_e4m3fn");
  CHECK(ptq::nearest_word("fp", dtypes).empty());
  // The nearest one whose own length allows for the difference.
  const std::vector<std::string_view> lengths{"abcdef", "abcxyzdefghi"};
  CHECK(ptq::nearest_word("abcdefghi", lengths) == "abcxyzdefghi");
  const std::vector<std::string_view> layers{"Head.Query", "head.key", "headroom"};
  CHECK(ptq::nearest_word("HEAD.QUERY", layers) == "Head.Query");
  CHECK(ptq::nearest_word("HEAD.", layers) == "Head.Query");
  CHECK(ptq::nearest_word("headrom", layers) == "headroom");
}

TEST_CASE("a hint costs little, whatever a file names") {
  const std::string endless(20000, 'a');
  const std::string other(20000, 'b');
  const std::vector<std::string_view> monsters{endless, other};
  CHECK(ptq::nearest_word(endless, monsters).empty());
  CHECK(ptq::nearest_word("fc1", std::vector<std::string_view>{endless, "fc2"}) == "fc2");
  // Of many words the first are compared: two letters of three each differ here, and the last is past the
  // effort.
  std::vector<std::string_view> many(1'000'000, "xyz");
  many.push_back("fc2");
  CHECK(ptq::nearest_word("fc1", many).empty());
  many.front() = "fc3";
  CHECK(ptq::nearest_word("fc1", many) == "fc3");
  // A word that is nearly in each of others, at every place: what is compared counts.
  const std::string typo = std::string(60, 'a') + "b";
  const std::string alike(200, 'a');
  std::vector<std::string_view> nearly(200, alike);
  nearly.push_back(typo);
  CHECK(ptq::nearest_word(typo, nearly).empty());
}

TEST_CASE("what stops early finds what a comparison of everything does") {
  // Levenshtein's distance with swapped neighbours, as it is defined.
  const auto distance_of = [](const std::string& a, const std::string& b) {
    std::vector<std::vector<std::size_t>> rows(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
    for (std::size_t i = 0; i <= a.size(); ++i) {
      for (std::size_t j = 0; j <= b.size(); ++j) {
        rows[i][j] = i == 0 || j == 0 ? i + j
                                      : std::min({rows[i - 1][j] + 1, rows[i][j - 1] + 1,
                                                  rows[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0U : 1U)});
        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
          rows[i][j] = std::min(rows[i][j], rows[i - 2][j - 2] + 1);
      }
    }
    return rows[a.size()][b.size()];
  };
  std::mt19937 random(20261129);
  const auto draw = [&] {
    std::string word;
    for (std::size_t n = random() % 12; n > 0; --n) word += static_cast<char>('a' + random() % 3);
    return word;
  };
  std::size_t found = 0;
  for (int round = 0; round < 2000; ++round) {
    const std::string typo = draw();
    const std::string other = draw();
    const std::size_t distance = distance_of(typo, other);
    for (const std::size_t limit : {1U, 2U, 3U, 5U, 100U}) {
      std::size_t steps = 0;
      REQUIRE(ptq::detail::edit_distance(typo, other, limit, steps) == std::min(distance, limit));
    }
    const std::string upper = "X" + other + typo + "Y";
    std::size_t steps = 0;
    REQUIRE(ptq::detail::has_word(other, typo, steps) == (other.find(typo) != std::string::npos));
    REQUIRE(ptq::detail::has_word(upper, typo, steps));
    const std::size_t most = std::max<std::size_t>(2, other.size() / 3);
    const bool is_near = distance <= most || (typo.size() >= 3 && other.find(typo) != std::string::npos);
    REQUIRE(ptq::nearest_word(typo, std::vector<std::string_view>{other}) == (is_near ? other : ""));
    found += is_near ? 1U : 0U;
  }
  CHECK(found > 100);
  CHECK(ptq::nearest_word("LINAER", std::vector<std::string_view>{"conv", "Linear"}) == "Linear");
}
