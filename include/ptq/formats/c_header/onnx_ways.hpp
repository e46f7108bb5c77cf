// SPDX-License-Identifier: Apache-2.0
/// @file onnx_ways.hpp What a graph makes of a layer's output, and what its input was: by the operators that
/// only choose and move numbers.
#ifndef PTQ_FORMATS_C_HEADER_ONNX_WAYS_HPP
#define PTQ_FORMATS_C_HEADER_ONNX_WAYS_HPP

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/formats/c_header/bias_values.hpp"
#include "ptq/formats/c_header/network.hpp"
#include "ptq/formats/onnx/form.hpp"
#include "ptq/formats/onnx/links.hpp"
#include "ptq/formats/onnx/model.hpp"
#include "ptq/formats/onnx/number.hpp"
#include "ptq/formats/onnx/restore.hpp"
#include "ptq/formats/onnx/tensor.hpp"
#include "ptq/model/dtype_row.hpp"

namespace ptq::inline v0_1::detail {

/// Looks into a graph that `restore_onnx` made: where the artifact has a QuantizeLinear and a
/// DequantizeLinear, a slot of a node has a scale.
template <class Policies>
class onnx_ways {
 public:
  onnx_ways(const restored_onnx& file, const onnx_links& links)
      : file_(&file), graph_(&file.model.graph), links_(&links) {}

  /// What quantizes an input of a node; null where nothing does.
  const onnx_rounded_tensor* rounding(std::size_t node, std::size_t slot) const {
    const auto found = file_->inputs.find({node, slot});
    return found != file_->inputs.end() ? &found->second : nullptr;
  }

  /// What becomes of a tensor. Quantizing keeps the order of numbers, so that operators that only choose some
  /// of them, or move them, do the same with codes.
  c_output output(std::string_view tensor) const {
    std::vector<bounded> ends;  // what quantizes it
    std::string floats;         // who uses it otherwise
    std::vector<bounded> open{{tensor, {}, {}, 0}};
    std::map<std::string_view, bounded> seen;
    while (!open.empty()) {
      const bounded at = open.back();
      open.pop_back();
      const auto [before, is_new] = seen.emplace(at.tensor, at);
      if (!is_new && !before->second.is_alike(at)) return unknown("its output is bounded in two ways");
      if (!is_new) continue;
      if (links_->is_output(at.tensor)) floats = "the graph's output \"" + std::string(at.tensor) + "\"";
      for (const onnx_use& use : links_->uses(at.tensor)) {
        if (const onnx_rounded_tensor* const found = rounding(use.node, use.slot)) {
          const dtype_row* const dtype = find_dtype_row<Policies>(found->dtype);
          if (dtype == nullptr || !is_int8_input(*dtype))
            return unknown(node_text(*graph_, use.node) + " takes it as " + found->dtype);
          ends.push_back({{}, at.low, at.high, found->scale});
        } else if (const auto next = behind(use, at)) {
          open.push_back(*next);
        } else {
          floats = node_text(*graph_, use.node);
        }
      }
    }
    return judge(tensor, ends, floats);
  }

  /// A tensor that nobody else uses is the same behind each Sum of it alone.
  std::string_view handed_on(std::string_view tensor) const {
    while (links_->uses(tensor).size() == 1 && !links_->is_output(tensor)) {
      const onnx_node& user = graph_->nodes[links_->uses(tensor).front().node];
      if (!is_sum_of_one(user)) break;
      tensor = user.outputs.front();
    }
    return tensor;
  }

  /// How many channels the images have that are flattened to a tensor; 0 where none are, or it is not known.
  std::size_t flattened(std::string_view tensor) const {
    for (const onnx_node* node = maker(tensor); node != nullptr; node = maker(node->input(0))) {
      if (is_flattening(*node)) return are_channels_first(node->input(0)) ? channels_of(node->input(0)) : 0;
      if (!keeps_shape(*node)) return 0;
    }
    return 0;
  }

 private:
  struct bounded {
    std::string_view tensor;
    std::optional<float> low, high;
    float scale = 0;
    bool is_alike(const bounded& other) const noexcept {
      return scale == other.scale && low == other.low && high == other.high;
    }
  };

