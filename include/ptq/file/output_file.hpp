// SPDX-License-Identifier: Apache-2.0
/// @file output_file.hpp A file that appears whole or not at all.
#ifndef PTQ_FILE_OUTPUT_FILE_HPP
#define PTQ_FILE_OUTPUT_FILE_HPP

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "ptq/error.hpp"
#include "ptq/file/descriptor.hpp"
#include "ptq/file/path.hpp"
#include "ptq/result.hpp"
#include "ptq/text/printable.hpp"
#include "ptq/text/word_hash.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// Why a file could not be written, and what to do about it. `size` is what it would have had.
inline error cannot_write(const std::string& path, int reason, std::uint64_t size = 0) {
  const std::string where = absolute_path(path);
  const std::string folder = folder_of(where);
  const auto because = [&](const std::string& text) { return error(errc::cannot_write, where, text); };
  switch (reason) {
    case ENOSPC: {
      struct statvfs room{};
      const bool known = ::statvfs(folder.c_str(), &room) == 0;
      return because("no space is left: the file takes " + std::to_string(size) + " bytes" +
                     (known ? ", and " + std::to_string(room.f_bavail * room.f_frsize) + " are free" : "") +
                     ". Free some space, or write to another folder.");
    }
    case EDQUOT:
      return because("the disk quota is used up. Free some space, or write to another folder.");
    case EFBIG:
      return because("the file takes " + std::to_string(size) +
                     " bytes, more than this process may write to one file. Raise the limit (ulimit -f).");
    case EROFS:
      return because("the file system is read-only. Write to another folder.");
    case EACCES:
    case EPERM:
      return because("no permission to write in " + folder + ". Write to another folder.");
    case ENOENT:
      if (::access(folder.c_str(), F_OK) == 0)
        return because(folder + " takes no new files. Write to another folder.");
      return because("the folder " + folder + " does not exist. Create it, or write to another folder.");
    case ENOTDIR:
      return because(folder + " is not a folder. Write to another one.");
    case EISDIR:
      return because("this is a folder, not a file. Move it away, or write to another folder.");
    default:
      return because("cannot be written: " + system_text(reason));
  }
}

/// Gives a new file the permissions of the older one that it replaces, if there is one.
inline void take_mode(const std::string& file, const std::string& older) noexcept {
  struct stat there{};
  if (::lstat(older.c_str(), &there) == 0 && S_ISREG(there.st_mode))
    (void)::chmod(file.c_str(), there.st_mode & 0777);
}

/// A run's own folder (run_folder.hpp), `/out/.ptq-run` say.
inline constexpr std::string_view run_suffix = ".ptq-run";

/// What a folder holds reaches the disk. Not every file system can do that on request.
inline result<void> sync_folder(const std::string& folder) {
  const descriptor open = open_file(folder, O_RDONLY | O_DIRECTORY);
  if (!open) return {};
  while (::fsync(open.get()) != 0) {
    if (errno == EINTR) continue;
    if (errno == EINVAL || errno == EROFS || errno == EOPNOTSUPP) return {};
    return cannot_write(folder, errno);
  }
  return {};
}

/// A name that no other file has had: 16 hexadecimal digits of the time, the process and a count.
inline std::string unused_digits() {
  static std::atomic<std::uint64_t> count = 0;
  word_hash hash;
  hash.add(static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count()));
  hash.add(static_cast<std::uint64_t>(::getpid()));
  hash.add(count.fetch_add(1));
  return hex_digits(hash.value(), 16);
}

}  // namespace detail

/// Written beside its final place under a name that nobody has used, `.ptq-<16 digits>.partial`, then flushed
/// to the disk and renamed. Until `commit` an older file of that name stays as it is, and its permissions
/// pass to the new one; without `commit` the destructor removes the partial. What is there is never opened:
/// partials are created exclusively. One that a killed process leaves behind stays; a `run_folder` (which
/// also makes several files appear together) removes those of its own.
///
/// Interrupts: nothing is registered and no signal is touched. A command sets a flag in its handler of SIGINT
/// and stops at the next layer (a sink that returns `stopped`), and the destructors clean up. Who must leave
/// a handler at once may unlink `partial_path()`.
class output_file {
 public:
  /// @return cannot_write: missing or read-only folder, a folder of that name
  static result<output_file> create(const std::string& path) {
    struct stat there{};
    if (::stat(path.c_str(), &there) == 0 && S_ISDIR(there.st_mode))
      return detail::cannot_write(path, EISDIR);
    constexpr int most_tries = 16;
    for (int i = 0; i < most_tries; ++i) {
      const std::string partial = folder_of(path) + "/.ptq-" + detail::unused_digits() + ".partial";
      detail::descriptor file = detail::open_file(partial, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0666);
      if (file) return output_file(path, partial, std::move(file));
      if (errno != EEXIST) break;
    }
    return detail::cannot_write(path, errno);
  }

