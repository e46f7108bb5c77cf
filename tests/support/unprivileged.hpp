// SPDX-License-Identifier: Apache-2.0
// File permissions mean nothing to the superuser: within the scope of this object the test is a plain user.
#ifndef PTQ_TESTS_SUPPORT_UNPRIVILEGED_HPP
#define PTQ_TESTS_SUPPORT_UNPRIVILEGED_HPP

#include <unistd.h>

class unprivileged {
 public:
  unprivileged() : user_(::geteuid()) {
    if (user_ == 0 && ::seteuid(65534) != 0) ok_ = false;
  }
  unprivileged(const unprivileged&) = delete;
  ~unprivileged() {
    if (user_ == 0 && ok_ && ::seteuid(0) != 0) ::_exit(1);
  }

  /// False where the superuser cannot become someone else.
  explicit operator bool() const { return ok_; }

 private:
  ::uid_t user_;
  bool ok_ = true;
};

#endif  // PTQ_TESTS_SUPPORT_UNPRIVILEGED_HPP
