// SPDX-License-Identifier: Apache-2.0
// Dynamic activations: each token gets a scale as it comes; codes times codes, times both scales.
#include <cstdint>
#include <cstdio>

#include "ptq/core.hpp"

int main() {
  const float weight[2][3] = {{0.1F, -0.5F, 0.25F}, {10.0F, -20.0F, 5.0F}};  // [outputs, features]
  std::int8_t weight_codes[2][3];
  float weight_scales[2];
  if (!ptq::quantize<ptq::int8, ptq::modelopt>(weight, weight_codes, weight_scales)) return 1;

  const float x[2][3] = {{1.0F, 2.0F, 3.0F}, {-400.0F, 100.0F, 50.0F}};  // [tokens, features]
  std::int8_t codes[2][3];
  float scales[2];  // one a token
  if (!ptq::quantize_per_token<ptq::int8, ptq::modelopt>(x, codes, scales)) return 1;
  for (int token = 0; token < 2; ++token)
    for (int out = 0; out < 2; ++out) {
      std::int32_t sum = 0;
      for (int i = 0; i < 3; ++i) sum += codes[token][i] * weight_codes[out][i];
      const float y = static_cast<float>(sum) * scales[token] * weight_scales[out];
      std::printf("token %d, output %d: %.3f\n", token, out, static_cast<double>(y));
    }
}
