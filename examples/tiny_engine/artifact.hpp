// SPDX-License-Identifier: Apache-2.0
/// @file artifact.hpp A checkpoint's artifact has codes and scales, but no graph: this puts them into the
/// graph of the float model.
#ifndef TINY_ENGINE_ARTIFACT_HPP
#define TINY_ENGINE_ARTIFACT_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "operators/product.hpp"
#include "ptq/config/words.hpp"
#include "ptq/formats/onnx/code_names.hpp"
#include "ptq/formats/onnx/layers.hpp"
#include "ptq/formats/onnx/model.hpp"
#include "ptq/model/artifact_views.hpp"
#include "ptq/text/name_map.hpp"
#include "ptq/text/shape_text.hpp"
#include "tensor.hpp"

namespace tiny {

inline std::optional<element_type> type_of(std::string_view dtype) {
  for (const element_type type : {element_type::int8, element_type::fp8_e4m3fn, element_type::fp8_e5m2})
    if (ptq::name_of(type) == dtype) return type;
  return {};
}

/// Edits the plain structs of a model, one layer after the other.
class artifact_inserter {
 public:
  explicit artifact_inserter(ptq::onnx_model& model) : model_(model), before_(model.graph.nodes.size()) {}

  /// `source` says where the layer is in the graph, `original` what it was.
  result<void> insert(const ptq::artifact_layer& layer, const ptq::onnx_layer& source,
                      const ptq::layer& original) {
    if (layer.weights)
      if (auto done = replace_weight(*layer.weights, source, original); !done) return done;
    if (layer.activations)
      for (std::size_t i = 0; i < source.calls.size(); ++i)
        if (auto done =
                quantize_input(*layer.activations, layer.name + "." + std::to_string(i), source.calls[i]);
            !done)
          return done;
    return {};
  }

  /// Puts the new nodes in front of those that use them.
  void finish() {
    std::vector<ptq::onnx_node> nodes = std::move(first_);
    for (std::size_t i = 0; i < before_.size(); ++i) {
      for (ptq::onnx_node& node : before_[i]) nodes.push_back(std::move(node));
      nodes.push_back(std::move(model_.graph.nodes[i]));
    }
    model_.graph.nodes = std::move(nodes);
  }

 private:
  /// The constant becomes codes, and a DequantizeLinear makes the tensor of its name.
  result<void> replace_weight(const ptq::artifact_weights& weights, const ptq::onnx_layer& source,
                              const ptq::layer& original) {
    const auto type = type_of(weights.dtype);
    if (!type) return error(errc::unsupported, "", "weights of dtype \"" + weights.dtype + "\".");
    // PyTorch's Linear has [out, in]; a graph may have it transposed.
    const bool is_transposed = original.class_name == "Linear" && original.output_axis == std::size_t{1};
    std::vector<std::size_t> dims(
        weights.shape.extents.begin(),
        weights.shape.extents.begin() + static_cast<std::ptrdiff_t>(weights.shape.rank));
    std::vector<std::byte> codes(weights.codes.begin(), weights.codes.end());
    std::size_t axis = weights.grain.axis;
    if (is_transposed && dims.size() == 2) {
      transpose_matrix(weights.codes.data(), codes.data(), dims[0], dims[1]);
      std::swap(dims[0], dims[1]);
      axis = 1 - axis;
    }
    if (shape(std::span<const std::size_t>(dims)) != original.weight.shape)
      return error(errc::size_mismatch, "",
                   "the artifact's weight is " + ptq::extents_text(weights.shape) + ", the graph's " +
                       ptq::extents_text(original.weight.shape) + ": they are of different models.");
    const std::string coded = ptq::codes_name(source.weight);
    const bool is_whole = !weights.grain.is_per_channel();
    const auto scales = constant_floats(ptq::scale_name(source.weight), weights.scales, is_whole);
    const auto is_weight = [&](const auto& named) { return named.name == source.weight; };
    std::erase_if(model_.graph.initializers, is_weight);
    std::erase_if(model_.graph.constants, is_weight);
    std::erase_if(model_.graph.inputs, is_weight);  // old files list initializers there, too
    model_.graph.initializers.push_back(constant(coded, *type, std::move(dims), std::move(codes)));
    place(linear("DequantizeLinear", {coded, scales}, source.weight, axis));
    return {};
  }

