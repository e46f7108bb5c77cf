// SPDX-License-Identifier: Apache-2.0
// ptq inspect: the tensors and layers of a checkpoint, an artifact or an ONNX model; the statistics of a
// calibration.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "checkpoint_file.hpp"
#include "command.hpp"
#include "onnx_file.hpp"
#include "output.hpp"
#include "ptq/formats/checkpoint/read_artifact.hpp"
#include "ptq/report/json.hpp"
#include "ptq/report/text.hpp"
#include "ptq/text/table.hpp"
#include "statistics.hpp"

namespace cli {
namespace {

struct listed_tensor {
  std::string name;
  std::string type;
  std::vector<std::size_t> shape;
  std::size_t bytes = 0;
};

struct listed_weights {
  std::string dtype;
  ptq::granularity grain;
  float smallest_scale = 0;
  float largest_scale = 0;
};

struct listed_input {
  std::string dtype;
  float scale = 0;
  std::optional<float> amax;  // artifacts store it
};

struct listed_layer {
  std::string name;
  std::string class_name;
  bool inferred = false;
  ptq::layer_origin origin;
  std::optional<ptq::tensor_shape> shape;  // of the weight
  std::optional<listed_weights> weights;   // where they are quantized
  std::optional<listed_input> input;
};

/// What a file holds, whatever its format.
struct listing {
  std::string title;
  nlohmann::json about;
  std::vector<listed_layer> layers;
  std::vector<listed_tensor> tensors;
};

listed_weights list_weights(const ptq::artifact_weights& weights) {
  listed_weights listed{weights.dtype, weights.grain, 0, 0};
  if (weights.scales.empty()) return listed;
  const auto [least, most] = std::minmax_element(weights.scales.begin(), weights.scales.end());
  listed.smallest_scale = *least;
  listed.largest_scale = *most;
  return listed;
}

/// What an artifact says of its layers replaces any guess.
std::vector<listed_layer> list_layers(const ptq::artifact& made) {
  std::vector<listed_layer> layers;
  for (const ptq::artifact_layer& layer : made.layers) {
    listed_layer listed{layer.name, layer.class_name, false, {}, {}, {}, {}};
    if (layer.weights) {
      listed.shape = layer.weights->shape;
      listed.weights = list_weights(*layer.weights);
    }
    if (const auto& input = layer.activations)
      listed.input = listed_input{input->dtype, input->scale, input->amax};
    layers.push_back(std::move(listed));
  }
  return layers;
}

std::vector<listed_layer> list_layers(const ptq::checkpoint& file) {
  std::vector<listed_layer> layers;
  for (const ptq::layer& layer : layers_in(file))
    layers.push_back(
        {layer.name, layer.class_name, layer.inferred, layer.origin, layer.weight.shape, {}, {}});
  return layers;
}

std::vector<listed_layer> list_layers(const onnx_file& file) {
  std::vector<listed_layer> layers;
  for (std::size_t i = 0; i < file.layers.layers.size(); ++i) {
    const ptq::layer& layer = file.layers.layers[i];
    const ptq::onnx_layer& source = file.layers.sources[i];
    listed_layer listed{layer.name, layer.class_name, layer.inferred, layer.origin, {}, {}, {}};
    if (!source.weight.empty()) listed.shape = layer.weight.shape;
    if (const auto coded = file.coded.find(source.weight); coded != file.coded.end())
      listed.weights = list_weights(coded->second.view());
    if (const auto input = file.inputs.find({source.calls.front().node, source.calls.front().input});
        input != file.inputs.end())
      listed.input = listed_input{input->second.dtype, input->second.scale, {}};
    layers.push_back(std::move(listed));
  }
  return layers;
}

ptq::result<listing> list(const ptq::checkpoint& file) {
  listing found{{}, {{"metadata", file.metadata()}}, {}, {}};
  if (ptq::is_artifact(file)) {
    const auto made = ptq::read_artifact(file);
    if (!made) return made.error();
    found.title = ptq::printable("artifact of ptq " + made->version + ", backend " + made->backend +
                                 ", mode " + made->mode) +
                  "\n";
    found.layers = list_layers(*made);
  } else {
    found.layers = list_layers(file);
  }
  for (const ptq::stored_tensor& tensor : file.tensors())
    found.tensors.push_back({tensor.name, tensor.type_name, tensor.shape, tensor.data.size()});
  return found;
}

/// "float32[batch, 1, 28, 28]"
std::string value_text(const ptq::onnx_value& value) {
  std::string text = ptq::onnx_word(value.type);
  if (!value.shape) return text;
  std::string extents;
  for (const ptq::onnx_extent& extent : *value.shape)
    extents += (extents.empty() ? "" : ", ") + (extent.number           ? std::to_string(*extent.number)
                                                : extent.symbol.empty() ? "?"
                                                                        : extent.symbol);
  return text + "[" + extents + "]";
}

listing list(const onnx_file& file) {
  const ptq::onnx_model& model = file.model;
  listing found{"ONNX model, operator set " + std::to_string(model.opset()) + ", IR version " +
                    std::to_string(model.ir_version) +
                    (model.producer.empty() ? "" : ", made by " + ptq::printable(model.producer)) + "\n",
                {{"opset", model.opset()}, {"ir_version", model.ir_version}, {"producer", model.producer}},
                list_layers(file),
                {}};
  std::set<std::string_view> stored;
  for (const ptq::onnx_tensor& tensor : file.stored) {
    stored.insert(tensor.name);
    found.tensors.push_back({tensor.name, ptq::onnx_word(tensor.type), tensor.dims, tensor.data.size()});
  }
  for (const auto& [title, values] :
       {std::pair("inputs", &model.graph.inputs), std::pair("outputs", &model.graph.outputs)}) {
    auto& rows = found.about[title] = nlohmann::json::array();
    for (const ptq::onnx_value& value : *values) {
      if (stored.contains(value.name)) continue;  // the default of an input
      rows.push_back({{"name", value.name}, {"type", value_text(value)}});
      const std::string noun(title, std::string_view(title).size() - 1);  // "input"
      found.title += ptq::printable(noun + " " + value.name + ": " + value_text(value)) + "\n";
    }
  }
  return found;
}

std::string extents_text(const std::vector<std::size_t>& shape) {
  std::string text;
  for (const std::size_t extent : shape) text += (text.empty() ? "" : " x ") + std::to_string(extent);
  return text.empty() ? "scalar" : text;
}

std::string scale_text(float scale) {
  return ptq::short_text(static_cast<double>(scale), 4);
}

/// The columns of quantization only where something is quantized.
ptq::text_table table_of(const std::vector<listed_layer>& layers) {
  using column = ptq::text_table::column;
  constexpr auto right = ptq::text_table::align::right;
  std::vector<column> columns{column{"layer"}};
  const bool has_names = ptq::has_graph_names(layers);
  if (has_names) columns.push_back(column{"in the graph"});
  columns.insert(columns.end(), {column{"class"}, column{"shape"}});
  const bool has_weights = std::ranges::any_of(layers, [](const auto& l) { return l.weights.has_value(); });
  const bool has_inputs = std::ranges::any_of(layers, [](const auto& l) { return l.input.has_value(); });
  if (has_weights)
    columns.insert(columns.end(), {column{"dtype"}, column{"scale per"}, column{"smallest scale", right},
                                   column{"largest scale", right}});
  const bool has_amax =
      std::ranges::any_of(layers, [](const auto& l) { return l.input && l.input->amax.has_value(); });
  if (has_inputs) columns.insert(columns.end(), {column{"input"}, column{"input scale", right}});
  if (has_amax) columns.push_back(column{"input amax", right});
  ptq::text_table table(columns);
  for (const listed_layer& layer : layers) {
    std::vector<std::string> row{layer.name};
    if (has_names) row.push_back(ptq::graph_name_text(layer.origin));
    row.insert(row.end(), {ptq::class_text(layer), layer.shape ? ptq::shape_text(*layer.shape) : "-"});
    if (const auto& w = layer.weights)
      row.insert(row.end(), {w->dtype, ptq::granularity_text(w->grain), scale_text(w->smallest_scale),
                             scale_text(w->largest_scale)});
    else if (has_weights)
      row.insert(row.end(), 4, "-");
    if (const auto& input = layer.input)
      row.insert(row.end(), {input->dtype, scale_text(input->scale)});
    else if (has_inputs)
      row.insert(row.end(), 2, "-");
    if (has_amax) row.push_back(layer.input && layer.input->amax ? scale_text(*layer.input->amax) : "-");
    table.add(row);
  }
  return table;
}

void print_listing(const listing& found) {
  if (!found.title.empty()) print(found.title + "\n");
  const bool has_inferred =
      std::ranges::any_of(found.layers, [](const listed_layer& l) { return l.inferred; });
  if (const auto layers = table_of(found.layers); !layers.empty())
    print(layers.text() + ptq::inferred_text(has_inferred) + ptq::made_up_text(found.layers) + "\n");
  using column = ptq::text_table::column;
  ptq::text_table table(
      {column{"tensor"}, column{"type"}, column{"shape"}, column{"bytes", ptq::text_table::align::right}});
  std::uint64_t bytes = 0;
  for (const listed_tensor& tensor : found.tensors) {
    bytes += tensor.bytes;
    table.add({tensor.name, tensor.type, extents_text(tensor.shape), ptq::bytes_text(tensor.bytes)});
  }
  print(table.text() + "\n" + ptq::counted(found.tensors.size(), "tensor") + ", " + ptq::bytes_text(bytes) +
        "\n");
}

nlohmann::json json_of(const listed_layer& layer) {
  nlohmann::json row = {{"name", layer.name}, {"class", layer.class_name}, {"inferred", layer.inferred},
                        {"shape", nullptr},   {"weights", nullptr},        {"activations", nullptr}};
  ptq::add_origin(row, layer.origin);
  if (layer.shape) row["shape"] = ptq::extents_of(*layer.shape);
  if (const auto& w = layer.weights) {
    row["weights"] = {
        {"dtype", w->dtype}, {"smallest_scale", w->smallest_scale}, {"largest_scale", w->largest_scale}};
    ptq::add_granularity(row["weights"], w->grain);
  }
  if (const auto& input = layer.input)
    row["activations"] = {
        {"dtype", input->dtype}, {"scale", input->scale}, {"amax", ptq::optional_json(input->amax)}};
  return row;
}

nlohmann::json json_of(const listing& found) {
  nlohmann::json report = found.about;
  auto& layers = report["layers"] = nlohmann::json::array();
  for (const listed_layer& layer : found.layers) layers.push_back(json_of(layer));
  auto& tensors = report["tensors"] = nlohmann::json::array();
  for (const listed_tensor& tensor : found.tensors)
    tensors.push_back(
        {{"name", tensor.name}, {"type", tensor.type}, {"shape", tensor.shape}, {"bytes", tensor.bytes}});
  return report;
}

int show(const options& given, const listing& found) {
  if (given.json)
    print_json(json_of(found));
  else
    print_listing(found);
  return done;
}

int inspect_statistics(const options& given) {
  const auto statistics = ptq::read_statistics(given.files[0]);
  if (!statistics) return fail(given, statistics.error(), failed);
  print_statistics(given, given.files[0], *statistics);
  return done;
}

int inspect_onnx(const options& given) {
  const auto file = open_onnx(given.files[0]);
  if (!file) return fail(given, file.error(), failed);
  print_notes(file->notes);
  return show(given, list(*file));
}

}  // namespace

int run_inspect(const options& given) {
  if (given.files[0].ends_with(".onnx")) return inspect_onnx(given);
  const auto file = open_checkpoint(given.files[0]);
  if (!file) return fail(given, file.error(), failed);
  if (ptq::is_statistics(*file)) return inspect_statistics(given);
  const auto found = list(*file);
  return found ? show(given, *found) : fail(given, found.error(), failed);
}

}  // namespace cli
