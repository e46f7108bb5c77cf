// SPDX-License-Identifier: Apache-2.0
// 16,384 weights, quantized by the compiler within its default limits. constant_weights.sh looks at what is
// left.
#include <array>
#include <cstddef>
#include <cstdint>

#include "ptq/backends.hpp"
#include "ptq/dtypes.hpp"
#include "ptq/quantize/quantize_constant.hpp"

namespace {

constexpr std::size_t rows = 64;
constexpr std::size_t columns = 256;

constexpr std::array<float, rows * columns> weights = [] {
  std::array<float, rows * columns> made{};
  std::uint32_t state = 1;
  for (float& weight : made) {
    state = state * 1664525u + 1013904223u;
    weight = (static_cast<float>(state >> 8) - 8388608.0F) * 0x1.3p-25F;
  }
  return made;
}();

constexpr ptq::tensor_shape shape{rows, columns};

}  // namespace

[[gnu::used]] constinit const auto integers =
    ptq::quantize_constant<ptq::int8, ptq::torchao, weights, shape>();
[[gnu::used]] constinit const auto floats =
    ptq::quantize_constant<ptq::fp8_e4m3fn, ptq::modelopt, weights, shape, ptq::per_channel(1)>();
