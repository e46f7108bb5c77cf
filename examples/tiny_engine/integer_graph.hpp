// SPDX-License-Identifier: Apache-2.0
/// @file integer_graph.hpp Makes of a Q/DQ graph what firmware computes: integers alone, from the codes of
/// the input to the last layer.
///
/// Between layers every tensor is int8 codes, with the scale of the QuantizeLinear that it reaches. A layer
/// adds an int32 bias to its int32 sum and requantizes by an int32 multiplier and a shift a channel. The
/// last layer reaches no QuantizeLinear: it is requantized to int32, all channels with the scale of the one
/// whose scale is largest.
#ifndef TINY_ENGINE_INTEGER_GRAPH_HPP
#define TINY_ENGINE_INTEGER_GRAPH_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "integer_layers.hpp"
#include "operators.hpp"
#include "operators/fixed_point.hpp"
#include "ptq/core.hpp"
#include "ptq/formats/onnx/links.hpp"
#include "ptq/formats/onnx/model.hpp"
#include "ptq/text/name_map.hpp"
#include "tensor.hpp"

namespace tiny {

/// One int32 for each output channel, as the exported C header has them.
struct requantization {
  std::vector<std::int32_t> bias, multiplier, shift;

  /// Multiplier and shift stand for the real factor x scale * w scale / y scale; the bias counts in units of
  /// x scale * w scale, rounded half away from zero.
  void add(double x_scale, double w_scale, double y_scale, double real_bias) {
    const double unit = x_scale * w_scale;
    const ptq::multiplier_shift factor = ptq::from_scale(unit / y_scale);
    const double rounded = std::round(real_bias / unit);
    using limits = std::numeric_limits<std::int32_t>;
    bias.push_back(static_cast<std::int32_t>(
        std::clamp(rounded, static_cast<double>(limits::min()), static_cast<double>(limits::max()))));
    multiplier.push_back(factor.multiplier);
    shift.push_back(factor.shift);
  }
};

/// What a node of the graph becomes.
struct integer_step {
  operator_function run;
  std::vector<std::string_view> inputs;
  std::optional<requantization> layer;  ///< three more inputs
};

/// The operators whose elements stay what they are.
inline bool is_movement(const ptq::onnx_node& node) {
  if (!node.is_standard()) return false;
  if (node.op_type == "Sum") return node.inputs.size() == 1;
  constexpr std::string_view names[] = {"Flatten", "Identity", "Reshape", "Transpose"};
  return std::find(std::begin(names), std::end(names), node.op_type) != std::end(names);
}

/// Goes through the nodes in their order.
class integer_graph {
 public:
  integer_graph(const ptq::onnx_graph& graph, const ptq::onnx_links& links) : graph_(graph), links_(links) {}

  /// The step of a node that depends on the graph's inputs.
  ///
  /// @param find_constant gives a `const tensor*` for the name of a tensor, null where it is no constant
  /// @return unsupported, with the reason why it cannot be computed in integers
  template <class FindConstant>
  result<integer_step> step_of(const ptq::onnx_node& node, FindConstant&& find_constant) {
    if (is_layer(node)) return layer_step(node, find_constant);
    if (node.is_standard() && node.op_type == "QuantizeLinear") return quantize_step(node);
    if (node.is_standard() && node.op_type == "DequantizeLinear") return dequantize_step(node);
    if (is_movement(node)) return movement_step(node, find_operator(node));
    if (is_comparison(node)) return comparison_step(node);
    if (added_.contains(node.outputs.front())) return added_step(node);
    return refusal("this operator computes in float.");
  }

  /// The scale of a tensor that is held as integers where the graph has floats: float = integer * scale.
  std::optional<float> scale_of(std::string_view name) const {
    const float* const found = scales_.find(name);
    return found != nullptr ? std::optional(*found) : std::nullopt;
  }

