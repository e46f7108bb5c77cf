// SPDX-License-Identifier: Apache-2.0
// run_model MODEL INPUTS.npz FOLDER TENSOR...   runs a graph in tiny_engine, with the inputs by their names,
// writes each tensor to FOLDER/<its place in the list>.npy and prints how many layers computed in integers
#include <cstddef>
#include <cstdio>
#include <string>
#include <vector>

#include "support/run_engine.hpp"
#include "tiny_engine/engine.hpp"

namespace {

ptq::result<std::size_t> run(const std::vector<std::string>& words) {
  auto engine = tiny::engine::load(words[0]);
  if (!engine) return engine.error();
  const std::vector<std::string> wanted(words.begin() + 3, words.end());
  const auto ran = test::run_engine(
      *engine, words[1], wanted, [&](std::size_t i) { return words[2] + "/" + std::to_string(i) + ".npy"; });
  if (!ran) return ran.error();
  return engine->integer_layers();
}

}  // namespace

int main(int count, char** arguments) {
  const std::vector<std::string> words(arguments + 1, arguments + count);
  if (words.size() < 4) return 2;
  const auto integer_layers = run(words);
  if (!integer_layers) {
    std::fprintf(stderr, "%s\n", integer_layers.error().what.c_str());
    return 1;
  }
  std::printf("%zu\n", *integer_layers);
  return 0;
}
