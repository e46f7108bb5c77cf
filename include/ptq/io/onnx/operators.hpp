// SPDX-License-Identifier: Apache-2.0
/// @file operators.hpp The operators that make layers.
#ifndef PTQ_IO_ONNX_OPERATORS_HPP
#define PTQ_IO_ONNX_OPERATORS_HPP

#include <cstddef>
#include <string_view>

#include "ptq/io/onnx/model.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// How an operator becomes a layer.
struct onnx_operator {
  enum class rank_of : unsigned char { nothing, weight, kernel, input };
  static constexpr std::size_t no_slot = static_cast<std::size_t>(-1);

  std::string_view op_type;
  std::string_view class_name;            ///< PyTorch's, without the number of dimensions
  rank_of dimensions = rank_of::nothing;  ///< what says that number
  std::size_t slot = no_slot;             ///< of the weight
  bool needs_constant = false;            ///< no layer unless the weight is constant
};

inline const onnx_operator* find_operator(const onnx_node& node) noexcept {
  using from = onnx_operator::rank_of;
  static constexpr onnx_operator operators[] = {
      {"Conv", "Conv", from::weight, 1},
      {"ConvTranspose", "ConvTranspose", from::weight, 1},
      {"Gemm", "Linear", from::nothing, 1, true},
      {"MatMul", "Linear", from::nothing, 1, true},
      {"MaxPool", "MaxPool", from::kernel},
      {"AveragePool", "AvgPool", from::kernel},
      {"GlobalAveragePool", "AdaptiveAvgPool", from::input},
      {"BatchNormalization", "BatchNorm", from::input, 1},
      {"InstanceNormalization", "InstanceNorm", from::input, 1},
      {"LeakyRelu", "LeakyReLU"},
      // never quantized, listed so that the plan says why
      {"LayerNormalization", "LayerNorm", from::nothing, 1},
      {"GroupNormalization", "GroupNorm", from::nothing, 1},
      {"Gather", "Embedding", from::nothing, 0, true},
      {"LSTM", "LSTM", from::nothing, 1},
      {"GRU", "GRU", from::nothing, 1},
      {"RNN", "RNN", from::nothing, 1},
  };
  if (!node.is_standard()) return nullptr;
  for (const onnx_operator& known : operators)
    if (known.op_type == node.op_type) return &known;
  return nullptr;
}

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_IO_ONNX_OPERATORS_HPP
