// SPDX-License-Identifier: Apache-2.0
/// @file adapters.hpp The operators that nodes of older operator sets have in another form: one change a row.
#ifndef PTQ_FORMATS_ONNX_ADAPTERS_HPP
#define PTQ_FORMATS_ONNX_ADAPTERS_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ptq/formats/onnx/moving_node.hpp"
#include "ptq/formats/onnx/tensor.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// A version of an operator that some older nodes do not fit, and what makes them fit: attributes become
/// inputs, defaults that changed are written out. It leaves nodes alone that mean the same in both versions,
/// and refuses those that have no newer form.
struct onnx_adapter {
  std::string_view op_type;
  std::int64_t since;
  void (*adapt)(onnx_moving_node&);
};

/// A list of integers becomes input `slot`. One that is absent stays absent.
inline void move_integers(onnx_moving_node& node, std::string_view attribute, std::size_t slot) {
  if (!node.has(attribute)) return;
  node.set_input(slot, node.constant(attribute, node.integers(attribute)));
  node.drop(attribute);
}

inline void adapt_axes(onnx_moving_node& node) {
  move_integers(node, "axes", 1);
}

/// An empty list meant all axes, as none does. An empty tensor does not in every engine.
inline void adapt_reduction(onnx_moving_node& node) {
  if (node.has("axes") && node.integers("axes").empty()) return node.drop("axes");
  adapt_axes(node);
}

/// Statistics were of whole channels, unless it said otherwise.
inline void drop_spatial(onnx_moving_node& node) {
  if (node.integer("spatial", 1) != 1)
    return node.refuse("statistics of every position (spatial = 0) are gone");
  if (node.has("spatial")) node.drop("spatial");
}

/// Only training had more outputs.
inline void expect_inference(onnx_moving_node& node) {
  if (node.outputs().size() > 1)
    node.refuse("it has " + std::to_string(node.outputs().size()) + " outputs, which is training mode",
                "Export the model for inference.");
}

/// Type and values of the mask changed, which nobody reads who does not train.
inline void drop_mask(onnx_moving_node& node) {
  if (node.outputs().size() < 2) return;
  if (!node.outputs()[1].empty() && node.scope().is_used(node.outputs()[1]))
    return node.refuse("its mask is used, which has other values now", "Export the model for inference.");
  node.keep_outputs(1);
}

inline void adapt_dropout(onnx_moving_node& node) {
  drop_mask(node);
  if (!node.has("ratio")) return;
  const float ratio = node.real("ratio", 0.5F);
  node.set_input(1, node.scalar("ratio", ratio));
  node.drop("ratio");
}

inline void adapt_clip(onnx_moving_node& node) {
  constexpr std::string_view bounds[] = {"min", "max"};
  for (std::size_t i = 0; i < std::size(bounds); ++i) {
    if (!node.has(bounds[i])) continue;
    node.set_input(i + 1, node.typed_scalar(bounds[i], node.real(bounds[i], 0)));
    node.drop(bounds[i]);
  }
}

inline void adapt_pad(onnx_moving_node& node) {
  const float value = node.real("value", 0);
  move_integers(node, "pads", 1);
  if (value != 0) node.set_input(2, node.typed_scalar("value", value));
  if (node.has("value")) node.drop("value");
}

inline void adapt_slice(onnx_moving_node& node) {
  move_integers(node, "starts", 1);
  move_integers(node, "ends", 2);
  move_integers(node, "axes", 3);
}

inline void adapt_top_k(onnx_moving_node& node) {
  const std::int64_t k[] = {node.integer("k", 0)};
  node.set_input(1, node.constant("k", k));
  node.drop("k");
}

/// All axes from `axis` on were one. Where that is the last one alone, it is the axis; else the tensor is
/// made flat and gets its shape back.
inline void adapt_flattened_axis(onnx_moving_node& node) {
  const std::int64_t axis = node.integer("axis", 1);
  if (axis == -1) return;
  const std::string input(node.input(0));
  auto rank = node.scope().rank_of(input);
  if (!rank) rank = node.scope().rank_of(node.outputs().front());
  if (rank && axis + 1 == static_cast<std::int64_t>(*rank)) {
    if (!node.has("axis")) node.set("axis", axis);
    return;
  }
  const std::string shape = node.before("Shape", "shape", {input});
  node.set_input(0, node.before("Flatten", "flat", {input}, {"axis", axis}));
  node.set("axis", std::int64_t{-1});
  node.behind("Reshape", node.original_op_type(), shape);
}

inline void adapt_split_sizes(onnx_moving_node& node) {
  move_integers(node, "split", 1);
}

inline void count_split_outputs(onnx_moving_node& node) {
  if (node.input(1).empty()) node.set("num_outputs", static_cast<std::int64_t>(node.outputs().size()));
}

inline void adapt_upsample_scales(onnx_moving_node& node) {
  node.set_input(1, node.constant("scales", node.reals("scales")));
  node.drop("scales");
}

/// How an older Resize picked the nearest element: downwards where it enlarges, upwards where it shrinks
/// (what ONNX Runtime, which the specification did not bind, has always computed). Nothing where that is not
/// known.
inline std::optional<std::string_view> nearest_mode_of(const onnx_moving_node& node) {
  if (node.original_op_type() == "Upsample") return "floor";
  const onnx_tensor* const tensor = node.scope().constant(node.input(1));
  if (tensor == nullptr || tensor->type != element_type::float32) return {};
  std::vector<float> scales(tensor->data.size() / sizeof(float));
  std::memcpy(scales.data(), tensor->data.data(), scales.size() * sizeof(float));
  if (std::all_of(scales.begin(), scales.end(), [](float s) { return s >= 1; })) return "floor";
  if (std::all_of(scales.begin(), scales.end(), [](float s) { return s <= 1; })) return "ceil";
  return {};
}

