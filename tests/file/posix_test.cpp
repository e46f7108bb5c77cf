// SPDX-License-Identifier: Apache-2.0
// What only POSIX has: links, pipes, permissions, streams with numbers.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "ptq/file/mapped_file.hpp"
#include "ptq/file/output_file.hpp"
#include "support/temporary_folder.hpp"
#include "support/unprivileged.hpp"

namespace {

ptq::error opening_error(const std::string& path) {
  const auto opened = ptq::mapped_file::open(path);
  REQUIRE(!opened);
  return opened.error();
}

}  // namespace

TEST_CASE("a link to nothing is called one, and not suggested for itself") {
  const temporary_folder folder;
  REQUIRE(::symlink("gone.npy", (folder / "data.npy").c_str()) == 0);
  CHECK(opening_error(folder / "data.npy").what ==
        folder / "data.npy" +
            ": this is a link to \"gone.npy\", which does not exist. Mend the link, or give another file.");
}

TEST_CASE("no file gets the number of a standard stream that was closed") {
  const temporary_folder folder;
  write_file(folder / "a", "x");
  const pid_t child = ::fork();
  if (child == 0) {
    for (int stream = 0; stream < 3; ++stream) ::close(stream);
    const auto file = ptq::detail::open_file(folder / "a", O_RDONLY);
    ::_exit(file && file.get() > 2 ? 0 : 1);
  }
  int outcome = 0;
  REQUIRE(::waitpid(child, &outcome, 0) == child);
  CHECK(WEXITSTATUS(outcome) == 0);
}

TEST_CASE("an unreadable file says so") {
  const temporary_folder folder;
  write_file(folder / "secret", "x");
  REQUIRE(::chmod(folder.path().c_str(), 0755) == 0);
  REQUIRE(::chmod((folder / "secret").c_str(), 0000) == 0);
  const unprivileged user;
  if (!user) {
    MESSAGE("skipped: the superuser may read everything, and cannot become someone else here");
    return;
  }
  CHECK(opening_error(folder / "secret").what == folder / "secret" + ": no permission to read it.");
}

TEST_CASE("pipes are refused by name") {
  const temporary_folder folder;
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK(opening_error(folder / "pipe").what ==
        folder / "pipe" + ": this is not a regular file, so it has no end.");
}

TEST_CASE("a new file has the permissions of the older one") {
  const temporary_folder folder;
  write_file(folder / "a", "older");
  REQUIRE(::chmod((folder / "a").c_str(), 0640) == 0);
  auto file = ptq::output_file::create(folder / "a");
  REQUIRE(file);
  REQUIRE(file->commit());
  struct stat about{};
  REQUIRE(::stat((folder / "a").c_str(), &about) == 0);
  CHECK((about.st_mode & 0777) == 0640);
}

TEST_CASE("a read-only folder") {
  const temporary_folder folder;
  REQUIRE(::chmod(folder.path().c_str(), 0555) == 0);
  const unprivileged user;
  if (!user) {
    MESSAGE("skipped: the superuser may write everywhere, and cannot become someone else here");
    return;
  }
  const auto file = ptq::output_file::create(folder / "a");
  REQUIRE(!file);
  CHECK(file.error().code == ptq::errc::cannot_write);
  CHECK(file.error().what ==
        folder / "a" + ": no permission to write in " + folder.path() + ". Write to another folder.");
}
