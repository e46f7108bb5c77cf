// SPDX-License-Identifier: Apache-2.0
/// @file mapped_file.hpp A file as read-only memory: nothing is copied, and the system may take pages back.
#ifndef PTQ_FILE_MAPPED_FILE_HPP
#define PTQ_FILE_MAPPED_FILE_HPP

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
#ifdef _WIN32
#include "ptq/file/windows/mapping.hpp"
#else
#include "ptq/file/posix/mapping.hpp"
#endif

namespace ptq::inline v0_1 {

/// Move-only. The bytes keep their address when the object moves. While it is mapped nobody may shorten the
/// file: on POSIX reading what is gone ends the process (SIGBUS); Windows refuses to shorten, replace or
/// remove it.
class mapped_file {
 public:
  /// @return cannot_open (missing, a folder, no permission, not a regular file), wrong_format (empty)
  static result<mapped_file> open(const std::string& path) {
    const detail::descriptor file = detail::open_to_read(path);
    if (!file) return detail::cannot_open(path, errno);
    std::uint64_t size = 0;
    const int reason = detail::size_of(file, size);
    if (reason == ESPIPE)
      return error(errc::cannot_open, absolute_path(path), "this is not a regular file, so it has no end.");
    if (reason != 0) return detail::cannot_open(path, reason);
    if (size == 0) return error(errc::wrong_format, absolute_path(path), "the file is empty.");
    const std::span<const std::byte> bytes = detail::map(file, static_cast<std::size_t>(size));
    if (bytes.empty()) return detail::cannot_open(path, errno);
    return mapped_file(path, bytes);
  }

  mapped_file(mapped_file&& other) noexcept
      : path_(std::move(other.path_)), bytes_(std::exchange(other.bytes_, {})) {}
  mapped_file& operator=(mapped_file&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~mapped_file() {
    if (!bytes_.empty()) detail::unmap(bytes_);
  }

  const std::string& path() const noexcept { return path_; }
  std::span<const std::byte> bytes() const noexcept { return bytes_; }

  /// Gives the memory behind a part of the file back. It is read again when it is looked at, so this is only
  /// about resident size: call it with what has been dealt with, to walk through a file larger than memory.
  void release(std::span<const std::byte> part) const noexcept {
    const auto mapped = reinterpret_cast<std::uintptr_t>(bytes_.data());
    const auto first = reinterpret_cast<std::uintptr_t>(part.data());
    const std::uintptr_t end = first + part.size();
    if (first >= mapped && end <= mapped + bytes_.size() && end > first)  // never memory of someone else
      detail::drop_pages(part);
  }

 private:
  mapped_file(std::string path, std::span<const std::byte> bytes) noexcept
      : path_(std::move(path)), bytes_(bytes) {}

  std::string path_;
  std::span<const std::byte> bytes_;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FILE_MAPPED_FILE_HPP