/// The region of interest became input 1; an output element came from x / scale.
inline void adapt_resize(onnx_moving_node& node) {
  if (node.text("mode", "nearest") == "nearest") {
    const auto nearest = nearest_mode_of(node);
    if (!nearest) return node.refuse("its scales are not constant, or enlarge some axes and shrink others");
    node.set("nearest_mode", *nearest);
  }
  node.set("coordinate_transformation_mode", "asymmetric");
  node.set_input(2, std::string(node.input(1)));
  node.set_input(1, {});
}

/// Scales beside sizes were an empty tensor.
inline void drop_resize_scales(onnx_moving_node& node) {
  if (node.text("coordinate_transformation_mode", {}) == "tf_half_pixel_for_nn")
    return node.refuse("coordinate_transformation_mode \"tf_half_pixel_for_nn\" is gone");
  if (!node.input(3).empty() && !node.input(2).empty()) node.set_input(2, {});
}

inline void keep_roi_coordinates(onnx_moving_node& node) {
  if (!node.has("coordinate_transformation_mode"))
    node.set("coordinate_transformation_mode", "output_half_pixel");
}

inline void adapt_scan(onnx_moving_node& node) {
  node.refuse("it runs over batches, which the newer form does not have");
}

inline void adapt_sampling_mode(onnx_moving_node& node) {
  const std::string mode = node.text("mode", {});
  if (mode == "bilinear") node.set("mode", "linear");
  if (mode == "bicubic") node.set("mode", "cubic");
}

inline void adapt_dft(onnx_moving_node& node) {
  node.set_input(2, node.scalar("axis", node.integer("axis", 1)));
  if (node.has("axis")) node.drop("axis");
}

/// Scale and bias of a group become those of its channels.
inline void spread_over_channels(onnx_moving_node& node) {
  const std::int64_t count[] = {node.integer("num_groups", 1)};
  const std::int64_t column[] = {-1, 1};
  const std::int64_t flat[] = {-1};
  const std::int64_t channel_axis[] = {1};
  const std::string groups = node.constant("groups", count);
  const std::string shape = node.before("Shape", "shape", {std::string(node.input(0))});
  const std::string channels =
      node.before("Gather", "channels", {shape, node.constant("channel_axis", channel_axis)});
  const std::string width = node.before("Div", "group_width", {channels, groups});
  const std::string spread = node.before("Concat", "spread", {groups, width}, {"axis", 0});
  const std::string to_column = node.constant("column", column);
  const std::string to_flat = node.constant("flat", flat);
  for (const std::size_t slot : {1U, 2U}) {
    const std::string what = slot == 1 ? "scale" : "bias";
    const std::string one =
        node.before("Reshape", what + "_column", {std::string(node.input(slot)), to_column});
    const std::string many = node.before("Expand", what + "_spread", {one, spread});
    node.set_input(slot, node.before("Reshape", what, {many, to_flat}));
  }
}

/// Operator sets 8 to 21, after the operators' changelog of the ONNX project. Changes that are not here add
/// types, inputs, outputs or attributes whose default is what was before, or only say more clearly what was
/// meant; tests/formats/onnx/opset_test.py lists them.
inline constexpr onnx_adapter onnx_adapters[] = {
    {"BatchNormalization", 9, drop_spatial},
    {"BatchNormalization", 14, expect_inference},
    {"Clip", 11, adapt_clip},
    {"DFT", 20, adapt_dft},
    {"Dropout", 10, drop_mask},
    {"Dropout", 12, adapt_dropout},
    {"GridSample", 20, adapt_sampling_mode},
    {"GroupNormalization", 21, spread_over_channels},
    {"Hardmax", 13, adapt_flattened_axis},
    {"LogSoftmax", 13, adapt_flattened_axis},
    {"Pad", 11, adapt_pad},
    {"ReduceL1", 18, adapt_reduction},
    {"ReduceL2", 18, adapt_reduction},
    {"ReduceLogSum", 18, adapt_reduction},
    {"ReduceLogSumExp", 18, adapt_reduction},
    {"ReduceMax", 18, adapt_reduction},
    {"ReduceMean", 18, adapt_reduction},
    {"ReduceMin", 18, adapt_reduction},
    {"ReduceProd", 18, adapt_reduction},
    {"ReduceSum", 13, adapt_reduction},
    {"ReduceSumSquare", 18, adapt_reduction},
    {"Resize", 11, adapt_resize},
    {"Resize", 13, drop_resize_scales},
    {"RoiAlign", 16, keep_roi_coordinates},
    {"Scan", 9, adapt_scan},
    {"Scatter", 11, [](onnx_moving_node& node) { node.rename("ScatterElements"); }},
    {"Slice", 10, adapt_slice},
    {"Softmax", 13, adapt_flattened_axis},
    {"Split", 13, adapt_split_sizes},
    {"Split", 18, count_split_outputs},
    {"Squeeze", 13, adapt_axes},
    {"TopK", 10, adapt_top_k},
    {"Unsqueeze", 13, adapt_axes},
    {"Upsample", 9, adapt_upsample_scales},
    {"Upsample", 10, [](onnx_moving_node& node) { node.rename("Resize"); }},
};

/// Puts a node through all changes between two operator sets, in their order.
inline void adapt(onnx_moving_node& node, std::int64_t from, std::int64_t to) {
  for (std::int64_t version = from + 1; version <= to; ++version)
    for (const onnx_adapter& row : onnx_adapters)
      if (row.since == version && row.op_type == node.op_type() && node.refusal().empty()) row.adapt(node);
}

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_ADAPTERS_HPP