  static c_output unknown(std::string reason) {
    c_output made;
    made.reason = std::move(reason);
    return made;
  }

  c_output judge(std::string_view tensor, const std::vector<bounded>& ends, const std::string& floats) const {
    if (ends.empty()) {
      if (quantized_later(tensor))
        return unknown(floats + " takes its output as floats, and what it makes is quantized");
      c_output made = bounds_at_the_end(tensor);
      made.becomes = c_output::kind::numbers;
      return made;
    }
    if (!floats.empty()) return unknown("its output is quantized, and " + floats + " takes it as floats");
    const bounded& first = ends.front();
    for (const bounded& one : ends)
      if (!one.is_alike(first)) return unknown("its output is quantized in two ways");
    return {c_output::kind::codes, first.scale, first.low, first.high, {}};
  }

  /// Of an output that stays floats: the bounds of the operators that are its only users, one after another.
  c_output bounds_at_the_end(std::string_view tensor) const {
    bounded at{tensor, {}, {}, 0};
    while (!links_->is_output(at.tensor) && links_->uses(at.tensor).size() == 1) {
      const auto next = behind(links_->uses(at.tensor).front(), at);
      if (!next) break;
      at = *next;
    }
    c_output made;
    made.low = at.low;
    made.high = at.high;
    return made;
  }

  /// Whether anything that depends on a tensor is quantized.
  bool quantized_later(std::string_view tensor) const {
    std::set<std::string_view> seen{tensor};
    std::vector<std::string_view> open{tensor};
    while (!open.empty()) {
      const std::string_view at = open.back();
      open.pop_back();
      for (const onnx_use& use : links_->uses(at)) {
        if (rounding(use.node, use.slot) != nullptr) return true;
        for (const std::string& output : graph_->nodes[use.node].outputs)
          if (!output.empty() && seen.insert(output).second) open.push_back(output);
      }
    }
    return false;
  }

  /// The output of an operator that chooses among numbers of a tensor, or moves them; nothing of others.
  std::optional<bounded> behind(const onnx_use& use, bounded at) const {
    const onnx_node& node = graph_->nodes[use.node];
    if (!node.is_standard() || (use.slot != 0 && node.op_type != "Concat")) return {};
    if (node.op_type == "Relu")
      clamp(at, 0.0F, std::nullopt);
    else if (node.op_type == "Clip" ? !clip(at, node) : !moves(node))
      return {};
    at.tensor = node.outputs.front();
    return at;
  }

  /// The writer keeps some layers apart from their neighbours by it.
  static bool is_sum_of_one(const onnx_node& node) {
    return node.is_standard() && node.op_type == "Sum" && node.inputs.size() == 1;
  }

  static bool moves(const onnx_node& node) {
    constexpr std::string_view operators[] = {
        "Concat",  "DepthToSpace", "Flatten",      "Gather",  "GlobalMaxPool", "Identity", "MaxPool",
        "Reshape", "Slice",        "SpaceToDepth", "Squeeze", "Transpose",     "Unsqueeze"};
    if (node.op_type == "Dropout") return node.input(2).empty();  // at inference
    if (is_sum_of_one(node)) return true;
    if (node.op_type == "Cast") return is_float(onnx_type(node.integer("to", 0)));
    return std::find(std::begin(operators), std::end(operators), node.op_type) != std::end(operators);
  }

  static void clamp(bounded& at, std::optional<float> low, std::optional<float> high) {
    const auto clamped = [&](float value) {
      if (low && value < *low) value = *low;
      return high && value > *high ? *high : value;
    };
    at.low = at.low ? std::optional(clamped(*at.low)) : low;
    at.high = at.high ? std::optional(clamped(*at.high)) : high;
  }

