// SPDX-License-Identifier: Apache-2.0
#include "ptq/text/printable.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <string>

#include "ptq/text/utf8.hpp"

using ptq::printable;
using ptq::detail::find_invalid_utf8;

TEST_CASE("what a terminal obeys is shown as an escape") {
  CHECK(printable("fc1.weight, Größe, \xe5\xb1\x82") == "fc1.weight, Größe, \xe5\xb1\x82");
  CHECK(printable("\x1b[2J\x07\x7f") == "\\x1b[2J\\x07\\x7f");
  CHECK(printable("a\nb\tc\rd") == "a\\nb\\tc\\rd");
  CHECK(printable(std::string("a\0b", 3)) == "a\\x00b");
  CHECK(printable("\xc2\x9b"
                  "31m") == "\\x9b31m");  // C1 in UTF-8
  CHECK(printable("\x9b"
                  "31m") == "\\x9b31m");  // and alone, as terminals of eight bits take it
  CHECK(printable("\u202egnp.exe\u2069\u061c\u200f\u2028") == "\\u202egnp.exe\\u2069\\u061c\\u200f\\u2028");
  CHECK(printable("\u00a0\u200d\u2010\u202f\u2065\u206a") == "\u00a0\u200d\u2010\u202f\u2065\u206a");
  CHECK(printable("cut \xe5\xb1") == "cut \\xe5\\xb1");
}

TEST_CASE("lines keep their breaks, and nothing else") {
  CHECK(ptq::printable_lines("a\nb\x1b\r\n") == "a\nb\\x1b\\r\n");
}

TEST_CASE("UTF-8 is that of RFC 3629") {
  CHECK_FALSE(find_invalid_utf8("").has_value());
  CHECK_FALSE(
      find_invalid_utf8("\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\xf0\x90\x80\x80"
                        "\xf4\x8f\xbf\xbf"));
  for (const char* const wrong :
       {"\x80", "\xc1\xbf", "\xc2", "\xc2\x41", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xe1\x80",
        "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"}) {
    CAPTURE(wrong);
    CHECK(find_invalid_utf8(std::string("ab") + wrong + "c") == std::size_t{2});
  }
}
