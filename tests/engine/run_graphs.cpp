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

#include "ptq/io/npy.hpp"
#include "ptq/io/npz.hpp"
#include "tiny_engine/engine.hpp"
#ifdef PTQ_HAS_OPENVINO
#include "ptq/engine/openvino.hpp"
#endif

namespace {

/// An output: an engine may hand it over a sample at a time.
struct collected {
  ptq::scalar_type type = ptq::scalar_type::float32;
  ptq::tensor_shape shape;
  std::vector<std::byte> bytes;
  bool has_begun = false;

  void add(const ptq::array_view& piece) {
    const std::size_t so_far = has_begun && shape.rank > 0 ? shape[0] : 0;
    has_begun = true;
    type = piece.type;
    shape = piece.shape;
    if (shape.rank > 0) shape.extents[0] += so_far;
    bytes.insert(bytes.end(), piece.data, piece.data + piece.size() * ptq::size_of(piece.type));
  }
};

template <ptq::engine Engine>
ptq::result<void> run(ptq::result<Engine> engine, const std::string& stem, const std::string& ending) {
  if (!engine) return engine.error();
  const auto file = ptq::data_file::open(stem + ".npz", ptq::list<ptq::npz>());
  if (!file) return file.error();
  std::vector<ptq::array_reader> readers;
  for (const ptq::graph_input& input : engine->inputs()) {
    auto reader = file->read(input.name);
    if (!reader) return reader.error();
    readers.push_back(*std::move(reader));
  }
  std::vector<ptq::named_array> inputs;
  for (std::size_t i = 0; i < readers.size(); ++i) {
    const auto rows = readers[i].next(readers[i].shape()[0]);
    if (!rows) return rows.error();
    inputs.push_back({engine->inputs()[i].name, *rows});
  }
  const std::vector<std::string> wanted(engine->outputs().begin(), engine->outputs().end());
  std::vector<collected> made(wanted.size());
  std::size_t next = 0;  // they come in the order of the list, again and again
  const auto ran = engine->run(inputs, wanted, [&](const ptq::named_array& tensor) -> ptq::result<void> {
    made[next++ % wanted.size()].add(tensor.array);
    return {};
  });
  if (!ran) return ran;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const ptq::array_view whole(made[i].bytes.data(), made[i].type, made[i].shape);
    if (auto written = ptq::write_npy(stem + "." + std::to_string(i) + ending, whole); !written)
      return written.error();
  }
  return {};
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
