// SPDX-License-Identifier: Apache-2.0
/// @file model_file.hpp The model that a specification names, open, as layers.
#ifndef PTQ_CLI_MODEL_FILE_HPP
#define PTQ_CLI_MODEL_FILE_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "checkpoint_file.hpp"
#include "ptq/config/spec.hpp"
#include "ptq/file/mapped_file.hpp"
#include "ptq/formats/onnx.hpp"
#include "ptq/model/match.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/result.hpp"
#include "quantized_model.hpp"

namespace cli {

struct onnx_graph_file {
  ptq::onnx_model model;
  ptq::onnx_layers layers;  // look into the model
};

/// A checkpoint (weights by name) or an ONNX graph.
class model_file {
 public:
  static ptq::result<model_file> open(const ptq::spec& spec) {
    model_file opened;
    opened.path_ = ptq::absolute_path(spec.quantize.model_path);
    if (opened.path_.ends_with(".onnx")) {
      auto model = ptq::read_onnx(spec.quantize.model_path);
      if (!model) return model.error();
      auto layers = ptq::layers_of(*model);
      if (!layers) return layers.error();
      if (auto floats = expect_floats(spec, *model, *layers); !floats) return floats.error();
      name_classes(spec.ptq.module_types, *layers);
      opened.onnx_ = onnx_graph_file{*std::move(model), *std::move(layers)};
      return opened;
    }
    auto checkpoint = open_checkpoint(spec.quantize.model_path);
    if (!checkpoint) return checkpoint.error();
    if (auto floats = expect_floats(*checkpoint, opened.path_); !floats) return floats.error();
    opened.checkpoint_ = *std::move(checkpoint);
    opened.layers_ = layers_in(*opened.checkpoint_, spec.ptq.module_types);
    return opened;
  }

  const std::string& path() const noexcept { return path_; }  // absolute
  const ptq::checkpoint* checkpoint() const noexcept { return checkpoint_ ? &*checkpoint_ : nullptr; }
  const onnx_graph_file* onnx() const noexcept { return onnx_ ? &*onnx_ : nullptr; }
  std::span<const ptq::layer> layers() const noexcept {
    return onnx_ ? std::span<const ptq::layer>(onnx_->layers.layers) : std::span<const ptq::layer>(layers_);
  }

  /// All that the model lies in.
  std::span<const ptq::mapped_file> files() const noexcept {
    return onnx_ ? std::span<const ptq::mapped_file>(onnx_->model.files) : checkpoint_->files();
  }

  /// Of all tensors, quantized or not.
  std::uint64_t bytes() const {
    std::uint64_t bytes = 0;
    if (checkpoint_)
      for (const ptq::stored_tensor& tensor : checkpoint_->tensors()) bytes += tensor.data.size();
    if (onnx_) bytes += ptq::bytes_in_bodies(onnx_->model.graph.nodes);
    if (onnx_)
      for (const auto* list : {&onnx_->model.graph.initializers, &onnx_->model.graph.constants})
        for (const ptq::onnx_tensor& tensor : *list) bytes += tensor.data.size();
    return bytes;
  }

  /// Tensors that are no layer's weight.
  std::size_t other_tensors() const {
    if (checkpoint_) return checkpoint_->tensors().size() - layers_.size();
    std::set<std::string_view> weights;  // layers may share one
    for (const ptq::onnx_layer& source : onnx_->layers.sources) weights.insert(source.weight);
    const auto& tensors = onnx_->model.graph.initializers;
    return static_cast<std::size_t>(
        std::count_if(tensors.begin(), tensors.end(),
                      [&](const ptq::onnx_tensor& tensor) { return !weights.contains(tensor.name); }));
  }

 private:
  static void name_classes(const std::map<std::string, std::string>& types, ptq::onnx_layers& layers) {
    for (ptq::layer& layer : layers.layers) {
      auto named = types.find(layer.name);
      for (const std::string& alias : layer.aliases)
        if (named == types.end()) named = types.find(alias);
      if (named == types.end()) continue;
      if (layer.class_name == "Embedding" && named->second != layer.class_name)
        layers.notes.push_back("ptq.module_types: \"" + layer.name +
                               "\" stays Embedding, since its node looks rows up.");
      else
        layer.class_name = named->second;
    }
  }

  std::string path_;
  std::optional<ptq::checkpoint> checkpoint_;
  std::optional<onnx_graph_file> onnx_;
  std::vector<ptq::layer> layers_;  // of the checkpoint
};

/// The plan for a model. Its notes begin with what in the model was not looked into.
///
/// @return axis_out_of_range: a `weights.quant_axis` of the specification is no axis of a weight
inline ptq::result<ptq::plan> plan_for(const ptq::spec& spec, const model_file& model) {
  ptq::plan plan = ptq::match(spec, model.layers());
  if (const auto checked = ptq::check_axes(spec, plan); !checked) return checked.error();
  if (model.onnx() != nullptr)
    plan.notes.insert(plan.notes.begin(), model.onnx()->layers.notes.begin(),
                      model.onnx()->layers.notes.end());
  return plan;
}

/// Whether a graph can be moved to the operator set that the plan needs: found out before any work.
inline ptq::result<void> expect_opset(const model_file& model, const ptq::plan& plan) {
  if (model.onnx() == nullptr) return {};
  return ptq::check_opset(model.onnx()->model, plan);
}

}  // namespace cli

#endif  // PTQ_CLI_MODEL_FILE_HPP
