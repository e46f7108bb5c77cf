// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "onnx/models.hpp"

namespace {

ptq::onnx_layers layers_in(const ptq::onnx_model& model) {
  auto layers = ptq::layers_of(model);
  INFO(layers.error().what);
  REQUIRE(layers);
  REQUIRE(layers->layers.size() == layers->sources.size());
  return *std::move(layers);
}

struct expected {
  std::string class_name;
  std::string op_type;
  std::string weight;
  std::optional<std::size_t> output_axis;
  std::size_t calls = 1;
};

}  // namespace

TEST_CASE("names, classes and axes of every kind of layer") {
  const std::map<std::string, expected> wanted{
      {"conv1d", {"Conv1d", "Conv", "conv1d.weight", 0}},
      {"features.conv2d", {"Conv2d", "Conv", "features.conv2d.weight", 0}},
      {"conv3d", {"Conv3d", "Conv", "conv3d.weight", 0}},
      {"up1d", {"ConvTranspose1d", "ConvTranspose", "up1d.weight", 1}},
      {"up2d", {"ConvTranspose2d", "ConvTranspose", "up2d.weight", 1}},
      {"up3d", {"ConvTranspose3d", "ConvTranspose", "up3d.weight", 1}},
      {"MaxPool_6", {"MaxPool2d", "MaxPool", "", {}}},
      {"mean1d", {"AvgPool1d", "AveragePool", "", {}}},
      {"mean3d", {"AdaptiveAvgPool3d", "GlobalAveragePool", "", {}}},
      {"mean2d", {"AdaptiveAvgPool2d", "GlobalAveragePool", "", {}}},
      {"bn", {"BatchNorm2d", "BatchNormalization", "bn.weight", {}}},
      {"in", {"InstanceNorm1d", "InstanceNormalization", "in.weight", {}}},
      {"leaky", {"LeakyReLU", "LeakyRelu", "", {}}},
      {"fc", {"Linear", "Gemm", "fc.weight", 0}},
      {"fc_in_out", {"Linear", "Gemm", "fc_in_out.weight", 1}},
      {"mm", {"Linear", "MatMul", "mm", 1}},
      {"turned", {"Linear", "MatMul", "turned.weight", 0}},  // stored [out, in], transposed in the graph
      {"fixed", {"Linear", "MatMul", "fixed", 1}},           // a Constant node
      {"kept", {"Linear", "MatMul", "kept.weight", 1}},      // float16, through Identity and Cast
      {"/encoder/query/MatMul", {"Linear", "MatMul", "onnx::MatMul_77", 1}},
      {"square", {"Linear", "MatMul", "square.weight", 1, 2}},
  };
  const ptq::onnx_model model = read_odd("layers");
  const ptq::onnx_layers found = layers_in(model);
  CHECK(found.layers.size() == wanted.size());
  for (std::size_t i = 0; i < found.layers.size(); ++i) {
    const ptq::layer& layer = found.layers[i];
    CAPTURE(layer.name);
    REQUIRE(wanted.count(layer.name) == 1);
    const expected& row = wanted.at(layer.name);
    CHECK(layer.class_name == row.class_name);
    CHECK(layer.op_type == row.op_type);
    CHECK(layer.output_axis == row.output_axis);
    CHECK_FALSE(layer.inferred);
    CHECK(found.sources[i].weight == row.weight);
    CHECK(found.sources[i].calls.size() == row.calls);
    CHECK(found.sources[i].calls[0].type == ptq::onnx_type::float32);
    CHECK(layer.has_weight() == !row.weight.empty());
  }
  CHECK(found.notes.empty());
}

TEST_CASE("a weight is seen in its own layout and type") {
  const ptq::onnx_model model = read_odd("layers");
  for (const ptq::layer& layer : layers_in(model).layers) {
    if (layer.name == "turned") CHECK(layer.weight.shape == ptq::tensor_shape{3, 4});
    if (layer.name == "kept") CHECK(layer.weight.type == ptq::element_type::float16);
  }
}

