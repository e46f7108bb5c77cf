// SPDX-License-Identifier: Apache-2.0
/// @file external.hpp Finds the files in which a model keeps large tensors. A model may come from anywhere,
/// so it may name regular files in its own folder only (the rules of the ONNX project since 1.21: relative,
/// no
/// "..", inside the folder, no symbolic link, no second hard link).
#ifndef PTQ_IO_ONNX_EXTERNAL_HPP
#define PTQ_IO_ONNX_EXTERNAL_HPP

#include <sys/stat.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "ptq/error.hpp"
#include "ptq/io/mapped_file.hpp"
#include "ptq/io/onnx/model.hpp"
#include "ptq/io/onnx/tensor.hpp"
#include "ptq/io/path.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// Looks at every part of a location below the model's folder. What does not exist is left to opening it.
inline result<void> check_external_path(const std::string& folder, const std::string& path) {
  const auto refuse = [&](const std::string& text) {
    return error(errc::cannot_open, "external data \"" + path + "\"", text);
  };
  if (path.empty()) return refuse("the location is missing.");
  if (path.find('\0') != std::string::npos) return refuse("a location cannot hold a zero byte.");
  if (path.front() == '/')
    return refuse("the location must be relative. Put the file beside the model and save it again.");
  if (("/" + path + "/").find("/../") != std::string::npos)
    return refuse("the location leaves the model's folder.");
  std::size_t end = 0;
  do {
    end = (std::min)(path.find('/', end + 1), path.size());
    struct stat about{};
    const std::string so_far = folder + "/" + path.substr(0, end);
    if (::lstat(so_far.c_str(), &about) != 0) break;
    if (S_ISLNK(about.st_mode))
      return refuse(
          "\"" + path.substr(0, end) +
          "\" is a symbolic link, which could lead out of the model's folder. Copy the file itself.");
    if (end == path.size() && S_ISREG(about.st_mode) && about.st_nlink > 1)
      return refuse("the file has other names (hard links) as well. Copy it.");
  } while (end < path.size());
  return {};
}

/// Maps each file once and points the tensor at its part.
inline result<void> load_external(onnx_model& model, onnx_tensor& tensor) {
  const std::string folder = folder_of(model.file);
  if (const auto allowed = check_external_path(folder, tensor.external->file); !allowed)
    return allowed.error();
  const std::string path = folder + "/" + tensor.external->file;
  const mapped_file* file = nullptr;
  for (const mapped_file& known : model.files)
    if (known.path() == path) file = &known;
  if (file == nullptr) {
    auto opened = mapped_file::open(path);
    if (!opened) return opened.error();
    file = &model.files.emplace_back(*std::move(opened));
  }
  const std::span<const std::byte> bytes = file->bytes();
  const onnx_location& at = *tensor.external;
  const std::uint64_t length = at.length.value_or(at.offset <= bytes.size() ? bytes.size() - at.offset : 0);
  if (at.offset > bytes.size() || length > bytes.size() - at.offset)
    return error(errc::wrong_format, "external data \"" + at.file + "\"",
                 "bytes " + std::to_string(at.offset) + " to " + std::to_string(at.offset) + " + " +
                     std::to_string(length) + " lie beyond the file's " + std::to_string(bytes.size()) + ".");
  tensor.data = bytes.subspan(at.offset, length);
  return {};
}

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_IO_ONNX_EXTERNAL_HPP
