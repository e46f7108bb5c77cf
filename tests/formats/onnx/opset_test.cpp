// SPDX-License-Identifier: Apache-2.0
// Graphs in newer operator sets. That they compute the same is opset_test.py's part; here is what else can go
// wrong.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "formats/onnx/models.hpp"
#include "formats/onnx/quantized.hpp"
#include "ptq/numeric/half.hpp"
#include "support/temporary_folder.hpp"

using ptq::element_type;
using ptq::detail::make_field;

namespace {

using names = std::vector<std::string>;

std::string integers(const std::string& name, std::initializer_list<std::int64_t> values) {
  std::string message;
  protozero::pbf_writer attribute(message);
  attribute.add_string(1, name);
  for (const std::int64_t value : values) attribute.add_int64(8, value);
  attribute.add_enum(20, 7);
  return make_field(5, message);
}

std::string real(const std::string& name, float value) {
  std::string message;
  protozero::pbf_writer attribute(message);
  attribute.add_string(1, name);
  attribute.add_float(2, value);
  attribute.add_enum(20, 1);
  return make_field(5, message);
}

std::string integer(const std::string& name, std::int64_t value) {
  std::string message;
  protozero::pbf_writer attribute(message);
  attribute.add_string(1, name);
  attribute.add_int64(3, value);
  attribute.add_enum(20, 2);
  return make_field(5, message);
}

std::string graph(const std::string& name, const std::string& body) {
  return make_field(5, make_field(1, name) + make_field(6, body));
}

/// A NodeProto.
std::string node(const std::string& op_type, const names& inputs, const names& outputs,
                 const std::string& attributes = {}) {
  std::string message;
  for (const std::string& input : inputs) message += make_field(1, input);
  for (const std::string& output : outputs) message += make_field(2, output);
  return message + make_field(4, op_type) + attributes;
}

std::string declare(const std::string& name, element_type type) {
  std::string tensor;
  protozero::pbf_writer(tensor).add_int32(1, static_cast<std::int32_t>(ptq::onnx_number(type)));
  return make_field(1, name) + make_field(2, make_field(1, tensor));
}

std::string import(std::int64_t version) {
  std::string message;
  protozero::pbf_writer(message).add_int64(2, version);
  return message;
}

/// A model of these nodes behind a layer that maps "in" to "out".
std::string model_of(std::int64_t opset, const std::vector<std::string>& nodes, element_type type,
                     const std::vector<std::string>& functions = {}) {
  std::string fields = make_field(1, node("MatMul", {"in", "w"}, {"out"}));
  for (const std::string& one : nodes) fields += make_field(1, one);
  const std::size_t dims[] = {2, 2};
  fields += ptq::detail::make_initializer("w", element_type::float32, dims, std::string(16, '\x3f'));
  fields += make_field(11, declare("in", element_type::float32)) + make_field(11, declare("x", type));
  std::string model;
  protozero::pbf_writer(model).add_int64(1, 7);
  model += make_field(7, fields) + make_field(8, import(opset));
  for (const std::string& function : functions) model += make_field(25, function);
  return model;
}

/// Reads what it keeps.
struct source {
  std::string bytes;
  ptq::onnx_model model;

  explicit source(std::string text) : bytes(std::move(text)) {
    auto read = ptq::read_onnx(std::as_bytes(std::span(bytes)), "old.onnx");
    INFO(read.error().what);
    REQUIRE(read);
    model = *std::move(read);
  }

