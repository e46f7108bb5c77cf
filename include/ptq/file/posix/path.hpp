// SPDX-License-Identifier: Apache-2.0
/// @file path.hpp How POSIX writes paths: bytes, with slashes.
#ifndef PTQ_FILE_POSIX_PATH_HPP
#define PTQ_FILE_POSIX_PATH_HPP

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

namespace ptq::inline v0_1 {
namespace detail {

inline constexpr std::string_view separators = "/";

/// How many characters of a path name its root: 0 in a relative one.
inline std::size_t root_size(std::string_view path) noexcept {
  return path.starts_with('/') ? 1 : 0;
}

inline bool is_absolute(std::string_view path) noexcept {
  return root_size(path) > 0;
}

inline std::filesystem::path path_of_text(std::string_view text) {
  return text;
}
inline std::string text_of_path(const std::filesystem::path& path) {
  return path.native();
}

/// What the system says of an errno value, as the end of a sentence.
inline std::string system_text(int reason) {
  return std::generic_category().message(reason) + ".";
}

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_FILE_POSIX_PATH_HPP