 private:
  static bool is_layer(const ptq::onnx_node& node) {
    return node.is_standard() &&
           (node.op_type == "Conv" || node.op_type == "Gemm" || node.op_type == "MatMul");
  }
  /// Integers are compared as what they stand for.
  static bool is_comparison(const ptq::onnx_node& node) {
    return node.is_standard() && (node.op_type == "MaxPool" || node.op_type == "Relu");
  }
  static bool is_scale(float value) { return value > 0 && std::isfinite(value); }
  static error refusal(const std::string& why) { return unsupported("not in integer arithmetic: " + why); }

  // Layers --------------------------------------------------------------------------------------------------

  template <class FindConstant>
  result<integer_step> layer_step(const ptq::onnx_node& node, FindConstant&& find_constant) {
    const auto found = find_integer_layer(node, graph_, links_);
    if (!found) return why_no_integers(node);
    const ptq::onnx_tensor& weight = *links_.constant(found->inputs[2]);
    const std::size_t axis = output_axis(node);
    const std::size_t channels = weight.dims[axis];
    const ptq::onnx_node* const adder = node.op_type == "MatMul" ? adder_of(node, find_constant) : nullptr;
    const std::string& output = (adder != nullptr ? *adder : node).outputs.front();
    const auto bias = bias_of(bias_name(node, adder), channels, find_constant);
    if (!bias) return bias.error();
    const auto w_scales = find_constant(found->inputs[3])->floats();
    const float x_scale = find_constant(found->inputs[1])->floats()[0];
    const auto w_scale = [&](std::size_t c) { return w_scales[w_scales.size() == 1 ? 0 : c]; };

    const auto wanted = wanted_scale(output);
    if (!wanted) return wanted.error();
    double largest = 0;
    for (const float scale : w_scales)
      largest = std::max(largest, static_cast<double>(x_scale) * static_cast<double>(scale));
    const float y_scale = wanted->value_or(static_cast<float>(largest));
    if (!is_scale(x_scale) || !is_scale(y_scale) || !std::all_of(w_scales.begin(), w_scales.end(), is_scale))
      return refusal("a scale of the layer is no positive number.");
    requantization made;
    for (std::size_t c = 0; c < channels; ++c)
      made.add(static_cast<double>(x_scale), static_cast<double>(w_scale(c)), static_cast<double>(y_scale),
               static_cast<double>((*bias)[c]));
    if (auto fits = check_sums(*find_constant(found->inputs[2]), axis, made.bias); !fits) return fits.error();
    scales_.add(node.outputs.front(), y_scale);
    if (!*wanted) sums_.add(node.outputs.front());
    if (adder != nullptr) added_.add(output);
    return integer_step{
        layer_function(node, wanted->has_value()), {found->inputs[0], found->inputs[2]}, std::move(made)};
  }

  static operator_function layer_function(const ptq::onnx_node& node, bool makes_codes) {
    if (node.op_type == "Conv") return makes_codes ? fixed_conv<std::int8_t> : fixed_conv<std::int32_t>;
    if (node.op_type == "Gemm") return makes_codes ? fixed_gemm<std::int8_t> : fixed_gemm<std::int32_t>;
    return makes_codes ? fixed_matmul<std::int8_t> : fixed_matmul<std::int32_t>;
  }

  error why_no_integers(const ptq::onnx_node& node) const {
    const auto is_coded = [&](std::size_t slot) {
      const auto source = int8_source::of(node.input(slot), graph_, links_);
      return source && (slot == 1 || source->scale_values->size() == 1);
    };
    if (!is_coded(0)) return refusal("the layer's input is not int8 codes with zero point 0 and one scale.");
    if (!is_coded(1) || links_.constant(int8_source::of(node.input(1), graph_, links_)->codes) == nullptr)
      return refusal("the layer's weights are not constant int8 codes with zero point 0.");
    return refusal("the layer's attributes, or the axis of its weights' scales, need float.");
  }

  /// The axis of a weight that counts output channels.
  static std::size_t output_axis(const ptq::onnx_node& node) {
    const bool is_first =
        node.op_type == "Conv" || (node.op_type == "Gemm" && node.integer("transB", 0) != 0);
    return is_first ? 0 : 1;
  }