  ptq::plan plan(const std::string& dtype) const {
    job work(model);
    work.quantize_weights(dtype);
    return work.planned;
  }
  std::string refusal(const std::string& dtype = "int8") const {
    const auto checked = ptq::check_opset(model, plan(dtype));
    return checked ? "" : checked.error().what;
  }
  ptq::onnx_model write(const std::string& dtype = "int8") const {
    job work(model);
    work.quantize_weights(dtype);
    const temporary_folder folder;
    return work.write(folder / "q.onnx");
  }
};

const ptq::onnx_node& maker_of(const std::vector<ptq::onnx_node>& nodes, std::string_view output) {
  for (const ptq::onnx_node& one : nodes)
    if (std::find(one.outputs.begin(), one.outputs.end(), output) != one.outputs.end()) return one;
  FAIL("nothing makes " << output);
  return nodes.front();
}

const ptq::onnx_tensor& constant_of(const std::vector<ptq::onnx_node>& nodes, std::string_view output) {
  const ptq::onnx_node& made = maker_of(nodes, output);
  REQUIRE(made.op_type == "Constant");
  return made.find_attribute("value")->tensors.front();
}

/// Where older nodes do not fit, after the operators' changelog of the ONNX project. That no change is
/// missing is opset_test.py's part, which knows the schemas; here, that no row goes astray.
constexpr std::pair<std::string_view, std::int64_t> changes[] = {{"BatchNormalization", 9},
                                                                 {"BatchNormalization", 14},
                                                                 {"Clip", 11},
                                                                 {"DFT", 20},
                                                                 {"Dropout", 10},
                                                                 {"Dropout", 12},
                                                                 {"GridSample", 20},
                                                                 {"GroupNormalization", 21},
                                                                 {"Hardmax", 13},
                                                                 {"LogSoftmax", 13},
                                                                 {"Pad", 11},
                                                                 {"ReduceL1", 18},
                                                                 {"ReduceL2", 18},
                                                                 {"ReduceLogSum", 18},
                                                                 {"ReduceLogSumExp", 18},
                                                                 {"ReduceMax", 18},
                                                                 {"ReduceMean", 18},
                                                                 {"ReduceMin", 18},
                                                                 {"ReduceProd", 18},
                                                                 {"ReduceSum", 13},
                                                                 {"ReduceSumSquare", 18},
                                                                 {"Resize", 11},
                                                                 {"Resize", 13},
                                                                 {"RoiAlign", 16},
                                                                 {"Scan", 9},
                                                                 {"Scatter", 11},
                                                                 {"Slice", 10},
                                                                 {"Softmax", 13},
                                                                 {"Split", 13},
                                                                 {"Split", 18},
                                                                 {"Squeeze", 13},
                                                                 {"TopK", 10},
                                                                 {"Unsqueeze", 13},
                                                                 {"Upsample", 9},
                                                                 {"Upsample", 10}};
static_assert(std::equal(std::begin(ptq::detail::onnx_adapters), std::end(ptq::detail::onnx_adapters),
                         std::begin(changes), std::end(changes), [](const auto& row, const auto& change) {
                           return row.op_type == change.first && row.since == change.second;
                         }));

bool contains(const std::string& text, const std::string& words) {
  return text.find(words) != std::string::npos;
}

}  // namespace

TEST_CASE("the table of adapters is sorted, and has each change once") {
  const auto& rows = ptq::detail::onnx_adapters;
  for (std::size_t i = 0; i < std::size(rows); ++i) {
    CHECK((rows[i].since > ptq::detail::oldest_movable_opset && rows[i].since <= 21));
    if (i > 0)
      CHECK(std::pair(rows[i - 1].op_type, rows[i - 1].since) < std::pair(rows[i].op_type, rows[i].since));
  }
}

TEST_CASE("a node that already has the form of the change stays as it is") {
  const auto stays = [](std::int64_t opset, const std::string& one, const std::string& dtype) {
    const auto written = source(model_of(opset, {one}, element_type::float32)).write(dtype);
    return std::string(maker_of(written.graph.nodes, "y").source) == one;
  };
  const std::string sorted = node("TopK", {"x", "in"}, {"y", "i"});  // how many is an input since 10
  CHECK(stays(10, sorted, "int8"));
  CHECK(stays(12, sorted, "int8"));
  const std::string softmax =
      node("Softmax", {"x"}, {"y"});  // of the last axis since 13, of the second before
  CHECK(stays(13, softmax, "fp8_e4m3fn"));
  CHECK(stays(20, softmax, "fp8_e4m3fn"));
  CHECK_FALSE(stays(12, softmax, "int8"));
  CHECK_FALSE(stays(12, softmax, "fp8_e4m3fn"));
}

TEST_CASE("a bound that becomes an input has the type of what it bounds") {
  const auto bound = [](element_type type) {
    const source old(model_of(10, {node("Clip", {"x"}, {"y"}, real("min", 0.5F))}, type));
    const auto written = old.write();
    const ptq::onnx_node& clip = maker_of(written.graph.nodes, "y");
    REQUIRE(clip.inputs.size() == 2);
    CHECK(clip.attributes.empty());
    const ptq::onnx_tensor& made = constant_of(written.graph.nodes, clip.inputs[1]);
    CHECK(made.type == type);
    CHECK(made.dims.empty());
    return std::string(reinterpret_cast<const char*>(made.data.data()), made.data.size());  // NOLINT: bytes
  };
  using namespace std::string_literals;
  CHECK(bound(element_type::float32) == "\0\0\0\x3f"s);
  CHECK(bound(element_type::float64) == "\0\0\0\0\0\0\xe0\x3f"s);
  CHECK(bound(element_type::float16) == "\0\x38"s);
  CHECK(bound(element_type::bfloat16) == "\0\x3f"s);
}

