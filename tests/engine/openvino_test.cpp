// SPDX-License-Identifier: Apache-2.0
// OpenVINO as an engine: the answers of ONNX Runtime and of tiny_engine, for float graphs and for quantized
// ones.
#include "ptq/engine/openvino.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "engine/goldens.hpp"
#include "formats/onnx/quantized.hpp"
#include "ptq/engine/accuracy.hpp"
#include "ptq/formats/onnx.hpp"
#include "ptq/model/backend_row.hpp"
#include "ptq/numeric/half.hpp"
#include "ptq/quantize/quantize.hpp"
#include "support/temporary_folder.hpp"

namespace {

const std::string goldens = PTQ_GOLDEN_DIR "/engine/";

ptq::openvino load_openvino(const std::string& path) {
  const ptq::onnx_model model = read_model(path);
  auto engine = ptq::openvino::load(model);
  INFO(engine.error().what);
  REQUIRE(engine);
  return *std::move(engine);
}

std::string refused(const std::string& path) {
  const auto engine = ptq::openvino::load(read_model(path));
  REQUIRE_FALSE(engine);
  CHECK(engine.error().code == ptq::errc::unsupported);
  return engine.error().what;
}

float amax_of(const std::vector<float>& values) {
  float amax = 0;
  for (const float x : values) amax = std::max(amax, std::fabs(x));
  return amax;
}

/// The first samples of a test set, as the graph takes them.
float_array test_inputs(const std::string& name, std::size_t count) {
  const bool is_image = name == "lenet-digits";
  float_array all = read_array(models + name + (is_image ? "/test_images.npy" : "/test_inputs.npy"));
  all.shape = is_image ? ptq::tensor_shape{count, 1, 28, 28} : ptq::tensor_shape{count, 1, 512};
  all.values.resize(all.shape.size());
  if (is_image)
    for (float& x : all.values) x /= 255;
  return all;
}

double relative(double a, double b) {
  return std::fabs(a - b) / b;
}

}  // namespace

TEST_CASE("shipped models: logits and the ranges of all layer inputs are tiny_engine's") {
  for (const std::string name : {"lenet-digits", "pitch-transformer"}) {
    CAPTURE(name);
    const std::string path = models + name + "/model.onnx";
    tiny::engine small = load_engine(path);
    ptq::openvino engine = load_openvino(path);
    const float_array input = test_inputs(name, 64);
    CHECK(relative_error(answers(engine, input.view()), answers(small, input.view())) < 1e-5);

    const ptq::onnx_model model = read_model(path);
    const auto layers = ptq::layers_of(model);
    REQUIRE(layers);
    double worst = 0;
    for (const ptq::onnx_layer& layer : layers->sources) {
      const std::string& tapped = model.graph.nodes[layer.calls[0].node].inputs[0];
      CAPTURE(tapped);
      const double expected = static_cast<double>(amax_of(answers(small, input.view(), tapped)));
      const double found = static_cast<double>(amax_of(answers(engine, input.view(), tapped)));
      CHECK(relative(found, expected) < 1e-5);
      worst = std::max(worst, relative(found, expected));
    }
    std::printf("%s: ranges differ by at most %.1e\n", name.c_str(), worst);
  }
}

TEST_CASE("operators, weights behind DequantizeLinear and int8 layers answer as ONNX Runtime does") {
  for (const char* name : {"add",
                           "arithmetic",
                           "gelu",
                           "flatten",
                           "reshape",
                           "transpose_perm",
                           "softmax",
                           "layer_norm",
                           "reduce_mean",
                           "reduce_mean_13",
                           "max_pool",
                           "conv",
                           "conv_groups",
                           "conv_1d",
                           "gemm",
                           "gemm_transposed",
                           "matmul",
                           "weight_only_e4m3fn",
                           "weight_only_e5m2",
                           "int8_conv",
                           "int8_conv_1d",
                           "int8_gemm",
                           "int8_gemm_plain",
                           "int8_matmul"}) {
    CAPTURE(name);
    ptq::openvino engine = load_openvino(goldens + name + ".onnx");
    const float_array x = read_array(goldens + name + ".npz", "x");
    CHECK(relative_error(answers(engine, x.view()), read_array(goldens + name + ".npz", "y").values) < 5e-6);
  }
}

