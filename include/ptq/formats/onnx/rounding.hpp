// SPDX-License-Identifier: Apache-2.0
/// @file rounding.hpp The tensors of an ONNX graph that are rounded to codes: what QuantizeLinear and
/// DequantizeLinear say, as numbers.
#ifndef PTQ_FORMATS_ONNX_ROUNDING_HPP
#define PTQ_FORMATS_ONNX_ROUNDING_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/backend/recipe.hpp"
#include "ptq/error.hpp"
#include "ptq/formats/onnx/code_types.hpp"
#include "ptq/formats/onnx/links.hpp"
#include "ptq/formats/onnx/model.hpp"
#include "ptq/formats/onnx/tensor.hpp"
#include "ptq/numeric/element_type.hpp"
#include "ptq/result.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1 {

/// A tensor that goes through QuantizeLinear and DequantizeLinear: in `rounded` each value of `source` is
/// that of its code.
struct onnx_rounded_tensor {
  std::string source;
  std::string rounded;
  std::string dtype;
  float scale = 1;
};

/// A constant that is stored as codes behind DequantizeLinear, which makes the tensor `name`.
struct onnx_coded_constant {
  std::string name;
  std::string dtype;
  const onnx_tensor* codes = nullptr;
  granularity grain;
  std::vector<float> scales;  ///< files hold them at any alignment
};

struct onnx_roundings {
  std::vector<onnx_coded_constant> constants;
  std::vector<onnx_rounded_tensor> tensors;
};

namespace detail {

class onnx_rounding_finder {
 public:
  onnx_rounding_finder(const onnx_graph& graph, const onnx_links& links, const onnx_code_types& types)
      : graph_(&graph), links_(&links), types_(&types) {}

  result<onnx_roundings> find() {
    for (std::size_t i = 0; i < graph_->nodes.size(); ++i) {
      const onnx_node& node = graph_->nodes[i];
      if (is(node, "DequantizeLinear")) add_constant(node);
      if (is(node, "QuantizeLinear") && !add_tensor(node))
        return error(
            errc::unsupported, node_text(*graph_, i),
            "a tensor is rounded in a way that is not ours: to int8 or fp8 with one scale and no zero "
            "point, and by DequantizeLinear back to floats.");
    }
    return std::move(made_);
  }

 private:
  static bool is(const onnx_node& node, std::string_view op_type) {
    return node.is_standard() && node.op_type == op_type && !node.outputs.empty();
  }

  /// The dtype whose codes are of a type; null where no dtype's are.
  const onnx_code_type* dtype_of(element_type type) const noexcept {
    for (const onnx_code_type& known : *types_)
      if (known.type == type && known.weights_reason.empty()) return &known;
    return nullptr;
  }

  /// The constant scales of a node; nothing where they, or its zero points, are of another kind than ours.
  std::optional<std::vector<float>> scales_of(const onnx_node& node) const {
    const onnx_tensor* const stored = links_->constant(node.input(1));
    if (stored == nullptr || stored->type != element_type::float32 || node.integer("block_size", 0) != 0 ||
        node.integer("saturate", 1) == 0)
      return {};
    if (!node.input(2).empty()) {
      const onnx_tensor* const zero = links_->constant(node.input(2));
      const auto is_zero = [](std::byte b) { return b == std::byte{}; };
      if (zero == nullptr || !std::all_of(zero->data.begin(), zero->data.end(), is_zero)) return {};
    }
    std::vector<float> scales(stored->size());
    if (!scales.empty()) std::memcpy(scales.data(), stored->data.data(), stored->data.size());
    return scales;
  }

  /// What is not ours is left to the engine: constants are folded, whatever they are.
  void add_constant(const onnx_node& node) {
    const onnx_tensor* const codes = links_->constant(node.input(0));
    const onnx_code_type* const known = codes != nullptr ? dtype_of(codes->type) : nullptr;
    if (known == nullptr || codes->dims.size() > max_rank) return;
    auto scales = scales_of(node);
    if (!scales) return;
    granularity grain = per_tensor();
    if (scales->size() != 1) {
      std::int64_t axis = node.integer("axis", 1);
      if (axis < 0) axis += static_cast<std::int64_t>(codes->dims.size());
      if (axis < 0 || static_cast<std::size_t>(axis) >= codes->dims.size() ||
          codes->dims[static_cast<std::size_t>(axis)] != scales->size())
        return;
      grain = per_channel(static_cast<std::size_t>(axis));
    }
    made_.constants.push_back({node.outputs[0], std::string(known->dtype), codes, grain, *std::move(scales)});
  }

  bool add_tensor(const onnx_node& encoder) {
    const auto scales = scales_of(encoder);
    if (!scales || scales->size() != 1) return false;
    const onnx_tensor* const zero = links_->constant(encoder.input(2));
    const auto type = zero != nullptr ? zero->type : onnx_type(encoder.integer("output_dtype", 2));
    const auto uses = links_->uses(encoder.outputs[0]);
    const onnx_code_type* const known = dtype_of(type);
    if (known == nullptr || uses.empty() || links_->is_output(encoder.outputs[0])) return false;
    const auto decodes_alike = [&](const onnx_use& use) {
      const onnx_node& decoder = graph_->nodes[use.node];
      return is(decoder, "DequantizeLinear") && use.slot == 0 && scales_of(decoder) == scales;
    };
    if (!std::all_of(uses.begin(), uses.end(), decodes_alike)) return false;
    for (const onnx_use& use : uses)
      made_.tensors.push_back({encoder.inputs[0], graph_->nodes[use.node].outputs[0],
                               std::string(known->dtype), scales->front()});
    return true;
  }

  const onnx_graph* graph_;
  const onnx_links* links_;
  const onnx_code_types* types_;
  onnx_roundings made_;
};

}  // namespace detail

/// Finds what the writer writes: codes of dtypes without zero points.
///
/// @param types  of the dtypes that the graph may have
/// @return unsupported, naming the node, if a tensor is quantized in another way
inline result<onnx_roundings> roundings_of(const onnx_graph& graph, const onnx_links& links,
                                           const onnx_code_types& types = onnx_code_types_of<>()) {
  return detail::onnx_rounding_finder(graph, links, types).find();
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_ROUNDING_HPP
