// SPDX-License-Identifier: Apache-2.0
/// @file operators.hpp The operators that make layers.
#ifndef PTQ_FORMATS_ONNX_OPERATORS_HPP
#define PTQ_FORMATS_ONNX_OPERATORS_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>

#include "ptq/formats/onnx/model.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// How an operator becomes a layer.
struct onnx_operator {
  enum class rank_of : unsigned char { nothing, weight, kernel, input };
  enum class weight_use : unsigned char {
    other,       ///< none, or one that is never quantized
    multiplied,  ///< it has output channels, and the type of the activation
    on_a_side,   ///< likewise, left or right of the activation; no layer unless it is constant
    rows,        ///< looked up; no layer unless it is constant
    codes,       ///< quantized already; no layer unless it is constant
  };
  static constexpr std::size_t no_slot = static_cast<std::size_t>(-1);

  std::string_view op_type;
  std::string_view class_name;            ///< PyTorch's, without the number of dimensions
  rank_of dimensions = rank_of::nothing;  ///< what says that number
  std::size_t slot = no_slot;             ///< of the weight; on a side: the right one
  weight_use use = weight_use::other;
  std::string_view domain{};  ///< empty: the standard operators

  constexpr bool multiplies() const noexcept {
    return use == weight_use::multiplied || use == weight_use::on_a_side;
  }
  constexpr bool needs_constant() const noexcept {
    return use != weight_use::other && use != weight_use::multiplied;
  }
};

inline const onnx_operator* find_operator(const onnx_node& node) noexcept {
  using from = onnx_operator::rank_of;
  using use = onnx_operator::weight_use;
  static constexpr onnx_operator operators[] = {
      {"Conv", "Conv", from::weight, 1, use::multiplied},
      {"ConvTranspose", "ConvTranspose", from::weight, 1, use::multiplied},
      {"Gemm", "Linear", from::nothing, 1, use::on_a_side},
      {"MatMul", "Linear", from::nothing, 1, use::on_a_side},
      {"FusedMatMul", "Linear", from::nothing, 1, use::on_a_side, "com.microsoft"},
      {"MaxPool", "MaxPool", from::kernel},
      {"AveragePool", "AvgPool", from::kernel},
      {"GlobalAveragePool", "AdaptiveAvgPool", from::input},
      {"BatchNormalization", "BatchNorm", from::input, 1},
      {"InstanceNormalization", "InstanceNorm", from::input, 1},
      {"LeakyRelu", "LeakyReLU"},
      // never quantized, listed so that the plan says why
      {"LayerNormalization", "LayerNorm", from::nothing, 1},
      {"GroupNormalization", "GroupNorm", from::nothing, 1},
      {"Gather", "Embedding", from::nothing, 0, use::rows},
      {"LSTM", "LSTM", from::nothing, 1},
      {"GRU", "GRU", from::nothing, 1},
      {"RNN", "RNN", from::nothing, 1},
      {"ConvInteger", "Conv", from::weight, 1, use::codes},
      {"QLinearConv", "Conv", from::weight, 3, use::codes},
      {"MatMulInteger", "Linear", from::nothing, 1, use::codes},
      {"QLinearMatMul", "Linear", from::nothing, 3, use::codes},
  };
  for (const onnx_operator& known : operators)
    if (known.op_type == node.op_type &&
        (known.domain.empty() ? node.is_standard() : node.domain == known.domain))
      return &known;
  return nullptr;
}

/// The operator set that has experimental operators no more.
inline constexpr std::int64_t without_experiments = 10;

/// Whether an operator of the standard domain is one of those that ONNX once had on trial. They have no
/// schemas; ONNX Runtime computes most of them in graphs of operator sets before `without_experiments`.
inline bool is_experimental(const onnx_node& node) noexcept {
  constexpr std::string_view operators[] = {"ATen",
                                            "Affine",
                                            "ConstantFill",
                                            "Crop",
                                            "DynamicSlice",
                                            "GRUUnit",
                                            "GivenTensorFill",
                                            "ImageScaler",
                                            "ParametricSoftplus",
                                            "Scale",
                                            "ScaledTanh"};
  return node.is_standard() &&
         std::find(std::begin(operators), std::end(operators), node.op_type) != std::end(operators);
}

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_OPERATORS_HPP