  bool clip(bounded& at, const onnx_node& node) const {
    std::optional<float> ends[2];
    for (std::size_t i = 0; i < 2; ++i) {
      const onnx_attribute* const old = node.find_attribute(i == 0 ? "min" : "max");
      const std::string_view name = node.input(1 + i);
      if (old != nullptr) ends[i] = old->real;
      if (name.empty()) continue;
      const onnx_tensor* const constant = links_->constant(name);
      const auto values = constant != nullptr ? bias_values(constant->view()) : std::vector<double>();
      if (values.size() != 1 || !(values[0] == values[0])) return false;
      ends[i] = static_cast<float>(values[0]);
    }
    if (ends[0] && ends[1] && *ends[0] > *ends[1]) ends[0] = ends[1];  // as the operator's specification says
    clamp(at, ends[0], ends[1]);
    return true;
  }

  // Images --------------------------------------------------------------------------------------------------

  const onnx_node* maker(std::string_view tensor) const { return links_->producer(tensor, *graph_); }

  static bool is_one_of(const onnx_node& node, std::string_view words) {
    return node.is_standard() && has_listed(words, node.op_type);
  }

  static bool keeps_shape(const onnx_node& node) {
    return is_sum_of_one(node) ||
           is_one_of(node,
                     "Cast Clip Dropout Elu HardSigmoid HardSwish Identity LeakyRelu PRelu Relu Selu Sigmoid "
                     "Softplus Tanh");
  }

  /// As far as the nodes tell by which an image was made: behind a Transpose its axes are others.
  bool are_channels_first(std::string_view tensor) const {
    const onnx_node* node = maker(tensor);
    while (node != nullptr &&
           (keeps_shape(*node) || is_one_of(*node, "Add Concat Div Mul Pad Resize Slice Split Sub Sum"))) {
      const auto varies = [&](const std::string& input) { return links_->constant(input) == nullptr; };
      const auto input = std::find_if(node->inputs.begin(), node->inputs.end(), varies);
      node = input != node->inputs.end() ? maker(*input) : nullptr;
    }
    return node == nullptr || is_one_of(*node,
                                        "AveragePool BatchNormalization Conv ConvTranspose GlobalAveragePool "
                                        "GlobalMaxPool InstanceNormalization LRN MaxPool");
  }

  /// [N, C, H, W] -> [N, C * H * W], as far as the node tells.
  bool is_flattening(const onnx_node& node) const {
    if (is_one_of(node, "Flatten")) return node.integer("axis", 1) == 1;
    if (!is_one_of(node, "Reshape")) return false;
    const onnx_tensor* const shape = links_->constant(node.input(1));
    return shape != nullptr && shape->size() == 2;
  }

  /// Of a tensor of rank 3 or more; 0 where it is not known.
  std::size_t channels_of(std::string_view tensor) const {
    for (;;) {
      if (const onnx_value* const value = declared(tensor); value != nullptr && value->shape) {
        if (value->shape->size() < 3) return 0;
        const auto& channels = (*value->shape)[1].number;
        if (channels && *channels > 0) return static_cast<std::size_t>(*channels);
      }
      const onnx_node* const node = maker(tensor);
      if (node == nullptr) return 0;
      if (is_one_of(*node, "Conv ConvTranspose")) {
        const onnx_tensor* const weight = links_->constant(node->input(1));
        if (weight == nullptr || weight->dims.size() < 3) return 0;
        const bool is_conv = node->op_type == "Conv";
        return weight->dims[is_conv ? 0 : 1] *
               (is_conv ? 1 : static_cast<std::size_t>(node->integer("group", 1)));
      }
      if (!keeps_shape(*node) && !is_one_of(*node,
                                            "AveragePool BatchNormalization GlobalAveragePool GlobalMaxPool "
                                            "InstanceNormalization LRN MaxPool Pad Resize"))
        return 0;
      tensor = node->input(0);
    }
  }

  const onnx_value* declared(std::string_view tensor) const {
    for (const auto* const list : {&graph_->values, &graph_->outputs, &graph_->inputs})
      for (const onnx_value& value : *list)
        if (value.name == tensor) return &value;
    return nullptr;
  }

  const restored_onnx* file_;
  const onnx_graph* graph_;
  const onnx_links* links_;
};

}  // namespace ptq::inline v0_1::detail

#endif  // PTQ_FORMATS_C_HEADER_ONNX_WAYS_HPP
