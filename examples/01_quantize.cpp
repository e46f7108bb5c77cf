// SPDX-License-Identifier: Apache-2.0
// Quantize a tensor to a dtype that is known when you compile. Nothing here allocates, throws or needs
// linking, so the same lines run on a microcontroller.
#include <cstdint>
#include <cstdio>
#include <limits>
#include <span>

#include "ptq/core.hpp"

int main() {
  const float weights[2][4] = {{0.1F, -0.5F, 0.25F, 0.0F}, {10.0F, -20.0F, 5.0F, 2.5F}};
  std::int8_t codes[8];
  float scales[2];  // one per output channel: axis 0

  // The dtype and the backend whose numbers count are types. Whatever can go wrong is in the status.
  const ptq::status done = ptq::quantize<ptq::int8, ptq::torchao>(weights, codes, scales);
  if (!done) return 1;
  for (int row = 0; row < 2; ++row) {
    std::printf("scale %.8f, codes", static_cast<double>(scales[row]));
    for (int i = 0; i < 4; ++i) std::printf(" %d", codes[4 * row + i]);
    std::printf("\n");
  }

  // Back to floats, into any tensor of the same shape.
  float again[2][4];
  if (!ptq::dequantize<ptq::int8>(codes, scales, ptq::per_channel(0), again)) return 1;
  std::printf("%.4f became %.4f\n", static_cast<double>(weights[1][3]), static_cast<double>(again[1][3]));

  // Another dtype is another type; one scale for the whole tensor is another argument.
  std::uint8_t fp8_codes[8];
  float scale = 0;
  if (!ptq::quantize<ptq::fp8_e4m3fn, ptq::modelopt>(weights, fp8_codes, {&scale, 1}, ptq::per_tensor()))
    return 1;
  std::printf("fp8: scale %.8f, code 0x%02x\n", static_cast<double>(scale), fp8_codes[5]);

  // A tensor that holds NaN is refused, with its index.
  const float broken[3] = {1.0F, std::numeric_limits<float>::quiet_NaN(), 2.0F};
  const ptq::status refused = ptq::quantize<ptq::int8, ptq::torchao>(broken, std::span(codes).first(3),
                                                                     {&scale, 1}, ptq::per_tensor());
  if (refused.code == ptq::errc::not_finite) std::printf("element %zu is not finite\n", refused.at);
}
