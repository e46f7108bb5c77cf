// SPDX-License-Identifier: Apache-2.0
// An inference engine of its own, into which the ptq headers were dropped: it runs a digit classifier in
// float, has it calibrated and quantized in memory, and runs the codes. The engine is in tiny_engine/.
#include "tiny_engine/engine.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ptq/data/samples.hpp"
#include "ptq/engine/accuracy.hpp"
#include "ptq/formats/numpy/npy.hpp"
#include "ptq/ptq.hpp"
#include "tiny_engine/artifact.hpp"

namespace {

using ptq::result;

constexpr ptq::list<ptq::npy> formats;
const std::string folder = "models/lenet-digits/";

ptq::data_config images(const std::string& file) {
  ptq::data_config data;
  data.inputs[""] = folder + file;
  data.scale = {1.0 / 255};
  return data;
}

/// Runs all samples of a file; `sink` gets each wanted tensor, sample by sample.
template <ptq::array_sink Sink>
result<void> run_all(tiny::engine& engine, const ptq::data_config& data, std::span<const std::string> wanted,
                     Sink&& sink) {
  auto samples = ptq::samples::open(data, engine.inputs(), formats);
  if (!samples) return samples.error();
  for (;;) {
    const auto batch = samples->next();
    if (!batch) return batch.error();
    if (batch->empty()) return {};
    if (auto done = engine.run(*batch, wanted, sink); !done) return done;
  }
}

result<std::vector<float>> logits_of(tiny::engine& engine) {
  std::vector<float> logits;
  const auto done = run_all(engine, images("test_images.npy"), engine.outputs(),
                            [&](const ptq::named_array& made) -> result<void> {
                              const auto* const first = made.array.as<float>().data;
                              logits.insert(logits.end(), first, first + made.array.size());
                              return {};
                            });
  if (!done) return done.error();
  return logits;
}

/// The rules: every Conv2d and Linear layer.
ptq::spec rules(const char* backend, const char* mode, const char* weights, const char* activations) {
  ptq::spec wanted;
  wanted.quantize.backend = backend;
  wanted.quantize.mode = mode;
  for (const char* name : {"Conv2d", "Linear"}) {
    ptq::rule_config rule{name, ptq::slot_config{weights, {}}, {}};
    if (activations != nullptr) rule.activations = ptq::slot_config{activations, {}};
    wanted.quantize.layers.push_back(std::move(rule));
  }
  return wanted;
}

/// What the engine keeps of a quantized layer: `apply` lends its views, so they are copied.
struct kept_layer {
  ptq::artifact_layer layer;
  std::vector<std::byte> codes;
  std::vector<float> scales;
};

/// The float model with its layers quantized by the rules, calibrated where they ask for activations.
result<tiny::engine> quantize(tiny::engine& reference, const ptq::spec& wanted) {
  auto model = ptq::read_onnx(folder + "model.onnx");
  if (!model) return model.error();
  const auto layers = ptq::layers_of(*model);
  if (!layers) return layers.error();
  const ptq::plan plan = ptq::match(wanted, layers->layers);

  ptq::calibration seen(plan);
  std::vector<std::string> inputs;  // of each layer, in order
  for (const ptq::onnx_layer& source : layers->sources)
    inputs.push_back(model->graph.nodes[source.calls[0].node].inputs[source.calls[0].input]);
  const auto collect = [&](const ptq::named_array& made) -> result<void> {
    const ptq::tensor_view<const float> view(made.array.as<float>().data, made.array.shape);
    for (std::size_t i = 0; i < inputs.size(); ++i)
      if (inputs[i] == made.name)
        if (auto taken = seen.collect(layers->layers[i].name, view); !taken) return taken;
    return {};
  };
  if (!seen.collected().empty())
    if (auto done = run_all(reference, images("calib.npy"), inputs, collect); !done) return done.error();
  const auto ranges = seen.ranges();
  if (!ranges) return ranges.error();

  std::vector<kept_layer> kept;
  const auto keep = [&](const ptq::quantized_layer& q) {
    kept_layer& layer = kept.emplace_back();
    layer.codes.assign(q.codes.begin(), q.codes.end());
    layer.scales.assign(q.scales.begin(), q.scales.end());
    layer.layer.name = q.source.name;
    layer.layer.weights = ptq::artifact_weights{q.dtype.name, q.source.weight.shape, q.grain, {}, {}};
    if (q.input != nullptr)
      layer.layer.activations = ptq::artifact_activations{q.planned.activations.dtype, q.input->algorithm,
                                                          q.input->range.amax, q.input->scale};
  };
  if (auto done = ptq::apply(plan, layers->layers, *ranges, keep); !done) return done.error();
  ptq::artifact artifact;
  for (kept_layer& layer : kept) {
    layer.layer.weights->codes = layer.codes;
    layer.layer.weights->scales = layer.scales;
    artifact.layers.push_back(layer.layer);
  }
  auto quantized = tiny::with_artifact(*std::move(model), artifact);
  return quantized ? tiny::engine::load(*std::move(quantized)) : quantized.error();
}

int fail(const ptq::error& why) {
  std::fprintf(stderr, "%s\n", why.what.c_str());
  return 1;
}

}  // namespace

int main() {
  auto reference = tiny::engine::load(folder + "model.onnx");
  if (!reference) return fail(reference.error());
  const auto expected = logits_of(*reference);
  if (!expected) return fail(expected.error());
  const std::size_t classes = 10;
  const std::size_t samples = expected->size() / classes;
  const auto labels = ptq::read_labels(folder + "test_labels.npy", samples, formats);
  if (!labels) return fail(labels.error());

  struct variant {
    const char* title;
    ptq::spec wanted;
  };
  const std::vector<variant> variants{
      {"int8 weights", rules("torchao", "weight_only_ptq", "int8", nullptr)},
      {"int8 weights and inputs", rules("modelopt", "static_ptq", "int8", "int8")},
      {"fp8_e4m3fn weights and inputs", rules("modelopt", "static_ptq", "fp8_e4m3fn", "fp8_e4m3fn")},
  };
  std::printf("%-30s  integer layers  right  agreement  logit SQNR\n", "");
  for (const variant& v : variants) {
    auto quantized = quantize(*reference, v.wanted);
    if (!quantized) return fail(quantized.error());
    const auto found = logits_of(*quantized);
    if (!found) return fail(found.error());
    ptq::accuracy_accumulator sums;
    for (std::size_t i = 0; i < samples; ++i)
      sums.add(std::span(*expected).subspan(i * classes, classes),
               std::span(*found).subspan(i * classes, classes), (*labels)[i]);
    const ptq::accuracy a = sums.metrics();
    if (&v == &variants.front()) std::printf("%-30s  %14d  %4.1f%%\n", "float", 0, 100 * *a.float_top1);
    std::printf("%-30s  %14zu  %4.1f%%  %8.1f%%  %7.1f dB\n", v.title, quantized->integer_layers(),
                100 * *a.quantized_top1, 100 * a.agreement, a.outputs.sqnr_db);
  }
}