  output_file(output_file&& other) noexcept
      : path_(std::move(other.path_)),
        partial_(std::exchange(other.partial_, {})),
        descriptor_(std::move(other.descriptor_)),
        size_(other.size_) {}
  output_file& operator=(output_file&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(partial_, other.partial_);
    std::swap(descriptor_, other.descriptor_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~output_file() {
    if (!partial_.empty()) ::unlink(partial_.c_str());
  }

  const std::string& path() const noexcept { return path_; }
  const std::string& partial_path() const noexcept { return partial_; }
  std::uint64_t size() const noexcept { return size_; }

  /// Sets the size and takes the room on the disk now, so that a full one shows before the work is done.
  result<void> resize(std::uint64_t size) {
    if (exceeds_limit(size)) return detail::cannot_write(path_, EFBIG, size);
    int reason = 0;
    do {
      reason = size > size_ ? ::posix_fallocate(descriptor_.get(), 0, static_cast<off_t>(size)) : 0;
    } while (reason == EINTR);
    if (reason != 0 && reason != EOPNOTSUPP && reason != EINVAL)
      return detail::cannot_write(path_, reason, size);
    if (::ftruncate(descriptor_.get(), static_cast<off_t>(size)) != 0)
      return detail::cannot_write(path_, errno, size);
    size_ = size;
    return {};
  }

  /// Appends.
  result<void> write(std::span<const std::byte> bytes) { return write_at(size_, bytes); }
  result<void> write(std::string_view text) { return write(std::as_bytes(std::span(text))); }

  /// Writes anywhere; the file grows as needed.
  result<void> write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
    const std::uint64_t end = (std::max)(size_, offset + bytes.size());
    if (exceeds_limit(end)) return detail::cannot_write(path_, EFBIG, end);
    while (!bytes.empty()) {
      const ssize_t written =
          ::pwrite(descriptor_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return detail::cannot_write(path_, written == 0 ? ENOSPC : errno, end);
      bytes = bytes.subspan(static_cast<std::size_t>(written));
      offset += static_cast<std::uint64_t>(written);
    }
    size_ = end;
    return {};
  }

  /// Flushes and renames: from here on the file is at its path, whole. Call it once.
  result<void> commit() {
    detail::take_mode(partial_, path_);
    while (::fsync(descriptor_.get()) != 0)
      if (errno != EINTR) return detail::cannot_write(path_, errno, size_);
    if (std::rename(partial_.c_str(), path_.c_str()) != 0) return detail::cannot_write(path_, errno, size_);
    partial_.clear();
    descriptor_ = detail::descriptor();
    const std::string folder = folder_of(path_);
    const bool is_in_run = folder.find(std::string(detail::run_suffix) + "/") != std::string::npos ||
                           folder.ends_with(detail::run_suffix);    // which syncs it once for all its files
    if (!is_in_run) (void)detail::sync_folder(folder).has_value();  // the file is there, whatever comes of it
    return {};
  }

  /// As above, but under another name in the same folder: one that depends on what was written, say.
  result<void> commit_as(std::string_view name) {
    path_ = folder_of(path_) + "/" + std::string(name);
    return commit();
  }

 private:
  output_file(std::string path, std::string partial, detail::descriptor file)
      : path_(std::move(path)), partial_(std::move(partial)), descriptor_(std::move(file)) {}

  /// Past this limit a write does not fail but kills the process (SIGXFSZ), so it is asked first.
  static bool exceeds_limit(std::uint64_t size) {
    struct rlimit limit{};
    return ::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && size > limit.rlim_cur;
  }

  std::string path_;
  std::string partial_;  // empty: none to remove
  detail::descriptor descriptor_;
  std::uint64_t size_ = 0;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FILE_OUTPUT_FILE_HPP
