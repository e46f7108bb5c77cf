// SPDX-License-Identifier: Apache-2.0
// The dtype and the backend are words that somebody gives when the program runs.
#include <cstddef>
#include <cstdio>
#include <string>
#include <vector>

#include "ptq/ptq.hpp"

int main() {
  const float weight[2][3] = {{0.1F, -0.5F, 0.25F}, {10.0F, -20.0F, 5.0F}};
  for (const std::string word : {"int8", "fp8_e4m3fn", "int5"}) {
    const ptq::quantizer* const how = ptq::find_quantizer(word, "modelopt");
    if (how == nullptr) return std::printf("no dtype %s\n", word.c_str()), 0;
    std::vector<std::byte> codes(6 * how->dtype().code_size);
    const std::vector<float> scales{0.004F, 0.16F};  // of an earlier run: given, not found
    if (!ptq::quantize_by(weight, *how, scales, codes, ptq::per_channel(0))) return 1;
    float values[2][3];
    if (!ptq::dequantize(how->dtype(), codes, scales, ptq::per_channel(0), values)) return 1;
    std::printf("%-10s %d bits: %.3f %.3f %.3f\n", how->dtype().name, how->dtype().bits,
                static_cast<double>(values[1][0]), static_cast<double>(values[1][1]),
                static_cast<double>(values[1][2]));
  }
}
