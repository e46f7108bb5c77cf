// SPDX-License-Identifier: Apache-2.0
/// @file folder.hpp The folder of a model as Hugging Face's hub has it: config.json beside the weights, and
/// files that belong to it (a tokenizer, say). Files may be links into the blobs of a cache.
#ifndef PTQ_FORMATS_HUGGINGFACE_FOLDER_HPP
#define PTQ_FORMATS_HUGGINGFACE_FOLDER_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "ptq/file/mapped_file.hpp"
#include "ptq/file/output_file.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats/pending_artifact.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

inline constexpr std::string_view huggingface_config = "config.json";

/// The folder of a model that has a config.json; nothing where there is none beside its files.
inline std::optional<std::string> find_huggingface_folder(std::span<const mapped_file> files) {
  if (files.empty()) return {};
  std::string folder = folder_of(absolute_path(files.front().path()));
  const bool is_one = detail::exists(folder + "/" + std::string(huggingface_config));
  return is_one ? std::optional(std::move(folder)) : std::nullopt;
}

namespace detail {

/// What of a folder does not go with the quantized model: weights in any form and what lists them, what a run
/// writes itself, and hidden files.
inline bool stays_behind(std::string_view name) noexcept {
  constexpr std::string_view suffixes[] = {".safetensors", ".safetensors.index.json",
                                           ".bin",         ".bin.index.json",
                                           ".pt",          ".pth",
                                           ".ckpt",        ".tar",
                                           ".h5",          ".h5.index.json",
                                           ".msgpack",     ".msgpack.index.json",
                                           ".ot",          ".onnx",
                                           ".onnx_data",   ".gguf",
                                           ".ggml",        ".npz",
                                           ".npy",         ".pkl",
                                           ".pickle",      ".tflite",
                                           ".mlmodel",     ".zip",
                                           ".gz"};
  constexpr std::string_view own[] = {huggingface_config, "hf_quant_config.json", "experiment.yaml",
                                      "quantize_report.json", "status.json"};
  return name.starts_with('.') || std::ranges::count(own, name) > 0 ||
         std::ranges::any_of(suffixes, [&](std::string_view suffix) { return name.ends_with(suffix); });
}

inline bool is_file(const std::string& path) {
  std::error_code unknown;
  return std::filesystem::is_regular_file(path_of_text(path), unknown);
}

inline bool is_empty_file(const std::string& path) {
  std::error_code unknown;
  return std::filesystem::file_size(path_of_text(path), unknown) == 0;
}

inline result<output_file> copy_file(const std::string& from, const std::string& to) {
  auto copy = output_file::create(to);
  if (!copy || is_empty_file(from)) return copy;
  const auto source = mapped_file::open(from);
  if (!source) return source.error();
  if (auto written = copy->write(source->bytes()); !written) return written.error();
  return copy;
}

}  // namespace detail

/// The files of such a folder that go with the quantized model, by name: a tokenizer, a generation config,
/// code, a card. Not config.json, which is told of the quantization.
inline std::vector<std::string> carried_files(const std::string& folder) {
  std::vector<std::string> names = names_in(folder);
  std::erase_if(names, [&](const std::string& name) {
    return detail::stays_behind(name) || !detail::is_file(folder + "/" + name);
  });
  return names;
}

/// Whether all of them can be read: of a cache that is incomplete, links lead nowhere.
///
/// @return cannot_open
inline result<void> expect_whole_folder(const std::string& folder) {
  for (const std::string& name : names_in(folder)) {
    const std::string path = folder + "/" + name;
    if (!detail::stays_behind(name) && !detail::exists(path))
      return error(errc::cannot_open, absolute_path(path),
                   "this link leads nowhere. Get the model's folder again, or remove the link.");
  }
  return {};
}

/// Copies them beside an artifact, byte for byte.
///
/// @param path of the artifact
/// @return cannot_open, cannot_write
inline result<void> carry_files(const std::string& folder, const std::string& path, pending_artifact& made) {
  for (const std::string& name : carried_files(folder)) {
    auto copy = detail::copy_file(folder + "/" + name, folder_of(path) + "/" + name);
    if (!copy) return copy.error();
    made.add(*std::move(copy), name);
  }
  return {};
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_HUGGINGFACE_FOLDER_HPP
