// SPDX-License-Identifier: Apache-2.0
// run_graphs ENGINE FOLDER   runs every FOLDER/<name>.onnx on the inputs in FOLDER/<name>.npz. Prints a line
// a graph:
// "<name>: <error>", or "<name>" after writing its outputs to FOLDER/<name>.<place in the list>.<ENGINE>.npy.
// ENGINE: tiny, or openvino where it is built in.
#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "support/run_engine.hpp"
#include "tiny_engine/engine.hpp"
#ifdef PTQ_HAS_OPENVINO
#include "ptq/engine/openvino.hpp"
#endif

namespace {

template <ptq::engine Engine>
ptq::result<void> run(ptq::result<Engine> engine, const std::string& stem, const std::string& ending) {
  if (!engine) return engine.error();
  const std::vector<std::string> outputs(engine->outputs().begin(), engine->outputs().end());
  return test::run_engine(*engine, stem + ".npz", outputs,
                          [&](std::size_t i) { return stem + "." + std::to_string(i) + ending; });
}

ptq::result<void> run(const std::string& engine, const std::string& stem) {
  const std::string path = stem + ".onnx";
#ifdef PTQ_HAS_OPENVINO
  if (engine == "openvino") {
    const auto model = ptq::read_onnx(path);
    if (!model) return model.error();
    return run(ptq::openvino::load(*model), stem, ".openvino.npy");
  }
#endif
  return run(tiny::engine::load(path), stem, "." + engine + ".npy");
}

}  // namespace

int main(int count, char** arguments) {
  const std::vector<std::string> words(arguments + 1, arguments + count);
  if (words.size() != 2) return 2;
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(words[1]))
    if (entry.path().extension() == ".onnx") paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  for (std::filesystem::path path : paths) {
    const auto ran = run(words[0], path.replace_extension().string());
    std::printf("%s%s%s\n", path.filename().c_str(), ran ? "" : ": ", ran.error().what.c_str());
  }
  return 0;
}