  /// In the place of the Constant that made the tensor until now, if one did; else in front of all nodes.
  void place(ptq::onnx_node node) {
    for (ptq::onnx_node& old : model_.graph.nodes)
      if (old.outputs == node.outputs) {
        old = std::move(node);
        return;
      }
    first_.push_back(std::move(node));
  }

  /// QuantizeLinear and DequantizeLinear in front of a layer.
  result<void> quantize_input(const ptq::artifact_activations& input, const std::string& name,
                              const ptq::onnx_call& call) {
    const auto type = type_of(input.dtype);
    if (!type) return error(errc::unsupported, "", "activations of dtype \"" + input.dtype + "\".");
    const auto scale = constant_floats(name + ".input_scale", {&input.scale, 1}, true);
    const std::string zero = name + ".input_zero_point";
    model_.graph.initializers.push_back(constant(zero, *type, {}, std::vector<std::byte>(1)));
    std::string& slot = model_.graph.nodes[call.node].inputs[call.input];
    auto& before = before_[call.node];
    before.push_back(linear("QuantizeLinear", {slot, scale, zero}, name + ".input_quantized", 0));
    before.push_back(
        linear("DequantizeLinear", {name + ".input_quantized", scale, zero}, name + ".input", 0));
    slot = name + ".input";
    return {};
  }

  ptq::onnx_tensor constant(const std::string& name, element_type type, std::vector<std::size_t> dims,
                            std::vector<std::byte> bytes) {
    ptq::onnx_tensor tensor;
    tensor.name = name;
    tensor.type = type;
    tensor.dims = std::move(dims);
    tensor.data = model_.decoded.emplace_back(std::move(bytes));
    return tensor;
  }

  std::string constant_floats(const std::string& name, std::span<const float> values, bool is_scalar) {
    const auto bytes = std::as_bytes(values);
    std::vector<std::size_t> dims;
    if (!is_scalar) dims.push_back(values.size());
    model_.graph.initializers.push_back(
        constant(name, element_type::float32, std::move(dims), {bytes.begin(), bytes.end()}));
    return name;
  }

  static ptq::onnx_node linear(const char* op_type, std::vector<std::string> inputs, std::string output,
                               std::size_t axis) {
    ptq::onnx_node node;
    node.name = output;
    node.op_type = op_type;
    node.inputs = std::move(inputs);
    node.outputs = {std::move(output)};
    ptq::onnx_attribute attribute;
    attribute.name = "axis";
    attribute.kind = ptq::onnx_attribute::type::integer;
    attribute.integer = static_cast<std::int64_t>(axis);
    node.attributes.push_back(std::move(attribute));
    return node;
  }

  ptq::onnx_model& model_;
  std::vector<ptq::onnx_node> first_;                // weights: they need nothing else
  std::vector<std::vector<ptq::onnx_node>> before_;  // for each node of the graph
};

/// The float model with the layers of its artifact quantized, as a Q/DQ graph.
///
/// @return tensor_not_found for a layer that the graph does not have; size_mismatch, unsupported
inline result<ptq::onnx_model> with_artifact(ptq::onnx_model model, const ptq::artifact& quantized) {
  const auto layers = ptq::layers_of(model);
  if (!layers) return layers.error();
  std::vector<std::string_view> names;
  ptq::name_map<std::size_t> numbers;
  for (const ptq::layer& layer : layers->layers) {
    numbers.add(layer.name, names.size());
    names.emplace_back(layer.name);
  }
  artifact_inserter inserter(model);
  for (const ptq::artifact_layer& layer : quantized.layers) {
    const std::string where = "layer \"" + layer.name + "\"";
    const std::size_t* const at = numbers.find(layer.name);
    if (at == nullptr)
      return error(errc::tensor_not_found, where, "the graph has no such layer.",
                   ptq::nearest_word(layer.name, names));
    if (auto done = inserter.insert(layer, layers->sources[*at], layers->layers[*at]); !done)
      return done.error().in(where);
  }
  inserter.finish();
  return model;
}

}  // namespace tiny

#endif  // TINY_ENGINE_ARTIFACT_HPP
