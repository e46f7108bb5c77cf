// SPDX-License-Identifier: Apache-2.0
/// @file output_file.hpp A file that appears whole or not at all.
#ifndef PTQ_IO_OUTPUT_FILE_HPP
#define PTQ_IO_OUTPUT_FILE_HPP

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "ptq/error.hpp"
#include "ptq/io/descriptor.hpp"
#include "ptq/io/path.hpp"
#include "ptq/result.hpp"

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
    case EWOULDBLOCK:
      return because("another process is writing it. Wait for that run, or write to another folder.");
    default:
      return because("cannot be written: " + system_text(reason));
  }
}

/// True if the open file still is the one with this path.
inline bool is_named(const descriptor& file, const std::string& path) {
  struct stat open{};
  struct stat named{};
  return ::fstat(file.get(), &open) == 0 && ::lstat(path.c_str(), &named) == 0 &&
         open.st_dev == named.st_dev && open.st_ino == named.st_ino;
}

/// Opens (or creates, with O_CREAT) a partial file and locks it for as long as it is open. None, with errno
/// set, if that fails; EWOULDBLOCK: a running process holds it. The lock goes when its process does, however
/// that ends, which tells a stale file from one in use. Where there are no locks, all are taken as stale.
inline descriptor lock_partial(const std::string& partial, int flags) {
  for (;;) {
    descriptor file(::open(partial.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags, 0666));
    if (!file) return file;
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) return {};
    if (is_named(file, partial)) return file;  // else another run has committed or removed it meanwhile
  }
}

inline constexpr std::string_view partial_suffix = ".partial";

}  // namespace detail

/// Written beside its final place as `.<name>.partial`, then flushed to the disk and renamed. Until `commit`
/// an older file of that name stays as it is; without `commit` the destructor removes the partial. The next
/// run overwrites the partial that a killed one left behind.
///
/// Interrupts: nothing is registered and no signal is touched. A command sets a flag in its handler of SIGINT
/// and stops at the next layer (a sink that returns `stopped`), and the destructors clean up. Who must leave
/// a handler at once may unlink `partial_path()`.
///
/// To write several files, create all, write all, then commit them in order, the most important last.
class output_file {
 public:
  /// @return cannot_write: missing or read-only folder, a folder of that name, another process at it
  static result<output_file> create(const std::string& path) {
    struct stat there{};
    if (::stat(path.c_str(), &there) == 0 && S_ISDIR(there.st_mode))
      return detail::cannot_write(path, EISDIR);
    output_file file(path);
    file.descriptor_ = detail::lock_partial(file.partial_, O_CREAT);
    if (!file.descriptor_) {
      file.partial_.clear();  // not ours to remove
      return detail::cannot_write(path, errno);
    }
    if (::ftruncate(file.descriptor_.get(), 0) != 0) return detail::cannot_write(path, errno);
    return file;
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
    while (::fsync(descriptor_.get()) != 0)
      if (errno != EINTR) return detail::cannot_write(path_, errno, size_);
    if (std::rename(partial_.c_str(), path_.c_str()) != 0) return detail::cannot_write(path_, errno, size_);
    partial_.clear();
    descriptor_ = detail::descriptor();
    // The new name reaches the disk with its folder. Not every file system can do that on request.
    const detail::descriptor folder(::open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder) ::fsync(folder.get());
    return {};
  }

 private:
  explicit output_file(const std::string& path)
      : path_(path),
        partial_(folder_of(path) + "/." + std::string(file_name_of(path)) +
                 std::string(detail::partial_suffix)) {}

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

/// Removes the partials `.<prefix>*.partial` that killed runs left in a folder; not those that a running
/// process is writing.
inline void remove_stale_partials(const std::string& folder, std::string_view prefix) {
  std::string start(1, '.');
  start += prefix;
  for (const std::string& name : names_in(folder)) {
    if (!name.starts_with(start) || !name.ends_with(detail::partial_suffix)) continue;
    const std::string partial = folder + "/" + name;
    if (const detail::descriptor file = detail::lock_partial(partial, 0)) ::unlink(partial.c_str());
  }
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_IO_OUTPUT_FILE_HPP
