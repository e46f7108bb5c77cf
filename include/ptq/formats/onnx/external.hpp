// SPDX-License-Identifier: Apache-2.0
/// @file external.hpp Finds the files in which a model keeps large tensors. A model may come from anywhere,
/// so what it names must lie where it lies itself: a location is relative and has no "..", and the file that
/// it is in the end, after all links, is in the folder of the model's name or in that of the model's own
/// file. These differ where both are links, as in a cache of the Hugging Face hub, in which models and data
/// are links to blobs of one folder. A second hard link is no way out: no
/// download brings one to a file elsewhere.
#ifndef PTQ_FORMATS_ONNX_EXTERNAL_HPP
#define PTQ_FORMATS_ONNX_EXTERNAL_HPP

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>

#include "ptq/error.hpp"
#include "ptq/file/mapped_file.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats/onnx/model.hpp"
#include "ptq/formats/onnx/tensor.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// What is wrong with a location as it is written; empty if nothing is.
inline std::string location_problem(const std::string& location) {
  if (location.empty()) return "the location is missing.";
  if (location.find('\0') != std::string::npos) return "a location cannot hold a zero byte.";
  if (location.front() == '/')
    return "the location must be relative. Put the file beside the model and save it again.";
  if (("/" + location + "/").find("/../") != std::string::npos)
    return "the location leaves the model's folder.";
  return {};
}

/// Whether a path leads to a folder or to something in it. Both are free of links.
inline bool is_inside(const std::string& path, const std::string& folder) {
  return path == folder || path.starts_with(folder.ends_with('/') ? folder : folder + "/");
}

/// The file that a location is in the end. What does not exist is left to opening it.
inline result<std::string> external_file(const std::string& model, const std::string& location) {
  const auto refuse = [&](const std::string& text) {
    return error(errc::cannot_open, "external data \"" + location + "\"", text);
  };
  if (const std::string problem = location_problem(location); !problem.empty()) return refuse(problem);
  const std::string folder = folder_of(model);
  std::string path = folder + "/" + location;
  const auto real = real_path(path);
  if (!real) return path;
  const auto file = real_path(model);
  for (const auto& allowed : {real_path(folder), file ? std::optional(folder_of(*file)) : std::nullopt})
    if (allowed && is_inside(*real, *allowed)) return *real;
  return refuse("it is a symbolic link to " + *real +
                ", which is not where the model is. Copy the file itself.");
}

/// Maps each file once and points tensors at their parts.
class onnx_external_data {
 public:
  explicit onnx_external_data(onnx_model& model) : model_(&model) {}

  result<void> load(onnx_tensor& tensor) {
    const onnx_location& at = *tensor.external;
    const auto file = open(at.file);
    if (!file) return file.error();
    const std::span<const std::byte> bytes = model_->files[*file].bytes();
    const std::uint64_t length = at.length.value_or(at.offset <= bytes.size() ? bytes.size() - at.offset : 0);
    if (at.offset > bytes.size() || length > bytes.size() - at.offset)
      return error(errc::wrong_format, "external data \"" + at.file + "\"",
                   "bytes " + std::to_string(at.offset) + " to " + std::to_string(at.offset) + " + " +
                       std::to_string(length) + " lie beyond the file's " + std::to_string(bytes.size()) +
                       ".");
    tensor.data = bytes.subspan(at.offset, length);
    return {};
  }

 private:
  /// The number of a file among those of the model.
  result<std::size_t> open(const std::string& location) {
    if (const auto known = by_location_.find(location); known != by_location_.end()) return known->second;
    const auto path = external_file(model_->file, location);
    if (!path) return path.error();
    const auto [known, is_new] = by_path_.emplace(*path, model_->files.size());
    if (is_new) {
      auto opened = mapped_file::open(*path);
      if (!opened) return opened.error();
      model_->files.push_back(*std::move(opened));
    }
    by_location_.emplace(location, known->second);
    return known->second;
  }

  onnx_model* model_;
  std::unordered_map<std::string, std::size_t> by_location_;  // as tensors write it
  std::unordered_map<std::string, std::size_t> by_path_;
};

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_EXTERNAL_HPP
