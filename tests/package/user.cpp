// SPDX-License-Identifier: Apache-2.0
#include <ptq/ptq.hpp>

#include <cstdint>
#include <vector>

int main() {
  const std::vector<float> weights{-1, 0.25F, 1};
  std::vector<std::int8_t> codes(weights.size());
  float scale = 0;
  if (!ptq::quantize<ptq::int8, ptq::modelopt>(weights, codes, {&scale, 1}, ptq::per_tensor())) return 1;
  return codes == std::vector<std::int8_t>{-127, 32, 127} ? 0 : 2;
}
