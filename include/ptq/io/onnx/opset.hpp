// SPDX-License-Identifier: Apache-2.0
/// @file opset.hpp Which operator set a graph can be moved to without meaning something else.
#ifndef PTQ_IO_ONNX_OPSET_HPP
#define PTQ_IO_ONNX_OPSET_HPP

#include <cstdint>
#include <string>
#include <string_view>

#include "ptq/error.hpp"
#include "ptq/io/onnx/links.hpp"
#include "ptq/io/onnx/model.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// A version of an operator that some older nodes do not fit: attributes that became inputs, other defaults.
/// Additions whose default is the old behaviour are not listed. Source: the operators' changelog of the ONNX
/// project, versions 8 to 21.
struct onnx_operator_change {
  std::string_view op_type;
  std::int64_t since;
  bool (*concerns)(const onnx_node&);
};

/// The change that keeps a node of operator set `from` from being one of `to`; null if there is none.
inline const onnx_operator_change* find_change(const onnx_node& node, std::int64_t from, std::int64_t to) {
  constexpr auto always = [](const onnx_node&) { return true; };
  constexpr auto has_axes = [](const onnx_node& n) { return n.find_attribute("axes") != nullptr; };
  constexpr auto has_more_outputs = [](const onnx_node& n) { return n.outputs.size() > 1; };
  constexpr auto has_another_axis = [](const onnx_node& n) { return n.integer("axis", 1) != -1; };
  static constexpr onnx_operator_change changes[] = {
      {"BatchNormalization", 9, [](const onnx_node& n) { return n.integer("spatial", 1) != 1; }},
      {"BatchNormalization", 14, has_more_outputs},
      {"Clip", 11, [](const onnx_node& n) { return !n.attributes.empty(); }},
      {"Dropout", 10, has_more_outputs},
      {"Dropout", 12, [](const onnx_node& n) { return n.find_attribute("ratio") != nullptr; }},
      {"DFT", 20, always},
      {"GridSample", 20, always},
      {"GroupNormalization", 21, always},
      {"Hardmax", 13, has_another_axis},
      {"LogSoftmax", 13, has_another_axis},
      {"Pad", 11, always},
      {"ReduceL1", 18, has_axes},
      {"ReduceL2", 18, has_axes},
      {"ReduceLogSum", 18, has_axes},
      {"ReduceLogSumExp", 18, has_axes},
      {"ReduceMax", 18, has_axes},
      {"ReduceMean", 18, has_axes},
      {"ReduceMin", 18, has_axes},
      {"ReduceProd", 18, has_axes},
      {"ReduceSum", 13, has_axes},
      {"ReduceSumSquare", 18, has_axes},
      {"Resize", 11, always},
      {"Resize", 13, always},
      {"RoiAlign", 16, always},
      {"Scan", 9, always},
      {"Scatter", 11, always},
      {"Slice", 10, always},
      {"Softmax", 13, has_another_axis},
      {"Split", 13, [](const onnx_node& n) { return n.find_attribute("split") != nullptr; }},
      {"Split", 18, [](const onnx_node& n) { return n.inputs.size() < 2; }},
      {"Squeeze", 13, has_axes},
      {"TopK", 10, always},
      {"Unsqueeze", 13, always},
      {"Upsample", 9, always},
      {"Upsample", 10, always},
  };
  if (!node.is_standard()) return nullptr;
  for (const onnx_operator_change& change : changes)
    if (change.op_type == node.op_type && from < change.since && change.since <= to && change.concerns(node))
      return &change;
  return nullptr;
}

inline constexpr std::int64_t oldest_movable_opset = 7;  // broadcasting changed there

/// Whether all operators of a model mean the same in a newer operator set.
///
/// @param reason what needs it: "fp8_e4m3fn"
inline result<void> check_move(const onnx_model& model, std::int64_t to, const std::string& reason) {
  const std::int64_t from = model.opset();
  const auto refuse = [&](const std::string& why) {
    return error(errc::unsupported, {},
                 reason + " needs operator set " + std::to_string(to) + ", but the model has " +
                     std::to_string(from) + ", and " + why + ". Export the model with operator set " +
                     std::to_string(to) + " or convert it with onnx.version_converter" +
                     (to > 13 && from >= 13 ? ", or use int8, which needs 13." : "."));
  };
  if (from < oldest_movable_opset) return refuse("operators of before version 7 mean something else now");
  if (model.functions > 0) return refuse("it has local functions, which are not looked into");
  for (std::size_t i = 0; i < model.graph.nodes.size(); ++i) {
    const onnx_node& node = model.graph.nodes[i];
    const onnx_operator_change* change = find_change(node, from, to);
    std::string where = node_text(model.graph, i);
    for_each_body_node(node, [&](const onnx_node& inner) {
      if (change != nullptr) return;
      change = find_change(inner, from, to);
      if (change != nullptr) where = "a " + inner.op_type + " in a body of " + where;
    });
    if (change != nullptr)
      return refuse(where + " has another form since version " + std::to_string(change->since));
  }
  return {};
}

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_IO_ONNX_OPSET_HPP
