// SPDX-License-Identifier: Apache-2.0
/// @file element_types.hpp The element type of what an operator makes: the rules of the standard operators.
#ifndef PTQ_FORMATS_ONNX_ELEMENT_TYPES_HPP
#define PTQ_FORMATS_ONNX_ELEMENT_TYPES_HPP

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>
#include <string_view>

#include "ptq/formats/onnx/model.hpp"
#include "ptq/formats/onnx/tensor.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// Where the type of an output stands: in an input, or it is fixed, or nothing says it.
struct onnx_typing {
  static constexpr std::size_t no_slot = static_cast<std::size_t>(-1);
  std::size_t input = no_slot;                ///< the slot of the input that has the same type
  element_type type = element_type::unknown;  ///< where no input has it
};

/// Operators all outputs of which have the type of their first input, unless `typing_of` says otherwise.
inline bool keeps_its_type(std::string_view op_type) noexcept {
  static constexpr std::string_view ops[] = {"Abs",
                                             "Acos",
                                             "Acosh",
                                             "Add",
                                             "AffineGrid",
                                             "Asin",
                                             "Asinh",
                                             "Atan",
                                             "Atanh",
                                             "AveragePool",
                                             "BatchNormalization",
                                             "BitShift",
                                             "BitwiseAnd",
                                             "BitwiseNot",
                                             "BitwiseOr",
                                             "BitwiseXor",
                                             "CausalConvWithState",
                                             "Ceil",
                                             "Celu",
                                             "CenterCropPad",
                                             "Clip",
                                             "Col2Im",
                                             "Compress",
                                             "Concat",
                                             "Conv",
                                             "ConvTranspose",
                                             "Cos",
                                             "Cosh",
                                             "CumProd",
                                             "CumSum",
                                             "DFT",
                                             "DeformConv",
                                             "DepthToSpace",
                                             "Det",
                                             "Div",
                                             "Dropout",
                                             "Einsum",
                                             "Elu",
                                             "Erf",
                                             "Exp",
                                             "Expand",
                                             "Flatten",
                                             "Floor",
                                             "GRU",
                                             "Gather",
                                             "GatherElements",
                                             "GatherND",
                                             "Gelu",
                                             "Gemm",
                                             "GlobalAveragePool",
                                             "GlobalLpPool",
                                             "GlobalMaxPool",
                                             "GridSample",
                                             "GroupNormalization",
                                             "HardSigmoid",
                                             "HardSwish",
                                             "Hardmax",
                                             "Identity",
                                             "InstanceNormalization",
                                             "LRN",
                                             "LSTM",
                                             "LayerNormalization",
                                             "LeakyRelu",
                                             "Log",
                                             "LogSoftmax",
                                             "LpNormalization",
                                             "LpPool",
                                             "MatMul",
                                             "Max",
                                             "MaxPool",
                                             "MaxRoiPool",
                                             "MaxUnpool",
                                             "Mean",
                                             "MeanVarianceNormalization",
                                             "Min",
                                             "Mish",
                                             "Mod",
                                             "Mul",
                                             "Neg",
                                             "NegativeLogLikelihoodLoss",
                                             "Not",
                                             "PRelu",
                                             "Pad",
                                             "Pow",
                                             "RNN",
                                             "Range",
                                             "Reciprocal",
                                             "ReduceL1",
                                             "ReduceL2",
                                             "ReduceLogSum",
                                             "ReduceLogSumExp",
                                             "ReduceMax",
                                             "ReduceMean",
                                             "ReduceMin",
                                             "ReduceProd",
                                             "ReduceSum",
                                             "ReduceSumSquare",
                                             "Relu",
                                             "Reshape",
                                             "Resize",
                                             "ReverseSequence",
                                             "RoiAlign",
                                             "RotaryEmbedding",
                                             "Round",
                                             "STFT",
                                             "Scatter",
                                             "ScatterElements",
                                             "ScatterND",
                                             "Selu",
                                             "Shrink",
                                             "Sigmoid",
                                             "Sign",
                                             "Sin",
                                             "Sinh",
                                             "Slice",
                                             "Softmax",
                                             "SoftmaxCrossEntropyLoss",
                                             "Softplus",
                                             "Softsign",
                                             "SpaceToDepth",
                                             "Split",
                                             "Sqrt",
                                             "Squeeze",
                                             "StringConcat",
                                             "Sub",
                                             "Sum",
                                             "SwiGLU",
                                             "Swish",
                                             "Tan",
                                             "Tanh",
                                             "TensorScatter",
                                             "ThresholdedRelu",
                                             "Tile",
                                             "TopK",
                                             "Transpose",
                                             "Trilu",
                                             "Unique",
                                             "Unsqueeze",
                                             "Upsample"};
  return std::binary_search(std::begin(ops), std::end(ops), op_type);
}

/// Outputs whose type is another one. The first row that fits counts.
struct onnx_type_rule {
  static constexpr std::size_t any = static_cast<std::size_t>(-1);

  std::string_view op_type;
  std::size_t output = any;
  onnx_typing typing;
  std::string_view attribute{};  ///< an integer that names the type, where it is given
};