  /// The Add that gives a MatMul its bias: nobody else sees what was there before. Null if there is none.
  template <class FindConstant>
  const ptq::onnx_node* adder_of(const ptq::onnx_node& node, FindConstant&& find_constant) const {
    const std::string& output = node.outputs.front();
    const auto uses = links_.uses(output);
    if (uses.size() != 1 || uses[0].slot > 1 || links_.is_output(output)) return nullptr;
    const ptq::onnx_node& user = graph_.nodes[uses[0].node];
    const bool is_adder = user.is_standard() && user.op_type == "Add" && user.inputs.size() == 2;
    return is_adder && find_constant(user.input(1 - uses[0].slot)) != nullptr ? &user : nullptr;
  }

  static std::string_view bias_name(const ptq::onnx_node& node, const ptq::onnx_node* adder) {
    if (adder != nullptr) return adder->input(adder->input(0) == node.outputs.front() ? 1 : 0);
    return node.op_type == "MatMul" ? std::string_view() : node.input(2);
  }

  template <class FindConstant>
  static result<std::vector<float>> bias_of(std::string_view name, std::size_t channels,
                                            FindConstant&& find_constant) {
    std::vector<float> bias(channels);
    if (name.empty()) return bias;
    const tensor* const given = find_constant(name);
    if (given == nullptr || given->type != element_type::float32)
      return refusal("the layer's bias is no float32 constant.");
    const bool is_row = given->shape.rank > 0 && given->shape[given->shape.rank - 1] == channels;
    const bool is_one = given->size() == 1;
    if (given->shape.rank > 2 || (!is_one && (given->size() != channels || !is_row)))
      return refusal("the layer's bias is not one number for each output channel.");
    for (std::size_t c = 0; c < channels; ++c) bias[c] = given->floats()[is_one ? 0 : c];
    if (!std::all_of(bias.begin(), bias.end(), [](float b) { return std::isfinite(b); }))
      return refusal("the layer's bias is not finite.");
    return bias;
  }

  /// Firmware sums in int32: the largest magnitude of each channel must fit, whatever the input.
  static result<void> check_sums(const tensor& weight, std::size_t axis, std::span<const std::int32_t> bias) {
    std::vector<std::int64_t> largest(bias.size());
    const auto magnitude = [](std::int64_t x) { return x < 0 ? -x : x; };
    for (std::size_t c = 0; c < bias.size(); ++c) largest[c] = magnitude(bias[c]);
    const auto codes = weight.as<std::int8_t>();
    for_each_channel(weight.shape, ptq::per_channel(axis), [&](std::size_t i, std::size_t channel) {
      largest[channel] += 128 * magnitude(codes[i]);
    });
    for (std::size_t c = 0; c < bias.size(); ++c)
      if (largest[c] > std::numeric_limits<std::int32_t>::max())
        return refusal("bias and sum of output channel " + std::to_string(c) + " can exceed int32.");
    return {};
  }

  /// The scale of the QuantizeLinear that a tensor reaches through operators that compute on its codes;
  /// nothing if it goes to the graph's outputs alone.
  result<std::optional<float>> wanted_scale(std::string_view name) const {
    std::optional<float> scale;
    std::vector<std::string_view> open{name};
    while (!open.empty()) {
      const std::string_view tensor = open.back();
      open.pop_back();
      for (const ptq::onnx_use& use : links_.uses(tensor)) {
        const ptq::onnx_node& user = graph_.nodes[use.node];
        if (use.slot == 0 && (is_movement(user) || is_comparison(user))) {
          open.push_back(user.outputs.front());
          continue;
        }
        const auto found = use.slot == 0 ? scale_of_quantizer(user) : std::nullopt;
        if (!found)
          return refusal("\"" + std::string(tensor) + "\" is used by " + ptq::node_text(graph_, use.node) +
                         ", which takes no int8 codes with zero point 0 and one scale.");
        if (scale && *scale != *found)
          return refusal("\"" + std::string(name) + "\" is quantized by two different scales.");
        scale = found;
      }
    }
    return scale;
  }

