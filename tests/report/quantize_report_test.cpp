// SPDX-License-Identifier: Apache-2.0
// What a run did as text and as JSON, and what is odd about a range.
#include "ptq/report/quantize_report.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "ptq/formats/json.hpp"
#include "ptq/report/json.hpp"

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

ptq::layer_report weights(const std::string& name, double sqnr_db) {
  ptq::layer_report made;
  made.planned.name = name;
  made.planned.class_name = "Linear";
  made.planned.shape = {8, 4};
  made.planned.weights = {"int8", ptq::per_channel(0), 0, ""};
  made.planned.activations.reason = "no matching rule sets activations";
  made.weights = ptq::weights_report{{32, 0.25, 0.0012345, sqnr_db, 1, 0}, 2128, 464};
  return made;
}

ptq::quantize_report example() {
  ptq::quantize_report made;
  ptq::layer_report good = weights("good", 40.06);
  good.planned.inferred = true;
  ptq::layer_report bad = weights("bad", 12.34);
  bad.planned.activations = {"int8", ptq::per_tensor(), 0, ""};
  bad.activations = ptq::activations_report{1.23456, "entropy", "so it is", 0.0012345, 30.04};
  ptq::layer_report none = weights("empty", 0);
  none.planned.shape = {0, 4};
  none.weights = ptq::weights_report{{}, 0, 32};
  ptq::layer_report left = weights("norm", 0);
  left.weights = {};
  left.planned.weights = {"native", {}, {}, "no rule matches"};
  ptq::layer_report also = left;
  also.planned.name = "norm2";
  ptq::layer_report skipped = left;
  skipped.planned.name = "head";
  skipped.planned.weights.reason = "skipped";
  made.layers = {good, bad, none, left, skipped, also};
  made.bytes_before = 82'100;
  made.bytes_after = 21'200;
  made.other_tensors = 1;
  made.warnings = {"w"};
  made.notes = {"n"};
  return made;
}

std::string last_line(std::uint64_t before, std::uint64_t after) {
  ptq::quantize_report made;
  made.bytes_before = before;
  made.bytes_after = after;
  return ptq::to_text(made);
}

/// Of 1000 values up to 8, so many below 0.25.
ptq::activation_range range_with(std::uint64_t near_zero) {
  ptq::activation_range made;
  made.algorithm = "minmax";
  made.range = {8.0F, ptq::range_reason::found};
  made.scale = 8.0F / 127;
  made.count = 1000;
  made.clipped = 250;
  made.sqnr_db = 20;
  made.near_zero = near_zero;
  made.near_zero_below = 0.25F;
  return made;
}

}  // namespace

TEST_CASE("the worst layers come first; what was left is counted by its reason") {
  CHECK(ptq::to_text(example()) ==
        "layer  class    shape  dtype  scale per        SQNR dB  max error  before  after\n"
        "-----  -------  -----  -----  ---------------  -------  ---------  ------  -----\n"
        "bad    Linear   8 x 4  int8   channel, axis 0     12.3    0.00123  2.1 KB  464 B\n"
        "good   Linear?  8 x 4  int8   channel, axis 0     40.1    0.00123  2.1 KB  464 B\n"
        "empty  Linear   0 x 4  int8   channel, axis 0        -          -     0 B   32 B\n"
        "? inferred from name and shape; ptq.module_types says otherwise if need be\n"
        "\n"
        "input of  dtype  algorithm   amax  clipped  SQNR dB (estimate)  note\n"
        "--------  -----  ---------  -----  -------  ------------------  --------\n"
        "bad       int8   entropy    1.235  0.123 %                30.0  so it is\n"
        "\n"
        "quantized: 3 of 6 layers\n"
        "left as they are, no rule matches: 2 (norm, norm2)\n"
        "left as they are, skipped: 1 (head)\n"
        "copied, not the weight of a layer: 1 tensor\n"
        "model: 82.1 KB -> 21.2 KB (3.87 times smaller)\n");
  ptq::quantize_report graph = example();
  graph.layers = {graph.layers[0]};
  graph.layers[0].planned.origin.graph_name = "MatMul_7";
  graph.layers[0].planned.origin.is_made_up = true;
  CHECK(ptq::to_text(graph).starts_with(
      "layer  in the graph  class    shape  dtype  scale per        SQNR dB  max error  before  after\n"
      "-----  ------------  -------  -----  -----  ---------------  -------  ---------  ------  -----\n"
      "good   MatMul_7*     Linear?  8 x 4  int8   channel, axis 0     40.1    0.00123  2.1 KB  464 B\n"
      "? inferred from name and shape; ptq.module_types says otherwise if need be\n"
      "* numbered by the exporter: it may be another in the next export\n"));
}

TEST_CASE("layers of one SQNR stay in their order") {
  ptq::quantize_report made;
  for (const char* const name : {"b", "c", "a"}) made.layers.push_back(weights(name, 30));
  const std::string text = ptq::to_text(made);
  CHECK(text.find("\nb ") < text.find("\nc "));
  CHECK(text.find("\nc ") < text.find("\na "));
}

