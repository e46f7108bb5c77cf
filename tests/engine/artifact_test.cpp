// SPDX-License-Identifier: Apache-2.0
// A checkpoint's artifact put into the graph of its model.
#include "tiny_engine/artifact.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "engine/goldens.hpp"
#include "ptq/formats/checkpoint/read_artifact.hpp"
#include "ptq/formats/checkpoint/write_artifact.hpp"
#include "ptq/formats/safetensors/layout.hpp"
#include "ptq/model/layers_of.hpp"
#include "ptq/model/match.hpp"
#include "support/temporary_folder.hpp"

namespace {

/// Quantizes the weights of all Linear and convolution layers of a shipped checkpoint, into a file.
ptq::artifact_file quantized(const std::string& name, const std::string& dtype, const std::string& path) {
  const auto checkpoint = ptq::open_safetensors(models + name + "/model.safetensors");
  REQUIRE(checkpoint);
  std::vector<ptq::named_tensor> tensors;
  for (const ptq::stored_tensor& tensor : checkpoint->tensors())
    tensors.push_back({tensor.name, tensor.view()});
  const auto layers = ptq::layers_of(tensors);
  ptq::spec rules;
  for (const char* pattern : {"Linear", "Conv*"})
    rules.quantize.layers.push_back({pattern, ptq::slot_config{dtype, {}}, {}});
  auto writer = ptq::write_artifact(ptq::ptq_in_safetensors, path, *checkpoint, ptq::match(rules, layers),
                                    layers, [](const ptq::quantized_layer&) {});
  REQUIRE(writer);
  REQUIRE(writer->commit());
  auto file = ptq::open_artifact(path);
  INFO(file.error().what);
  REQUIRE(file);
  return *std::move(file);
}

ptq::onnx_model graph_of(const std::string& name) {
  auto model = ptq::read_onnx(models + name + "/model.onnx");
  REQUIRE(model);
  return *std::move(model);
}

/// Gives every layer the scale of the inputs that it sees.
void calibrate(ptq::artifact& artifact, const std::string& name, const ptq::any_view& input) {
  tiny::engine reference = load_engine(models + name + "/model.onnx");
  const ptq::onnx_model model = graph_of(name);
  const auto layers = ptq::layers_of(model);
  REQUIRE(layers);
  for (std::size_t i = 0; i < layers->layers.size(); ++i) {
    const std::string& tapped = model.graph.nodes[layers->sources[i].calls[0].node].inputs[0];
    float amax = 0;
    for (const float x : answers(reference, input, tapped)) amax = std::max(amax, std::fabs(x));
    for (ptq::artifact_layer& layer : artifact.layers)
      if (layer.name == layers->layers[i].name)
        layer.activations = ptq::artifact_activations{layer.weights->dtype, "minmax", amax,
                                                      ptq::scale_for<ptq::int8, ptq::modelopt>(amax)};
  }
}

double sqnr_of(tiny::engine& engine, const std::string& name) {
  const std::string golden = PTQ_GOLDEN_DIR "/engine/" + name + ".npz";
  const std::vector<float> expected = read_array(golden, "output").values;
  const std::vector<float> found = answers(engine, read_array(golden, "input").view());
  REQUIRE(found.size() == expected.size());
  ptq::error_accumulator sums;
  for (std::size_t i = 0; i < found.size(); ++i)
    sums.add(static_cast<double>(expected[i]), static_cast<double>(found[i]));
  return sums.metrics().sqnr_db;
}

}  // namespace

