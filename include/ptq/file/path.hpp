// SPDX-License-Identifier: Apache-2.0
/// @file path.hpp Paths as messages show them, and what the operating system says about them in words.
#ifndef PTQ_FILE_PATH_HPP
#define PTQ_FILE_PATH_HPP

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/result.hpp"
#include "ptq/text/nearest_word.hpp"

namespace ptq::inline v0_1 {

/// "a/b/c" -> "c".
inline std::string_view file_name_of(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

/// "a/b/c" -> "a/b"; "c" -> "."; "/c" -> "/".
inline std::string folder_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return std::string(path.substr(0, (std::max<std::size_t>)(slash, 1)));
}

/// The path from the root, as every message shows it. It need not exist.
inline std::string absolute_path(std::string_view path) {
  if (path.starts_with('/')) return std::string(path);
  while (path.starts_with("./")) path.remove_prefix(2);
  std::string here(PATH_MAX, '\0');
  if (::getcwd(here.data(), here.size()) == nullptr) return std::string(path);
  here.resize(here.find('\0'));
  if (path.empty() || path == ".") return here;
  if (!here.ends_with('/')) here += '/';
  return here.append(path);
}

/// The path of what there is at the end of all links; nothing if that does not exist.
inline std::optional<std::string> real_path(const std::string& path) {
  std::error_code missing;
  const std::filesystem::path real = std::filesystem::canonical(path, missing);
  return missing ? std::nullopt : std::optional(real.string());
}

/// The names of the files and folders in a folder, sorted; none if it cannot be read.
inline std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  DIR* const listing = ::opendir(folder.c_str());
  if (listing == nullptr) return names;
  while (const dirent* const entry = ::readdir(listing)) {  // NOLINT(concurrency-mt-unsafe): our own listing
    const std::string_view name = static_cast<const char*>(entry->d_name);
    if (name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(listing);
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
  std::string target(PATH_MAX, '\0');
  const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
  target.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return target;
}

/// What the system says of an errno value, as the end of a sentence.
inline std::string system_text(int reason) {
  return std::generic_category().message(reason) + ".";
}

/// Why a file could not be opened for reading.
inline error cannot_open(const std::string& path, int reason) {
  const std::string where = absolute_path(path);
  const std::string folder = folder_of(where);
  switch (reason) {
    case ENOENT:
      if (::access(folder.c_str(), F_OK) != 0)
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
