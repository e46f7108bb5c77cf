// SPDX-License-Identifier: Apache-2.0
#include "ptq/file/output_file.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "ptq/file/mapped_file.hpp"
#include "support/temporary_folder.hpp"

namespace {

using names = std::vector<std::string>;

ptq::output_file created(const std::string& path) {
  auto file = ptq::output_file::create(path);
  REQUIRE(file);
  return *std::move(file);
}

ptq::error creation_error(const std::string& path) {
  const auto file = ptq::output_file::create(path);
  REQUIRE(!file);
  CHECK(file.error().code == ptq::errc::cannot_write);
  return file.error();
}

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

}  // namespace

TEST_CASE("a file appears with commit, whole") {
  const temporary_folder folder;
  ptq::output_file file = created(folder / "a.txt");
  CHECK(file.partial_path().starts_with(folder / ".ptq-"));
  CHECK(file.partial_path().ends_with(".partial"));
  REQUIRE(file.resize(11));
  REQUIRE(file.write_at(6, bytes_of("world")));
  REQUIRE(file.write_at(0, bytes_of("hello ")));
  REQUIRE(file.write("!"));
  CHECK(file.size() == 12);
  CHECK(ptq::names_in(folder.path()) == names{std::string(ptq::file_name_of(file.partial_path()))});
  ptq::output_file moved = std::move(file);
  REQUIRE(moved.commit());
  CHECK(read_file(folder / "a.txt") == "hello world!");
  CHECK(ptq::names_in(folder.path()) == names{"a.txt"});
}

TEST_CASE("without commit nothing is left, and an older file stays as it is") {
  const temporary_folder folder;
  write_file(folder / "a.txt", "older");
  {
    ptq::output_file file = created(folder / "a.txt");
    REQUIRE(file.write("newer"));
    CHECK(read_file(folder / "a.txt") == "older");
  }
  CHECK(ptq::names_in(folder.path()) == names{"a.txt"});
  CHECK(read_file(folder / "a.txt") == "older");
}

TEST_CASE("several files are committed one after the other") {
  const temporary_folder folder;
  ptq::output_file report = created(folder / "report.json");
  ptq::output_file artifact = created(folder / "artifact");
  REQUIRE(report.write("{}"));
  REQUIRE(artifact.write("x"));
  REQUIRE(report.commit());
  REQUIRE(artifact.commit());
  CHECK(ptq::names_in(folder.path()) == names{"artifact", "report.json"});
}

TEST_CASE("two writers of one file do not touch each other's partials; the last to commit stays") {
  const temporary_folder folder;
  ptq::output_file first = created(folder / "a");
  ptq::output_file second = created(folder / "a");
  CHECK(first.partial_path() != second.partial_path());
  REQUIRE(first.write("first"));
  REQUIRE(second.write("second"));
  REQUIRE(second.commit());
  REQUIRE(first.commit());
  CHECK(read_file(folder / "a") == "first");
  CHECK(ptq::names_in(folder.path()) == names{"a"});
}

TEST_CASE("a folder that is missing, no folder, or in the file's place") {
  const temporary_folder folder;
  CHECK(creation_error(folder / "no/a").what ==
        folder / "no/a" + ": the folder " + folder.path() +
            "/no does not exist. Create it, or write to another folder.");
  write_file(folder / "file", "x");
  CHECK(creation_error(folder / "file/a").what ==
        folder / "file/a" + ": " + folder.path() + "/file is not a folder. Write to another one.");
  CHECK(creation_error(folder.path()).what ==
        folder.path() + ": this is a folder, not a file. Move it away, or write to another folder.");
}

TEST_CASE("a name that is known only now") {
  const temporary_folder folder;
  write_file(folder / "a", "older");
  ptq::output_file file = created(folder / "b");
  REQUIRE(file.write("newer"));
  REQUIRE(file.commit_as("a"));
  CHECK(read_file(folder / "a") == "newer");
  CHECK(ptq::names_in(folder.path()) == names{"a"});
}

TEST_CASE("names are UTF-8 on every system") {
  const temporary_folder folder;
  const std::string name = "gr\u00f6\u00dfe \u6a21\u578b \U0001f600";
  ptq::output_file file = created(folder / name);
  REQUIRE(file.write("x"));
  REQUIRE(file.commit());
  CHECK(ptq::names_in(folder.path()) == names{name});
  CHECK(std::filesystem::exists(std::filesystem::path(folder.path()) /
                                u8"gr\u00f6\u00dfe \u6a21\u578b \U0001f600"));
  const auto read = ptq::mapped_file::open(folder / name);
  REQUIRE(read);
  CHECK(read->bytes().size() == 1);
  const auto missing = ptq::mapped_file::open(folder / "gr\u00f6\u00dfe \u6a21\u578b");
  REQUIRE(!missing);
  CHECK(missing.error().what ==
        folder / "gr\u00f6\u00dfe \u6a21\u578b: no such file. Did you mean \"" + name + "\"?");
  CHECK(ptq::real_path(folder / "." + "/" + name) == ptq::real_path(folder / name));
}
