// SPDX-License-Identifier: Apache-2.0
// An ONNX graph through all that the command does with it: read, layers, match, write, read again, roundings,
// run.
#include "ptq/io/onnx.hpp"
#include "ptq/model/match.hpp"
#include "target.hpp"
#include "tiny_engine/engine.hpp"

namespace {

constexpr std::size_t most_values = 100'000;  // that a graph is run with

ptq::spec spec_of(std::string_view dtype) {
  ptq::spec made;
  made.quantize.backend = "modelopt";
  made.quantize.mode = "static_ptq";
  ptq::rule_config rule;
  rule.module_name = "*";
  rule.weights.emplace().dtype = dtype;
  rule.activations.emplace().dtype = dtype;
  made.quantize.layers.push_back(std::move(rule));
  return made;
}

void write(const ptq::onnx_model& model, std::string_view dtype) {
  const auto layers = ptq::layers_of(model);
  if (!fuzz::succeeded(layers)) return;
  const ptq::plan planned = ptq::match(spec_of(dtype), layers->layers);
  const std::vector<float> scales(layers->layers.size(), 0.5F);
  const std::string path = fuzz::folder() + "/written.onnx";
  auto written = ptq::write_onnx(path, model, *layers, planned, [](const ptq::quantized_layer&) {}, scales);
  if (!fuzz::succeeded(written) || !fuzz::succeeded(written->commit())) return;
  const auto again = ptq::read_onnx(path);
  if (!again) std::fprintf(stderr, "%s\n", again.error().what.c_str());
  fuzz::require(again.has_value(), "what is written can be read");
  const auto links = ptq::links_of(again->graph);
  if (fuzz::succeeded(links)) static_cast<void>(fuzz::succeeded(ptq::roundings_of(again->graph, *links)));
}

void run(const std::uint8_t* data, std::size_t size) {
  auto model = ptq::read_onnx(fuzz::bytes_of(data, size), "fuzzed.onnx");
  if (!model) return;
  auto engine = tiny::engine::load(*std::move(model));
  if (!fuzz::succeeded(engine)) return;
  std::vector<std::vector<std::byte>> memory;
  std::vector<ptq::named_array> inputs;
  for (const ptq::graph_input& input : engine->inputs()) {
    std::vector<std::size_t> extents;
    for (const auto& extent : input.shape.value_or(std::vector<std::optional<std::size_t>>{}))
      extents.push_back(extent.value_or(1));
    if (extents.size() > ptq::max_rank) return;
    std::size_t count = 1;
    for (const std::size_t extent : extents) {
      if (extent > most_values || count * extent > most_values) return;
      count *= extent;
    }
    memory.emplace_back(count * ptq::size_of(input.type) + 1);
    inputs.push_back({input.name, ptq::array_view(memory.back().data(), input.type,
                                                  ptq::tensor_shape(std::span(extents)))});
  }
  const std::vector<std::string> outputs(engine->outputs().begin(), engine->outputs().end());
  const auto ignore = [](const ptq::named_array&) -> ptq::result<void> { return {}; };
  static_cast<void>(fuzz::succeeded(engine->run(inputs, outputs, ignore)));
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto model = ptq::read_onnx(fuzz::bytes_of(data, size), "fuzzed.onnx");
  if (!fuzz::succeeded(model)) return 0;
  write(*model, "int8");
  write(*model, "fp8_e5m2");
  run(data, size);
  return 0;
}
