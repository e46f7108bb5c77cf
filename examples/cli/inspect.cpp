// SPDX-License-Identifier: Apache-2.0
// ptq inspect: the tensors and layers of a checkpoint or an artifact; the statistics of a calibration.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "command.hpp"
#include "model_file.hpp"
#include "ptq/io/artifact.hpp"
#include "ptq/report/table.hpp"
#include "ptq/report/text.hpp"
#include "statistics.hpp"

namespace cli {
namespace {

/// The classes of a checkpoint's layers by weight name.
std::string class_of(const std::vector<ptq::layer>& layers, const std::string& tensor) {
  for (const ptq::layer& layer : layers)
    if (tensor == layer.name + ".weight") return layer.class_name + (layer.inferred ? "?" : "");
  return {};
}

std::string extents_text(const std::vector<std::size_t>& shape) {
  std::string text;
  for (const std::size_t extent : shape) text += (text.empty() ? "" : " x ") + std::to_string(extent);
  return text.empty() ? "scalar" : text;
}

void print_artifact(const ptq::artifact& made) {
  std::printf("artifact of ptq %s, backend %s, mode %s\n\n", made.version.c_str(), made.backend.c_str(),
              made.mode.c_str());
  using column = ptq::text_table::column;
  constexpr auto right = ptq::text_table::align::right;
  ptq::text_table table({column{"layer"}, column{"class"}, column{"shape"}, column{"dtype"},
                         column{"scale per"}, column{"smallest scale", right}, column{"largest scale", right},
                         column{"input"}, column{"input amax", right}});
  for (const ptq::artifact_layer& layer : made.layers) {
    std::vector<std::string> row{layer.name, layer.class_name, "", "", "", "", "", "", ""};
    if (const auto& w = layer.weights; w && !w->scales.empty()) {
      const auto [least, most] = std::minmax_element(w->scales.begin(), w->scales.end());
      row[2] = ptq::shape_text(w->shape);
      row[3] = w->dtype;
      row[4] = ptq::granularity_text(w->grain);
      row[5] = ptq::short_text(static_cast<double>(*least), 4);
      row[6] = ptq::short_text(static_cast<double>(*most), 4);
    }
    if (const auto& a = layer.activations) {
      row[7] = a->dtype;
      row[8] = ptq::short_text(static_cast<double>(a->amax), 4);
    }
    table.add(row);
  }
  std::printf("%s\n", table.text().c_str());
}

void print_tensors(const ptq::checkpoint& file, const std::vector<ptq::layer>& layers) {
  using column = ptq::text_table::column;
  constexpr auto right = ptq::text_table::align::right;
  ptq::text_table table(
      {column{"tensor"}, column{"type"}, column{"shape"}, column{"bytes", right}, column{"layer class"}});
  std::uint64_t bytes = 0;
  for (const ptq::stored_tensor& tensor : file.tensors()) {
    bytes += tensor.data.size();
    table.add({tensor.name, std::string(ptq::name_of(tensor.type)), extents_text(tensor.shape),
               ptq::bytes_text(tensor.data.size()), class_of(layers, tensor.name)});
  }
  std::printf("%s\n%zu tensors, %s\n", table.text().c_str(), file.tensors().size(),
              ptq::bytes_text(bytes).c_str());
  if (std::any_of(layers.begin(), layers.end(), [](const ptq::layer& l) { return l.inferred; }))
    std::puts("? inferred from name and shape; ptq.module_types says otherwise if need be");
}

nlohmann::json json_of(const ptq::checkpoint& file, const std::vector<ptq::layer>& layers) {
  auto tensors = nlohmann::json::array();
  for (const ptq::stored_tensor& tensor : file.tensors()) {
    tensors.push_back({{"name", tensor.name},
                       {"type", ptq::name_of(tensor.type)},
                       {"shape", tensor.shape},
                       {"bytes", tensor.data.size()}});
  }
  auto classes = nlohmann::json::array();
  for (const ptq::layer& layer : layers)
    classes.push_back({{"name", layer.name}, {"class", layer.class_name}, {"inferred", layer.inferred}});
  return {{"metadata", file.metadata()}, {"tensors", tensors}, {"layers", classes}};
}

int inspect_statistics(const options& given) {
  const auto statistics = ptq::read_statistics(given.files[0]);
  if (!statistics) return fail(given, statistics.error(), failed);
  print_statistics(given, given.files[0], *statistics);
  return done;
}

}  // namespace

int run_inspect(const options& given) {
  const auto file = ptq::open_safetensors(given.files[0]);
  if (!file) return fail(given, file.error(), failed);
  if (ptq::is_statistics(*file)) return inspect_statistics(given);
  const bool is_artifact = ptq::is_artifact(*file);
  // What an artifact says of its layers replaces any guess.
  const std::vector<ptq::layer> layers = is_artifact ? std::vector<ptq::layer>{} : layers_in(*file);
  if (given.json) {
    std::puts(ptq::detail::dump_json(json_of(*file, layers)).c_str());
    return done;
  }
  if (is_artifact) {
    const auto made = ptq::read_artifact(*file);
    if (!made) return fail(given, made.error(), failed);
    print_artifact(*made);
  }
  print_tensors(*file, layers);
  return done;
}

}  // namespace cli
