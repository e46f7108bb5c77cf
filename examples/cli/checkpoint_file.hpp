// SPDX-License-Identifier: Apache-2.0
/// @file checkpoint_file.hpp Opens a checkpoint; of another kind of file, says which kinds are taken.
#ifndef PTQ_CLI_CHECKPOINT_FILE_HPP
#define PTQ_CLI_CHECKPOINT_FILE_HPP

#include <array>
#include <cstddef>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ptq/io/safetensors.hpp"
#include "ptq/model/layers_of.hpp"
#include "ptq/result.hpp"

namespace cli {

/// What files begin with, and what people call them. Headers of safetensors begin at byte 8, with a brace.
inline std::string_view guess_kind(std::string_view begin) noexcept {
  struct kind {
    std::string_view magic;
    std::string_view name;
  };
  using namespace std::string_view_literals;
  constexpr kind kinds[] = {{"\x93NUMPY"sv, "a NumPy array (.npy)"},
                            {"PK\x03\x04"sv, "a zip archive (.npz, or a checkpoint of PyTorch)"},
                            {"GGUF"sv, "a GGUF file"},
                            {"\x89HDF\r\n"sv, "an HDF5 file"},
                            {"\x80\x02"sv, "a Python pickle"},
                            {"\x08"sv, "an ONNX model without the suffix .onnx"}};
  for (const kind& known : kinds)
    if (begin.starts_with(known.magic)) return known.name;
  for (const char c : begin)
    if (static_cast<unsigned char>(c) < ' ' && c != '\n' && c != '\t' && c != '\r') return {};
  return "text";
}

/// As `ptq::open_safetensors`; a file that nobody would call a checkpoint is told which kinds are taken.
inline ptq::result<ptq::checkpoint> open_checkpoint(const std::string& path) {
  auto opened = ptq::open_safetensors(path);
  if (opened) return opened;
  const ptq::errc code = opened.error().code;
  if (code != ptq::errc::header_too_large && code != ptq::errc::invalid_header_length) return opened;
  std::array<char, 9> bytes{};
  std::ifstream(opened.error().where, std::ios::binary).read(bytes.data(), bytes.size());
  if (bytes.back() == '{') return opened;
  const std::string_view kind = guess_kind({bytes.data(), bytes.size()});
  return ptq::error(code, opened.error().where,
                    "this is not a safetensors file" +
                        (kind.empty() ? "" : ": it looks like " + std::string(kind)) +
                        ". Models are checkpoints (.safetensors, .safetensors.index.json, or a folder with "
                        "one), artifacts of ptq, and ONNX models (.onnx).");
}

/// The layers of a checkpoint. They look into it.
inline std::vector<ptq::layer> layers_in(const ptq::checkpoint& checkpoint,
                                         const std::map<std::string, std::string>& module_types = {}) {
  std::vector<ptq::named_tensor> tensors;
  for (const ptq::stored_tensor& tensor : checkpoint.tensors())
    tensors.push_back({tensor.name, tensor.view()});
  return ptq::layers_of(tensors, module_types);
}

}  // namespace cli

#endif  // PTQ_CLI_CHECKPOINT_FILE_HPP
