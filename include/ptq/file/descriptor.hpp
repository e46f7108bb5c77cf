// SPDX-License-Identifier: Apache-2.0
/// @file descriptor.hpp A POSIX file descriptor that closes itself.
#ifndef PTQ_FILE_DESCRIPTOR_HPP
#define PTQ_FILE_DESCRIPTOR_HPP

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <string>
#include <utility>

namespace ptq::inline v0_1 {
namespace detail {

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

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_FILE_DESCRIPTOR_HPP
