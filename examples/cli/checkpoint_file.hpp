// SPDX-License-Identifier: Apache-2.0
/// @file checkpoint_file.hpp Opens a checkpoint; of another kind of file, says which kinds are taken.
#ifndef PTQ_CLI_CHECKPOINT_FILE_HPP
#define PTQ_CLI_CHECKPOINT_FILE_HPP

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ptq/file/file_kind.hpp"
#include "ptq/file/mapped_file.hpp"
#include "ptq/formats/safetensors/open.hpp"
#include "ptq/model/layers_of.hpp"
#include "ptq/result.hpp"

namespace cli {

/// As `ptq::open_safetensors`; a file that nobody would call a checkpoint is told which kinds are taken.
inline ptq::result<ptq::checkpoint> open_checkpoint(const std::string& path) {
  auto opened = ptq::open_safetensors(path);
  if (opened) return opened;
  const ptq::errc code = opened.error().code;
  if (code != ptq::errc::header_too_large && code != ptq::errc::invalid_header_length) return opened;
  const auto file = ptq::mapped_file::open(opened.error().where);
  if (!file) return file.error();
  const std::string_view kind = ptq::kind_of_file(path, file->bytes());
  if (kind == "a safetensors file") return opened;
  return ptq::error(code, opened.error().where,
                    "this is not a safetensors file" +
                        (kind.empty() ? "" : ": it looks like " + std::string(kind)) +
                        (kind == "an ONNX model" ? " without the suffix .onnx" : "") +
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
