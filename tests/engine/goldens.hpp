// SPDX-License-Identifier: Apache-2.0
// What ONNX Runtime answered, and what an engine answers to the same.
#ifndef PTQ_TESTS_ENGINE_GOLDENS_HPP
#define PTQ_TESTS_ENGINE_GOLDENS_HPP

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "ptq/formats/numpy/npy.hpp"
#include "ptq/formats/numpy/npz.hpp"
#include "tiny_engine/engine.hpp"

inline const std::string models = PTQ_MODEL_DIR "/";

inline constexpr ptq::list<ptq::npy, ptq::npz> data_formats;

/// An array of a data file, whole.
struct float_array {
  ptq::tensor_shape shape;
  std::vector<float> values;

  ptq::any_view view() const { return {values.data(), ptq::element_type::float32, shape}; }
};

inline float_array read_array(const std::string& path, std::string_view name = "") {
  const auto file = ptq::data_file::open(path, data_formats);
  INFO(file.error().what);
  REQUIRE(file);
  auto reader = file->read(name);
  REQUIRE(reader);
  const auto rows = reader->next(reader->shape()[0]);
  REQUIRE(rows);
  float_array array{rows->shape, {}};
  ptq::for_each_element(*rows,
                        [&](auto x) { array.values.push_back(static_cast<float>(ptq::number_of(x))); });
  return array;
}

inline tiny::engine load_engine(const std::string& path) {
  auto engine = tiny::engine::load(path);
  INFO(engine.error().what);
  REQUIRE(engine);
  return *std::move(engine);
}

/// All values of a tensor, for a graph with one input.
template <ptq::engine Engine>
std::vector<float> answers(Engine& engine, const ptq::any_view& input, const std::string& wanted) {
  std::vector<float> values;
  const std::vector<ptq::named_array> inputs{{engine.inputs()[0].name, input}};
  const auto done =
      engine.run(inputs, std::vector{wanted}, [&](const ptq::named_array& made) -> ptq::result<void> {
        ptq::for_each_element(made.array,
                              [&](auto x) { values.push_back(static_cast<float>(ptq::number_of(x))); });
        return {};
      });
  INFO(done.error().what);
  REQUIRE(done);
  return values;
}

template <ptq::engine Engine>
std::vector<float> answers(Engine& engine, const ptq::any_view& input) {
  return answers(engine, input, engine.outputs()[0]);
}

/// max |a - b| / max |b|; infinite where the sizes differ or a value is not finite.
inline double relative_error(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size() || a.empty()) return HUGE_VAL;
  double largest = 0;
  double error = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!std::isfinite(a[i])) return HUGE_VAL;
    largest = std::max(largest, std::fabs(static_cast<double>(b[i])));
    error = std::max(error, std::fabs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  }
  return error / largest;
}

#endif  // PTQ_TESTS_ENGINE_GOLDENS_HPP