TEST_CASE("added tensors and nodes have names of their own, in the graph, its bodies and its functions") {
  const std::string body = make_field(1, node("Identity", {"x"}, {"y_axes"})) +
                           make_field(1, node("Squeeze", {"y_axes"}, {"y_axes_2"}, integers("axes", {0}))) +
                           make_field(12, declare("y_axes_2", element_type::float32));
  const source old(
      model_of(11,
               {node("Squeeze", {"x"}, {"y"}, integers("axes", {0})),
                node("If", {"in"}, {"z"}, graph("then_branch", body) + graph("else_branch", body))},
               element_type::float32,
               {make_field(1, "f") + make_field(5, "y_axes_3") + make_field(9, import(13)) +
                make_field(7, node("Relu", {"v"}, {"y_axes_3"}))}));
  const auto written = old.write();
  CHECK(maker_of(written.graph.nodes, "y").inputs[1] == "y_axes_4");
  std::set<std::string> seen;
  for (const ptq::onnx_node& one : written.graph.nodes)
    if (!one.name.empty()) CHECK(seen.insert(one.name).second);
  for (const ptq::onnx_attribute& branch : maker_of(written.graph.nodes, "z").attributes) {
    const auto& nodes = branch.bodies.front().nodes;
    REQUIRE(nodes.size() == 3);
    CHECK(nodes[1].op_type == "Constant");
    CHECK(seen.insert(nodes[1].outputs.front()).second);  // both branches add one
    CHECK(nodes[2].inputs[1] == nodes[1].outputs.front());
    CHECK(nodes[2].outputs.front() == "y_axes_2");
  }
}

TEST_CASE("weights in a body whose nodes are rewritten are not copied") {
  const std::size_t dims[] = {100, 10};
  const std::string weight =
      ptq::detail::make_initializer("big", element_type::float32, dims, std::string(4000, 'w'));
  const std::string unknown("\xc0\x3e\x05", 3);
  const std::string inner =
      make_field(1, node("Squeeze", {"x"}, {"s"}, integers("axes", {0}))) + weight + unknown;
  const std::string outer = make_field(1, node("If", {"x"}, {"t"}, graph("then_branch", inner))) + weight;
  const source old(
      model_of(11, {node("If", {"x"}, {"y"}, graph("then_branch", outer))}, element_type::float32));
  const auto links = ptq::links_of(old.model.graph);
  REQUIRE(links);
  std::set<std::string> taken;
  ptq::detail::onnx_mover mover(old.model, *links, 13, "int8", taken);
  const auto moved = mover.move(old.model.graph.nodes[1]);
  REQUIRE(moved);
  CHECK(mover.count() == 1);
  std::size_t made = 0;
  for (const auto& piece : moved->pieces()) {
    if (const auto* const text = std::get_if<std::string>(&piece)) {
      made += text->size();
    } else {
      const std::string_view kept = std::get<std::string_view>(piece);
      CHECK((kept.data() >= old.bytes.data() &&
             kept.data() + kept.size() <= old.bytes.data() + old.bytes.size()));
    }
  }
  CHECK(made < 400);
  CHECK(moved->str().size() == moved->size());
  CHECK(contains(moved->str(), weight + unknown));
}

