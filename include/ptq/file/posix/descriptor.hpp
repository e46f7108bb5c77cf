// SPDX-License-Identifier: Apache-2.0
/// @file descriptor.hpp Open files on POSIX. `file/descriptor.hpp` says what each function does.
#ifndef PTQ_FILE_POSIX_DESCRIPTOR_HPP
#define PTQ_FILE_POSIX_DESCRIPTOR_HPP

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <utility>

namespace ptq::inline v0_1 {
namespace detail {

inline constexpr int quota_used_up = EDQUOT;

/// Move-only. -1 is none.
class descriptor {
 public:
  descriptor() = default;
  explicit descriptor(int number) noexcept : number_(number) {}
  descriptor(descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  descriptor& operator=(descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~descriptor() {
    if (number_ >= 0) ::close(number_);
  }

  int get() const noexcept { return number_; }
  explicit operator bool() const noexcept { return number_ >= 0; }

 private:
  int number_ = -1;
};

/// As open(2), but never 0, 1 or 2: whoever closed those may still print there, and would print into the
/// file. None, with errno set, if that fails.
inline descriptor open_file(const std::string& path, int flags, mode_t mode = 0) noexcept {
  descriptor file(::open(path.c_str(), flags | O_CLOEXEC, mode));
  if (!file || file.get() > STDERR_FILENO) return file;
  return descriptor(::fcntl(file.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
}

/// Not blocking, so that a named pipe is refused instead of waited for.
inline descriptor open_to_read(const std::string& path) noexcept {
  return open_file(path, O_RDONLY | O_NONBLOCK);
}

inline descriptor create_new(const std::string& path) noexcept {
  return open_file(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0666);
}

/// @return 0, or why it has none
inline int size_of(const descriptor& file, std::uint64_t& size) noexcept {
  struct stat about{};
  if (::fstat(file.get(), &about) != 0) return errno;
  if (S_ISDIR(about.st_mode)) return EISDIR;
  if (!S_ISREG(about.st_mode)) return ESPIPE;
  size = static_cast<std::uint64_t>(about.st_size);
  return 0;
}

inline int reserve(const descriptor& file, std::uint64_t size) noexcept {
  int reason = 0;
  do {
    reason = ::posix_fallocate(file.get(), 0, static_cast<off_t>(size));
  } while (reason == EINTR);
  return reason == EOPNOTSUPP || reason == EINVAL ? 0 : reason;
}

inline int set_size(const descriptor& file, std::uint64_t size) noexcept {
  return ::ftruncate(file.get(), static_cast<off_t>(size)) == 0 ? 0 : errno;
}

inline int write_at(const descriptor& file, std::uint64_t offset, std::span<const std::byte> bytes) noexcept {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return written == 0 ? ENOSPC : errno;
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
  return 0;
}

inline void begin_flush([[maybe_unused]] const descriptor& file) noexcept {
#ifdef SYNC_FILE_RANGE_WRITE
  (void)::sync_file_range(file.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
#endif
}

inline int flush(const descriptor& file) noexcept {
  while (::fsync(file.get()) != 0)
    if (errno != EINTR) return errno;
  return 0;
}

/// What a folder holds. Not every file system can do that on request.
inline int flush_folder(const std::string& folder) noexcept {
  const descriptor open = open_file(folder, O_RDONLY | O_DIRECTORY);
  if (!open) return 0;
  const int reason = flush(open);
  return reason == EINVAL || reason == EROFS || reason == EOPNOTSUPP ? 0 : reason;
}

inline int move_over(const std::string& from, const std::string& to) noexcept {
  return std::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
}

inline void remove_file(const std::string& path) noexcept {
  ::unlink(path.c_str());
}

inline void take_mode(const std::string& file, const std::string& older) noexcept {
  struct stat there{};
  if (::lstat(older.c_str(), &there) == 0 && S_ISREG(there.st_mode))
    (void)::chmod(file.c_str(), there.st_mode & 0777);
}

/// Past this limit a write does not fail but kills the process (SIGXFSZ).
inline bool exceeds_limit(std::uint64_t size) noexcept {
  struct rlimit limit{};
  return ::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && size > limit.rlim_cur;
}

inline std::uint64_t process_number() noexcept {
  return static_cast<std::uint64_t>(::getpid());
}

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_FILE_POSIX_DESCRIPTOR_HPP
