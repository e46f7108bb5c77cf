// SPDX-License-Identifier: Apache-2.0
// The rules on a specification that was built in code.
#include "ptq/config/validate.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <optional>
#include <random>
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
  // A word that is nearly in each of others, at every place: what is compared counts.
  const std::string typo = std::string(60, 'a') + "b";
  const std::string alike(200, 'a');
  std::vector<std::string_view> nearly(200, alike);
  nearly.push_back(typo);
  CHECK(ptq::nearest_word(typo, nearly).empty());
}

TEST_CASE("what stops early finds what a comparison of everything does") {
  // Levenshtein's distance with swapped neighbours, as it is defined.
  const auto distance_of = [](const std::string& a, const std::string& b) {
    std::vector<std::vector<std::size_t>> rows(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
    for (std::size_t i = 0; i <= a.size(); ++i) {
      for (std::size_t j = 0; j <= b.size(); ++j) {
        rows[i][j] = i == 0 || j == 0 ? i + j
                                      : std::min({rows[i - 1][j] + 1, rows[i][j - 1] + 1,
                                                  rows[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0U : 1U)});
        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
          rows[i][j] = std::min(rows[i][j], rows[i - 2][j - 2] + 1);
      }
    }
    return rows[a.size()][b.size()];
  };
  std::mt19937 random(20261129);
  const auto draw = [&] {
    std::string word;
    for (std::size_t n = random() % 12; n > 0; --n) word += static_cast<char>('a' + random() % 3);
    return word;
  };
  std::size_t found = 0;
  for (int round = 0; round < 2000; ++round) {
    const std::string typo = draw();
    const std::string other = draw();
    const std::size_t distance = distance_of(typo, other);
    for (const std::size_t limit : {1U, 2U, 3U, 5U, 100U}) {
      std::size_t steps = 0;
      REQUIRE(ptq::detail::edit_distance(typo, other, limit, steps) == std::min(distance, limit));
    }
    const std::string upper = "X" + other + typo + "Y";
    std::size_t steps = 0;
    REQUIRE(ptq::detail::has_word(other, typo, steps) == (other.find(typo) != std::string::npos));
    REQUIRE(ptq::detail::has_word(upper, typo, steps));
    const std::size_t most = std::max<std::size_t>(2, other.size() / 3);
    const bool is_near = distance <= most || (typo.size() >= 3 && other.find(typo) != std::string::npos);
    REQUIRE(ptq::nearest_word(typo, std::vector<std::string_view>{other}) == (is_near ? other : ""));
    found += is_near ? 1U : 0U;
  }
  CHECK(found > 100);
  CHECK(ptq::nearest_word("LINAER", std::vector<std::string_view>{"conv", "Linear"}) == "Linear");
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
