// SPDX-License-Identifier: Apache-2.0
#include "ptq/file/mapped_file.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>
#include <string>

#include "support/temporary_folder.hpp"

namespace {

std::string text_of(const ptq::mapped_file& file) {
  std::string text(file.bytes().size(), '\0');
  std::memcpy(text.data(), file.bytes().data(), text.size());
  return text;
}

ptq::error error_of(const std::string& path) {
  const auto opened = ptq::mapped_file::open(path);
  REQUIRE(!opened);
  return opened.error();
}

}  // namespace

TEST_CASE("a mapped file has the file's bytes, also after it moved and after its memory was given back") {
  const temporary_folder folder;
  std::string content(3 * 4096 + 17, 'x');
  content[5000] = 'y';
  write_file(folder / "a", content);
  auto opened = ptq::mapped_file::open(folder / "a");
  REQUIRE(opened);
  const std::byte* const address = opened->bytes().data();
  ptq::mapped_file moved = *std::move(opened);
  CHECK(moved.bytes().data() == address);
  CHECK(moved.path() == folder / "a");
  CHECK(text_of(moved) == content);
  moved.release(moved.bytes().subspan(4000, 5000));
  moved.release(moved.bytes().subspan(content.size()));
  CHECK(text_of(moved) == content);
  char above[] = "not mapped: it stays";
  moved.release(std::as_bytes(std::span(above)));
  std::string below = above;
  moved.release(std::as_bytes(std::span(below)));
  CHECK(below == "not mapped: it stays");
  CHECK(above == below);
}

TEST_CASE("a missing file is named from the root, with the name nearest to it") {
  const temporary_folder folder;
  write_file(folder / "model.safetensors", "x");
  const ptq::error missing = error_of(folder / "model.safetensor");
  CHECK(missing.code == ptq::errc::cannot_open);
  CHECK(missing.what == folder / "model.safetensor" + ": no such file. Did you mean \"model.safetensors\"?");
  CHECK(error_of(folder / "quite_another").what == folder / "quite_another" + ": no such file.");
  CHECK(error_of(folder / "no/model").what ==
        folder / "no/model" + ": no such file; the folder " + folder.path() + "/no does not exist either.");
}

TEST_CASE("a relative path is shown from the root") {
  const std::filesystem::path here = std::filesystem::current_path();
  CHECK(error_of("./no_such_file_of_this_name").where == (here / "no_such_file_of_this_name").string());
  CHECK(ptq::absolute_path("") == here.string());
  CHECK(ptq::absolute_path(".") == here.string());
  CHECK(ptq::absolute_path("a/b") == (here / "a/b").string());
  const std::string whole = (here.root_path() / "a/b").string();
  CHECK(ptq::absolute_path(whole) == whole);
}

TEST_CASE("folders and empty files are refused by name") {
  const temporary_folder folder;
  CHECK(error_of(folder.path()).what == folder.path() + ": this is a folder, not a file.");
  write_file(folder / "empty", "");
  CHECK(error_of(folder / "empty").code == ptq::errc::wrong_format);
  CHECK(error_of(folder / "empty").what == folder / "empty" + ": the file is empty.");
}
