// SPDX-License-Identifier: Apache-2.0
// A plan as text and as JSON: a layer of each kind.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "ptq/formats/json.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/report/json.hpp"
#include "ptq/report/text.hpp"

namespace {

ptq::planned_layer layer(const std::string& name, const std::string& class_name) {
  ptq::planned_layer made;
  made.name = name;
  made.class_name = class_name;
  return made;
}

/// Weights alone: one layer quantized, one that no rule matches, one that is skipped.
ptq::plan weights_only() {
  ptq::plan made;
  made.backend = "torchao";
  ptq::planned_layer first = layer("fc1", "Linear");
  first.shape = {8, 4};
  first.inferred = true;
  first.weights = {"int8", ptq::per_channel(0), 1, ""};
  first.activations.reason = "no matching rule sets activations";
  ptq::planned_layer second = layer("norm", "");
  second.weights.reason = second.activations.reason = "no rule matches";
  ptq::planned_layer third = layer("fc2", "Linear");
  third.shape = {2, 8};
  third.weights.reason = third.activations.reason = "skipped by quantize.skip_names[0] \"*2\"";
  third.skipped_by = 0;
  made.layers = {first, second, third};
  made.rules = {{"a*", 0}, {"fc*", 2}};
  made.skip_names = {{"*2", 1}};
  made.warnings = {"w"};
  made.notes = {"n"};
  return made;
}

/// With activations, and names of a graph.
ptq::plan both_slots() {
  ptq::plan made;
  made.backend = "modelopt";
  ptq::planned_layer first = layer("net.conv", "Conv2d");
  first.origin = {"val_3", "ConvBlock", true};
  first.shape = {4, 1, 3, 3};
  first.weights = {"fp8_e4m3fn", ptq::per_tensor(), 0, ""};
  first.activations = {"fp8_e4m3fn", ptq::per_tensor(), 0, ""};
  ptq::planned_layer second = layer("fc", "Linear");
  second.shape = {2, 4};
  second.weights = {"native", {}, 0, "it is a stack"};
  second.activations = {"native", {}, 0, "its input is an integer"};
  ptq::planned_layer third = layer("pool", "MaxPool2d");
  third.weights = {"native", {}, {}, "no matching rule sets weights"};
  third.activations = {"int8", ptq::per_tensor(), 1, ""};
  ptq::planned_layer fourth = layer("lstm", "LSTM");
  fourth.weights = fourth.activations = {"native", {}, 1, "never"};
  made.layers = {first, second, third, fourth};
  made.rules = {{"*", 4}, {"pool", 1}};
  return made;
}

}  // namespace

TEST_CASE("a plan of weights alone has no column of activations, and says what a mark means") {
  CHECK(ptq::to_text(weights_only()) ==
        "layer  class    shape  weights  scale per        rule  reason\n"
        "-----  -------  -----  -------  ---------------  ----  --------------------------------------\n"
        "fc1    Linear?  8 x 4  int8     channel, axis 0     1\n"
        "norm   -        -      native   -                   -  no rule matches\n"
        "fc2    Linear   2 x 8  native   -                   -  skipped by quantize.skip_names[0] \"*2\"\n"
        "? inferred from name and shape; ptq.module_types says otherwise if need be\n"
        "\n"
        "layers[0] \"a*\" matches 0 layers\n"
        "layers[1] \"fc*\" matches 2 layers\n"
        "skip_names[0] \"*2\" matches 1 layer\n"
        "would quantize 1 of 3 layers with torchao\n");
}

TEST_CASE("activations have their rule and reason, graphs the names that the file has") {
  CHECK(
      ptq::to_text(both_slots()) ==
      "layer     in the graph  class               shape          weights     scale per  rule  activations  "
      "rule  reason\n"
      "--------  ------------  ------------------  -------------  ----------  ---------  ----  -----------  "
      "----  --------------------------------------\n"
      "net.conv  val_3*        Conv2d (ConvBlock)  4 x 1 x 3 x 3  fp8_e4m3fn  tensor        0  fp8_e4m3fn   "
      "   0\n"
      "fc        -             Linear              2 x 4          native      -             0  native       "
      "   0  it is a stack; its input is an integer\n"
      "pool      -             MaxPool2d           -              native      -             -  int8         "
      "   1  no matching rule sets weights\n"
      "lstm      -             LSTM                -              native      -             1  native       "
      "   1  never\n"
      "* numbered by the exporter: it may be another in the next export\n"
      "\n"
      "layers[0] \"*\" matches 4 layers\n"
      "layers[1] \"pool\" matches 1 layer\n"
      "would quantize 2 of 4 layers with modelopt\n");
}

TEST_CASE("plans as JSON: every layer, and null where there is nothing") {
  CHECK(ptq::to_json(weights_only()) == nlohmann::json::parse(R"({
    "layers": [
      {"name": "fc1", "class": "Linear", "inferred": true, "shape": [8, 4], "skipped_by": null,
       "weights": {"dtype": "int8", "granularity": "per_channel", "axis": 0, "rule": 1, "reason": null},
       "activations": {"dtype": "native", "rule": null, "reason": "no matching rule sets activations"}},
      {"name": "norm", "class": "", "inferred": false, "shape": [], "skipped_by": null,
       "weights": {"dtype": "native", "granularity": null, "axis": null, "rule": null,
                   "reason": "no rule matches"},
       "activations": {"dtype": "native", "rule": null, "reason": "no rule matches"}},
      {"name": "fc2", "class": "Linear", "inferred": false, "shape": [2, 8], "skipped_by": 0,
       "weights": {"dtype": "native", "granularity": null, "axis": null, "rule": null,
                   "reason": "skipped by quantize.skip_names[0] \"*2\""},
       "activations": {"dtype": "native", "rule": null,
                       "reason": "skipped by quantize.skip_names[0] \"*2\""}}],
    "rules": [{"module_name": "a*", "matched": 0}, {"module_name": "fc*", "matched": 2}],
    "skip_names": [{"pattern": "*2", "matched": 1}],
    "warnings": ["w"], "notes": ["n"]})"));

  const nlohmann::json conv = ptq::to_json(both_slots())["layers"][0];
  CHECK(conv == nlohmann::json::parse(R"(
      {"name": "net.conv", "class": "Conv2d", "inferred": false, "shape": [4, 1, 3, 3], "skipped_by": null,
       "graph_name": "val_3", "made_up": true, "module_class": "ConvBlock",
       "weights": {"dtype": "fp8_e4m3fn", "granularity": "per_tensor", "axis": null, "rule": 0,
                   "reason": null},
       "activations": {"dtype": "fp8_e4m3fn", "rule": 0, "reason": null}})"));
}

TEST_CASE("JSON that is written row by row is the JSON that is built") {
  ptq::plan odd = both_slots();
  odd.layers[1].name = "fc\n\x1b[31m\xe2\x80\xae\xff";  // a line break, colours, right to left, no UTF-8
  odd.notes = {};
  odd.warnings = {"first\nsecond", "third"};
  for (const ptq::plan& made : {weights_only(), both_slots(), odd, ptq::plan()}) {
    std::string text;
    std::size_t longest = 0;
    ptq::write_json(made, [&](std::string_view part) {
      text += part;
      longest = std::max(longest, part.size());
    });
    CHECK(text == ptq::dump_json_lines(ptq::to_json(made)));
    CHECK(longest < 1000);  // a layer
  }
}
