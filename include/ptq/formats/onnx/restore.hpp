// SPDX-License-Identifier: Apache-2.0
/// @file restore.hpp An ONNX model, float or quantized, as the layers of its float form: takes out what
/// edit.hpp puts in.
#ifndef PTQ_FORMATS_ONNX_RESTORE_HPP
#define PTQ_FORMATS_ONNX_RESTORE_HPP

#include <algorithm>
#include <cstddef>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/backend/recipe.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats/onnx/code_names.hpp"
#include "ptq/formats/onnx/code_types.hpp"
#include "ptq/formats/onnx/layers.hpp"
#include "ptq/formats/onnx/links.hpp"
#include "ptq/formats/onnx/model.hpp"
#include "ptq/formats/onnx/rounding.hpp"
#include "ptq/formats/onnx/tensor.hpp"
#include "ptq/model/artifact_views.hpp"
#include "ptq/numeric/element_type.hpp"
#include "ptq/result.hpp"
#include "ptq/text/printable.hpp"

namespace ptq::inline v0_1 {

/// A weight that is stored as codes.
struct onnx_coded_tensor {
  onnx_tensor codes;
  std::string dtype;
  granularity grain;
  std::vector<float> scales;

  artifact_weights view() const {
    return {dtype, tensor_shape(std::span<const std::size_t>(codes.dims)), grain, codes.data, scales};
  }
};

/// The graph is the one that was quantized: QuantizeLinear and DequantizeLinear are taken out, and layers
/// have the names that they had. Weights that are stored as codes have a shape there, but no data.
struct restored_onnx {
  onnx_model model;
  std::vector<onnx_tensor> stored;                 // as they are in the file
  std::map<std::string, onnx_coded_tensor> coded;  // by the name of the float weight
  std::map<std::pair<std::size_t, std::size_t>, onnx_rounded_tensor> inputs;  // by node and slot
  std::map<std::string, std::string> copies;  // weights that stay as floats too: by the copy
  onnx_layers layers;                         // of the graph
  std::vector<std::string> notes;
};

namespace detail {

/// Takes out of a graph what `roundings_of` found in it.
class onnx_restorer {
 public:
  onnx_restorer(restored_onnx& file, onnx_roundings made) : file_(&file), graph_(&file.model.graph) {
    for (const onnx_tensor& tensor : file.stored) {
      taken_.insert(tensor.name);
      stored_.emplace(tensor.name, &tensor);
    }
    for (onnx_coded_constant& constant : made.constants) add_weight(std::move(constant));
    for (onnx_rounded_tensor& tensor : made.tensors) {
      renamed_[tensor.rounded] = tensor.source;
      rounded_.emplace(tensor.rounded, std::move(tensor));
    }
  }

  void restore() {
    std::set<std::string> removed;  // what only the nodes that go use
    std::erase_if(graph_->nodes, [&](const onnx_node& node) {
      if (!goes(node)) return false;
      removed.insert(node.inputs.begin(), node.inputs.end());
      return true;
    });
    note_inputs();
    const auto rename = [&](std::string& name) {
      if (const auto source = renamed_.find(name); source != renamed_.end()) name = source->second;
      removed.erase(name);
    };
    for (onnx_node& node : graph_->nodes) {
      for (std::string& name : node.inputs) rename(name);
      for (std::string& name : node.outputs) rename(name);  // a Constant that makes a copy
      for (onnx_attribute& attribute : node.attributes)
        for (onnx_body& body : attribute.bodies)
          for (std::string& name : body.captures) rename(name);
    }
    for (onnx_value& output : graph_->outputs) rename(output.name);
    const auto goes = [&](const onnx_tensor& tensor) { return removed.contains(tensor.name); };
    std::erase_if(graph_->initializers, goes);
    for (auto* list : {&graph_->initializers, &graph_->constants})
      for (onnx_tensor& tensor : *list) rename(tensor.name);
    for (const auto& [name, weight] : file_->coded) {
      onnx_tensor tensor = weight.codes;
      tensor.name = name;
      tensor.type = element_type::float32;
      tensor.data = {};
      graph_->initializers.push_back(std::move(tensor));
    }
  }

 private:
  void add_weight(onnx_coded_constant constant) {
    std::string name(tensor_of_codes(constant.codes->name));
    if (!taken_.insert(name).second && !set_copy_aside(name, *constant.codes)) name = constant.name;
    renamed_[constant.name] = name;
    file_->coded.emplace(
        name, onnx_coded_tensor{*constant.codes, constant.dtype, constant.grain, std::move(constant.scales)});
  }

  /// A weight that others need as floats is there twice: the copy gets another name, so that the layer has
  /// the one that it had.
  bool set_copy_aside(const std::string& name, const onnx_tensor& codes) {
    const auto stored = stored_.find(name);
    const bool is_copy =
        stored != stored_.end() && stored->second->dims == codes.dims && stored->second->view().has_floats();
    std::string copy = name;
    copy.insert(name.ends_with(".weight") ? name.rfind('.') : name.size(),
                " (floats)");  // the layer has it, too
    if (!is_copy || !taken_.insert(copy).second) return false;
    renamed_[name] = copy;
    file_->copies.emplace(copy, name);
    file_->notes.push_back("\"" + printable(name) +
                           "\" is there as floats, too: nodes that are not quantized use it.");
    return true;
  }

  /// Every QuantizeLinear, and each DequantizeLinear whose output has another name now.
  bool goes(const onnx_node& node) const {
    return node.is_standard() && (node.op_type == "QuantizeLinear" ||
                                  (node.op_type == "DequantizeLinear" && !node.outputs.empty() &&
                                   renamed_.contains(node.outputs[0])));
  }

  /// Halves come as floats to QuantizeLinear: a Cast may stand between it and the layer.
  void note_inputs() {
    for (std::size_t i = 0; i < graph_->nodes.size(); ++i) {
      const onnx_node& node = graph_->nodes[i];
      for (std::size_t slot = 0; slot < node.inputs.size(); ++slot) {
        const auto found = rounded_.find(node.inputs[slot]);
        if (found == rounded_.end()) continue;
        if (node.is_standard() && node.op_type == "Cast" && !node.outputs.empty())
          rounded_.emplace(node.outputs[0], found->second);
        else
          file_->inputs.emplace(std::pair(i, slot), found->second);
      }
    }
  }

  restored_onnx* file_;
  onnx_graph* graph_;
  std::set<std::string> taken_;
  std::map<std::string_view, const onnx_tensor*> stored_;
  std::map<std::string, std::string> renamed_;
  std::map<std::string, onnx_rounded_tensor> rounded_;
};

}  // namespace detail

/// A model that is quantized in another way than ours is taken as it is, with a note.
///
/// @param types of the dtypes that its artifact may have
inline result<restored_onnx> restore_onnx(onnx_model model,
                                          const onnx_code_types& types = onnx_code_types_of<>()) {
  restored_onnx opened{std::move(model), {}, {}, {}, {}, {}, {}};
  const onnx_graph& graph = opened.model.graph;
  for (const auto* list : {&graph.initializers, &graph.constants})
    opened.stored.insert(opened.stored.end(), list->begin(), list->end());
  const auto links = links_of(graph);
  if (!links) return links.error().in(absolute_path(opened.model.file));
  if (auto made = roundings_of(graph, *links, types))
    detail::onnx_restorer(opened, *std::move(made)).restore();
  else
    opened.notes.push_back(made.error().what);
  auto layers = layers_of(opened.model);
  if (!layers) return layers.error();
  opened.layers = *std::move(layers);
  return opened;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_RESTORE_HPP
