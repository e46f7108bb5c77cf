// SPDX-License-Identifier: Apache-2.0
#include <ptq/ptq.hpp>
// clang-format off
#include <ptq/ptq_core.hpp>
// clang-format on

#include <cstdint>
#include <vector>

std::vector<std::int8_t> quantize_with_the_core_last(const std::vector<float>& values, float& scale) {
  std::vector<std::int8_t> codes(values.size());
  const ptq::status done =
      ptq::quantize<ptq::int8, ptq::modelopt>(values, codes, {&scale, 1}, ptq::per_tensor());
  return done ? codes : std::vector<std::int8_t>{};
}
