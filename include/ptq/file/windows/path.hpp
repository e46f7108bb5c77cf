// SPDX-License-Identifier: Apache-2.0
/// @file path.hpp How Windows writes paths: UTF-16 with drives and either slash; in ptq they are UTF-8.
#ifndef PTQ_FILE_WINDOWS_PATH_HPP
#define PTQ_FILE_WINDOWS_PATH_HPP

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

#include "ptq/file/windows/api.hpp"

namespace ptq::inline v0_1 {
namespace detail {

inline constexpr std::string_view separators = "\\/";

inline bool is_separator(char c) noexcept {
  return c == '\\' || c == '/';
}

/// How many characters of a path name its root: 0 in a relative one. "C:\a" 3, "C:a" 2, "\a" 1,
/// "\\host\share\a" 13.
inline std::size_t root_size(std::string_view path) noexcept {
  const auto separator_after = [&](std::size_t from) {
    return (std::min)(path.size(), path.find_first_of(separators, from));
  };
  if (path.size() > 2 && is_separator(path[0]) && is_separator(path[1])) {
    const std::size_t share = (std::min)(path.size(), separator_after(2) + 1);
    return (std::min)(path.size(), separator_after(share) + 1);
  }
  if (!path.empty() && is_separator(path[0])) return 1;
  if (path.size() < 2 || path[1] != ':') return 0;
  return path.size() > 2 && is_separator(path[2]) ? 3 : 2;
}

/// "\a" is not, as it is on the current drive; nor is "C:a", which is in that drive's current folder.
inline bool is_absolute(std::string_view path) noexcept {
  return root_size(path) > 2;
}

/// What is no UTF-8 becomes U+FFFD.
inline std::wstring wide_text(std::string_view text) {
  const int size = static_cast<int>(text.size());
  std::wstring wide(text.size(), L'\0');  // never more units than bytes
  wide.resize(
      static_cast<std::size_t>(::MultiByteToWideChar(CP_UTF8, 0, text.data(), size, wide.data(), size)));
  return wide;
}

inline std::string utf8_text(std::wstring_view wide) {
  const int size = static_cast<int>(wide.size());
  std::string text(3 * wide.size(), '\0');  // at most three bytes a unit
  const int used =
      ::WideCharToMultiByte(CP_UTF8, 0, wide.data(), size, text.data(), 3 * size, nullptr, nullptr);
  text.resize(static_cast<std::size_t>(used));
  return text;
}

inline std::filesystem::path path_of_text(std::string_view text) {
  return wide_text(text);
}
inline std::string text_of_path(const std::filesystem::path& path) {
  return utf8_text(path.native());
}

/// What the system says of what `last_error` returns, as the end of a sentence. Its own texts are not UTF-8.
inline std::string system_text(int reason) {
  if (reason >= 0) return std::generic_category().message(reason) + ".";
  return "error " + std::to_string(-reason) + " of Windows (`net helpmsg " + std::to_string(-reason) +
         "` says more).";
}

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_FILE_WINDOWS_PATH_HPP
