// SPDX-License-Identifier: Apache-2.0
/// @file openvino_faults.hpp The operators that OpenVINO (2026.4) computes otherwise than ONNX defines them,
/// found beside ONNX Runtime (tests/engine/engines_test.py): refused, since nobody would notice the numbers.
#ifndef PTQ_ENGINE_OPENVINO_FAULTS_HPP
#define PTQ_ENGINE_OPENVINO_FAULTS_HPP

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ptq/formats/onnx/model.hpp"

namespace ptq::inline v0_1 {
namespace detail {

inline bool has_same_padding(const onnx_node& node) {
  const onnx_attribute* const padding = node.find_attribute("auto_pad");
  return padding != nullptr && padding->text.starts_with("SAME");
}

/// Whether, rounded up, a window may begin behind the image: there are more strides than the last window
/// covers. ONNX leaves such windows out.
inline bool may_begin_in_padding(const onnx_node& pool) {
  const auto kernel = pool.integers("kernel_shape");
  const auto entry = [&](std::string_view name, std::size_t i, std::int64_t otherwise) {
    const std::span<const std::int64_t> list = pool.integers(name);
    return i < list.size() ? list[i] : otherwise;
  };
  for (std::size_t i = 0; i < kernel.size(); ++i) {
    const std::int64_t covered = (kernel[i] - 1) * entry("dilations", i, 1) + 1;
    if (entry("pads", kernel.size() + i, 0) + entry("strides", i, 1) > covered) return true;
  }
  return false;
}

/// Whether the padding holds a whole window, which has no maximum.
inline bool has_windows_in_padding(const onnx_node& pool) {
  const auto kernel = pool.integers("kernel_shape");
  const auto dilations = pool.integers("dilations");
  const auto pads = pool.integers("pads");
  for (std::size_t i = 0; i < pads.size() && !kernel.empty(); ++i) {
    const std::size_t axis = i % kernel.size();
    const std::int64_t dilation = axis < dilations.size() ? dilations[axis] : 1;
    if (pads[i] > (kernel[axis] - 1) * dilation) return true;
  }
  return false;
}

inline std::string_view pooling_fault(const onnx_node& node) {
  if (node.op_type == "MaxPool" && has_windows_in_padding(node)) return "a window that lies in the padding";
  if (node.integer("ceil_mode", 0) == 0) return {};  // rounded down
  if (node.op_type == "LpPool") return "ceil_mode = 1";
  if (node.op_type == "AveragePool" && node.integer("count_include_pad", 0) != 0)
    return "ceil_mode = 1 with count_include_pad = 1";
  if (node.op_type == "MaxPool" && may_begin_in_padding(node))
    return "ceil_mode = 1 with windows that may begin in the padding";
  return {};
}

/// Before opset 13 the axes from `axis` on are one.
inline std::string_view softmax_fault(const onnx_node& node, std::int64_t opset,
                                      std::optional<std::size_t> rank) {
  if (opset >= 13) return {};
  const std::int64_t axis = node.integer("axis", 1);
  const bool is_last = axis == -1 || (rank && axis == static_cast<std::int64_t>(*rank) - 1);
  return is_last ? "" : "before opset 13, along another axis than the last";
}

}  // namespace detail

/// What OpenVINO gets wrong about a node, in words; empty where nothing is known.
///
/// @param rank of its output, if it is known
inline std::string_view find_openvino_fault(const onnx_node& node, std::int64_t opset,
                                            std::optional<std::size_t> rank) {
  if (!node.is_standard()) return {};
  const std::string_view op = node.op_type;
  if (op.ends_with("Pool")) return detail::pooling_fault(node);
  if (op == "Softmax" || op == "LogSoftmax" || op == "Hardmax")
    return detail::softmax_fault(node, opset, rank);
  if (op == "ConvTranspose" && detail::has_same_padding(node)) return "auto_pad";
  if (op == "ConvTranspose" && !node.integers("output_shape").empty()) return "output_shape";
  if ((op == "LSTM" || op == "GRU" || op == "RNN") && !node.input(4).empty()) return "sequence_lens";
  if (op == "ReduceLogSum" && node.integer("noop_with_empty_axes", 0) != 0) return "noop_with_empty_axes = 1";
  if (op == "Resize" && node.integer("antialias", 0) != 0) return "antialias = 1";
  if (op == "Resize" && node.integer("exclude_outside", 0) != 0) return "exclude_outside = 1";
  if (op == "RoiAlign") return "its samples";
  return {};
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_ENGINE_OPENVINO_FAULTS_HPP