TEST_CASE("functions move from their own operator set, and only where it is older") {
  const auto function = [](std::int64_t opset, const std::string& attributes) {
    return make_field(1, "f") + make_field(4, "v") + make_field(5, "r") + make_field(10, "local") +
           make_field(9, import(opset)) + make_field(7, node("ReduceMean", {"v"}, {"r"}, attributes));
  };
  const auto call = node("f", {"x"}, {"y"}, make_field(7, "local"));
  const std::string axes = integers("axes", {1});
  const source old(model_of(17, {call}, element_type::float32, {function(17, axes), function(21, "")}));
  const auto written = old.write("fp8_e4m3fn");
  REQUIRE(written.functions.size() == 2);
  const ptq::onnx_function& moved = written.functions[0];
  CHECK(ptq::standard_opset(moved.opsets) == written.opset());
  REQUIRE(moved.nodes.size() == 2);
  CHECK(constant_of(moved.nodes, moved.nodes[1].inputs[1]).type == element_type::int64);
  CHECK(moved.nodes[1].attributes.empty());
  CHECK(std::string(written.functions[1].source) == function(21, ""));

  std::string is_integers;
  protozero::pbf_writer(is_integers).add_enum(20, 7);
  const std::string given = make_field(5, make_field(1, "axes") + make_field(21, "its_axes") + is_integers);
  const source parameter(model_of(17, {call}, element_type::float32, {function(17, given)}));
  CHECK(contains(
      parameter.refusal("fp8_e4m3fn"),
      "node that makes \"r\" (ReduceMean) in function \"f\" cannot be moved: its attribute \"axes\" is the "
      "parameter \"its_axes\" of the function around it"));
  CHECK(parameter.refusal("int8").empty());
  const source ancient(model_of(17, {call}, element_type::float32, {function(6, "")}));
  CHECK(contains(ancient.refusal("fp8_e4m3fn"), "function \"f\" has operator set 6"));
}

TEST_CASE("a node in front of which a tensor is rounded is rewritten with the rounded one") {
  const source old(
      model_of(8, {node("BatchNormalization", {"out", "w", "w", "w", "w"}, {"y"}, integer("spatial", 1))},
               element_type::float32));
  job work(old.model);
  work.quantize_weights("int8");
  const auto at = std::find_if(work.layers.layers.begin(), work.layers.layers.end(),
                               [](const ptq::layer& one) { return one.class_name.starts_with("BatchNorm"); });
  REQUIRE(at != work.layers.layers.end());
  const auto index = static_cast<std::size_t>(at - work.layers.layers.begin());
  work.planned.layers[index].weights = {};
  work.quantize_input(index, "int8", 0.5F);
  const temporary_folder folder;
  const auto written = work.write(folder / "q.onnx");
  const ptq::onnx_node& norm = maker_of(written.graph.nodes, "y");
  CHECK(norm.inputs.front() == "out_dequantized");
  CHECK(norm.attributes.empty());
  CHECK(std::count(work.notes.begin(), work.notes.end(),
                   "operator set 8 is now 13, which int8 needs; 1 node was rewritten") == 1);
}

TEST_CASE("what cannot be moved is refused with its place, the reason and what to do") {
  const auto scan = node("Scan", {"", "x"}, {"y"});
  const source one(model_of(8, {make_field(3, "scan_it") + scan}, element_type::float32));
  CHECK(contains(one.refusal(),
                 "old.onnx: int8 needs operator set 13, but the model has 8, and node \"scan_it\" (Scan) "
                 "cannot be moved: it runs over batches, which the newer form does not have. Export the "
                 "model with operator set 13 or later."));
  CHECK_FALSE(contains(one.refusal(), "or use int8"));
  CHECK(contains(one.refusal("fp8_e5m2"), ", or use int8, which needs 13."));
  CHECK(one.refusal("native").empty());

  const source inside(model_of(8, {node("If", {"x"}, {"z"}, graph("then_branch", make_field(1, scan)))},
                               element_type::float32));
  CHECK(contains(inside.refusal(),
                 "node that makes \"y\" (Scan) in node that makes \"z\" (If) cannot be moved"));
  job work(inside.model);
  work.quantize_weights("int8");
  const temporary_folder folder;
  CHECK(work.refused(folder / "q.onnx") == inside.refusal());

  const source ancient(model_of(6, {node("Relu", {"x"}, {"y"})}, element_type::float32));
  CHECK(contains(ancient.refusal(), "operators of before version 7 mean something else now"));
  for (const char* op_type : {"Affine", "ImageScaler"}) {  // on trial in ONNX until operator set 10
    const std::string floats = make_field(5, make_field(1, "bias") + make_field(7, std::string(4, '\0')));
    const source trial(model_of(9, {node(op_type, {"x"}, {"y"}, floats)}, element_type::float32));
    CHECK(contains(trial.refusal(), "it was on trial, and is gone since operator set 10. Export the model"));
    CHECK(source(model_of(13, {node(op_type, {"x"}, {"y"})}, element_type::float32)).refusal().empty());
  }
  const source unknown(model_of(10,
                                {node("Odd", {"x"}, {"h"}, make_field(7, "custom")),
                                 node("Pad", {"h"}, {"y"}, integers("pads", {0, 0}) + real("value", 1))},
                                element_type::unknown));
  CHECK(
      contains(unknown.refusal(), "the type of its input \"h\" is not known. Save the model with the types"));
}
