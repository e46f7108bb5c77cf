// SPDX-License-Identifier: Apache-2.0
/// @file run_engine.hpp An engine from file to files, for tests in Python: inputs by their names out of an
/// .npz, each wanted tensor into an .npy.
#ifndef PTQ_TESTS_SUPPORT_RUN_ENGINE_HPP
#define PTQ_TESTS_SUPPORT_RUN_ENGINE_HPP

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "ptq/engine/concept.hpp"
#include "ptq/formats/numpy/npy.hpp"
#include "ptq/formats/numpy/npz.hpp"

namespace test {

/// A tensor that an engine may hand over a sample at a time.
struct collected {
  ptq::element_type type = ptq::element_type::float32;
  ptq::tensor_shape shape;
  std::vector<std::byte> bytes;
  bool has_begun = false;

  void add(const ptq::any_view& piece) {
    const std::size_t so_far = has_begun && shape.rank > 0 ? shape[0] : 0;
    has_begun = true;
    type = piece.type;
    shape = piece.shape;
    if (shape.rank > 0) shape.extents[0] += so_far;
    bytes.insert(bytes.end(), piece.at(0), piece.at(static_cast<std::ptrdiff_t>(piece.size())));
  }
};

/// @param path_of path_of(i): where the tensor wanted[i] is written
template <ptq::engine Engine, class PathOf>
ptq::result<void> run_engine(Engine& engine, const std::string& npz, const std::vector<std::string>& wanted,
                             PathOf path_of) {
  const auto file = ptq::data_file::open(npz, ptq::list<ptq::npz>());
  if (!file) return file.error();
  std::vector<ptq::array_reader> readers;
  for (const ptq::graph_input& input : engine.inputs()) {
    auto reader = file->read(input.name);
    if (!reader) return reader.error();
    readers.push_back(*std::move(reader));
  }
  std::vector<ptq::named_array> inputs;
  for (std::size_t i = 0; i < readers.size(); ++i) {
    const auto rows = readers[i].next(readers[i].shape()[0]);
    if (!rows) return rows.error();
    inputs.push_back({engine.inputs()[i].name, *rows});
  }
  std::vector<collected> made(wanted.size());
  std::size_t next = 0;  // they come in the order of the list, again and again
  const auto ran = engine.run(inputs, wanted, [&](const ptq::named_array& tensor) -> ptq::result<void> {
    made[next++ % wanted.size()].add(tensor.array);
    return {};
  });
  if (!ran) return ran;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const ptq::any_view whole(made[i].bytes.data(), made[i].type, made[i].shape);
    if (auto written = ptq::write_npy(path_of(i), whole); !written) return written.error();
  }
  return {};
}

}  // namespace test

#endif  // PTQ_TESTS_SUPPORT_RUN_ENGINE_HPP
