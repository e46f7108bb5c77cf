// SPDX-License-Identifier: Apache-2.0
/// @file trace.hpp The constant behind a tensor, and the nodes between them.
#ifndef PTQ_IO_ONNX_TRACE_HPP
#define PTQ_IO_ONNX_TRACE_HPP

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <vector>

#include "ptq/io/onnx/links.hpp"
#include "ptq/io/onnx/model.hpp"
#include "ptq/io/onnx/tensor.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// A constant, and the nodes through which it reaches a slot.
struct traced_constant {
  const onnx_tensor* tensor = nullptr;    ///< null: what reaches the slot is computed
  std::vector<std::size_t> path;          ///< the constant's end first
  onnx_type type = onnx_type::undefined;  ///< as it arrives
};

inline traced_constant trace(const onnx_graph& graph, const onnx_links& links, std::string_view name) {
  traced_constant traced;
  while ((traced.tensor = links.constant(name)) == nullptr) {
    const auto found = links.producers.find(name);
    if (found == links.producers.end()) return {};
    const onnx_node& node = graph.nodes[found->second];
    const bool passes = node.op_type == "Transpose" || node.op_type == "Identity" || node.op_type == "Cast";
    if (!node.is_standard() || !passes || node.inputs.size() != 1 || node.outputs.size() != 1) return {};
    if (node.op_type == "Cast" && traced.type == onnx_type::undefined)
      traced.type = static_cast<onnx_type>(node.integer("to", 0));
    traced.path.push_back(found->second);
    name = node.inputs.front();
  }
  if (traced.tensor->size() == 0) return {};  // nothing to quantize
  if (traced.type == onnx_type::undefined) traced.type = traced.tensor->type;
  std::reverse(traced.path.begin(), traced.path.end());
  return traced;
}

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_IO_ONNX_TRACE_HPP
