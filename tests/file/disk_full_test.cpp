// SPDX-License-Identifier: Apache-2.0
// A full disk: a small file system in memory where one may be mounted, and a limit on the size of files.
#include <doctest/doctest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "ptq/file/output_file.hpp"
#include "support/temporary_folder.hpp"

namespace {

constexpr int cannot_mount = 77;

/// The soft limit on the size of files, for a scope.
class file_size_limit {
 public:
  explicit file_size_limit(rlim_t bytes) {
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before_) == 0);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
  }
  file_size_limit(const file_size_limit&) = delete;
  ~file_size_limit() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

/// Mounts 64 KB over a folder, for this process alone.
bool mount_small(const std::string& folder) {
  if (::unshare(CLONE_NEWNS) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
  ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  return ::mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=64k") == 0;
}

/// 0 if a full disk is met as it should be, else the number of the first check that failed.
int fill_disk(const std::string& folder) {
  write_file(folder + "/a", "older");
  {
    auto file = ptq::output_file::create(folder + "/a");
    if (!file) return 1;
    const auto reserved = file->resize(1 << 20);
    if (reserved || reserved.error().code != ptq::errc::cannot_write) return 2;
    if (reserved.error().what.find("/a: no space is left: the file takes 1048576 bytes, and ") ==
        std::string::npos)
      return 3;
    if (reserved.error().what.find(" are free. Free some space, or write to another folder.") ==
        std::string::npos)
      return 4;
    const std::vector<std::byte> block(48 << 10);
    const auto fits = file->write(block);
    if (!fits) return 5;
    const auto written = file->write(block);
    if (written || written.error().what.find("no space is left") == std::string::npos) return 6;
  }
  if (ptq::names_in(folder) != std::vector<std::string>{"a"}) return 7;
  return read_file(folder + "/a") == "older" ? 0 : 8;
}

}  // namespace

TEST_CASE("a full disk leaves no partial and keeps the older file: a small tmpfs") {
  const temporary_folder folder;
  const pid_t child = ::fork();
  if (child == 0) ::_exit(mount_small(folder.path()) ? fill_disk(folder.path()) : cannot_mount);
  int outcome = 0;
  REQUIRE(::waitpid(child, &outcome, 0) == child);
  REQUIRE(WIFEXITED(outcome));
  if (WEXITSTATUS(outcome) == cannot_mount)
    MESSAGE("skipped: no file system may be mounted here; the limit on file sizes stands for it");
  else
    CHECK(WEXITSTATUS(outcome) == 0);
}

TEST_CASE("a full disk leaves no partial and keeps the older file: RLIMIT_FSIZE") {
  const temporary_folder folder;
  write_file(folder / "a", "older");
  {
    const file_size_limit limit(64 << 10);
    auto file = ptq::output_file::create(folder / "a");
    REQUIRE(file);
    const auto reserved = file->resize(1 << 20);
    REQUIRE(!reserved);
    CHECK(reserved.error().code == ptq::errc::cannot_write);
    CHECK(reserved.error().what ==
          folder / "a" +
              ": the file takes 1048576 bytes, more than this process may write to one file. Raise the limit "
              "(ulimit -f).");
    const std::vector<std::byte> block(48 << 10);
    REQUIRE(file->write(block));
    const auto written = file->write(block);
    REQUIRE(!written);
    CHECK(written.error().code == ptq::errc::cannot_write);
    CHECK(!file->check());
    CHECK(!file->write(std::string_view("fits")));  // would leave a hole
    CHECK(!file->commit());
  }
  CHECK(ptq::names_in(folder.path()) == std::vector<std::string>{"a"});
  CHECK(read_file(folder / "a") == "older");
}
