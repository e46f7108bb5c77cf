// SPDX-License-Identifier: Apache-2.0
/// @file api.hpp <windows.h>, with as few macros as it can be had, and its errors as errno values.
#ifndef PTQ_FILE_WINDOWS_API_HPP
#define PTQ_FILE_WINDOWS_API_HPP

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <windows.h>

#include <cerrno>

namespace ptq::inline v0_1 {
namespace detail {

inline constexpr int quota_used_up = -1295;  // ERROR_DISK_QUOTA_EXCEEDED, which not every header has

/// The errno value of the calling thread's last error; minus its number where errno has no word for it.
inline int last_error() noexcept {
  const DWORD code = ::GetLastError();
  switch (code) {
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND:
    case ERROR_INVALID_NAME:
    case ERROR_INVALID_DRIVE:
    case ERROR_BAD_NETPATH:
    case ERROR_BAD_NET_NAME:
      return ENOENT;
    case ERROR_ACCESS_DENIED:
      return EACCES;
    case ERROR_SHARING_VIOLATION:
    case ERROR_LOCK_VIOLATION:
    case ERROR_USER_MAPPED_FILE:
      return ETXTBSY;
    case ERROR_FILE_EXISTS:
    case ERROR_ALREADY_EXISTS:
      return EEXIST;
    case ERROR_DIRECTORY:
      return ENOTDIR;
    case ERROR_DISK_FULL:
    case ERROR_HANDLE_DISK_FULL:
      return ENOSPC;
    case ERROR_FILE_TOO_LARGE:
      return EFBIG;
    case ERROR_WRITE_PROTECT:
      return EROFS;
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_COMMITMENT_LIMIT:
      return ENOMEM;
    default:
      return -static_cast<int>(code);
  }
}

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_FILE_WINDOWS_API_HPP
