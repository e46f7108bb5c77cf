// SPDX-License-Identifier: Apache-2.0
/// @file models.hpp The ONNX models that the tests read.
#ifndef PTQ_TESTS_ONNX_MODELS_HPP
#define PTQ_TESTS_ONNX_MODELS_HPP

#include <doctest/doctest.h>

#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "ptq/formats/onnx.hpp"

/// One of tests/golden/onnx, which make.py there has made.
inline std::string odd_path(const std::string& name) {
  return std::string(PTQ_GOLDEN_DIR) + "/onnx/" + name + ".onnx";
}

inline ptq::onnx_model read_model(const std::string& path) {
  auto model = ptq::read_onnx(path);
  INFO(model.error().what);
  REQUIRE(model);
  return *std::move(model);
}

inline ptq::onnx_model read_odd(const std::string& name) {
  return read_model(odd_path(name));
}

/// The elements of a tensor, wherever they lie.
template <class T>
std::vector<T> values_of(const ptq::onnx_tensor& tensor) {
  std::vector<T> values(tensor.data.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
  return values;
}

inline const ptq::onnx_tensor& initializer(const ptq::onnx_graph& graph, std::string_view name) {
  for (const ptq::onnx_tensor& tensor : graph.initializers)
    if (tensor.name == name) return tensor;
  FAIL("no initializer " << name);
  return graph.initializers.front();
}

#endif  // PTQ_TESTS_ONNX_MODELS_HPP