TEST_CASE("rounded tensors are ONNX Runtime's, bit for bit: fp8, and one tensor with two scales") {
  for (const char* name : {"quantize_e4m3fn", "quantize_e5m2", "two_scales"}) {
    CAPTURE(name);
    ptq::openvino engine = load_openvino(goldens + name + ".onnx");
    const float_array x = read_array(goldens + name + ".npz", "x");
    CHECK(answers(engine, x.view()) == read_array(goldens + name + ".npz", "y").values);
  }
}

TEST_CASE("quantized models are as accurate as in tiny_engine") {
  const temporary_folder folder;
  for (const std::string name : {"lenet-digits", "pitch-transformer"})
    for (const char* dtype : {"int8", "fp8_e4m3fn", "fp8_e5m2"}) {
      CAPTURE(name);
      CAPTURE(dtype);
      const ptq::onnx_model model = read_model(models + name + "/model.onnx");
      tiny::engine reference = load_engine(models + name + "/model.onnx");
      const float_array input = test_inputs(name, 250);
      job made(model);
      made.quantize_weights(dtype);
      for (std::size_t i = 0; i < made.layers.layers.size(); ++i) {
        if (!made.planned.layers[i].weights.is_quantized()) continue;
        const std::string& tapped = model.graph.nodes[made.layers.sources[i].calls[0].node].inputs[0];
        const float amax = amax_of(answers(reference, input.view(), tapped));
        const ptq::recipe* const numbers = ptq::find_backend_row("modelopt")->find(dtype);
        made.quantize_input(i, dtype, amax / numbers->divisor);
      }
      made.write(folder / "quantized.onnx");

      const std::vector<float> expected = answers(reference, input.view());
      tiny::engine small = load_engine(folder / "quantized.onnx");
      ptq::openvino engine = load_openvino(folder / "quantized.onnx");
      const std::vector<float> by_tiny = answers(small, input.view());
      const std::vector<float> by_openvino = answers(engine, input.view());
      const std::size_t classes = expected.size() / input.shape[0];
      ptq::accuracy_accumulator tiny_sums;
      ptq::accuracy_accumulator openvino_sums;
      ptq::accuracy_accumulator both;
      for (std::size_t i = 0; i < expected.size(); i += classes) {
        const auto sample = [&](const std::vector<float>& all) { return std::span(all).subspan(i, classes); };
        tiny_sums.add(sample(expected), sample(by_tiny));
        openvino_sums.add(sample(expected), sample(by_openvino));
        both.add(sample(by_tiny), sample(by_openvino));
      }
      const ptq::accuracy a = tiny_sums.metrics();
      const ptq::accuracy b = openvino_sums.metrics();
      std::printf(
          "%s %s: agreement with float %.1f and %.1f %%, %.2f and %.2f dB; with each other %.1f %%, %.1f "
          "dB\n",
          name.c_str(), dtype, 100 * a.agreement, 100 * b.agreement, a.outputs.sqnr_db, b.outputs.sqnr_db,
          100 * both.metrics().agreement, both.metrics().outputs.sqnr_db);
      CHECK(a.outputs.sqnr_db < 60);  // it is quantized
      CHECK(std::fabs(a.outputs.sqnr_db - b.outputs.sqnr_db) < 0.1);
      CHECK(both.metrics().agreement >= 0.996);  // all but one sample
    }
}

TEST_CASE("inner tensors can be tapped together, inputs and constants too, and again") {
  ptq::openvino engine = load_openvino(models + "lenet-digits/model.onnx");
  const float_array input = test_inputs("lenet-digits", 8);
  const auto names_of = [&](const std::vector<std::string>& wanted) {
    std::vector<std::string> names;
    const auto done = engine.run(std::vector<ptq::named_array>{{"input", input.view()}}, wanted,
                                 [&](const ptq::named_array& made) -> ptq::result<void> {
                                   names.push_back(made.name);
                                   return {};
                                 });
    INFO(done.error().what);
    REQUIRE(done);
    return names;
  };
  for (const std::vector<std::string>& wanted : std::vector<std::vector<std::string>>{
           {"r1", "input", "f", "r1"}, {"logits"}, {"r1", "input", "f", "r1"}})
    CHECK(names_of(wanted) == wanted);
  CHECK(answers(engine, input.view(), "input") == input.values);
}

