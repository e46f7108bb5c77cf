// SPDX-License-Identifier: Apache-2.0
/// @file descriptor.hpp Open files on Windows. `file/descriptor.hpp` says what each function does.
#ifndef PTQ_FILE_WINDOWS_DESCRIPTOR_HPP
#define PTQ_FILE_WINDOWS_DESCRIPTOR_HPP

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "ptq/file/windows/api.hpp"
#include "ptq/file/windows/path.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// Move-only.
class descriptor {
 public:
  descriptor() = default;
  explicit descriptor(HANDLE handle) noexcept : handle_(handle == INVALID_HANDLE_VALUE ? nullptr : handle) {}
  descriptor(descriptor&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  descriptor& operator=(descriptor&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~descriptor() {
    if (handle_ != nullptr) ::CloseHandle(handle_);
  }

  HANDLE get() const noexcept { return handle_; }
  explicit operator bool() const noexcept { return handle_ != nullptr; }

 private:
  HANDLE handle_ = nullptr;
};

inline bool is_folder_name(const std::wstring& path) noexcept {
  const DWORD attributes = ::GetFileAttributesW(path.c_str());
  return attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
}

inline descriptor open_to_read(const std::string& path) {
  const std::wstring name = wide_text(path);
  descriptor file(::CreateFileW(name.c_str(), GENERIC_READ,
                                FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, nullptr,
                                OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr));
  if (!file) errno = is_folder_name(name) ? EISDIR : last_error();
  return file;
}

inline descriptor create_new(const std::string& path) {
  descriptor file(::CreateFileW(wide_text(path).c_str(), GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ,
                                nullptr, CREATE_NEW, FILE_ATTRIBUTE_NORMAL, nullptr));
  if (!file) errno = last_error();
  return file;
}

inline int size_of(const descriptor& file, std::uint64_t& size) noexcept {
  LARGE_INTEGER bytes{};
  if (::GetFileType(file.get()) != FILE_TYPE_DISK) return ESPIPE;
  if (::GetFileSizeEx(file.get(), &bytes) == 0) return last_error();
  size = static_cast<std::uint64_t>(bytes.QuadPart);
  return 0;
}

inline int set_size(const descriptor& file, std::uint64_t size) noexcept {
  FILE_END_OF_FILE_INFO end{};
  end.EndOfFile.QuadPart = static_cast<LONGLONG>(size);
  const BOOL done = ::SetFileInformationByHandle(file.get(), FileEndOfFileInfo, &end, sizeof end);
  return done != 0 ? 0 : last_error();
}

/// A file's size is taken on the disk as it is set.
inline int reserve(const descriptor& file, std::uint64_t size) noexcept {
  return set_size(file, size);
}

inline int write_at(const descriptor& file, std::uint64_t offset, std::span<const std::byte> bytes) noexcept {
  constexpr std::size_t most = std::size_t{1} << 30;  // the system counts in 32 bits
  while (!bytes.empty()) {
    OVERLAPPED place{};
    place.Offset = static_cast<DWORD>(offset);
    place.OffsetHigh = static_cast<DWORD>(offset >> 32);
    DWORD written = 0;
    const auto piece = static_cast<DWORD>((std::min)(bytes.size(), most));
    if (::WriteFile(file.get(), bytes.data(), piece, &written, &place) == 0) return last_error();
    if (written == 0) return ENOSPC;
    bytes = bytes.subspan(written);
    offset += written;
  }
  return 0;
}

inline void begin_flush(const descriptor&) noexcept {}

inline int flush(const descriptor& file) noexcept {
  return ::FlushFileBuffers(file.get()) != 0 ? 0 : last_error();
}

/// Names are written through (`move_over`).
inline int flush_folder(const std::string&) noexcept {
  return 0;
}

inline int move_over(const std::string& from, const std::string& to) {
  const std::wstring name = wide_text(to);
  constexpr DWORD flags = MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH;
  if (::MoveFileExW(wide_text(from).c_str(), name.c_str(), flags) != 0) return 0;
  const int reason = last_error();
  if (is_folder_name(name)) return EISDIR;
  const bool is_there = ::GetFileAttributesW(name.c_str()) != INVALID_FILE_ATTRIBUTES;
  return reason == EACCES && is_there ? ETXTBSY : reason;  // so it says of files that are open or mapped
}

inline void remove_file(const std::string& path) {
  ::DeleteFileW(wide_text(path).c_str());
}

/// A new file has what the access list of its folder says.
inline void take_mode(const std::string&, const std::string&) noexcept {}

inline bool exceeds_limit(std::uint64_t) noexcept {
  return false;
}

inline std::uint64_t process_number() noexcept {
  return ::GetCurrentProcessId();
}

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_FILE_WINDOWS_DESCRIPTOR_HPP
