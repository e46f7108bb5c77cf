// SPDX-License-Identifier: Apache-2.0
// Shell patterns against what CPython 3.11 answers.
#include "ptq/model/pattern.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <string>

TEST_CASE("every golden line of fnmatch.tsv") {
  std::ifstream golden(PTQ_GOLDEN_DIR "/e_match/fnmatch.tsv");
  std::string line;
  REQUIRE(std::getline(golden, line));
  int lines = 0;
  for (; std::getline(golden, line); ++lines) {
    const std::size_t first = line.find('\t');
    const std::size_t second = line.find('\t', first + 1);
    const std::string pattern = line.substr(0, first);
    const std::string name = line.substr(first + 1, second - first - 1);
    CAPTURE(pattern);
    CAPTURE(name);
    CHECK(ptq::matches(pattern, name) == (line.substr(second + 1) == "1"));
  }
  CHECK(lines == 4776);
}

// The truth table of the documentation of each construct, in constant expressions.
static_assert(ptq::matches("classifier.fc", "classifier.fc"));
static_assert(!ptq::matches("fc", "backbone.fc"));
static_assert(ptq::matches("*fc", "backbone.fc"));
static_assert(!ptq::matches("linear", "Linear"));
static_assert(!ptq::matches("layers.?.fc", "layers.10.fc"));
static_assert(ptq::matches("layers.[01].fc", "layers.1.fc"));
static_assert(ptq::matches("layers.[!0].fc", "layers.1.fc"));
static_assert(ptq::matches("a[[]0]", "a[0]") && !ptq::matches("a[0]", "a[0]"));
static_assert(ptq::matches("a[b", "a[b"));
static_assert(ptq::matches("", "") && !ptq::matches("", "a") && ptq::matches("**", ""));
static_assert(ptq::matches("?", "\xc3\xa9") && ptq::matches("[\xc3\xa0-\xc3\xbc]", "\xc3\xa9"));

// An empty range vanishes before "!" is looked for: the answers of CPython 3.11.
static_assert(!ptq::matches("[z-a!b]", "b") && ptq::matches("[z-a!b]", "z"));
static_assert(ptq::matches("[z-a!y-b]", "y") && ptq::matches("[!z-a]", "x") && !ptq::matches("[z-a]", "x"));
static_assert(!ptq::matches("[z-a!-b]", "-") && ptq::matches("[z-a!-b]", "a"));

TEST_CASE("bytes that are not UTF-8 count as one each") {
  CHECK(ptq::matches("?", "\xff"));
  CHECK(ptq::matches("??", "\xc3("));
  CHECK(ptq::matches("?\x82\xe2?", "\xe2\x82\xe2\x82"));
  CHECK(ptq::matches("[\xff]", "\xff"));
  CHECK(!ptq::matches("[\xff]", "\xfe"));
  CHECK(ptq::matches("??", "\xc0\x80"));            // overlong
  CHECK(ptq::matches("???", "\xed\xa0\x80"));       // a surrogate
  CHECK(ptq::matches("????", "\xf4\x90\x80\x80"));  // beyond U+10FFFF
  CHECK(ptq::matches("?", "\xf4\x8f\xbf\xbf"));
}

// No pattern takes exponential time: constant evaluation has a limit of steps, far below 60 choose 20.
static_assert(!ptq::matches("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*ab",
                            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
static_assert(!ptq::matches("*[[[[[[[[[[[[[[[[[[[[", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[x"));

TEST_CASE("no pattern takes exponential time") {
  std::string pattern;
  for (int i = 0; i < 200; ++i) pattern += "*a";
  const std::string name(2000, 'a');
  const std::string brackets(4000, '[');
  CHECK(!ptq::matches(pattern + "b", name));
  CHECK(ptq::matches(pattern, name));
  CHECK(!ptq::matches("*" + brackets, std::string(4000, '[') + "x"));
}