TEST_CASE("what Dropout passes on keeps its name; what leads to no output is made, too") {
  ptq::openvino engine = load_openvino(goldens + "dropout.onnx");
  const std::vector<float> x{1, 2, 3, 4};
  const ptq::any_view view(x.data(), ptq::element_type::float32, {1, 4});
  CHECK(answers(engine, view, "h") == std::vector<float>{2, 4, 6, 8});
  CHECK(answers(engine, view, "d") == std::vector<float>{2, 4, 6, 8});
  CHECK(answers(engine, view) == std::vector<float>{8, 16, 24, 32});
  CHECK(answers(engine, view, "u").size() == 4);
  const auto lost =
      engine.run(std::vector<ptq::named_array>{{"x", view}}, std::vector<std::string>{"y", "p", "q"},
                 [](const ptq::named_array&) { return ptq::result<void>(); });
  REQUIRE_FALSE(lost);
  CHECK(lost.error().code == ptq::errc::tensor_not_found);
  CHECK(lost.error().what.starts_with("OpenVINO has no tensor \"p\", \"q\": "));
}

TEST_CASE("inputs of other types, several inputs, numbers, fixed batches") {
  const auto run = [](ptq::openvino& engine, const std::vector<ptq::named_array>& given) {
    std::size_t made = 0;
    const auto done = engine.run(given, engine.outputs(), [&](const ptq::named_array&) {
      ++made;
      return ptq::result<void>();
    });
    INFO(done.error().what);
    CHECK(done);
    return made;
  };
  using ptq::element_type;
  ptq::openvino halves = load_openvino(odd_path("half"));
  const std::vector<ptq::half> h(16);
  CHECK(run(halves, {{"x", {h.data(), element_type::float16, {1, 4}}},
                     {"x4", {h.data(), element_type::float16, {1, 1, 4, 4}}}}) == 2);
  ptq::openvino doubles = load_openvino(odd_path("double"));
  const std::vector<double> d(16);
  CHECK(run(doubles, {{"x4", {d.data(), element_type::float64, {1, 1, 4, 4}}},
                      {"x", {d.data(), element_type::float64, {1, 4}}}}) == 2);
  ptq::openvino words = load_openvino(odd_path("shared"));
  const std::vector<std::int64_t> ids{0, 1, 2};
  CHECK(run(words, {{"ids", {ids.data(), element_type::int64, {3}}}}) == 3);
  ptq::openvino bodies = load_openvino(odd_path("bodies"));
  const std::vector<float> x(6);
  const std::uint8_t flag = 1;
  CHECK(run(bodies, {{"x", {x.data(), element_type::float32, {2, 3}}},
                     {"flag", {&flag, element_type::boolean, {}}}}) == 1);
  ptq::openvino fixed = load_openvino(odd_path("layers"));
  const std::vector<float> zeros(3 * 128);
  CHECK(run(fixed, {{"x1", {zeros.data(), element_type::float32, {3, 2, 9}}},
                    {"x2", {zeros.data(), element_type::float32, {3, 2, 8, 8}}},
                    {"x3", {zeros.data(), element_type::float32, {3, 2, 2, 2, 2}}}}) ==
        3 * fixed.outputs().size());
}

TEST_CASE("what cannot be run is said by name") {
  CHECK(refused(goldens + "foreign.onnx")
            .ends_with("foreign.onnx: OpenVINO lacks org.example.Fold, org.example.Unfold."));
  CHECK(refused(goldens + "quantize_uint8.onnx").find("a tensor is rounded in a way that is not ours") !=
        std::string::npos);
  ptq::openvino engine = load_openvino(models + "lenet-digits/model.onnx");
  const std::vector<float> small(4);
  const auto failure = [&](const std::string& name, const ptq::any_view& array) {
    const auto done = engine.run(std::vector<ptq::named_array>{{name, array}}, engine.outputs(),
                                 [](const ptq::named_array&) { return ptq::result<void>(); });
    REQUIRE_FALSE(done);
    return done.error().what;
  };
  const auto made = [&](const ptq::tensor_shape& shape) {
    return ptq::any_view(small.data(), ptq::element_type::float32, shape);
  };
  CHECK(failure("image", made({1, 1, 2, 2})) == "graph input \"input\": is missing.");
  CHECK(failure("input", made({1, 4})) == "graph input \"input\": has rank 4, not 2.");
  CHECK(failure("input", made({1, 1, 2, 2})) == "graph input \"input\": axis 2 has 28 entries, not 2.");
}
