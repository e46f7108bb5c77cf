// SPDX-License-Identifier: Apache-2.0
// An ONNX graph as it is quantized: read, layers, match, write; and what is written read again and restored.
#include "ptq/formats/onnx.hpp"
#include "ptq/formats/onnx/restore.hpp"
#include "ptq/model/match.hpp"
#include "target.hpp"

namespace {

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
  std::vector<ptq::activation_range> ranges(layers->layers.size());
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    ranges[i].layer = i;
    ranges[i].scale = 0.5F;
    ranges[i].range = {1.0F, ptq::range_reason::found};
  }
  const std::string path = fuzz::folder() + "/written.onnx";
  auto written = ptq::write_onnx(path, model, *layers, planned, [](const ptq::quantized_layer&) {}, ranges);
  if (!fuzz::succeeded(written) || !fuzz::succeeded(written->commit())) return;
  auto again = ptq::read_onnx(path);
  if (!again) std::fprintf(stderr, "%s\n", again.error().what.c_str());
  fuzz::require(again.has_value(), "what is written can be read");
  static_cast<void>(fuzz::succeeded(ptq::restore_onnx(*std::move(again))));
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto model = ptq::read_onnx(fuzz::bytes_of(data, size), "fuzzed.onnx");
  if (!fuzz::succeeded(model)) return 0;
  write(*model, "int8");
  write(*model, "fp8_e5m2");
  return 0;
}
