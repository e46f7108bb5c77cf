// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "formats/onnx/models.hpp"

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
      {"encoder.query", {"Linear", "MatMul", "onnx::MatMul_77", 1}},
      {"square", {"Linear", "MatMul", "square.weight", 1, 2}},
      {"left", {"Linear", "MatMul", "left", 0}},
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
    CHECK(found.sources[i].calls[0].type == ptq::element_type::float32);
    CHECK(layer.input_reason.empty());
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
  CHECK(found.sources[0].calls[0].type == ptq::element_type::float16);
  CHECK(found.sources[1].calls[0].type == ptq::element_type::float16);
}

TEST_CASE("an undeclared type is that of the input that has it, whichever comes first") {
  ptq::onnx_graph graph;
  for (const auto& [name, type] :
       {std::pair("flags", ptq::element_type::boolean), std::pair("ids", ptq::element_type::int64),
        std::pair("codes", ptq::element_type::int8), std::pair("x", ptq::element_type::float16),
        std::pair("wide", ptq::element_type::float32)}) {
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
  add("LinearAttention", {"x", "x", "x", "wide"}, "attended");  // its state has a type of its own
  graph.nodes.back().outputs.emplace_back("state");
  const auto links = ptq::links_of(graph);
  REQUIRE(links);
  const ptq::detail::onnx_declarations declared(graph, *links);
  for (const char* const name : {"chosen", "gathered", "rectified", "decoded", "attended"})
    CHECK(declared.type_of(name) == ptq::element_type::float16);
  CHECK(declared.type_of("state") == ptq::element_type::float32);
  CHECK(declared.type_of("best") == ptq::element_type::int64);
}

namespace {

/// A chain of nodes, each with a constant of its own at slot 1 where it is given one.
class chain {
 public:
  ptq::onnx_node& add(const char* op_type, std::string name, std::string constant = {}) {
    ptq::onnx_node& node = graph_.nodes.emplace_back();
    node.op_type = op_type;
    node.name = std::move(name);
    node.inputs = {graph_.nodes.size() == 1 ? "x" : graph_.nodes[graph_.nodes.size() - 2].outputs[0]};
    const bool is_conv = node.op_type == "Conv";
    if (!constant.empty()) node.inputs.push_back(hold(std::move(constant), is_conv));
    node.outputs = {"t" + std::to_string(graph_.nodes.size())};
    return node;
  }

  static void record(ptq::onnx_node& node, const char* scopes, const char* classes) {
    node.metadata = {{"pkg.torch.onnx.name_scopes", scopes}, {"pkg.torch.onnx.class_hierarchy", classes}};
  }

  std::vector<ptq::layer> layers() {
    graph_.inputs.emplace_back().name = "x";
    ptq::onnx_model model;
    model.graph = graph_;
    ptq::onnx_layers found = layers_in(model);
    return std::move(found.layers);
  }

 private:
  std::string hold(std::string name, bool is_kernel) {
    const auto is_held = [&](const ptq::onnx_tensor& tensor) { return tensor.name == name; };
    if (std::find_if(graph_.initializers.begin(), graph_.initializers.end(), is_held) !=
        graph_.initializers.end())
      return name;
    ptq::onnx_tensor& tensor = graph_.initializers.emplace_back();
    tensor.name = name;
    tensor.type = ptq::element_type::float32;
    tensor.dims = is_kernel ? std::vector<std::size_t>{4, 4, 1} : std::vector<std::size_t>{4, 4};
    if (tensor.name.ends_with("bias")) tensor.dims = {4};
    tensor.data = std::as_bytes(std::span(values_).first(tensor.size()));
    return name;
  }

  static constexpr float values_[16] = {};
  ptq::onnx_graph graph_;
};

constexpr const char* linear = "['__main__.Net', 'torch.nn.modules.linear.Linear', 'aten.linear.default']";
constexpr const char* block = "['__main__.Net', '__main__.Net.<locals>.Block', 'aten.linear.default']";

}  // namespace

TEST_CASE("a weight without a name of its own has that of its module") {
  chain made;
  chain::record(made.add("MatMul", "node_MatMul_1", "val_1"), "['', 'embed', 'linear']", linear);
  // no module of its own: the bias says which of the weights it is, else the call does
  chain::record(made.add("MatMul", "node_MatMul_2", "val_2"), "['', 'attn', 'linear_1']", block);
  made.add("Add", "node_linear_1", "attn.in_proj_bias");
  chain::record(made.add("MatMul", "node_MatMul_3", "val_3"), "['', 'attn', 'linear_2']", block);
  chain::record(made.add("MatMul", "node_MatMul_4", "val_4"), "['', 'up', 'linear_3']",
                block);                            // its only one
  made.add("Add", "node_linear_3", "embed.bias");  // of another module: equal tensors are joined
  // a name of its own counts for more than the node's place: the normalisation behind it was folded into it
  chain::record(made.add("Conv", "node_Conv_1", "val_5"), "['', 'stem.1', 'batch_norm']",
                "['__main__.Net', 'torch.nn.modules.batchnorm.BatchNorm2d', 'aten.batch_norm.default']");
  // nothing says more than the graph
  chain::record(made.add("MatMul", "node_MatMul_5", "val_6"), "['', 'matmul']",
                "['__main__.Net', 'aten.matmul']");
  chain::record(made.add("MatMul", "node_MatMul_6", "head.weight"), "['', 'head', 'linear_4']", linear);
  made.add("MatMul", "", "val_7");
  // pools have the name of their module, or are calls of another one
  chain::record(made.add("LeakyRelu", "node_leaky_relu"), "['', 'act', 'leaky_relu']",
                "['__main__.Net', 'torch.nn.modules.activation.LeakyReLU', 'aten.leaky_relu.default']");
  chain::record(made.add("LeakyRelu", "node_leaky_relu_1"), "['', 'up', 'leaky_relu_1']", block);
  std::vector<std::string> found;
  for (const ptq::layer& layer : made.layers())
    found.push_back(layer.name + " " + layer.origin.graph_name + (layer.origin.is_made_up ? "* " : " ") +
                    layer.class_name + " " + layer.origin.module_class);
  CHECK(found == std::vector<std::string>{"embed val_1* Linear ", "attn.in_proj val_2* Linear Block",
                                          "attn.linear_2 val_3* Linear Block", "up val_4* Linear Block",
                                          "node_Conv_1 val_5* Conv1d ", "node_MatMul_5 val_6* Linear ",
                                          "head  Linear ", "val_7 val_7* Linear ",
                                          "act node_leaky_relu LeakyReLU ",
                                          "up.leaky_relu_1 node_leaky_relu_1 LeakyReLU Block"});
}

TEST_CASE("names of the older exporter's nodes are paths of modules") {
  chain made;
  made.add("MatMul", "/enc/layers.0/linear1/MatMul", "onnx::MatMul_7");
  made.add("MatMul", "/enc/layers.0/attn/MatMul", "onnx::MatMul_8");
  made.add("Add", "/enc/layers.0/attn/Add", "enc.layers.0.attn.in_proj_bias");
  made.add("MatMul", "/enc/layers.0/attn/MatMul_1", "onnx::MatMul_9");
  made.add("MatMul", "/body/body.0/body.0.1/MatMul", "12");  // Sequential in Sequential
  made.add("LeakyRelu", "/enc/layers.0/act/LeakyRelu");
  made.add("LeakyRelu", "/enc/layers.0/LeakyRelu");  // a call, since the module has others in it
  made.add("LeakyRelu", "/LeakyRelu");
  made.add("MatMul", "MatMul_12", "13");
  made.add("Add", "Add_13", "bert.query.bias");  // exporters of old: the bias alone has a name
  std::vector<std::string> found;
  for (const ptq::layer& layer : made.layers()) found.push_back(layer.name);
  CHECK(found == std::vector<std::string>{"enc.layers.0.linear1", "enc.layers.0.attn.in_proj",
                                          "enc.layers.0.attn.MatMul_1", "body.0.1", "enc.layers.0.act",
                                          "enc.layers.0.LeakyRelu", "/LeakyRelu", "bert.query"});
}

TEST_CASE("names and aliases are unique, and a name of the file's own is never taken by another layer") {
  chain made;
  chain::record(made.add("MatMul", "a", "val_1"), "['', 'fc', 'linear']", linear);
  chain::record(made.add("MatMul", "b", "val_2"), "['', 'fc', 'linear_1']",
                linear);  // called twice, folded twice
  chain::record(made.add("MatMul", "c", "val_3"), "['', 'out', 'linear_2']", linear);
  made.add("MatMul", "val_1", "out.weight");
  chain::record(made.add("MatMul", "d", "val_2"), "['', 'tied', 'linear_3']",
                linear);  // the same weight again
  const auto layers = made.layers();
  REQUIRE(layers.size() == 4);
  CHECK(layers[0].name == "fc");
  CHECK(layers[0].aliases == std::vector<std::string>{"val_1", "a"});
  CHECK(layers[1].name == "fc.linear_1");
  CHECK(layers[1].aliases == std::vector<std::string>{"val_2", "b", "d", "tied"});
  CHECK(layers[2].name == "out.linear_2");
  CHECK(layers[3].name == "out");
  CHECK(layers[3].aliases == std::vector<std::string>{"out.weight"});  // its node's name is another's alias
}

TEST_CASE("metadata that is no list of scopes is passed over") {
  for (const char* const scopes :
       {"", "[", "['', 'fc']", "['outer', 'fc', 'linear']", "[\"", "['', 'fc', 'li"}) {
    chain made;
    chain::record(made.add("MatMul", "node", "val_1"), scopes, linear);
    const auto layers = made.layers();
    CAPTURE(scopes);
    CHECK(layers[0].name == (std::string_view(scopes).ends_with("li") ? "fc" : "node"));
  }
  CHECK(ptq::detail::read_python_list(R"(['', "it's", 'a\\b'])") ==
        std::vector<std::string>{"", "it's", "a\\b"});
}

TEST_CASE("names are unique: a weight with two kinds of use gives its name to the first") {
  const ptq::onnx_model model = read_odd("shared");
  std::vector<std::string> names;
  for (const ptq::layer& layer : layers_in(model).layers)
    names.push_back(layer.name + " " + layer.class_name + " " + layer.op_type);
  CHECK(names == std::vector<std::string>{"table Embedding Gather", "a Linear Gemm", "b Linear Gemm",
                                          "head Linear Gemm", "both Linear MatMul", "by_gemm Linear Gemm"});
}

TEST_CASE("weights in bodies are layers that stay as they are") {
  const ptq::onnx_model model = read_odd("bodies");
  const ptq::onnx_layers found = layers_in(model);
  std::vector<std::string> names;
  for (const ptq::layer& layer : found.layers) {
    names.push_back(layer.name + " " + layer.class_name);
    CHECK(layer.reason == (names.size() == 1
                               ? ""
                               : "it is inside node \"choose\" (If), and only the main graph is "
                                 "quantized"));
  }
  CHECK(names == std::vector<std::string>{"shared Linear", "choose/else_branch/own Linear",
                                          "choose/then_branch/shared Linear"});
  CHECK(found.layers[1].weight.shape == ptq::tensor_shape{3, 3});
  REQUIRE(found.notes.size() == 1);
  CHECK(found.notes[0] == "node \"choose\" (If): its bodies (5 nodes) are left as they are");
  CHECK(ptq::bytes_in_bodies(model.graph.nodes) >= 3 * 3 * sizeof(float));
}

namespace {

/// A graph that is written by hand: constants have names that start with "w".
struct hand_made {
  ptq::onnx_model model;

  hand_made() {
    for (const char* const name : {"x", "y"}) model.graph.inputs.emplace_back().name = name;
  }
  ptq::onnx_node& add(const char* op_type, std::vector<std::string> inputs, std::vector<std::string> outputs,
                      const char* domain = "") {
    return add_to(model.graph.nodes, op_type, std::move(inputs), std::move(outputs), domain);
  }
  static ptq::onnx_node& add_to(std::vector<ptq::onnx_node>& nodes, const char* op_type,
                                std::vector<std::string> inputs, std::vector<std::string> outputs,
                                const char* domain = "") {
    ptq::onnx_node& node = nodes.emplace_back();
    node.op_type = op_type;
    node.inputs = std::move(inputs);
    node.outputs = std::move(outputs);
    node.domain = domain;
    return node;
  }
  static ptq::onnx_tensor tensor(const char* name, std::vector<std::size_t> dims, ptq::element_type type) {
    ptq::onnx_tensor made;
    made.name = name;
    made.dims = std::move(dims);
    made.type = type;
    static const std::vector<std::byte> zeros(1 << 12);
    made.data = std::span(zeros).first(made.size() * ptq::bits_of(type) / 8);
    return made;
  }
  void hold(const char* name, std::vector<std::size_t> dims,
            ptq::element_type type = ptq::element_type::float32) {
    model.graph.initializers.push_back(tensor(name, std::move(dims), type));
  }

  /// "name class: reason", one a layer.
  std::vector<std::string> rows() const {
    std::vector<std::string> rows;
    for (const ptq::layer& layer : layers_in(model).layers)
      rows.push_back(layer.name + " " + layer.class_name + ": " + layer.reason + layer.axis_reason);
    return rows;
  }
};

using rows = std::vector<std::string>;

}  // namespace

TEST_CASE("whatever computes with a constant of two axes is a layer, with the reason why it stays") {
  hand_made made;
  made.hold("w1", {4, 4});
  made.hold("w2", {2, 3, 4});
  made.hold("w3", {4, 4}, ptq::element_type::int8);
  made.hold("w4", {4, 12});
  made.hold("w_bias", {1, 4});
  made.hold("w_number", {1, 1});
  made.hold("w_ids", {4, 4}, ptq::element_type::int64);
  made.hold("w_scale", {});
  made.hold("w_vector", {4});
  made.model.graph.sparse_initializers.push_back(
      hand_made::tensor("w_sparse", {4, 4}, ptq::element_type::float32));
  made.model.graph.sparse_initializers.back().data = {};
  made.add("Einsum", {"x", "w1"}, {"a"});
  made.add("Attention", {"x", "w4", "w_bias"}, {"b"}, "com.microsoft");
  made.add("MatMulInteger", {"x", "w3"}, {"c"});
  made.add("DequantizeLinear", {"w3", "w_scale"}, {"w3_floats"});
  made.add("MatMul", {"x", "w3_floats"}, {"d"});
  made.add("MatMul", {"x", "w_sparse"}, {"e"});
  made.add("Gather", {"w2", "y"}, {"f"});
  made.add("Mul", {"x", "w_number"}, {"g"});
  made.add("Gather", {"x", "w_ids"}, {"h"});
  made.add("Add", {"x", "w_bias"}, {"i"});
  made.add("Add", {"y", "w_bias"}, {"j"});
  made.add("LSTM", {"x", "w2", "w2"}, {"", "k"});
  made.add("Relu", {"x"}, {});
  made.add("MatMul", {"w_vector", "x"}, {"l"});
  const std::string codes = "its weight holds int8 codes: it is quantized already";
  CHECK(made.rows() ==
        rows{"w1 Einsum: ptq cannot quantize the constants of Einsum",
             "w4 Attention: ptq cannot quantize the constants of Attention (com.microsoft)",
             "w_bias Attention: ptq cannot quantize the constants of Attention (com.microsoft)",
             "w3 Linear: " + codes, "MatMul_4 Linear: " + codes,
             "w_sparse Linear: its weight is sparse: make it dense first",
             "w2 Gather: ptq cannot quantize the constants of Gather",
             "Add_9 Add: ptq cannot quantize the constants of Add", "LSTM_11 LSTM: "});
}

TEST_CASE("codes are called as the weight that they were made of") {
  hand_made made;
  made.hold("fc.weight_quantized", {4, 4}, ptq::element_type::int8);
  made.hold("scale", {});
  made.add("DequantizeLinear", {"fc.weight_quantized", "scale"}, {"floats"});
  made.add("MatMul", {"x", "floats"}, {"a"});
  made.hold("head_quantized", {4, 4});  // no codes, but a weight that is called so
  made.add("MatMul", {"x", "head_quantized"}, {"b"});
  CHECK(made.rows() ==
        rows{"fc Linear: its weight holds int8 codes: it is quantized already", "head_quantized Linear: "});
}

TEST_CASE("both weights of a recurrent node are listed, a shared one once") {
  hand_made made;
  made.hold("w_ih", {1, 8, 4});
  made.hold("w_hh", {1, 8, 2});
  made.add("LSTM", {"x", "w_ih", "w_hh"}, {"", "a"});
  made.hold("both", {1, 4, 4});
  made.add("RNN", {"x", "both", "both"}, {"", "b"});
  CHECK(made.rows() ==
        rows{"w_ih LSTM: ", "w_hh LSTM: ptq cannot quantize the constants of LSTM", "both RNN: "});
}

TEST_CASE("a weight that is computed is named after its node, with what it is computed from") {
  hand_made made;
  for (const char* const name : {"w1", "w2", "w3"}) made.hold(name, {4, 4});
  made.hold("w_kernel", {4, 4, 3});
  made.add("Concat", {"w1", "w2", "w3"}, {"w"});
  made.add("MatMul", {"x", "w"}, {"a"}).name = "fc";
  made.add("Neg", {"w_kernel"}, {"w_turned"}).name = "turn";
  made.add("Conv", {"x", "w_turned"}, {"b"});
  made.add("MatMul", {"x", "y"}, {"varies"});
  made.add("MatMul", {"w1", "w2"}, {"nobody_uses_it"});
  for (const auto& [from, to, type] : {std::tuple{"w1", "w_whole", ptq::element_type::int64},
                                       {"w_whole", "w_rounded", ptq::element_type::float32}}) {
    ptq::onnx_node& cast = made.add("Cast", {from}, {to});
    cast.attributes.emplace_back().name = "to";
    cast.attributes.back().integer = ptq::onnx_number(type);
  }
  made.add("MatMul", {"x", "w_rounded"}, {"c"}).name = "rounded";
  CHECK(made.rows() == rows{"fc Linear: its weight is computed from \"w1\", \"w2\" and 1 more by a Concat: "
                            "fold constants first, for instance with onnxsim",
                            "w_kernel Conv1d: its weight is computed from \"w_kernel\" by node \"turn\" "
                            "(Neg): fold constants first, for instance with onnxsim",
                            "w1 Linear: its weight is computed from \"w1\" by a Cast: fold constants first, "
                            "for instance with onnxsim"});
}

TEST_CASE("weights inside functions, nested bodies and the outputs of bodies are layers") {
  hand_made made;
  made.hold("w1", {4, 4});
  ptq::onnx_function& function = made.model.functions.emplace_back();
  function.name = "block";
  function.inputs = {"v"};
  ptq::onnx_node& constant = hand_made::add_to(function.nodes, "Constant", {}, {"w2"});
  constant.attributes.emplace_back().name = "value";
  constant.attributes.back().tensors.push_back(hand_made::tensor("", {4, 4}, ptq::element_type::float32));
  hand_made::add_to(function.nodes, "MatMul", {"v", "w2"}, {"a"});
  ptq::onnx_body repeated;
  repeated.initializers.push_back(hand_made::tensor("w5", {4, 4}, ptq::element_type::float32));
  hand_made::add_to(repeated.nodes, "Gemm", {"v", "w5"}, {"f"});
  ptq::onnx_node& scan = hand_made::add_to(function.nodes, "Scan", {"v"}, {"g"});
  scan.attributes.emplace_back().name = "body";
  scan.attributes.back().bodies.push_back(repeated);
  made.add("block", {"x", "w1"}, {"b"}, "local");

  ptq::onnx_body inner;
  inner.initializers.push_back(hand_made::tensor("w3", {3, 4, 4}, ptq::element_type::float32));
  hand_made::add_to(inner.nodes, "LSTM", {"x", "w3"}, {"c"});
  ptq::onnx_body outer;
  outer.sparse_initializers.push_back(hand_made::tensor("w4", {4, 4}, ptq::element_type::float32));
  outer.outputs = {"w4"};
  ptq::onnx_node& loop = hand_made::add_to(outer.nodes, "Loop", {"y"}, {"d"});
  loop.attributes.emplace_back().name = "body";
  loop.attributes.back().bodies.push_back(inner);
  ptq::onnx_node& choice = made.add("If", {"y"}, {"e"});
  choice.name = "choose";
  choice.attributes.emplace_back().name = "then_branch";
  choice.attributes.back().bodies.push_back(outer);

  const std::string where = "it is inside node \"choose\" (If), and only the main graph is quantized";
  const std::string function_text =
      "it is inside the function \"block\", and only the main graph is quantized: inline functions first, "
      "with onnx.inliner";
  CHECK(made.rows() == rows{"w1 block: ptq cannot quantize the constants of block (local)",
                            "choose/then_branch/Loop_0/body/w3 LSTM: " + where,
                            "choose/then_branch/w4 If: " + where, "block/w2 Linear: " + function_text,
                            "block/Scan_2/body/w5 Linear: " + function_text});
}

TEST_CASE("nodes without outputs round nothing") {
  hand_made made;
  made.hold("w_codes", {2, 2}, ptq::element_type::int8);
  made.hold("w_scale", {});
  made.add("DequantizeLinear", {"w_codes", "w_scale"}, {});
  made.add("QuantizeLinear", {"x", "w_scale"}, {});
  CHECK(made.rows().empty());
  const auto links = ptq::links_of(made.model.graph);
  REQUIRE(links);
  const auto found = ptq::roundings_of(made.model.graph, *links);
  REQUIRE(found);
  CHECK(found->constants.empty());
}

TEST_CASE("a node that cannot take its constant in the given shape is an error") {
  for (const char* const op_type : {"Reshape", "Squeeze", "Unsqueeze", "Transpose", "Flatten"}) {
    CAPTURE(op_type);
    hand_made made;
    made.hold("w", {4, 3});
    ptq::onnx_node& step = made.add(op_type, {"w"}, {"w_there"});
    for (const char* const name : {"shape", "axes", "perm"}) {
      step.attributes.emplace_back().name = name;
      step.attributes.back().integers = {5, 7};
    }
    step.attributes.emplace_back().name = "axis";
    step.attributes.back().integer = -3;
    made.add("MatMul", {"x", "w_there"}, {"a"});
    const auto found = ptq::layers_of(made.model);
    REQUIRE_FALSE(found);
    CHECK(found.error().code == ptq::errc::invalid_value);
    CHECK(found.error().what.find(" not fit \"w\", which is float32[4, 3].") != std::string::npos);
  }
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