  /// Of a QuantizeLinear to int8 with zero point 0.
  std::optional<float> scale_of_quantizer(const ptq::onnx_node& node) const {
    if (!node.is_standard() || node.op_type != "QuantizeLinear") return {};
    const ptq::onnx_tensor* const scale = links_.constant(node.input(1));
    if (scale == nullptr || scale->type != element_type::float32 || scale->size() != 1) return {};
    const ptq::onnx_tensor* const zero = links_.constant(node.input(2));
    const bool is_int8 = node.input(2).empty()
                             ? node.integer("output_dtype", 0) == ptq::onnx_number(element_type::int8)
                             : zero != nullptr && zero->type == element_type::int8 &&
                                   std::all_of(zero->data.begin(), zero->data.end(),
                                               [](std::byte b) { return b == std::byte{}; });
    if (!is_int8) return {};
    float value = 0;
    std::memcpy(&value, scale->data.data(), sizeof value);
    return value;
  }

  // Between layers ------------------------------------------------------------------------------------------

  /// Codes stay what they are; only the graph's input is still to be encoded.
  result<integer_step> quantize_step(const ptq::onnx_node& node) {
    const auto held = scale_of(node.input(0));
    const auto scale = scale_of_quantizer(node);
    if (!scale) return refusal("codes other than int8 with zero point 0 and one constant scale.");
    if (!held) return integer_step{quantize_linear, {node.input(0), node.input(1), node.input(2)}, {}};
    if (*held != *scale) return refusal("codes of one scale are quantized by another.");
    return integer_step{int8_codes, {node.input(0)}, {}};
  }

  result<integer_step> dequantize_step(const ptq::onnx_node& node) {
    const auto source = int8_source::of(node.outputs.front(), graph_, links_);
    if (!source || source->scale_values->size() != 1)
      return refusal("codes other than int8 with zero point 0 and one constant scale.");
    float scale = 0;
    std::memcpy(&scale, source->scale_values->data.data(), sizeof scale);
    scales_.add(node.outputs.front(), scale);
    return integer_step{int8_codes, {node.input(0)}, {}};
  }

  result<integer_step> movement_step(const ptq::onnx_node& node, operator_function run) {
    pass_on(node);
    return integer_step{run, {node.inputs.begin(), node.inputs.end()}, {}};
  }

  result<integer_step> comparison_step(const ptq::onnx_node& node) {
    if (!scale_of(node.input(0))) return refusal("it takes floats: nothing before it is quantized.");
    const bool are_sums = sums_.contains(node.input(0));
    const bool is_relu = node.op_type == "Relu";
    pass_on(node);
    const operator_function by_codes = is_relu ? fixed_relu<std::int8_t> : max_pool_of<std::int8_t>;
    const operator_function by_sums = is_relu ? fixed_relu<std::int32_t> : max_pool_of<std::int32_t>;
    return integer_step{are_sums ? by_sums : by_codes, {node.input(0)}, {}};
  }

  /// The bias of a MatMul is in its sum already.
  result<integer_step> added_step(const ptq::onnx_node& node) {
    const std::size_t slot = scale_of(node.input(0)) ? 0 : 1;
    pass_on(node, slot);
    return integer_step{identity, {node.input(slot)}, {}};
  }

  void pass_on(const ptq::onnx_node& node, std::size_t slot = 0) {
    const auto scale = scale_of(node.input(slot));
    if (!scale) return;
    scales_.add(node.outputs.front(), *scale);
    if (sums_.contains(node.input(slot))) sums_.add(node.outputs.front());
  }

  const ptq::onnx_graph& graph_;
  const ptq::onnx_links& links_;
  ptq::name_map<float> scales_;         // of tensors held as integers
  ptq::name_map<ptq::no_value> sums_;   // those of them that are int32
  ptq::name_map<ptq::no_value> added_;  // outputs of an Add whose bias a layer has in its sum
};

}  // namespace tiny

#endif  // TINY_ENGINE_INTEGER_GRAPH_HPP
