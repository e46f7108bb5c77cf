// SPDX-License-Identifier: Apache-2.0
// The rules alone, against the goldens: which entry wins which slot, and what is skipped.
#include "ptq/model/resolve.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace {

nlohmann::json golden(const char* file) {
  return nlohmann::json::parse(std::ifstream(std::string(PTQ_GOLDEN_DIR "/e_match/") + file));
}

std::optional<ptq::slot_config> slot_of(const nlohmann::json& value) {
  if (value.is_null()) return std::nullopt;
  return ptq::slot_config{value.at("dtype"), {}};
}

ptq::quantize_config config_of(const nlohmann::json& test_case) {
  ptq::quantize_config config;
  for (const auto& entry : test_case.at("layers"))
    config.layers.push_back(
        {entry.at("module_name"), slot_of(entry.at("weights")), slot_of(entry.at("activations"))});
  config.skip_names = test_case.at("skip_names");
  return config;
}

std::string dtype_of(const ptq::quantize_config& config, std::optional<std::size_t> rule,
                     std::optional<ptq::slot_config> ptq::rule_config::* slot) {
  return rule ? (config.layers[*rule].*slot)->dtype : "native";
}

/// Whether an index, or its absence, is the one expected.
bool is(const nlohmann::json& expected, std::optional<std::size_t> index) {
  return expected.is_null() ? !index.has_value() : index.has_value() && expected == *index;
}

}  // namespace

TEST_CASE("line breaks and code points in patterns") {
  for (const auto& line : golden("fnmatch_special.json")) {
    CAPTURE(line.dump());
    CHECK(ptq::matches(line.at("pattern").get<std::string>(), line.at("string").get<std::string>()) ==
          line.at("expected").get<bool>());
  }
}

TEST_CASE("every golden case of resolve.json") {
  std::size_t modules = 0;
  for (const auto& test_case : golden("resolve.json")) {
    CAPTURE(test_case.at("title").get<std::string>());
    const ptq::quantize_config config = config_of(test_case);
    const auto& all = test_case.at("modules");
    REQUIRE(all.size() == test_case.at("expected").size());
    for (std::size_t i = 0; i < all.size(); ++i, ++modules) {
      const auto& module = all[i];
      const auto& expected = test_case.at("expected")[i];
      CAPTURE(expected.dump());
      REQUIRE(module.at("name") == expected.at("name"));
      const ptq::resolution found = ptq::resolve(config, {module.at("name"), module.at("class"), {}});
      CHECK(is(expected.at("weights_rule"), found.weights));
      CHECK(is(expected.at("activations_rule"), found.activations));
      CHECK(found.skips.empty() == expected.at("skipped_by").is_null());
      if (!found.skips.empty()) CHECK(expected.at("skipped_by") == found.skips.front());
      CHECK(dtype_of(config, found.weights, &ptq::rule_config::weights) ==
            expected.at("weights").get<std::string>());
      CHECK(dtype_of(config, found.activations, &ptq::rule_config::activations) ==
            expected.at("activations").get<std::string>());
    }
  }
  CHECK(modules == 900);
}

TEST_CASE("an ONNX operator is a name too, and an unknown class matches no pattern") {
  ptq::layer gemm{"fc", "Linear", {}};
  gemm.op_type = "Gemm";
  CHECK(ptq::hits("Gemm", gemm));
  CHECK(ptq::hits("Linear", gemm));
  CHECK(!ptq::hits("gemm", gemm));
  CHECK(!ptq::hits("", ptq::layer{"fc", "", {}}));
}
