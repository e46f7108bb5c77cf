// SPDX-License-Identifier: Apache-2.0
// A tensor that owns its codes and scales: made, copied, quantized anew by the same scales, decoded.
#include <cstdio>

#include "ptq/model/quantized_tensor.hpp"
#include "ptq/ptq.hpp"

int main() {
  const float weight[2][4] = {{0.1F, -0.5F, 0.25F, 0.0F}, {10.0F, -20.0F, 5.0F, 2.5F}};
  const auto made = ptq::quantized_tensor::of(weight, ptq::quantizer_of<ptq::int8, ptq::torchao>);
  if (!made) return std::puts(made.error().what.c_str()), 1;
  std::printf("%zu codes and %zu scales: %zu bytes\n", made->size(), made->scales().size(), made->bytes());

  ptq::quantized_tensor tuned = *made;  // of its own; the weight after some more training
  const float later[2][4] = {{0.2F, -0.6F, 0.25F, 0.1F}, {9.0F, -19.0F, 4.0F, 2.0F}};
  if (!tuned.quantize_by(later)) return 1;
  for (const ptq::quantized_tensor& tensor : {*made, tuned}) {
    float values[2][4];
    if (!tensor.dequantize(values)) return 1;
    const auto codes = tensor.codes_as<ptq::int8>();  // a view: pointer, shape, strides
    for (int i = 0; i < 4; ++i) std::printf("%4d = %.4f  ", codes.data[i], static_cast<double>(values[0][i]));
    std::printf("\n");
  }
}
