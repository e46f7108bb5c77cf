// SPDX-License-Identifier: Apache-2.0
/// @file onnx_file.hpp An open ONNX model, float or quantized, as the layers of its float form.
#ifndef PTQ_CLI_ONNX_FILE_HPP
#define PTQ_CLI_ONNX_FILE_HPP

#include <algorithm>
#include <cstddef>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/file/path.hpp"
#include "ptq/formats/onnx.hpp"
#include "ptq/model/artifact_views.hpp"
#include "ptq/result.hpp"
#include "ptq/text/printable.hpp"

namespace cli {

/// A weight that is stored as codes.
struct coded_weight {
  ptq::onnx_tensor codes;
  std::string dtype;
  ptq::granularity grain;
  std::vector<float> scales;

  ptq::artifact_weights view() const {
    return {dtype, ptq::tensor_shape(std::span<const std::size_t>(codes.dims)), grain, codes.data, scales};
  }
};

/// The graph is the one that was quantized: QuantizeLinear and DequantizeLinear are taken out, and layers
/// have the names that they had. Weights that are stored as codes have a shape there, but no data.
struct onnx_file {
  ptq::onnx_model model;
  std::vector<ptq::onnx_tensor> stored;       // as they are in the file
  std::map<std::string, coded_weight> coded;  // by the name of the float weight
  std::map<std::pair<std::size_t, std::size_t>, ptq::onnx_rounded_tensor> inputs;  // by node and slot
  std::map<std::string, std::string> copies;  // weights that stay as floats too: by the copy
  ptq::onnx_layers layers;                    // of the graph
  std::vector<std::string> notes;
};

namespace detail {

/// Takes out of a graph what `roundings_of` found in it.
class onnx_restorer {
 public:
  onnx_restorer(onnx_file& file, ptq::onnx_roundings made) : file_(&file), graph_(&file.model.graph) {
    for (const ptq::onnx_tensor& tensor : file.stored) {
      taken_.insert(tensor.name);
      stored_.emplace(tensor.name, &tensor);
    }
    for (ptq::onnx_coded_constant& constant : made.constants) add_weight(std::move(constant));
    for (ptq::onnx_rounded_tensor& tensor : made.tensors) {
      renamed_[tensor.rounded] = tensor.source;
      rounded_.emplace(tensor.rounded, std::move(tensor));
    }
  }

  void restore() {
    std::set<std::string> removed;  // what only the nodes that go use
    std::erase_if(graph_->nodes, [&](const ptq::onnx_node& node) {
      if (!goes(node)) return false;
      removed.insert(node.inputs.begin(), node.inputs.end());
      return true;
    });
    note_inputs();
    const auto rename = [&](std::string& name) {
      if (const auto source = renamed_.find(name); source != renamed_.end()) name = source->second;
      removed.erase(name);
    };
    for (ptq::onnx_node& node : graph_->nodes) {
      for (std::string& name : node.inputs) rename(name);
      for (std::string& name : node.outputs) rename(name);  // a Constant that makes a copy
      for (ptq::onnx_attribute& attribute : node.attributes)
        for (ptq::onnx_body& body : attribute.bodies)
          for (std::string& name : body.captures) rename(name);
    }
    for (ptq::onnx_value& output : graph_->outputs) rename(output.name);
    const auto goes = [&](const ptq::onnx_tensor& tensor) { return removed.contains(tensor.name); };
    std::erase_if(graph_->initializers, goes);
    for (auto* list : {&graph_->initializers, &graph_->constants})
      for (ptq::onnx_tensor& tensor : *list) rename(tensor.name);
    for (const auto& [name, weight] : file_->coded) {
      ptq::onnx_tensor tensor = weight.codes;
      tensor.name = name;
      tensor.type = ptq::element_type::float32;
      tensor.data = {};
      graph_->initializers.push_back(std::move(tensor));
    }
  }

