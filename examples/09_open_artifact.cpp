// SPDX-License-Identifier: Apache-2.0
// Open the artifact that 07 saved and run it: codes, scales and the bias stay where they are in the file.
#include <cstdio>

#include "ptq/formats/checkpoint/read_artifact.hpp"
#include "ptq/ptq.hpp"

int main(int count, char** words) {
  if (count < 2) return std::puts("09_open_artifact FILE"), 2;
  const auto artifact = ptq::open_artifact(words[1]);
  if (!artifact) return std::puts(artifact.error().what.c_str()), 1;
  const ptq::artifact_layer* const fc = artifact->content.find("fc");
  const ptq::stored_tensor* const bias = artifact->file.find("fc.bias");
  if (fc == nullptr || !fc->weights || bias == nullptr) return 1;
  const auto codes = fc->weights->codes_as<ptq::int8>();
  const float x[3] = {1.0F, 2.0F, 3.0F};
  for (std::size_t row = 0; row < fc->weights->shape[0]; ++row) {
    float sum = 0;
    for (std::size_t i = 0; i < 3; ++i) sum += static_cast<float>(codes[3 * row + i]) * x[i];
    const float y = sum * fc->weights->scales[row] + bias->view().as<float>().data[row];
    std::printf("output %zu: %.3f\n", row, static_cast<double>(y));
  }
}
