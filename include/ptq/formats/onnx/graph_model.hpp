// SPDX-License-Identifier: Apache-2.0
/// @file graph_model.hpp An ONNX model open for quantizing, and what it holds.
#ifndef PTQ_FORMATS_ONNX_GRAPH_MODEL_HPP
#define PTQ_FORMATS_ONNX_GRAPH_MODEL_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "ptq/config/spec.hpp"
#include "ptq/file/mapped_file.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats/concept.hpp"
#include "ptq/formats/contents.hpp"
#include "ptq/formats/onnx/code_types.hpp"
#include "ptq/formats/onnx/declared.hpp"
#include "ptq/formats/onnx/expect_floats.hpp"
#include "ptq/formats/onnx/layers.hpp"
#include "ptq/formats/onnx/model.hpp"
#include "ptq/formats/onnx/number.hpp"
#include "ptq/formats/onnx/restore.hpp"
#include "ptq/formats/onnx/tensor.hpp"
#include "ptq/model/layer.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/policies.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

/// A graph and its layers. A model of `open_model`.
class onnx_graph_model {
 public:
  /// @param found the layers of the model
  onnx_graph_model(onnx_model opened, onnx_layers found)
      : path_(absolute_path(opened.file)),
        model_(std::move(opened)),
        layers_(std::move(found)),
        graph_{declared_inputs(model_.graph), declared_outputs(model_.graph)} {}

  const std::string& path() const noexcept { return path_; }
  const onnx_model& onnx() const noexcept { return model_; }
  const onnx_layers& found() const noexcept { return layers_; }
  std::span<const mapped_file> files() const noexcept { return model_.files; }
  std::span<const layer> layers() const noexcept { return layers_.layers; }
  std::span<const std::string> notes() const noexcept { return layers_.notes; }

  std::uint64_t bytes() const {
    std::uint64_t bytes = bytes_in_bodies(model_.graph.nodes);
    for (const auto* list : {&model_.graph.initializers, &model_.graph.constants})
      for (const onnx_tensor& tensor : *list) bytes += tensor.data.size();
    return bytes;
  }

  std::size_t other_tensors() const {
    std::unordered_set<std::string_view> weights;  // layers may share one
    for (const onnx_layer& source : layers_.sources) weights.insert(source.weight);
    const auto& tensors = model_.graph.initializers;
    return static_cast<std::size_t>(std::count_if(
        tensors.begin(), tensors.end(), [&](const auto& tensor) { return !weights.contains(tensor.name); }));
  }

  const model_graph* graph() const noexcept { return &graph_; }
  fed_layers fed(const plan& planned) const { return fed_layers_of(model_.graph, layers_, planned); }

  /// Layers are called by their names and aliases. A node that looks rows up stays what it is.
  void name_classes(const class_map& classes) {
    for (layer& one : layers_.layers) {
      auto named = classes.find(one.name);
      for (const std::string& alias : one.aliases)
        if (named == classes.end()) named = classes.find(alias);
      if (named == classes.end()) continue;
      if (one.class_name == "Embedding" && named->second != one.class_name)
        layers_.notes.push_back("ptq.module_types: \"" + one.name +
                                "\" stays Embedding, since its node looks rows up.");
      else
        one.class_name = named->second;
    }
  }

  /// Codes elsewhere in the graph do no harm: they count only at layers that a rule quantizes.
  ///
  /// @return unsupported, with the names that keep the rules off
  result<void> expect_floats(const quantize_config& config) {
    return ptq::expect_floats(config, model_, layers_);
  }

  onnx_model release() { return std::move(model_); }

 private:
  std::string path_;
  onnx_model model_;
  onnx_layers layers_;
  model_graph graph_;
};

