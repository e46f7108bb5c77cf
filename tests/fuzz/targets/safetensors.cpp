// SPDX-License-Identifier: Apache-2.0
// A checkpoint, an artifact and statistics: whatever is taken lies within the file.
#include "ptq/artifact/statistics_file.hpp"
#include "ptq/formats/checkpoint/read_artifact.hpp"
#include "ptq/formats/safetensors/parse.hpp"
#include "target.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string file = fuzz::folder() + "/file";
  write_file(file, fuzz::text_of(data, size));
  const auto content = ptq::parse_safetensors(fuzz::bytes_of(data, size), "file");
  if (fuzz::succeeded(content)) {
    for (const ptq::stored_tensor& tensor : content->tensors)
      for (const std::byte b : tensor.data) fuzz::look_at(static_cast<unsigned>(b));
  }
  if (const auto artifact = ptq::open_artifact(file); fuzz::succeeded(artifact)) {
    for (const ptq::artifact_layer& layer : artifact->content.layers) {
      if (!layer.weights) continue;
      for (const std::byte b : layer.weights->codes) fuzz::look_at(static_cast<unsigned>(b));
      for (const float scale : layer.weights->scales) fuzz::require(scale > 0, "scales are positive");
    }
  }
  static_cast<void>(fuzz::succeeded(ptq::read_statistics(file)));
  return 0;
}
