// SPDX-License-Identifier: Apache-2.0
// What is not about instants: those are enumerated with the command (tests/cli/transaction_test.py).
#include "ptq/file/run_folder.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "support/temporary_folder.hpp"

namespace {

using names = std::vector<std::string>;

ptq::run_folder opened(const std::string& folder, const std::string& file = {}) {
  auto run = ptq::run_folder::open(folder, file);
  REQUIRE(run);
  return *std::move(run);
}

void write(ptq::run_folder& run, const std::string& name, const std::string& text) {
  const auto path = run.path_of(name);
  REQUIRE(path);
  write_file(*path, text);
}

}  // namespace

TEST_CASE("files appear together, older ones go, and nothing else is left") {
  const temporary_folder folder;
  write_file(folder / "model", "older");
  write_file(folder / "data.1", "older");
  write_file(folder / "notes", "mine");
  {
    ptq::run_folder run = opened(folder.path());
    write(run, "model", "new");
    write(run, "report", "new");
    write(run, "status", "done");
    REQUIRE(run.put("status", "running"));
    CHECK(read_file(folder / "status") == "running");
    CHECK(read_file(folder / "model") == "older");
    REQUIRE(run.commit({{"model"}, {"report"}, "status", {"data.1"}}));
    CHECK(read_file(folder / "status") == "done");
  }
  CHECK(ptq::names_in(folder.path()) == names{"model", "notes", "report", "status"});
  CHECK(read_file(folder / "model") == "new");
}

TEST_CASE("without commit the older files stay, and a commit that cannot be carried out is undone") {
  const temporary_folder folder;
  for (const char* name : {"model", "report"}) write_file(folder / name, "older");
  {
    ptq::run_folder run = opened(folder.path());
    write(run, "model", "new");
  }
  {
    ptq::run_folder run = opened(folder.path());
    for (const char* name : {"model", "report", "status"}) write(run, name, "new");
    std::filesystem::create_directory(folder / "status");
    const auto done = run.commit({{"model"}, {"report"}, "status", {}});
    REQUIRE(!done);
    CHECK(done.error().what ==
          folder / "status" + ": this is a folder, not a file. Move it away, or write to another folder.");
  }
  CHECK(ptq::names_in(folder.path()) == names{"model", "report", "status"});
  for (const char* name : {"model", "report"}) CHECK(read_file(folder / name) == "older");
}

TEST_CASE("one run at a time; those into other files do not meet") {
  const temporary_folder folder;
  const ptq::run_folder run = opened(folder.path());
  const auto second = ptq::run_folder::open(folder.path());
  REQUIRE(!second);
  CHECK(second.error().code == ptq::errc::in_use);
  CHECK(second.error().what.starts_with(folder.path() + ": another run writes here (pid " +
                                        std::to_string(::getpid()) + " on "));
  const ptq::run_folder a = opened(folder.path(), "a");
  const ptq::run_folder b = opened(folder.path(), "b");
  CHECK(ptq::run_folder::open(folder.path(), "a").error().code == ptq::errc::in_use);
}

TEST_CASE("a plan names files of its folder only") {
  const temporary_folder folder;
  std::filesystem::create_directories(folder / "out/.ptq-run/old");
  write_file(folder / "kept", "mine");
  write_file(folder / "out/.ptq-run/lock", "ptq run: pid 1 on a since b\n");
  write_file(folder / "out/.ptq-run/plan", "stale 0 ../kept\nstale 0 ..\nlast 0 x\nrubbish\nmain x\n");
  {
    const ptq::run_folder run = opened(folder / "out");
  }
  CHECK(read_file(folder / "kept") == "mine");
  CHECK(ptq::names_in(folder / "out").empty());
}
