// SPDX-License-Identifier: Apache-2.0
// Graphs that used to take a time, or a memory, of another order than their size. The limits are far from
// what linear work takes, and far below what anything else does.
#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ptq/config/spec.hpp"
#include "ptq/formats/onnx.hpp"
#include "ptq/model/match.hpp"

namespace {

using ptq::detail::make_field;
using ptq::detail::make_node;

constexpr double most_seconds = 20;
constexpr std::size_t many = 20'000;

std::string matrix(const std::string& name) {
  const std::size_t dims[] = {2, 2};
  return ptq::detail::make_initializer(name, ptq::element_type::float32, dims, std::string(16, '\0'));
}

/// A model whose graph takes "x" and gives `output`.
std::string model_of(const std::string& nodes, const std::string& output) {
  const auto value = [](const std::string& name) {
    return make_field(1, name) + make_field(2, make_field(1, "\x08\x01"));
  };
  return "\x08\x08" + make_field(8, "\x10\x11") +
         make_field(7, nodes + make_field(11, value("x")) + make_field(12, value(output)));
}

std::string number(std::size_t i) {
  return std::to_string(i);
}

template <class F>
double seconds_of(F&& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Reads a model and lists its layers, in time.
std::size_t count_layers(const std::string& bytes) {
  std::size_t count = 0;
  const double seconds = seconds_of([&] {
    const auto model = ptq::read_onnx(std::as_bytes(std::span(bytes)), "many.onnx");
    INFO(model.error().what);
    REQUIRE(model);
    const auto layers = ptq::layers_of(*model);
    INFO(layers.error().what);
    REQUIRE(layers);
    count = layers->layers.size();
  });
  CHECK(seconds < most_seconds);
  return count;
}

/// Reads a model and lays out the artifact of a plan for all of it, in time. What the writer says of it.
std::vector<std::string> notes_of_artifact(const std::string& bytes) {
  std::vector<std::string> notes;
  const double seconds = seconds_of([&] {
    const auto model = ptq::read_onnx(std::as_bytes(std::span(bytes)), "many.onnx");
    REQUIRE(model);
    const auto layers = ptq::layers_of(*model);
    REQUIRE(layers);
    ptq::spec wanted;
    wanted.quantize.layers.push_back({"Linear", ptq::slot_config{"int8", {}}, {}});
    const auto writer =
        ptq::onnx_writer::create((std::filesystem::temp_directory_path() / "ptq_growth_test.onnx").string(),
                                 *model, *layers, ptq::match(wanted, layers->layers));
    INFO(writer.error().what);
    REQUIRE(writer);
    notes = writer->notes();
  });
  CHECK(seconds < most_seconds);
  return notes;
}

/// The most memory that the process has taken so far, in MiB; 0 where the system does not say.
std::size_t peak_of_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (word == "VmHWM:") {
      std::size_t kib = 0;
      status >> kib;
      return kib / 1024;
    }
  return 0;
}

}  // namespace

TEST_CASE("many layers, each with a weight of its own") {
  std::string nodes;
  for (std::size_t i = 0; i < many; ++i) {
    nodes += matrix("w" + number(i));
    nodes += make_node("MatMul", {}, {i == 0 ? "x" : "y" + number(i - 1), "w" + number(i)}, "y" + number(i));
  }
  CHECK(count_layers(model_of(nodes, "y0")) == many);
}

TEST_CASE("many uses of one weight, by operators that have nothing in common") {
  std::string nodes = matrix("w");
  for (std::size_t i = 0; i < many; ++i)
    nodes += make_node("Multiply_" + number(i), {}, {"x", "w"}, "y" + number(i));
  // of no standard operator: its constants are left alone, one by one
  CHECK(count_layers(model_of(nodes, "y0")) == many);
}

TEST_CASE("a chain of nodes that pass a weight on, each link with a user") {
  std::string nodes = matrix("w");
  std::string last = "w";
  for (std::size_t i = 0; i < many; ++i) {
    nodes += make_node(i % 2 == 0 ? "Identity" : "Transpose", {}, {last}, "i" + number(i));
    last = "i" + number(i);
    nodes += make_node("MatMul", {}, {"x", last}, "y" + number(i));
  }
  CHECK(count_layers(model_of(nodes, "y0")) == 2);  // as it lies and turned
}

