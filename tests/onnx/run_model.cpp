// SPDX-License-Identifier: Apache-2.0
// run_model MODEL INPUTS.npz FOLDER TENSOR...   runs a graph in tiny_engine, with the inputs by their names,
// writes each tensor to FOLDER/<its place in the list>.npy and prints how many layers computed in integers
#include <cstddef>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "ptq/io/npy.hpp"
#include "ptq/io/npz.hpp"
#include "tiny_engine/engine.hpp"

namespace {

/// A wanted tensor: the engine hands it over a sample at a time.
struct collected {
  ptq::scalar_type type = ptq::scalar_type::float32;
  ptq::tensor_shape shape;
  std::vector<std::byte> bytes;

  void add(const ptq::array_view& piece) {
    const std::size_t so_far = bytes.empty() ? 0 : shape[0];
    type = piece.type;
    shape = piece.shape;
    if (shape.rank > 0) shape.extents[0] += so_far;
    bytes.insert(bytes.end(), piece.data, piece.data + piece.size() * ptq::size_of(piece.type));
  }
};

ptq::result<std::size_t> run(const std::vector<std::string>& words) {
  auto engine = tiny::engine::load(words[0]);
  if (!engine) return engine.error();
  const auto file = ptq::data_file::open(words[1], ptq::list<ptq::npz>());
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
  const std::vector<std::string> wanted(words.begin() + 3, words.end());
  std::vector<collected> made(wanted.size());
  std::size_t next = 0;  // they come in the order of the list, again and again
  const auto ran = engine->run(inputs, wanted, [&](const ptq::named_array& tensor) -> ptq::result<void> {
    made[next++ % wanted.size()].add(tensor.array);
    return {};
  });
  if (!ran) return ran.error();
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const ptq::array_view whole(made[i].bytes.data(), made[i].type, made[i].shape);
    const std::string path = words[2] + "/" + std::to_string(i) + ".npy";
    if (auto written = ptq::write_npy(path, whole); !written) return written.error();
  }
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
