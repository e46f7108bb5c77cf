// SPDX-License-Identifier: Apache-2.0
// ptq inspect: the tensors and layers of a checkpoint, an artifact or an ONNX model; the statistics of a
// calibration.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "command.hpp"
#include "output.hpp"
#include "ptq/report/json.hpp"
#include "ptq/report/text.hpp"
#include "ptq/text/table.hpp"
#include "statistics.hpp"

namespace cli {
namespace {

/// The least and the largest scale of a weight.
std::pair<float, float> range_of(std::span<const float> scales) {
  if (scales.empty()) return {0.0F, 0.0F};
  const auto [least, most] = std::minmax_element(scales.begin(), scales.end());
  return {*least, *most};
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
ptq::text_table table_of(const std::vector<ptq::listed_layer>& layers) {
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
  for (const ptq::listed_layer& layer : layers) {
    std::vector<std::string> row{layer.name};
    if (has_names) row.push_back(ptq::graph_name_text(layer.origin));
    row.insert(row.end(), {ptq::class_text(layer), layer.shape ? ptq::shape_text(*layer.shape) : "-"});
    if (const auto& w = layer.weights) {
      const auto [least, most] = range_of(w->scales);
      row.insert(row.end(), {w->dtype, ptq::granularity_text(w->grain), scale_text(least), scale_text(most)});
    } else if (has_weights) {
      row.insert(row.end(), 4, "-");
    }
    if (const auto& input = layer.input)
      row.insert(row.end(), {input->dtype, scale_text(input->scale)});
    else if (has_inputs)
      row.insert(row.end(), 2, "-");
    if (has_amax) row.push_back(layer.input && layer.input->amax ? scale_text(*layer.input->amax) : "-");
    table.add(row);
  }
  return table;
}

void print_listing(const ptq::model_contents& found) {
  std::string title = found.headline.empty() ? "" : ptq::printable(found.headline) + "\n";
  for (const auto& [noun, values] :
       {std::pair("input ", &found.inputs), std::pair("output ", &found.outputs)})
    if (*values)
      for (const ptq::listed_value& value : **values)
        title += ptq::printable(noun + value.name + ": " + value.type) + "\n";
  if (!title.empty()) print(title + "\n");
  const bool has_inferred =
      std::ranges::any_of(found.layers, [](const ptq::listed_layer& l) { return l.inferred; });
  if (const auto layers = table_of(found.layers); !layers.empty())
    print(layers.text() + ptq::inferred_text(has_inferred) + ptq::made_up_text(found.layers) + "\n");
  using column = ptq::text_table::column;
  ptq::text_table table(
      {column{"tensor"}, column{"type"}, column{"shape"}, column{"bytes", ptq::text_table::align::right}});
  std::uint64_t bytes = 0;
  for (const ptq::listed_tensor& tensor : found.stored) {
    bytes += tensor.bytes;
    table.add({tensor.name, tensor.type, extents_text(tensor.shape), ptq::bytes_text(tensor.bytes)});
  }
  print(table.text() + "\n" + ptq::counted(found.stored.size(), "tensor") + ", " + ptq::bytes_text(bytes) +
        "\n");
}

nlohmann::json json_of(const ptq::listed_layer& layer) {
  nlohmann::json row = {{"name", layer.name}, {"class", layer.class_name}, {"inferred", layer.inferred},
                        {"shape", nullptr},   {"weights", nullptr},        {"activations", nullptr}};
  ptq::add_origin(row, layer.origin);
  if (layer.shape) row["shape"] = ptq::extents_of(*layer.shape);
  if (const auto& w = layer.weights) {
    const auto [least, most] = range_of(w->scales);
    row["weights"] = {{"dtype", w->dtype}, {"smallest_scale", least}, {"largest_scale", most}};
    ptq::add_granularity(row["weights"], w->grain);
  }
  if (const auto& input = layer.input)
    row["activations"] = {
        {"dtype", input->dtype}, {"scale", input->scale}, {"amax", ptq::optional_json(input->amax)}};
  return row;
}

nlohmann::json json_of(const ptq::model_contents& found) {
  auto report = nlohmann::json::object();
  for (const auto& [key, fact] : found.facts)
    std::visit([&](const auto& value) { report[key] = value; }, fact);
  if (found.metadata) report["metadata"] = *found.metadata;
  for (const auto& [key, values] :
       {std::pair("inputs", &found.inputs), std::pair("outputs", &found.outputs)}) {
    if (!*values) continue;
    auto& rows = report[key] = nlohmann::json::array();
    for (const ptq::listed_value& value : **values)
      rows.push_back({{"name", value.name}, {"type", value.type}});
  }
  auto& layers = report["layers"] = nlohmann::json::array();
  for (const ptq::listed_layer& layer : found.layers) layers.push_back(json_of(layer));
  auto& tensors = report["tensors"] = nlohmann::json::array();
  for (const ptq::listed_tensor& tensor : found.stored)
    tensors.push_back(
        {{"name", tensor.name}, {"type", tensor.type}, {"shape", tensor.shape}, {"bytes", tensor.bytes}});
  return report;
}

int show(const options& given, const ptq::model_contents& found) {
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

}  // namespace

int run_inspect(const options& given) {
  auto file = ptq::model_file::open(given.files[0], given.checkpoint);
  if (!file) return fail(given, file.error(), failed);
  const auto found = (*std::move(file)).contents();
  if (!found) return fail(given, found.error(), failed);
  if (found->metadata && ptq::is_statistics(*found->metadata)) return inspect_statistics(given);
  print_notes(found->notes);
  return show(given, *found);
}

}  // namespace cli
