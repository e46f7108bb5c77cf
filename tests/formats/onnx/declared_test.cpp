// SPDX-License-Identifier: Apache-2.0
#include "ptq/formats/onnx/declared.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <vector>

#include "formats/onnx/models.hpp"
#include "ptq/config/spec.hpp"
#include "ptq/model/match.hpp"

TEST_CASE("what a graph declares: numbers, names, and neither") {
  ptq::onnx_graph graph;
  graph.outputs = {
      {"y", ptq::element_type::float16, {{{{}, "batch"}, {10, ""}, {-1, ""}, {0, ""}, {{}, ""}}}},
      {"z", ptq::element_type::unknown, {}}};
  const auto outputs = ptq::declared_outputs(graph);
  REQUIRE(outputs.size() == 2);
  CHECK(outputs[0].name == "y");
  CHECK(outputs[0].type == ptq::element_type::float16);
  REQUIRE(outputs[0].shape);
  std::vector<std::string> extents;
  for (const ptq::graph_extent& extent : *outputs[0].shape) extents.push_back(extent.text());
  CHECK(extents == std::vector<std::string>{"batch", "10", "", "0", ""});
  CHECK_FALSE(outputs[1].shape);

  const ptq::graph_input input = ptq::input_of(outputs[0]);
  CHECK(input.name == "y");
  CHECK(input.type == ptq::element_type::float16);
  CHECK(*input.shape ==
        std::vector<std::optional<std::size_t>>{std::nullopt, 10, std::nullopt, 0, std::nullopt});
  CHECK(input.symbols == std::vector<std::string>{"batch", "", "", "", ""});
  CHECK_FALSE(ptq::input_of(outputs[1]).shape);
  CHECK(ptq::input_of(outputs[1]).symbols.empty());
}

TEST_CASE("weights that stand among the inputs need not be given") {
  const ptq::onnx_model model = read_odd("ir3_opset9");
  CHECK(model.graph.inputs.size() == 2);
  const auto inputs = ptq::declared_inputs(model.graph);
  REQUIRE(inputs.size() == 1);
  CHECK(inputs[0].name == "x");
  ptq::onnx_graph sparse;
  sparse.inputs = {{"w", ptq::element_type::float32, {}}};
  sparse.sparse_initializers.emplace_back().name = "w";
  CHECK(ptq::declared_inputs(sparse).empty());
}

TEST_CASE("the tensors that feed layers: of each call, and only where activations are quantized") {
  const ptq::onnx_model model = read_odd("layers");
  const auto found = ptq::layers_of(model);
  REQUIRE(found);
  ptq::spec spec;
  spec.quantize.backend = "modelopt";
  spec.quantize.mode = "static_ptq";
  spec.quantize.layers = {{"square", {}, ptq::slot_config{"int8", {}}},
                          {"fc", ptq::slot_config{"int8", {}}, {}}};
  const ptq::plan plan = ptq::match(spec, found->layers);
  CHECK(ptq::fed_layers_of(model.graph, *found, plan) ==
        ptq::fed_layers{{"s1", {"square"}}, {"y3", {"square"}}});
}

TEST_CASE("a tensor feeds several layers, and a layer once") {
  ptq::onnx_graph graph;
  graph.nodes.resize(3);
  for (ptq::onnx_node& node : graph.nodes) node.inputs = {"w", "h"};
  ptq::onnx_layers found;
  ptq::plan plan;
  for (const char* const name : {"a", "b"}) {
    found.layers.emplace_back().name = name;
    found.sources.emplace_back();
    ptq::planned_layer& planned = plan.layers.emplace_back();
    planned.name = name;
    planned.activations.dtype = "int8";
  }
  found.sources[0].calls = {{0, 1}, {2, 1}};
  found.sources[1].calls = {{1, 1}};
  CHECK(ptq::fed_layers_of(graph, found, plan) == ptq::fed_layers{{"h", {"a", "b"}}});
}
