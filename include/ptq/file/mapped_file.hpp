// SPDX-License-Identifier: Apache-2.0
/// @file mapped_file.hpp A file as read-only memory: nothing is copied, and the system may take pages back.
#ifndef PTQ_FILE_MAPPED_FILE_HPP
#define PTQ_FILE_MAPPED_FILE_HPP

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "ptq/error.hpp"
#include "ptq/file/descriptor.hpp"
#include "ptq/file/path.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

/// Move-only. The bytes keep their address when the object moves. Nobody may shorten the file while it is
/// mapped: reading what is gone ends the process (SIGBUS).
class mapped_file {
 public:
  /// @return cannot_open (missing, a folder, no permission, not a regular file), wrong_format (empty)
  static result<mapped_file> open(const std::string& path) {
    // Not blocking, so that a named pipe is refused instead of waited for.
    const detail::descriptor file = detail::open_file(path, O_RDONLY | O_NONBLOCK);
    struct stat about{};
    if (!file || ::fstat(file.get(), &about) != 0) return detail::cannot_open(path, errno);
    if (S_ISDIR(about.st_mode)) return detail::cannot_open(path, EISDIR);
    if (!S_ISREG(about.st_mode))
      return error(errc::cannot_open, absolute_path(path), "this is not a regular file, so it has no end.");
    if (about.st_size == 0) return error(errc::wrong_format, absolute_path(path), "the file is empty.");
    const auto size = static_cast<std::size_t>(about.st_size);
    void* const memory = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (memory == MAP_FAILED) return detail::cannot_open(path, errno);
    return mapped_file(path, {static_cast<const std::byte*>(memory), size});
  }

  mapped_file(mapped_file&& other) noexcept
      : path_(std::move(other.path_)), bytes_(std::exchange(other.bytes_, {})) {}
  mapped_file& operator=(mapped_file&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~mapped_file() {
    if (!bytes_.empty()) ::munmap(address_of(bytes_.data()), bytes_.size());
  }

  const std::string& path() const noexcept { return path_; }
  std::span<const std::byte> bytes() const noexcept { return bytes_; }

  /// Gives the memory behind a part of the file back. It is read again when it is looked at, so this is only
  /// about resident size: call it with what has been dealt with, to walk through a file larger than memory.
  void release(std::span<const std::byte> part) const noexcept {
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    const auto mapped = reinterpret_cast<std::uintptr_t>(bytes_.data());
    const auto first = reinterpret_cast<std::uintptr_t>(part.data());
    const std::uintptr_t begin = first / page * page;
    const std::uintptr_t end = first + part.size();
    if (first >= mapped && end <= mapped + bytes_.size() && end > first)      // never memory of someone else
      ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);  // NOLINT: page arithmetic
  }

 private:
  mapped_file(std::string path, std::span<const std::byte> bytes) noexcept
      : path_(std::move(path)), bytes_(bytes) {}

  static void* address_of(const std::byte* first) noexcept { return const_cast<std::byte*>(first); }

  std::string path_;
  std::span<const std::byte> bytes_;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FILE_MAPPED_FILE_HPP
