// SPDX-License-Identifier: Apache-2.0
// Many patterns made ready once answer as each of them alone does.
#include "ptq/model/pattern_set.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace {

using ptq::detail::lettered_word;
using ptq::detail::pattern_set;

/// A text of up to so many pieces.
template <std::size_t N>
std::string draw(std::mt19937& random, const char* const (&pieces)[N], std::size_t most) {
  std::string text;
  for (std::size_t n = random() % (most + 1); n > 0; --n) text += pieces[random() % N];
  return text;
}

/// The plain answer: every pattern with every word.
std::vector<std::size_t> find_plainly(const std::vector<std::string>& patterns,
                                      const std::vector<std::string>& words) {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < patterns.size(); ++i) {
    bool is_hit = false;
    for (const std::string& word : words) is_hit = is_hit || ptq::matches(patterns[i], word);
    if (is_hit) found.push_back(i);
  }
  return found;
}

}  // namespace

TEST_CASE("a set of patterns finds what the patterns match") {
  // few letters, so that much matches; stray bytes and parts of code points; wild cards of all kinds
  static constexpr const char* letters[] = {"a", "b", "A", ".", "1", "\xc3\xa9", "\xc3", "\xa9", "[", "]"};
  static constexpr const char* pieces[] = {"a", "b", "A", ".",    "1",    "\xc3\xa9", "\xc3", "\xa9", "*",
                                           "*", "*", "?", "[ab]", "[!a]", "[*]",      "[",    "]",    "!"};
  std::mt19937 random(20261129);
  std::size_t hits = 0;
  for (int round = 0; round < 300; ++round) {
    const int count = round % 20 == 0 ? 1000 : 40;  // very many are looked for in another way
    std::vector<std::string> patterns;
    for (int i = 0; i < count; ++i) patterns.push_back(draw(random, pieces, 6));
    pattern_set set;
    for (const std::string& pattern : patterns) set.add(pattern);
    for (int i = 0; i < 40; ++i) {
      std::vector<std::string> words;
      for (int n = 0; n < 3; ++n) words.push_back(draw(random, letters, 5));
      const std::vector<lettered_word> lettered(words.begin(), words.end());
      const auto found = set.find(lettered);
      hits += count == 40 ? found.size() : 0;
      CAPTURE(round);
      REQUIRE(found == find_plainly(patterns, words));
      std::set<std::size_t> firsts;
      for (const std::size_t number : found) firsts.insert(set.first_of(number));
      REQUIRE(set.find_firsts(lettered) == std::vector<std::size_t>(firsts.begin(), firsts.end()));
    }
  }
  CHECK(hits > 20000);  // else nothing was compared
}

TEST_CASE("parts between stars are found in order and do not overlap") {
  const auto takes = [](std::string_view pattern, std::string_view word) {
    return ptq::detail::prepared_pattern(pattern).takes(lettered_word(word));
  };
  CHECK(takes("ab*ba", "abba"));
  CHECK(!takes("ab*ba", "aba"));
  CHECK(takes("*a*b*", "xaxbx"));
  CHECK(!takes("*b*a*", "xaxbx"));
  CHECK(takes("**", ""));
  CHECK(!takes("*\xa9", "\xc3\xa9"));  // half a code point is none
}

TEST_CASE("of very many patterns, few are looked at") {
  const auto looked_at = [](const std::string& front, const std::string& back, const std::string& word) {
    std::vector<std::string> patterns;
    for (int i = 0; i < 20'000; ++i) patterns.push_back(front + std::to_string(i) + back);
    pattern_set set;
    for (const std::string& pattern : patterns) set.add(pattern);
    const std::vector<lettered_word> words{lettered_word(word)};
    CHECK(set.find(words).size() >= 1);
    return set.count_candidates(words);
  };
  CHECK(looked_at("*layers.", "", "encoder.layers.12345") < 1000);
  CHECK(looked_at("*layers.", "*", "encoder.layers.12345") < 1000);
  CHECK(looked_at("encoder.?ayers.", ".[kq]*", "encoder.layers.12345.q") < 1000);
  CHECK(looked_at("encoder.layers.", "*.weight", "encoder.layers.12345.weight") < 1000);
}

TEST_CASE("patterns that are there very often are looked at once") {
  std::vector<std::string> patterns;
  for (std::size_t i = 0; i < 20'000; ++i)
    patterns.emplace_back(i % 2 == 0 ? std::string(1 + i % 7, '*') : "*a*");
  pattern_set set;
  for (const std::string& pattern : patterns) set.add(pattern);
  const std::vector<lettered_word> words{lettered_word("bab")};
  CHECK(set.find_firsts(words) == std::vector<std::size_t>{0, 1});
  CHECK(set.count_candidates(words) == 1);
  CHECK(set.find(words).size() == 20'000);
  CHECK(set.first_of(19'998) == 0);
  CHECK(set.first_of(19'999) == 1);
}