TEST_CASE("the float graph with the artifact's codes answers nearly as before") {
  const temporary_folder temporary;
  struct expectation {
    const char* name;
    const char* dtype;
    double sqnr;
  };
  for (const expectation& e : std::vector<expectation>{{"lenet-digits", "int8", 40},
                                                       {"lenet-digits", "fp8_e4m3fn", 28},
                                                       {"lenet-digits", "fp8_e5m2", 22},
                                                       {"pitch-transformer", "int8", 34}}) {
    CAPTURE(e.name);
    CAPTURE(e.dtype);
    const ptq::artifact_file file = quantized(e.name, e.dtype, temporary / "a.safetensors");
    auto model = tiny::with_artifact(graph_of(e.name), file.content);
    REQUIRE(model);
    auto engine = tiny::engine::load(*std::move(model));
    INFO(engine.error().what);
    REQUIRE(engine);
    CHECK(engine->integer_layers() == 0);
    CHECK(sqnr_of(*engine, e.name) > e.sqnr);
    CHECK(sqnr_of(*engine, e.name) < 60);  // it is quantized
  }
}

TEST_CASE("with scales for their inputs, all int8 layers compute in integers") {
  const temporary_folder temporary;
  struct expectation {
    std::string name;
    std::size_t layers;
  };
  for (const expectation& e : std::vector<expectation>{{"lenet-digits", 4}, {"pitch-transformer", 14}}) {
    CAPTURE(e.name);
    ptq::artifact_file file = quantized(e.name, "int8", temporary / "a.safetensors");
    calibrate(file.content, e.name, read_array(PTQ_GOLDEN_DIR "/engine/" + e.name + ".npz", "input").view());
    auto model = tiny::with_artifact(graph_of(e.name), file.content);
    REQUIRE(model);
    auto engine = tiny::engine::load(*std::move(model));
    INFO(engine.error().what);
    REQUIRE(engine);
    CHECK(engine->integer_layers() == e.layers);
    CHECK(sqnr_of(*engine, e.name) > 27);
  }
}

TEST_CASE("weights may come from Constant nodes, and may be listed as inputs, too") {
  const temporary_folder temporary;
  const ptq::artifact_file file = quantized("lenet-digits", "int8", temporary / "a.safetensors");
  const auto answer = [&](ptq::onnx_model graph) {
    auto model = tiny::with_artifact(std::move(graph), file.content);
    INFO(model.error().what);
    REQUIRE(model);
    auto engine = tiny::engine::load(*std::move(model));
    INFO(engine.error().what);
    REQUIRE(engine);
    REQUIRE(engine->inputs().size() == 1);
    return answers(*engine, read_array(PTQ_GOLDEN_DIR "/engine/lenet-digits.npz", "input").view());
  };
  ptq::onnx_model graph = graph_of("lenet-digits");
  std::vector<ptq::onnx_tensor>& initializers = graph.graph.initializers;
  const auto weight = std::find_if(initializers.begin(), initializers.end(),
                                   [](const ptq::onnx_tensor& t) { return t.name == "fc1.weight"; });
  REQUIRE(weight != initializers.end());
  ptq::onnx_node constant;
  constant.op_type = "Constant";
  constant.outputs = {"fc1.weight"};
  graph.graph.constants.push_back(*weight);  // as a file with such a node is read
  initializers.erase(weight);
  graph.graph.nodes.insert(graph.graph.nodes.begin(), constant);
  graph.graph.inputs.emplace_back().name = "conv2.weight";
  CHECK(answer(std::move(graph)) == answer(graph_of("lenet-digits")));
}

TEST_CASE("an artifact of another model is refused") {
  const temporary_folder temporary;
  const ptq::artifact_file lenet = quantized("lenet-digits", "int8", temporary / "a.safetensors");
  const auto other = tiny::with_artifact(graph_of("pitch-transformer"), lenet.content);
  REQUIRE_FALSE(other);
  CHECK(other.error().what.starts_with("layer \"conv1\": the graph has no such layer."));
  ptq::artifact reshaped = lenet.content;
  reshaped.layers[0].weights->shape = {1, 8, 5, 5};
  const auto wrong = tiny::with_artifact(graph_of("lenet-digits"), reshaped);
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().what ==
        "layer \"conv1\": the artifact's weight is [1, 8, 5, 5], the graph's [8, 1, 5, 5]: they are of "
        "different models.");
}