 private:
  void add_weight(ptq::onnx_coded_constant constant) {
    std::string name = coded_name(constant.codes->name);
    if (!taken_.insert(name).second && !set_copy_aside(name, *constant.codes)) name = constant.name;
    renamed_[constant.name] = name;
    file_->coded.emplace(
        name, coded_weight{*constant.codes, constant.dtype, constant.grain, std::move(constant.scales)});
  }

  /// The weight that our writer made codes of: they are NAME_quantized, or NAME_quantized_2 where that was
  /// taken.
  static std::string coded_name(std::string_view codes) {
    constexpr std::string_view suffix = "_quantized";
    const std::size_t end = codes.rfind(suffix);
    if (end == codes.npos) return std::string(codes);
    const std::string_view number = codes.substr(end + suffix.size());
    const bool is_ours = number.empty() || (number.size() > 1 && number.front() == '_' &&
                                            number.find_first_not_of("0123456789", 1) == number.npos);
    return std::string(is_ours ? codes.substr(0, end) : codes);
  }

  /// A weight that others need as floats is there twice: the copy gets another name, so that the layer has
  /// the one that it had.
  bool set_copy_aside(const std::string& name, const ptq::onnx_tensor& codes) {
    const auto stored = stored_.find(name);
    const bool is_copy =
        stored != stored_.end() && stored->second->dims == codes.dims && stored->second->view().has_floats();
    std::string copy = name;
    copy.insert(name.ends_with(".weight") ? name.rfind('.') : name.size(),
                " (floats)");  // the layer has it, too
    if (!is_copy || !taken_.insert(copy).second) return false;
    renamed_[name] = copy;
    file_->copies.emplace(copy, name);
    file_->notes.push_back("\"" + ptq::printable(name) +
                           "\" is there as floats, too: nodes that are not quantized use it.");
    return true;
  }

  /// Every QuantizeLinear, and each DequantizeLinear whose output has another name now.
  bool goes(const ptq::onnx_node& node) const {
    return node.is_standard() && (node.op_type == "QuantizeLinear" ||
                                  (node.op_type == "DequantizeLinear" && !node.outputs.empty() &&
                                   renamed_.contains(node.outputs[0])));
  }

  /// Halves come as floats to QuantizeLinear: a Cast may stand between it and the layer.
  void note_inputs() {
    for (std::size_t i = 0; i < graph_->nodes.size(); ++i) {
      const ptq::onnx_node& node = graph_->nodes[i];
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

  onnx_file* file_;
  ptq::onnx_graph* graph_;
  std::set<std::string> taken_;
  std::map<std::string_view, const ptq::onnx_tensor*> stored_;
  std::map<std::string, std::string> renamed_;
  std::map<std::string, ptq::onnx_rounded_tensor> rounded_;
};

}  // namespace detail

/// A model that is quantized in another way than ours is taken as it is, with a note.
inline ptq::result<onnx_file> restore_onnx(ptq::onnx_model model) {
  onnx_file opened{std::move(model), {}, {}, {}, {}, {}, {}};
  const ptq::onnx_graph& graph = opened.model.graph;
  for (const auto* list : {&graph.initializers, &graph.constants})
    opened.stored.insert(opened.stored.end(), list->begin(), list->end());
  const auto links = ptq::links_of(graph);
  if (!links) return links.error().in(ptq::absolute_path(opened.model.file));
  if (auto made = ptq::roundings_of(graph, *links))
    detail::onnx_restorer(opened, *std::move(made)).restore();
  else
    opened.notes.push_back(made.error().what);
  auto layers = ptq::layers_of(opened.model);
  if (!layers) return layers.error();
  opened.layers = *std::move(layers);
  return opened;
}

inline ptq::result<onnx_file> open_onnx(const std::string& path) {
  auto model = ptq::read_onnx(path);
  if (!model) return model.error();
  return restore_onnx(*std::move(model));
}

}  // namespace cli

#endif  // PTQ_CLI_ONNX_FILE_HPP
