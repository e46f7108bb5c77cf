// SPDX-License-Identifier: Apache-2.0
// The core and the whole in one unit, the core first; another unit has them in the other order.
#include <ptq/ptq_core.hpp>
// clang-format off
#include <ptq/ptq.hpp>
// clang-format on

#include <cstdint>
#include <vector>

std::vector<std::int8_t> quantize_with_the_core_last(const std::vector<float>& values, float& scale);

int main() {
  const std::vector<float> values{-1, 0.25F, 1};
  float scale = 0;
  std::vector<std::int8_t> codes(values.size());
  const ptq::status done =
      ptq::quantize<ptq::int8, ptq::modelopt>(values, codes, {&scale, 1}, ptq::per_tensor());
  float other_scale = 0;
  const bool same = quantize_with_the_core_last(values, other_scale) == codes && other_scale == scale;
  return done && same && codes == std::vector<std::int8_t>{-127, 32, 127} ? 0 : 1;
}
