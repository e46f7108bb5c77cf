// SPDX-License-Identifier: Apache-2.0
// Any text gives a specification or an error in words, and a specification survives being written and read.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "ptq/config/to_yaml.hpp"
#include "specs.hpp"

namespace {

std::vector<std::string> corpus() {
  std::vector<std::string> texts;
  for (const char* folder : {"corpus", PTQ_GOLDEN_DIR "/spec"})
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      std::ifstream file(entry.path(), std::ios::binary);
      texts.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
  std::sort(texts.begin(), texts.end());
  return texts;
}

/// True if it was read.
bool survives(const std::string& text, const std::vector<std::string>& arguments = {}) {
  const auto made = parse(text, arguments);
  if (!made) {
    CHECK(!made.error().what.empty());
    CHECK(made.error().code != ptq::errc::ok);
    return false;
  }
  if (!made->ptq.module_types_file.empty()) return true;
  const std::string written = ptq::to_yaml(*made);
  CAPTURE(text);
  CAPTURE(written);
  const auto again = parse(written);
  REQUIRE(again.has_value());
  CHECK(again->quantize == made->quantize);
  CHECK(again->calibration_data == made->calibration_data);
  CHECK(again->evaluation_data == made->evaluation_data);
  CHECK(again->ptq == made->ptq);
  return true;
}

const std::vector<std::string> pieces{"\n",
                                      " ",
                                      "  ",
                                      "- ",
                                      ": ",
                                      "{",
                                      "}",
                                      "[",
                                      "]",
                                      "\"",
                                      "'",
                                      "&a ",
                                      "*a",
                                      "<<: ",
                                      "${",
                                      "}",
                                      "${quantize.mode}",
                                      "???",
                                      "null",
                                      "~",
                                      "|\n",
                                      ">\n",
                                      "!!str ",
                                      "---\n",
                                      "...\n",
                                      "# ",
                                      "\t",
                                      "\xff",
                                      "\xc3\xa9",
                                      "-1",
                                      "99999999999999999999",
                                      "1e999",
                                      "int8",
                                      "quantize",
                                      "layers",
                                      "weights: {dtype: int8}",
                                      "%YAML 1.2\n",
                                      "? ",
                                      ",",
                                      "\r\n",
                                      "\\",
                                      "@",
                                      "`"};

template <class Random>
std::size_t below(Random& random, std::size_t limit) {
  return static_cast<std::size_t>(random() % limit);
}

template <class Random>
void mutate(std::string& text, Random& random, const std::vector<std::string>& seeds) {
  const std::size_t at = below(random, text.size() + 1);
  const std::size_t length = below(random, 12);
  switch (random() % 5) {
    case 0:
      text.insert(at, pieces[below(random, pieces.size())]);
      break;
    case 1:
      text.erase(at, length);
      break;
    case 2:
      if (at < text.size()) text[at] = static_cast<char>(random());
      break;
    case 3:
      text.insert(at, text.substr(below(random, text.size() + 1), length * 4));
      break;
    default: {
      const std::string& other = seeds[below(random, seeds.size())];
      text = text.substr(0, at) + other.substr(below(random, other.size() + 1));
    }
  }
}

}  // namespace

TEST_CASE("every text of the corpus is read or refused") {
  int read = 0;
  for (const std::string& text : corpus()) read += survives(text) ? 1 : 0;
  CHECK(corpus().size() >= 12);
  CHECK(read >= 3);
}

TEST_CASE("mutated specifications") {
  const std::vector<std::string> seeds = corpus();
  std::mt19937 random(20240607);
  int read = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string text = seeds[below(random, seeds.size())];
    for (std::size_t n = 1 + below(random, 2); n > 0; --n) mutate(text, random, seeds);
    read += survives(text.substr(0, 4000)) ? 1 : 0;
  }
  CHECK(read > 500);  // the mutations are not all so coarse that nothing is reached
  CHECK(read < 19000);
}

TEST_CASE("random bytes") {
  std::mt19937 random(7);
  for (int i = 0; i < 10000; ++i) {
    std::string text(below(random, 60), ' ');
    for (char& c : text)
      c = random() % 3 == 0 ? static_cast<char>(random()) : ":-{}[]\"'&*!|>%@?,# \na1"[below(random, 22)];
    survives(text);
  }
}

TEST_CASE("mutated arguments") {
  const std::string text = "quantize: {layers: [{module_name: a, weights: {dtype: int8}}]}";
  const std::vector<std::string> seeds{"quantize.layers.0.weights.dtype=int8", "model_path=a.safetensors",
                                       "quantize.skip_names=[a, b]", "ptq.calibration.percentile=99.9",
                                       "quantize.layers=[{module_name: a, weights: {dtype: int8}}]"};
  std::mt19937 random(11);
  int read = 0;
  for (int i = 0; i < 2000; ++i) {
    std::string argument = seeds[below(random, seeds.size())];
    mutate(argument, random, seeds);
    read += survives(text, {argument}) ? 1 : 0;
  }
  CHECK(read > 100);
}
