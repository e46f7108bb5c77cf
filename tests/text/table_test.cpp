// SPDX-License-Identifier: Apache-2.0
#include "ptq/text/table.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

using ptq::bytes_text;
using ptq::name_text;
using ptq::shape_text;

TEST_CASE("bytes in decimal units, none of them 1000 of the next") {
  CHECK(bytes_text(0) == "0 B");
  CHECK(bytes_text(999) == "999 B");
  CHECK(bytes_text(1000) == "1.0 KB");
  CHECK(bytes_text(80'200) == "80.2 KB");
  CHECK(bytes_text(999'949) == "999.9 KB");
  CHECK(bytes_text(999'950) == "1.0 MB");
  CHECK(bytes_text(90'900'000) == "90.9 MB");
  CHECK(bytes_text(999'950'000'000) == "1.0 TB");
  CHECK(bytes_text(std::numeric_limits<std::uint64_t>::max()) == "18.4 EB");
}

TEST_CASE("numbers: so many digits behind the point, or so many that matter") {
  CHECK(ptq::fixed_text(37.516, 2) == "37.52");
  CHECK(ptq::fixed_text(-2.0, 0) == "-2");
  CHECK(ptq::short_text(0.0012345) == "0.00123");
  CHECK(ptq::short_text(1.5e-9) == "1.5e-09");
  CHECK(ptq::short_text(12.345678, 4) == "12.35");
}

TEST_CASE("shapes") {
  CHECK(shape_text({}) == "scalar");
  CHECK(shape_text({7}) == "7");
  CHECK(shape_text({64, 256}) == "64 x 256");
  ptq::tensor_shape deep;
  deep.rank = ptq::max_rank;
  CHECK(shape_text(deep).size() == 4 * ptq::max_rank - 3);
  ++deep.rank;
  CHECK(shape_text(deep) == std::to_string(ptq::max_rank + 1) + " axes");
}

TEST_CASE("long names keep both ends, counted in code points") {
  CHECK(name_text("abcdefghij", 10) == "abcdefghij");
  CHECK(name_text("abcdefghijk", 10) == "abcd...ijk");
  CHECK(name_text("abcdefghijkl", 11) == "abcd...ijkl");
  CHECK(name_text("\u00e4\u00f6\u00fc\u00e4\u00f6\u00fc\u00e4\u00f6\u00fc\u00e4", 10) ==
        "\u00e4\u00f6\u00fc\u00e4\u00f6\u00fc\u00e4\u00f6\u00fc\u00e4");
  CHECK(name_text("\u20ac1\u20ac2\u20ac3\u20ac4\u20ac5\u20ac", 10) == "\u20ac1\u20ac2...\u20ac5\u20ac");
  CHECK(name_text("a\nb") == "a\\nb");
  CHECK(name_text(std::string(60, 'x')) == std::string(60, 'x'));
  CHECK(name_text(std::string(61, 'x')) == std::string(29, 'x') + "..." + std::string(28, 'x'));
}

TEST_CASE("the first six of many names") {
  std::vector<std::string> names{"a"};
  CHECK(ptq::names_text({}).empty());
  CHECK(ptq::names_text(names) == "a");
  names = {"a", "b", "c", "d", "e", "f"};
  CHECK(ptq::names_text(names) == "a, b, c, d, e, f");
  names.emplace_back("g");
  CHECK(ptq::names_text(names) == "a, b, c, d, e, f, ...");
}

TEST_CASE("columns are as wide as their widest cell, numbers stand to the right, no line ends in spaces") {
  using column = ptq::text_table::column;
  ptq::text_table table({column{"layer"}, column{"n", ptq::text_table::align::right}, column{"why"}});
  CHECK(table.empty());
  table.add({"\u00e4\u00f6", "7", "so"});
  table.add({"long.name", "123"});
  table.add({"x", "1", "\x1b", "beyond"});
  CHECK_FALSE(table.empty());
  CHECK(table.text() ==
        "layer        n  why\n"
        "---------  ---  ----\n"
        "\u00e4\u00f6           7  so\n"
        "long.name  123\n"
        "x            1  \\x1b\n");
}