TEST_CASE("sizes: smaller, larger, the same, or nothing to compare with") {
  CHECK(last_line(0, 0) == "quantized: 0 of 0 layers\nmodel: 0 B -> 0 B (unchanged)\n");
  CHECK(last_line(5, 5) == "quantized: 0 of 0 layers\nmodel: 5 B -> 5 B (unchanged)\n");
  CHECK(last_line(200, 250) == "quantized: 0 of 0 layers\nmodel: 200 B -> 250 B (1.25 times larger)\n");
  CHECK(last_line(0, 7) == "quantized: 0 of 0 layers\nmodel: 0 B -> 7 B\n");
  CHECK(last_line(7, 0) == "quantized: 0 of 0 layers\nmodel: 7 B -> 0 B\n");
}

TEST_CASE("reports as JSON: figures that do not exist are null") {
  ptq::quantize_report made = example();
  made.layers = {made.layers[1], made.layers[2], made.layers[3]};
  made.layers[0].weights->error.sqnr_db = infinity;
  std::string text;
  ptq::write_json(made, [&](std::string_view part) { text += part; });
  CHECK(text == ptq::dump_json_lines(ptq::to_json(made)));
  CHECK(ptq::to_json(made) == nlohmann::json::parse(R"({
    "layers": [
      {"name": "bad", "class": "Linear", "rule": 0, "reason": null,
       "weights": {"dtype": "int8", "granularity": "per_channel", "axis": 0, "sqnr_db": null, "mse": 0.25,
                   "max_abs_error": 0.0012345, "bytes_before": 2128, "bytes_after": 464},
       "activations": {"dtype": "int8", "amax": 1.23456, "clipped_share": 0.0012345, "algorithm": "entropy",
                       "reason": "so it is", "sqnr_db": 30.04}},
      {"name": "empty", "class": "Linear", "rule": 0, "reason": null,
       "weights": {"dtype": "int8", "granularity": "per_channel", "axis": 0, "sqnr_db": null, "mse": null,
                   "max_abs_error": null, "bytes_before": 0, "bytes_after": 32},
       "activations": {"dtype": "native", "amax": null, "clipped_share": null, "algorithm": null,
                       "reason": "no matching rule sets activations", "sqnr_db": null}},
      {"name": "norm", "class": "Linear", "rule": null, "reason": "no rule matches",
       "weights": {"dtype": "native", "granularity": null, "axis": null, "sqnr_db": null, "mse": null,
                   "max_abs_error": null, "bytes_before": null, "bytes_after": null},
       "activations": {"dtype": "native", "amax": null, "clipped_share": null, "algorithm": null,
                       "reason": "no matching rule sets activations", "sqnr_db": null}}],
    "totals": {"layers": 3, "quantized_layers": 2, "other_tensors": 1, "bytes_before": 82100,
               "bytes_after": 21200},
    "warnings": ["w"], "notes": ["n"]})"));
}

TEST_CASE("a range is odd where all but 1 % of the values are next to nothing") {
  CHECK(ptq::finding_of(range_with(990)).what.empty());
  CHECK(ptq::finding_of(range_with(991)).what == "all but 0.9 % of the values are 0 or below 0.25");
  CHECK_FALSE(ptq::finding_of(range_with(991)).advice.empty());
}

TEST_CASE("a range is odd where its scale is no normal number") {
  constexpr float normal = std::numeric_limits<float>::min();
  ptq::activation_range input = range_with(0);
  input.scale = normal;
  CHECK(ptq::finding_of(input).what.empty());
  input.scale = normal / 2;
  CHECK(ptq::finding_of(input).what == "its scale is subnormal");
  input.range.amax = normal;
  input.scale = 1;
  CHECK(ptq::finding_of(input).what.empty());
  input.range.amax = normal / 2;
  CHECK(ptq::finding_of(input).what == "its scale would be 0, so it is 1 and all codes are 0");
  input.range.amax = 0;
  CHECK(ptq::finding_of(input).what.empty());
}

TEST_CASE("activations: shares of what was seen, and every reason") {
  const ptq::activations_report plain = ptq::activations_report_of(range_with(0));
  CHECK(plain.amax == 8);
  CHECK(plain.algorithm == "minmax");
  CHECK(plain.reason.empty());
  CHECK(plain.clipped_share == 0.25);
  CHECK(plain.sqnr_db == 20.0);

  ptq::activation_range odd = range_with(999);
  odd.range.reason = ptq::range_reason::degenerate;
  CHECK(ptq::activations_report_of(odd).reason ==
        std::string(text_of(odd.range.reason)) + "; all but 0.1 % of the values are 0 or below 0.25");
  CHECK(ptq::activations_report_of(range_with(999)).reason ==
        "all but 0.1 % of the values are 0 or below 0.25");

  ptq::activation_range unseen;
  unseen.algorithm = "entropy";
  CHECK(ptq::activations_report_of(unseen).reason == "no values were seen");
  CHECK(ptq::activations_report_of(unseen).clipped_share == std::nullopt);
  CHECK(ptq::activations_report_of(unseen).sqnr_db == std::nullopt);
}
