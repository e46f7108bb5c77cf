// SPDX-License-Identifier: Apache-2.0
// What only Windows has: drives, either slash, files that cannot be replaced while somebody has them open.
#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "ptq/file/mapped_file.hpp"
#include "ptq/file/output_file.hpp"
#include "support/temporary_folder.hpp"

TEST_CASE("either slash separates, and drives and shares are roots") {
  CHECK(ptq::file_name_of(R"(a\b/c)") == "c");
  CHECK(ptq::file_name_of(R"(a/b\c)") == "c");
  CHECK(ptq::file_name_of("C:c") == "c");
  CHECK(ptq::file_name_of(R"(C:\)").empty());
  CHECK(ptq::folder_of(R"(a/b\c)") == "a/b");
  CHECK(ptq::folder_of("c") == ".");
  CHECK(ptq::folder_of(R"(C:\c)") == R"(C:\)");
  CHECK(ptq::folder_of("C:/b/c") == "C:/b");
  CHECK(ptq::folder_of("C:c") == "C:.");
  CHECK(ptq::folder_of(R"(\c)") == R"(\)");
  CHECK(ptq::folder_of(R"(\\host\share\c)") == R"(\\host\share\)");
  CHECK(ptq::folder_of(R"(\\host\share\b\c)") == R"(\\host\share\b)");
}

TEST_CASE("a path from the root has a drive or a share") {
  const std::filesystem::path here = std::filesystem::current_path();
  const std::string drive = here.root_name().string();
  for (const char* const whole : {R"(C:\a)", "c:/a", R"(\\host\share\a)", R"(\\?\C:\a)"})
    CHECK(ptq::absolute_path(whole) == whole);
  CHECK(ptq::absolute_path(R"(\a)") == drive + R"(\a)");
  CHECK(ptq::absolute_path("/a") == drive + "/a");
  CHECK(ptq::absolute_path(R"(.\a)") == (here / "a").string());
}

TEST_CASE("a folder is found by either slash") {
  const temporary_folder folder;
  std::filesystem::create_directory(folder / "sub");
  write_file(folder / "sub/a", "x");
  CHECK(ptq::mapped_file::open(folder / "sub\\a"));
  CHECK(ptq::is_folder(folder / "sub\\"));
  CHECK(ptq::names_in(folder / "sub\\").size() == 1);
}

TEST_CASE("what is no file on a disk is refused by name") {
  const auto opened = ptq::mapped_file::open("NUL");
  REQUIRE(!opened);
  CHECK(opened.error().what.ends_with("NUL: this is not a regular file, so it has no end."));
}

TEST_CASE("a file that is mapped is not replaced; the message says what to do") {
  const temporary_folder folder;
  write_file(folder / "a", "older");
  auto file = ptq::output_file::create(folder / "a");
  REQUIRE(file);
  REQUIRE(file->write("newer"));
  {
    const auto mapped = ptq::mapped_file::open(folder / "a");
    REQUIRE(mapped);
    const auto refused = file->commit();
    REQUIRE(!refused);
    CHECK(refused.error().what ==
          folder / "a" + ": a program has the older file open. Close it there, or write to another file.");
  }
  CHECK(read_file(folder / "a") == "older");
}

TEST_CASE("an error that errno has no word for is named by its number") {
  CHECK(ptq::detail::system_text(-1392) == "error 1392 of Windows (`net helpmsg 1392` says more).");
}