inline const onnx_type_rule* find_type_rule(std::string_view op_type, std::size_t output) noexcept {
  constexpr std::size_t any = onnx_type_rule::any;
  constexpr auto like = [](std::size_t slot) { return onnx_typing{slot, element_type::unknown}; };
  constexpr auto fixed = [](element_type type) { return onnx_typing{onnx_typing::no_slot, type}; };
  constexpr onnx_typing boolean = fixed(element_type::boolean);
  constexpr onnx_typing int64 = fixed(element_type::int64);
  constexpr onnx_typing int32 = fixed(element_type::int32);
  constexpr onnx_typing uint8 = fixed(element_type::uint8);
  constexpr onnx_typing float32 = fixed(element_type::float32);
  constexpr onnx_typing text = fixed(element_type::string);
  static constexpr onnx_type_rule rules[] = {
      {"And", any, boolean},
      {"ArgMax", any, int64},
      {"ArgMin", any, int64},
      {"Attention", 2, like(2)},
      {"Attention", any, like(0)},
      {"BatchNormalization", 0, like(0)},
      {"BatchNormalization", any, like(3)},
      {"Bernoulli", any, like(0), "dtype"},
      {"BitCast", any, {}, "to"},
      {"BlackmanWindow", any, float32, "output_datatype"},
      {"Cast", any, {}, "to"},
      {"CastLike", any, like(1)},
      {"ConvInteger", any, int32},
      {"DequantizeLinear", any, like(1), "output_dtype"},
      {"Dropout", 1, boolean},
      {"DynamicQuantizeLinear", 1, float32},
      {"DynamicQuantizeLinear", any, uint8},
      {"Equal", any, boolean},
      {"EyeLike", any, like(0), "dtype"},
      {"Greater", any, boolean},
      {"GreaterOrEqual", any, boolean},
      {"HammingWindow", any, float32, "output_datatype"},
      {"HannWindow", any, float32, "output_datatype"},
      {"ImageDecoder", any, uint8},
      {"IsInf", any, boolean},
      {"IsNaN", any, boolean},
      {"LayerNormalization", 0, like(0)},
      {"LayerNormalization", any, float32, "stash_type"},
      {"Less", any, boolean},
      {"LessOrEqual", any, boolean},
      {"LinearAttention", 0, like(0)},
      {"LinearAttention", any, like(3)},
      {"MatMulInteger", any, int32},
      {"MaxPool", 1, int64},
      {"MelWeightMatrix", any, float32, "output_datatype"},
      {"Multinomial", any, int32, "dtype"},
      {"NonMaxSuppression", any, int64},
      {"NonZero", any, int64},
      {"Not", any, boolean},
      {"OneHot", any, like(2)},
      {"OptionalHasElement", any, boolean},
      {"Or", any, boolean},
      {"QLinearConv", any, like(7)},
      {"QLinearMatMul", any, like(7)},
      {"QuantizeLinear", any, like(2), "output_dtype"},
      {"RMSNormalization", any, like(1)},
      {"RandomNormal", any, float32, "dtype"},
      {"RandomNormalLike", any, like(0), "dtype"},
      {"RandomUniform", any, float32, "dtype"},
      {"RandomUniformLike", any, like(0), "dtype"},
      {"RegexFullMatch", any, boolean},
      {"SequenceLength", any, int64},
      {"Shape", any, int64},
      {"Size", any, int64},
      {"StringNormalizer", any, text},
      {"StringSplit", 1, int64},
      {"StringSplit", any, text},
      {"TfIdfVectorizer", any, float32},
      {"TopK", 1, int64},
      {"Unique", 1, int64},
      {"Unique", 2, int64},
      {"Unique", 3, int64},
      {"Where", any, like(1)},
      {"Xor", any, boolean},
  };
  const auto* const found = std::find_if(std::begin(rules), std::end(rules), [&](const onnx_type_rule& rule) {
    return rule.op_type == op_type && (rule.output == any || rule.output == output);
  });
  return found != std::end(rules) ? found : nullptr;
}

/// The type that the bodies of If, Loop or Scan declare for an output; undefined unless all agree.
///
/// @param output counted among those of the bodies
inline element_type body_type(const onnx_node& node, std::size_t output) noexcept {
  std::optional<element_type> type;
  for (const onnx_attribute& attribute : node.attributes) {
    for (const onnx_body& body : attribute.bodies) {
      if (output >= body.outputs.size()) return element_type::unknown;
      const auto value = std::find_if(body.values.begin(), body.values.end(), [&](const onnx_value& known) {
        return known.name == body.outputs[output] && known.type != element_type::unknown;
      });
      const element_type declared = value != body.values.end() ? value->type : element_type::unknown;
      if (type && declared != *type) return element_type::unknown;
      type = declared;
    }
  }
  return type.value_or(element_type::unknown);
}

/// What says the type of an output of a node.
inline onnx_typing typing_of(const onnx_node& node, std::size_t output) noexcept {
  if (!node.is_standard()) return {};
  if (node.op_type == "If" || node.op_type == "Scan") return {onnx_typing::no_slot, body_type(node, output)};
  if (node.op_type == "Loop")  // the first output of its body says whether it goes on
    return {onnx_typing::no_slot, body_type(node, output + 1)};
  if (node.op_type == "ConstantOfShape") {
    const onnx_attribute* const value = node.find_attribute("value");
    const bool is_given = value != nullptr && value->tensors.size() == 1;
    return {onnx_typing::no_slot, is_given ? value->tensors.front().type : element_type::float32};
  }
  const onnx_type_rule* const rule = find_type_rule(node.op_type, output);
  if (rule == nullptr) return keeps_its_type(node.op_type) ? onnx_typing{0} : onnx_typing{};
  if (!rule->attribute.empty())
    if (const auto type = onnx_type(node.integer(rule->attribute, 0)); type != element_type::unknown)
      return {onnx_typing::no_slot, type};
  if (node.op_type == "QuantizeLinear" && node.input(2).empty())
    return {onnx_typing::no_slot, element_type::uint8};
  return rule->typing;
}

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_ELEMENT_TYPES_HPP
