// SPDX-License-Identifier: Apache-2.0
/// @file descriptor.hpp A POSIX file descriptor that closes itself.
#ifndef PTQ_IO_DESCRIPTOR_HPP
#define PTQ_IO_DESCRIPTOR_HPP

#include <unistd.h>

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

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_IO_DESCRIPTOR_HPP
