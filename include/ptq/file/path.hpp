// SPDX-License-Identifier: Apache-2.0
/// @file path.hpp Paths as messages show them, and what the operating system says about them in words.
#ifndef PTQ_FILE_PATH_HPP
#define PTQ_FILE_PATH_HPP

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/result.hpp"
#include "ptq/text/nearest_word.hpp"
#ifdef _WIN32
#include "ptq/file/windows/path.hpp"
#else
#include "ptq/file/posix/path.hpp"
#endif

namespace ptq::inline v0_1 {

/// "a/b/c" -> "c". On Windows "a\b" -> "b", too.
inline std::string_view file_name_of(std::string_view path) {
  const std::size_t slash = path.find_last_of(detail::separators);
  return path.substr((std::max)(slash + 1, detail::root_size(path)));  // none: npos + 1 is 0
}

/// "a/b/c" -> "a/b"; "c" -> "."; "/c" -> "/". On Windows "C:\c" -> "C:\"; "C:c" -> "C:.".
inline std::string folder_of(std::string_view path) {
  const std::size_t slash = path.find_last_of(detail::separators);
  const std::size_t root = detail::root_size(path);
  if (slash != std::string_view::npos && slash >= root) return std::string(path.substr(0, slash));
  const std::string folder(path.substr(0, root));
  return folder.empty() || folder.back() == ':' ? folder + "." : folder;
}

/// The path from the root, as every message shows it. It need not exist.
inline std::string absolute_path(std::string_view path) {
  if (detail::is_absolute(path)) return std::string(path);
  while (path.size() > 1 && path[0] == '.' && detail::separators.find(path[1]) != std::string_view::npos)
    path.remove_prefix(2);
  std::error_code unknown;
  const std::filesystem::path here = std::filesystem::current_path(unknown);
  if (unknown) return std::string(path);
  if (path.empty() || path == ".") return detail::text_of_path(here);
  return detail::text_of_path(here / detail::path_of_text(path));
}

/// The path of what there is at the end of all links; nothing if that does not exist.
inline std::optional<std::string> real_path(const std::string& path) {
  std::error_code missing;
  const std::filesystem::path real = std::filesystem::canonical(detail::path_of_text(path), missing);
  return missing ? std::nullopt : std::optional(detail::text_of_path(real));
}

/// False, too, for what cannot be looked at.
inline bool is_folder(const std::string& path) {
  std::error_code missing;
  return std::filesystem::is_directory(detail::path_of_text(path), missing);
}

/// The names of the files and folders in a folder, sorted; none if it cannot be read.
inline std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code unreadable;
  std::filesystem::directory_iterator entry(detail::path_of_text(folder), unreadable);
  for (; entry != std::filesystem::directory_iterator(); entry.increment(unreadable))
    names.push_back(detail::text_of_path(entry->path().filename()));
  std::sort(names.begin(), names.end());
  return names;
}

namespace detail {

/// The name in the path's folder that is nearest to the path's own.
inline std::string nearest_name(const std::string& path) {
  const std::vector<std::string> names = names_in(folder_of(path));
  const std::vector<std::string_view> views(names.begin(), names.end());
  return std::string(nearest_word(file_name_of(path), views));
}

/// Where a symbolic link points to; nothing if the path is none.
inline std::string link_target(const std::string& path) {
  std::error_code none;
  return text_of_path(std::filesystem::read_symlink(path_of_text(path), none));
}

inline bool exists(const std::string& path) {
  std::error_code unknown;
  return std::filesystem::exists(path_of_text(path), unknown);
}

/// Why a file could not be opened for reading.
inline error cannot_open(const std::string& path, int reason) {
  const std::string where = absolute_path(path);
  const std::string folder = folder_of(where);
  switch (reason) {
    case ENOENT:
      if (!exists(folder))
        return {errc::cannot_open, where, "no such file; the folder " + folder + " does not exist either."};
      if (const std::string target = link_target(path); !target.empty())
        return {errc::cannot_open, where,
                "this is a link to \"" + target +
                    "\", which does not exist. Mend the link, or give another file."};
      return {errc::cannot_open, where, "no such file.", nearest_name(path)};
    case EISDIR:
      return {errc::cannot_open, where, "this is a folder, not a file."};
    case EACCES:
    case EPERM:
      return {errc::cannot_open, where, "no permission to read it."};
    default:
      return {errc::cannot_open, where, "cannot be opened: " + system_text(reason)};
  }
}

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_FILE_PATH_HPP
