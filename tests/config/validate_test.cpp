// SPDX-License-Identifier: Apache-2.0
// The rules on a specification that was built in code.
#include "ptq/config/validate.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

namespace {

std::string broken(const ptq::spec& checked) {
  const auto outcome = ptq::validate(checked);
  CHECK(!outcome.has_value());
  return outcome.error().where;
}

}  // namespace

TEST_CASE("a hint costs little, whatever a file names") {
  const std::string endless(20000, 'a');
  const std::string other(20000, 'b');
  const std::vector<std::string_view> monsters{endless, other};
  CHECK(ptq::nearest_word(endless, monsters).empty());
  CHECK(ptq::nearest_word("fc1", std::vector<std::string_view>{endless, "fc2"}) == "fc2");
  // Of many words the first are compared: two letters of three each differ here, and the last is past the
  // effort.
  std::vector<std::string_view> many(1'000'000, "xyz");
  many.push_back("fc2");
  CHECK(ptq::nearest_word("fc1", many).empty());
  many.front() = "fc3";
  CHECK(ptq::nearest_word("fc1", many) == "fc3");
}

TEST_CASE("data that are built in code name some") {
  ptq::spec made;
  made.calibration_data.emplace();
  CHECK(broken(made) == "dataset.quant_calibration_dataset");
}

TEST_CASE("a default specification is valid") {
  CHECK(ptq::validate({}).has_value());
}

TEST_CASE("errors name the field") {
  ptq::spec wrong;
  wrong.quantize.layers = {{"Linear", ptq::slot_config{"int8", {}}, std::nullopt},
                           {"fc", std::nullopt, ptq::slot_config{"int3", {}}}};
  CHECK(broken(wrong) == "quantize.layers[1].activations.dtype");
  wrong.quantize.layers[1].activations->dtype = "int8";
  CHECK(ptq::validate(wrong).has_value());
  wrong.quantize.layers[0].weights->quant_axis = {ptq::axis_choice::kind_type::axis, 9};
  CHECK(broken(wrong) == "quantize.layers[0].weights.quant_axis");
  wrong.quantize.layers[0].module_name = "";
  CHECK(broken(wrong) == "quantize.layers[0].module_name");
  wrong.quantize.mode = "static_ptq";
  CHECK(broken(wrong) == "quantize.mode");
  wrong.quantize.backend = "";
  CHECK(broken(wrong) == "quantize.backend");
}

TEST_CASE("data and calibration are checked too") {
  ptq::spec wrong;
  wrong.evaluation_data.emplace();
  CHECK(broken(wrong) == "evaluate");
  wrong.evaluation_data->inputs[""] = "a.npy";
  CHECK(ptq::validate(wrong).has_value());
  wrong.ptq.calibration.bins = 257;
  CHECK(broken(wrong) == "ptq.calibration.bins");
}

TEST_CASE("each word of the bundle is allowed, and its nearest is found") {
  const ptq::spec_words words = ptq::words_of<>();
  for (const auto& backend : words.backends) {
    ptq::spec right;
    right.quantize.backend = backend.name;
    right.quantize.mode = backend.mode;
    for (const auto dtype : words.dtypes)
      right.quantize.layers.push_back({"*", ptq::slot_config{std::string(dtype), {}}, std::nullopt});
    CHECK(ptq::validate(right).has_value());
  }
  CHECK(ptq::nearest_word("fp8_e4m3", words.dtypes) == "fp8_e4m3fn");
  CHECK(ptq::nearest_word("tni8", words.dtypes) == "int8");
  CHECK(ptq::nearest_word("something", words.dtypes).empty());
  CHECK(ptq::nearest_word("FP8_E5M3", words.dtypes) == "fp8_e5m2");
  CHECK(ptq::nearest_word("fp8", words.dtypes) == "fp8_e4m3fn");
  CHECK(ptq::nearest_word("FP8_E5", words.dtypes) == "fp8_e5m2");
  CHECK(ptq::nearest_word("E4M3", words.dtypes) == "fp8_e4m3fn");
  CHECK(ptq::nearest_word("fp", words.dtypes).empty());
  // The nearest one whose own length allows for the difference.
  const std::vector<std::string_view> lengths{"abcdef", "abcxyzdefghi"};
  CHECK(ptq::nearest_word("abcdefghi", lengths) == "abcxyzdefghi");
  const std::vector<std::string_view> layers{"Head.Query", "head.key", "headroom"};
  CHECK(ptq::nearest_word("HEAD.QUERY", layers) == "Head.Query");
  CHECK(ptq::nearest_word("HEAD.", layers) == "Head.Query");
  CHECK(ptq::nearest_word("headrom", layers) == "headroom");
}
