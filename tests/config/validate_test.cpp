// SPDX-License-Identifier: Apache-2.0
// The rules on a specification that was built in code.
#include "ptq/config/validate.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <limits>
#include <optional>
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

TEST_CASE("each word of the bundle is allowed") {
  const ptq::spec_words words = ptq::words_of<>();
  for (const auto& backend : words.backends) {
    ptq::spec right;
    right.quantize.backend = backend.name;
    right.quantize.mode = backend.mode;
    for (const auto dtype : words.dtypes)
      right.quantize.layers.push_back({"*", ptq::slot_config{std::string(dtype), {}}, std::nullopt});
    CHECK(ptq::validate(right).has_value());
  }
}

TEST_CASE("settings of calibration at their bounds") {
  const auto is_fine = [](double percentile, std::optional<std::size_t> bins) {
    ptq::spec made;
    made.ptq.calibration.percentile = percentile;
    made.ptq.calibration.bins = bins;
    return ptq::validate(made).has_value();
  };
  for (const double percentile : {100.0, 99.99, 1.0, 0.5, 1e-9}) CHECK(is_fine(percentile, {}));
  for (const double percentile : {0.0, -1.0, 100.0001, std::numeric_limits<double>::quiet_NaN()})
    CHECK_FALSE(is_fine(percentile, {}));
  for (const std::size_t bins : {256u, 512u, 2048u, 4096u}) CHECK(is_fine(50, bins));
  for (const std::size_t bins : {0u, 1u, 128u, 255u, 257u, 384u, 4095u, 4097u, 8192u})
    CHECK_FALSE(is_fine(50, bins));
}
