// SPDX-License-Identifier: Apache-2.0
// The form of graphs: what the rest relies on.
#include "ptq/formats/onnx/form.hpp"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

using kind = ptq::onnx_attribute::type;

namespace {

ptq::onnx_node node_of(const std::string& op_type, std::vector<std::string> inputs,
                       std::vector<std::string> outputs) {
  ptq::onnx_node node;
  node.name = "n";
  node.op_type = op_type;
  node.inputs = std::move(inputs);
  node.outputs = std::move(outputs);
  return node;
}

ptq::onnx_attribute attribute_of(const std::string& name, kind type) {
  ptq::onnx_attribute attribute;
  attribute.name = name;
  attribute.kind = type;
  return attribute;
}

/// What is wrong with a graph of one node, in words.
std::string fault_in(ptq::onnx_node node) {
  ptq::onnx_model model;
  model.graph.nodes.push_back(std::move(node));
  const auto sound = ptq::check_form(model);
  if (sound) return "";
  CHECK(sound.error().code == ptq::errc::wrong_format);
  return sound.error().what;
}

}  // namespace

TEST_CASE("nodes make something, of what they need") {
  CHECK(fault_in(node_of("MatMul", {"x", "w"}, {"y"})).empty());
  CHECK(fault_in(node_of("MatMul", {"x", "w"}, {})) ==
        "node \"n\" (MatMul): it has no outputs: nothing can use what it computes. Export the model again.");
  CHECK(fault_in(node_of("MatMul", {"x", "w"}, {""})).find("no outputs") != std::string::npos);
  CHECK(fault_in(node_of("TopK", {"x", "k"}, {"", "indices"})).find("first output has no name") !=
        std::string::npos);
  CHECK(fault_in(node_of("LSTM", {"x", "w", "r"}, {"", "h"})).empty());
  CHECK(fault_in(node_of("MatMul", {"x"}, {"y"})).find("it has 1 input; MatMul takes 2 or more.") !=
        std::string::npos);
  CHECK(fault_in(node_of("BatchNormalization", {"x", "s", "b", "m"}, {"y"})).find("takes 5 or more") !=
        std::string::npos);
  CHECK(fault_in(node_of("BatchNormalization", {"x", "s", "b", "m", "v"}, {"y"})).empty());
  CHECK(fault_in(node_of("Relu", {""}, {"y"})).find("first input has no name") != std::string::npos);
  CHECK(fault_in(node_of("Loop", {"", ""}, {"y"})).empty());
  CHECK(fault_in(node_of("Scan", {"", "x"}, {"y"})).empty());  // of operator set 8
  CHECK(fault_in(node_of("Constant", {}, {"y"})).empty());
  CHECK(fault_in(node_of("", {"x"}, {"y"})).find("names no operator") != std::string::npos);
  ptq::onnx_node foreign = node_of("MatMul", {}, {"", "y"});  // what others' operators take is theirs to say
  foreign.domain = "com.microsoft";
  CHECK(fault_in(foreign).empty());
  foreign.outputs.clear();
  CHECK(fault_in(foreign).find("no outputs") != std::string::npos);
}

TEST_CASE("attributes have the types of their operators") {
  ptq::onnx_node node = node_of("Softmax", {"x"}, {"y"});
  node.attributes = {attribute_of("axis", kind::integer)};
  CHECK(fault_in(node).empty());
  node.attributes.push_back(attribute_of("alpha", kind::integers));
  CHECK(fault_in(node).find("its attribute \"alpha\" is a list of integers; it must be a float.") !=
        std::string::npos);
  node.attributes = {attribute_of("axis", kind::undefined)};
  CHECK(fault_in(node).find("is of no type; it must be an integer.") != std::string::npos);
  node.attributes = {attribute_of("axis", static_cast<kind>(13))};
  CHECK(fault_in(node).find("is of a type that is unknown here") != std::string::npos);
  node.attributes = {attribute_of("unheard_of", kind::graphs)};
  CHECK(fault_in(node).empty());
  node = node_of("Pad", {"x"}, {"y"});
  node.attributes = {attribute_of("value", kind::real)};
  CHECK(fault_in(node).empty());
  node.op_type = "ConstantOfShape";
  CHECK(fault_in(node).find("must be a tensor") != std::string::npos);
  node.domain = "com.microsoft";
  CHECK(fault_in(node).empty());
}

TEST_CASE("bodies and functions are looked into, and what has no name is refused") {
  ptq::onnx_node inner = node_of("If", {"c"}, {"y"});
  ptq::onnx_attribute branch = attribute_of("then_branch", kind::graph);
  branch.bodies.emplace_back().nodes.push_back(node_of("Relu", {"x"}, {}));
  inner.attributes.push_back(branch);
  CHECK(fault_in(inner) ==
        "node \"n\" (If): attribute \"then_branch\": node \"n\" (Relu): it has no outputs: nothing can use "
        "what it computes. "
        "Export the model again.");
  inner.attributes[0].bodies[0].nodes.clear();
  inner.attributes[0].bodies[0].initializers.emplace_back();
  CHECK(fault_in(inner).find("attribute \"then_branch\": graph: an initializer has no name") !=
        std::string::npos);

  ptq::onnx_model model;
  ptq::onnx_function& function = model.functions.emplace_back();
  function.name = "f";
  function.nodes.push_back(node_of("Relu", {}, {"y"}));
  CHECK(
      ptq::check_form(model).error().what.starts_with("function \"f\": node \"n\" (Relu): it has 0 inputs"));
  model.functions.clear();
  model.graph.initializers.emplace_back();
  CHECK(ptq::check_form(model).error().what.starts_with("graph: an initializer has no name"));
  model.graph.initializers.clear();
  model.graph.inputs.emplace_back();
  CHECK(ptq::check_form(model).error().what.starts_with("graph: a graph input has no name"));
}
