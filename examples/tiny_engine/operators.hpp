// SPDX-License-Identifier: Apache-2.0
/// @file operators.hpp The operators that the engine has. A new one is a function and a line here.
#ifndef TINY_ENGINE_OPERATORS_HPP
#define TINY_ENGINE_OPERATORS_HPP

#include <string_view>

#include "operators/elementwise.hpp"
#include "operators/linear.hpp"
#include "operators/operator.hpp"
#include "operators/quantization.hpp"
#include "operators/reduce.hpp"
#include "operators/shape.hpp"
#include "operators/window.hpp"

namespace tiny {

struct known_operator {
  std::string_view op_type;
  operator_function run;
};

inline constexpr known_operator known_operators[] = {
    {"Add", add},
    {"Conv", conv},
    {"DequantizeLinear", dequantize_linear},
    {"Div", divide},
    {"Flatten", flatten},
    {"Gelu", gelu},
    {"Gemm", gemm},
    {"Identity", identity},
    {"LayerNormalization", layer_normalization},
    {"MatMul", matmul},
    {"MaxPool", max_pool},
    {"Mul", multiply},
    {"QuantizeLinear", quantize_linear},
    {"ReduceMean", reduce_mean},
    {"Relu", relu},
    {"Reshape", reshape},
    {"Softmax", softmax},
    {"Sub", subtract},
    {"Sum", sum},
    {"Transpose", transpose},
};

/// Null if the engine lacks it.
inline operator_function find_operator(const ptq::onnx_node& node) {
  if (!node.is_standard()) return nullptr;
  for (const known_operator& known : known_operators)
    if (known.op_type == node.op_type) return known.run;
  return nullptr;
}

}  // namespace tiny

#endif  // TINY_ENGINE_OPERATORS_HPP
