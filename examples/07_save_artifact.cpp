// SPDX-License-Identifier: Apache-2.0
// Save the codes and scales that an engine holds, without a checkpoint or a plan, in the file that is named.
#include <cstdint>
#include <cstdio>

#include "ptq/formats/safetensors/artifact_writer.hpp"
#include "ptq/ptq.hpp"

int main(int count, char** words) {
  if (count < 2) return std::puts("07_save_artifact FILE"), 2;
  const float weight[2][3] = {{0.1F, -0.5F, 0.25F}, {10.0F, -20.0F, 5.0F}}, bias[2] = {0.5F, -1.0F};
  std::int8_t codes[2][3];
  float scales[2];
  if (!ptq::quantize<ptq::int8, ptq::torchao>(weight, codes, scales)) return 1;

  ptq::artifact_writer writer("torchao", "weight_only_ptq");
  auto done = writer.add<ptq::int8>("fc", codes, scales);
  if (done) done = writer.add("fc.bias", bias);
  auto artifact = done ? writer.write(words[1]) : done.error();
  if (!artifact) return std::puts(artifact.error().what.c_str()), 1;
  done = artifact->commit();  // there is no file, or a whole one
  if (!done) return std::puts(done.error().what.c_str()), 1;
  std::printf("%d bytes of codes, scales and the rest\n", static_cast<int>(artifact->bytes()));
}
