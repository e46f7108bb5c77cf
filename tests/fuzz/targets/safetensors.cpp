// SPDX-License-Identifier: Apache-2.0
// A checkpoint, an artifact and statistics: whatever is taken lies within the file.
#include "ptq/io/artifact.hpp"
#include "ptq/io/safetensors_parse.hpp"
#include "ptq/io/statistics_file.hpp"
#include "target.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string file = fuzz::folder() + "/file";
  write_file(file, fuzz::text_of(data, size));
  const auto content = ptq::parse_safetensors(fuzz::bytes_of(data, size), "file");
  if (fuzz::succeeded(content)) {
    unsigned sum = 0;
    for (const ptq::stored_tensor& tensor : content->tensors)
      for (const std::byte b : tensor.data) sum += static_cast<unsigned>(b);
    fuzz::require(sum + 1 != 0, "its bytes can be read");
  }
  if (const auto artifact = ptq::open_artifact(file); fuzz::succeeded(artifact))
    for (const ptq::artifact_layer& layer : artifact->content.layers)
      if (layer.weights) fuzz::require(layer.weights->codes.data() != nullptr, "a layer has codes");
  static_cast<void>(fuzz::succeeded(ptq::read_statistics(file)));
  return 0;
}