namespace detail {

/// "float32[batch, 1, 28, 28]"
inline std::string value_text(const onnx_value& value) {
  std::string text = onnx_word(value.type);
  if (!value.shape) return text;
  std::string extents;
  for (const onnx_extent& extent : *value.shape)
    extents += (extents.empty() ? "" : ", ") + (extent.number           ? std::to_string(*extent.number)
                                                : extent.symbol.empty() ? "?"
                                                                        : extent.symbol);
  return text + "[" + extents + "]";
}

/// Without those that have a value in the file: the defaults of inputs.
inline std::vector<listed_value> list_values(const std::vector<onnx_value>& values,
                                             const std::set<std::string_view>& stored) {
  std::vector<listed_value> listed;
  for (const onnx_value& value : values)
    if (!stored.contains(value.name)) listed.push_back({value.name, value_text(value)});
  return listed;
}

inline std::vector<listed_layer> list_layers(const restored_onnx& file) {
  std::vector<listed_layer> layers;
  for (std::size_t i = 0; i < file.layers.layers.size(); ++i) {
    const layer& one = file.layers.layers[i];
    const onnx_layer& source = file.layers.sources[i];
    listed_layer listed{one.name, one.class_name, one.inferred, one.origin, {}, {}, {}};
    if (!source.weight.empty()) listed.shape = one.weight.shape;
    if (const auto coded = file.coded.find(source.weight); coded != file.coded.end())
      listed.weights = coded->second.view();
    if (const auto input = file.inputs.find({source.calls.front().node, source.calls.front().input});
        input != file.inputs.end())
      listed.input = listed_input{input->second.dtype, input->second.scale, {}};
    layers.push_back(std::move(listed));
  }
  return layers;
}

inline std::vector<model_tensor> list_tensors(const restored_onnx& file) {
  std::map<std::string_view, std::string_view> layers;  // by the name of their weight
  for (std::size_t i = 0; i < file.layers.layers.size(); ++i)
    layers.emplace(file.layers.sources[i].weight, file.layers.layers[i].name);
  const onnx_graph& graph = file.model.graph;
  std::map<std::string_view, std::uint64_t> copies;  // their bytes, by the weight
  for (const auto* list : {&graph.initializers, &graph.constants})
    for (const onnx_tensor& tensor : *list)
      if (const auto copy = file.copies.find(tensor.name); copy != file.copies.end())
        copies[copy->second] += tensor.data.size();
  std::vector<model_tensor> tensors;
  for (const auto* list : {&graph.initializers, &graph.constants}) {
    for (const onnx_tensor& tensor : *list) {
      if (file.copies.contains(tensor.name)) continue;
      const auto named = layers.find(tensor.name);
      model_tensor& added =
          tensors.emplace_back(model_tensor{tensor.name,
                                            named != layers.end() ? std::string(named->second) : tensor.name,
                                            onnx_word(tensor.type),
                                            tensor.dims,
                                            tensor.data,
                                            tensor.view(),
                                            {},
                                            0});
      const auto coded = file.coded.find(tensor.name);
      if (coded == file.coded.end()) continue;
      added.weights = coded->second.view();
      added.type = added.weights->dtype;
      added.data = added.weights->codes;
      added.copy = copies[tensor.name];
    }
  }
  return tensors;
}

}  // namespace detail

/// What an ONNX model holds, in terms of the float model that it stands for.
///
/// @tparam Policies has the dtypes of artifacts
/// @return what `layers_of` returns for that
template <class Policies = builtin>
result<model_contents> contents_of(onnx_graph_model&& model) {
  auto restored = restore_onnx(model.release(), onnx_code_types_of<Policies>());
  if (!restored) return restored.error();
  const auto file = std::make_shared<const restored_onnx>(*std::move(restored));
  const onnx_model& source = file->model;
  model_contents found;
  found.headline = "ONNX model, operator set " + std::to_string(source.opset()) + ", IR version " +
                   std::to_string(source.ir_version) +
                   (source.producer.empty() ? "" : ", made by " + source.producer);
  found.facts = {{"opset", source.opset()}, {"ir_version", source.ir_version}, {"producer", source.producer}};
  std::set<std::string_view> stored;
  for (const onnx_tensor& tensor : file->stored) {
    stored.insert(tensor.name);
    found.stored.push_back({tensor.name, onnx_word(tensor.type), tensor.dims, tensor.data.size()});
  }
  found.inputs = detail::list_values(source.graph.inputs, stored);
  found.outputs = detail::list_values(source.graph.outputs, stored);
  found.layers = detail::list_layers(*file);
  found.tensors = detail::list_tensors(*file);
  found.notes = file->notes;
  found.files = source.files;
  found.owner = file;
  return found;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_GRAPH_MODEL_HPP