TEST_CASE("a chain that keeps rank and type, each link with a layer that asks for them") {
  std::string nodes;
  std::string last = "x";
  for (std::size_t i = 0; i < many; ++i) {
    nodes += make_node("Relu", {}, {last}, "i" + number(i));
    last = "i" + number(i);
    nodes += make_node("MaxPool", {}, {last}, "y" + number(i));
  }
  CHECK(count_layers(model_of(nodes, "y0")) == many);
}

TEST_CASE("a chain of constants that are computed from more and more, each link with a user") {
  std::string nodes = matrix("c0");
  for (std::size_t i = 0; i < many; ++i) {
    const std::string next = "c" + number(i + 1);
    nodes += matrix("w" + number(i));
    nodes += make_node("Add", {}, {"c" + number(i), "w" + number(i)}, next);
    nodes += make_node("MatMul", {}, {"x", next}, "y" + number(i));
  }
  CHECK(count_layers(model_of(nodes, "y0")) == many);
}

TEST_CASE("many outputs of one node, each with a layer that asks for its type") {
  std::string split = make_field(1, "x");
  std::string nodes = matrix("w");
  for (std::size_t i = 0; i < many; ++i) {
    split += make_field(2, "s" + number(i));
    nodes += make_node("MaxPool", {}, {"s" + number(i)}, "y" + number(i));
  }
  CHECK(count_layers(model_of(make_field(1, split + make_field(4, "Split")) + nodes, "y0")) == many);
}

TEST_CASE("many weights, all of which callers could replace") {
  std::string nodes;
  for (std::size_t i = 0; i < many; ++i) {
    nodes += matrix("w" + number(i)) + make_field(11, make_field(1, "w" + number(i)));
    nodes += make_node("MatMul", {}, {"x", "w" + number(i)}, "y" + number(i));
  }
  CHECK(notes_of_artifact(model_of(nodes, "y0")).size() == many);
}

TEST_CASE("a chain of nodes that pass a weight on, each link with a layer that is quantized") {
  std::string nodes = matrix("w");
  std::string last = "w";
  for (std::size_t i = 0; i < many; ++i) {
    nodes += make_node("Identity", {}, {last}, "i" + number(i));
    last = "i" + number(i);
    nodes += make_node("MatMul", {}, {"x", last}, "y" + number(i));
  }
  nodes += make_node("Relu", "other", {last}, "z");  // keeps all of it
  CHECK(notes_of_artifact(model_of(nodes, "z")) ==
        std::vector<std::string>{
            "\"w\" is quantized and kept as a float tensor too, for node \"other\" (Relu)"});
}

TEST_CASE("a module whose name has very many parts") {
  std::string name = "/";
  for (std::size_t i = 0; i < 4 * many; ++i) name += "a.";
  CHECK(count_layers(model_of(matrix("w") + make_node("MatMul", name + "/MatMul", {"x", "w"}, "y"), "y")) ==
        1);
}

TEST_CASE("parts of a model that say nothing take no memory") {
  const auto repeated = [](std::string_view part) {
    std::string text;
    for (std::size_t i = 0; i < 2'000'000; ++i) text += part;
    return text;
  };
  const auto refused = [](const std::string& graph) {
    const std::size_t before = peak_of_memory();
    const std::string bytes = model_of(graph, "x");
    const auto model = ptq::read_onnx(std::as_bytes(std::span(bytes)), "empty.onnx");
    CHECK(peak_of_memory() - before < 128);
    return model ? std::string() : model.error().what;
  };
  const std::string nodes = repeated(std::string("\x0a\0", 2));
  const std::string attributes =
      make_field(1, "x") + make_field(2, "y") + make_field(4, "Relu") + repeated(std::string("\x2a\0", 2));
  CHECK(refused(nodes).ends_with("node 0 (): it names no operator. Export the model again."));
  CHECK(refused(make_field(1, attributes))
            .ends_with("node 0 (Relu): one of its attributes has no name. Export the model again."));
  CHECK(refused(repeated(std::string("\x2a\0", 2))).find("an initializer has no name") != std::string::npos);
  CHECK(refused(repeated(std::string("\x6a\0", 2))).empty());  // declarations of nothing
}
