// SPDX-License-Identifier: Apache-2.0
/// @file integer_layers.hpp Finds the layers of a Q/DQ graph that can compute on the codes themselves.
#ifndef TINY_ENGINE_INTEGER_LAYERS_HPP
#define TINY_ENGINE_INTEGER_LAYERS_HPP

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "operators.hpp"
#include "ptq/formats/onnx/links.hpp"
#include "ptq/formats/onnx/model.hpp"

namespace tiny {

struct integer_layer {
  operator_function run;
  std::vector<std::string_view> inputs;  ///< {x codes, x scale, w codes, w scales, bias}
};

/// A DequantizeLinear of int8 codes with zero point 0 and constant scales.
struct int8_source {
  std::string_view codes;
  std::string_view scales;
  const ptq::onnx_tensor* scale_values;
  std::int64_t axis;  ///< negative: from the end

  static std::optional<int8_source> of(std::string_view name, const ptq::onnx_graph& graph,
                                       const ptq::onnx_links& links) {
    const ptq::onnx_node* const node = links.producer(name, graph);
    if (node == nullptr || !node->is_standard() || node->op_type != "DequantizeLinear") return {};
    const ptq::onnx_tensor* const scales = links.constant(node->input(1));
    if (scales == nullptr || scales->type != element_type::float32 || node->integer("block_size", 0) != 0)
      return {};
    if (!is_int8(*node, graph, links)) return {};
    return int8_source{node->input(0), node->input(1), scales, node->integer("axis", 1)};
  }

 private:
  static bool is_int8(const ptq::onnx_node& node, const ptq::onnx_graph& graph,
                      const ptq::onnx_links& links) {
    if (const std::string_view zero = node.input(2); !zero.empty()) {
      const ptq::onnx_tensor* const value = links.constant(zero);
      if (value == nullptr || value->type != element_type::int8) return false;
      for (const std::byte b : value->data)
        if (b != std::byte{}) return false;
      return true;
    }
    if (const ptq::onnx_tensor* const codes = links.constant(node.input(0)))
      return codes->type == element_type::int8;
    const ptq::onnx_node* const encoder = links.producer(node.input(0), graph);
    return encoder != nullptr && encoder->integer("output_dtype", 0) == ptq::onnx_number(element_type::int8);
  }
};

/// The integer form of a Conv, Gemm or MatMul whose two sides are int8 codes: x with one scale, a constant w
/// with one scale or one for each output channel. Nothing if it has to compute in float.
inline std::optional<integer_layer> find_integer_layer(const ptq::onnx_node& node,
                                                       const ptq::onnx_graph& graph,
                                                       const ptq::onnx_links& links) {
  const bool is_conv = node.op_type == "Conv";
  const bool is_gemm = node.op_type == "Gemm";
  if (!node.is_standard() || (!is_conv && !is_gemm && node.op_type != "MatMul")) return {};
  if (is_gemm && (node.real("alpha", 1) != 1 || node.real("beta", 1) != 1 || node.integer("transA", 0) != 0))
    return {};
  const auto x = int8_source::of(node.input(0), graph, links);
  const auto w = int8_source::of(node.input(1), graph, links);
  if (!x || !w || x->scale_values->size() != 1) return {};
  const ptq::onnx_tensor* const codes = links.constant(w->codes);
  if (codes == nullptr || codes->size() == 0 || codes->dims.size() < 2 ||
      (!is_conv && codes->dims.size() != 2))
    return {};
  const std::size_t out_axis = is_conv || (is_gemm && node.integer("transB", 0) != 0) ? 0 : 1;
  const std::size_t scales = w->scale_values->size();
  const auto axis = axis_of(w->axis, codes->dims.size());
  if (scales != 1 && (!axis || *axis != out_axis || scales != codes->dims[out_axis])) return {};
  if (codes->size() / codes->dims[out_axis] > most_int8_products) return {};
  return integer_layer{is_conv   ? int8_conv
                       : is_gemm ? int8_gemm
                                 : int8_matmul,
                       {x->codes, x->scales, w->codes, w->scales, node.input(2)}};
}

}  // namespace tiny

#endif  // TINY_ENGINE_INTEGER_LAYERS_HPP