TEST_CASE("the activation has the type that the weight arrives in, else the declared one") {
  const ptq::onnx_model model = read_odd("half");
  const ptq::onnx_layers found = layers_in(model);
  REQUIRE(found.layers.size() == 2);
  CHECK(found.sources[0].calls[0].type == ptq::onnx_type::float16);
  CHECK(found.sources[1].calls[0].type == ptq::onnx_type::float16);
}

TEST_CASE("an undeclared type is that of the input that has it, whichever comes first") {
  ptq::onnx_graph graph;
  for (const auto& [name, type] :
       {std::pair("flags", ptq::onnx_type::boolean), std::pair("ids", ptq::onnx_type::int64),
        std::pair("codes", ptq::onnx_type::int8), std::pair("x", ptq::onnx_type::float16)}) {
    ptq::onnx_value& input = graph.inputs.emplace_back();
    input.name = name;
    input.type = type;
  }
  const auto add = [&](const char* op_type, std::vector<std::string> inputs, const char* output) {
    ptq::onnx_node& node = graph.nodes.emplace_back();
    node.op_type = op_type;
    node.inputs = std::move(inputs);
    node.outputs = {output};
  };
  add("Where", {"flags", "x", "x"}, "chosen");
  add("Gather", {"chosen", "ids"}, "gathered");
  add("Relu", {"gathered"}, "rectified");
  add("DequantizeLinear", {"codes", "rectified"}, "decoded");
  add("ArgMax", {"decoded"}, "best");
  const auto links = ptq::links_of(graph);
  REQUIRE(links);
  const ptq::detail::onnx_declarations declared(graph, *links);
  for (const char* const name : {"chosen", "gathered", "rectified", "decoded"})
    CHECK(declared.type_of(name) == ptq::onnx_type::float16);
  CHECK(declared.type_of("best") == ptq::onnx_type::int64);
}

TEST_CASE("names are unique: a weight with two kinds of use gives its name to the first") {
  const ptq::onnx_model model = read_odd("shared");
  std::vector<std::string> names;
  for (const ptq::layer& layer : layers_in(model).layers)
    names.push_back(layer.name + " " + layer.class_name + " " + layer.op_type);
  CHECK(names == std::vector<std::string>{"table Embedding Gather", "a Linear Gemm", "b Linear Gemm",
                                          "head Linear Gemm", "both Linear MatMul", "by_gemm Linear Gemm"});
}

TEST_CASE("bodies are not looked into, and that is said") {
  const ptq::onnx_model model = read_odd("bodies");
  const ptq::onnx_layers found = layers_in(model);
  CHECK(found.layers.size() == 1);
  REQUIRE(found.notes.size() == 1);
  CHECK(found.notes[0] == "node \"choose\" (If): its bodies (5 nodes) are left as they are");
}

TEST_CASE("a weight of a rank that its operator cannot take is an error") {
  for (const char* const name : {"bad_conv_rank", "bad_gemm_rank"}) {
    const ptq::onnx_model model = read_odd(name);
    const auto found = ptq::layers_of(model);
    REQUIRE_FALSE(found);
    CHECK(found.error().code == ptq::errc::wrong_rank);
    CHECK(found.error().what.find("node \"fc\" (") != std::string::npos);
    CHECK(found.error().what.find("\"fc.weight\" is float32[3, 3") != std::string::npos);
  }
}

TEST_CASE("the shipped models have the layers of the modules they were exported from") {
  const ptq::onnx_model model = read_model(PTQ_MODELS_DIR "/pitch-transformer/model.onnx");
  std::size_t linears = 0;
  std::size_t norms = 0;
  for (const ptq::layer& layer : layers_in(model).layers) {
    linears += layer.class_name == "Linear" ? 1u : 0u;
    norms += layer.class_name == "LayerNorm" ? 1u : 0u;
    if (layer.name == "blocks.1.up") CHECK(layer.output_axis == 1u);
  }
  CHECK(linears == 13);
  CHECK(norms == 5);
}
