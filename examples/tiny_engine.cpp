// SPDX-License-Identifier: Apache-2.0
// An inference engine of its own, into which the ptq headers were dropped: it runs a digit classifier in
// float, has it calibrated and quantized in memory, and runs the codes. The engine is in tiny_engine/.
#include "tiny_engine/engine.hpp"

#include <cstddef>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "ptq/data/samples.hpp"
#include "ptq/engine/calibrate.hpp"
#include "ptq/engine/evaluate.hpp"
#include "ptq/formats/numpy/npy.hpp"
#include "ptq/formats/onnx/declared.hpp"
#include "ptq/model/quantized_tensor.hpp"
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
  ptq::quantized_tensor weight;
};

/// The float model with its layers quantized by the rules, calibrated where they ask for activations.
result<tiny::engine> quantize(tiny::engine& reference, const ptq::spec& wanted) {
  auto model = ptq::read_onnx(folder + "model.onnx");
  if (!model) return model.error();
  const auto layers = ptq::layers_of(*model);
  if (!layers) return layers.error();
  const ptq::plan plan = ptq::match(wanted, layers->layers);

  ptq::calibration seen(plan);
  if (plan.quantizes_activations()) {
    auto samples = ptq::samples::open(images("calib.npy"), reference.inputs(), formats);
    if (!samples) return samples.error();
    const auto fed = ptq::fed_layers_of(model->graph, *layers, plan);
    if (auto done = ptq::calibrate(reference, *samples, fed, seen); !done) return done.error();
  }
  const auto ranges = seen.ranges();
  if (!ranges) return ranges.error();

  std::vector<kept_layer> kept;
  const auto keep = [&](const ptq::quantized_layer& q) {
    kept_layer& layer = kept.emplace_back();
    layer.weight = ptq::quantized_tensor(q);
    layer.layer.name = q.source.name;
    layer.layer.weights = ptq::artifact_weights{q.dtype.name, q.source.weight.shape, q.grain, {}, {}};
    if (q.input != nullptr)
      layer.layer.activations = ptq::artifact_activations{q.planned.activations.dtype, q.input->algorithm,
                                                          q.input->range.amax, q.input->scale};
  };
  if (auto done = ptq::apply(plan, layers->layers, *ranges, keep); !done) return done.error();
  ptq::artifact artifact;
  for (kept_layer& layer : kept) {
    layer.layer.weights->codes = layer.weight.view().codes;
    layer.layer.weights->scales = layer.weight.scales();
    artifact.layers.push_back(layer.layer);
  }
  auto quantized = tiny::with_artifact(*std::move(model), artifact);
  return quantized ? tiny::engine::load(*std::move(quantized)) : quantized.error();
}

/// Both models on the test pictures.
result<ptq::accuracy> compare(tiny::engine& reference, tiny::engine& quantized) {
  auto samples = ptq::samples::open(images("test_images.npy"), reference.inputs(), formats);
  if (!samples) return samples.error();
  auto labels = ptq::read_label_array(folder + "test_labels.npy", samples->total(), formats);
  if (!labels) return labels.error();
  const ptq::comparison how{{{reference.outputs()[0]}}, {}, *std::move(labels)};
  const auto found = ptq::evaluate(reference, quantized, *samples, how);
  if (!found) return found.error();
  return found->outputs[0].metrics();
}

int fail(const ptq::error& why) {
  std::fprintf(stderr, "%s\n", why.what.c_str());
  return 1;
}

}  // namespace

int main() {
  auto reference = tiny::engine::load(folder + "model.onnx");
  if (!reference) return fail(reference.error());
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
    const auto a = compare(*reference, *quantized);
    if (!a) return fail(a.error());
    if (&v == &variants.front()) std::printf("%-30s  %14d  %4.1f%%\n", "float", 0, 100 * *a->float_top1);
    std::printf("%-30s  %14zu  %4.1f%%  %8.1f%%  %7.1f dB\n", v.title, quantized->integer_layers(),
                100 * *a->quantized_top1, 100 * a->agreement, a->outputs.sqnr_db);
  }
}
