// SPDX-License-Identifier: Apache-2.0
// Integer arithmetic, as firmware has it: against its definition, against ONNX's, and what it refuses.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/goldens.hpp"
#include "engine/static_lenet.hpp"
#include "ptq/engine/accuracy.hpp"
#include "support/temporary_folder.hpp"
#include "tiny_engine/integer_graph.hpp"

namespace {

const std::string lenet = models + "lenet-digits/";

tiny::engine load(const std::string& path, tiny::arithmetic numbers) {
  auto engine = tiny::engine::load(path, numbers);
  INFO(engine.error().what);
  REQUIRE(engine);
  return *std::move(engine);
}

/// Why a graph is refused.
std::string refusal(ptq::onnx_model model) {
  const auto engine = tiny::engine::load(std::move(model), tiny::arithmetic::integer);
  REQUIRE_FALSE(engine);
  CHECK(engine.error().code == ptq::errc::unsupported);
  return engine.error().what;
}

ptq::onnx_model read(const std::string& path) {
  auto model = ptq::read_onnx(path);
  REQUIRE(model);
  return *std::move(model);
}

bool has(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

/// The artifact on the disk, and both arithmetics of it.
struct static_lenet {
  temporary_folder folder;
  std::string path = folder / "lenet.onnx";

  static_lenet() { write_static_lenet(path); }
  tiny::engine engine(tiny::arithmetic numbers) const { return load(path, numbers); }
};

/// The first test images, pixels / 255.
float_array images(std::size_t count) {
  const float_array pixels = read_array(lenet + "test_images.npy");
  float_array some{{count, 1, 28, 28}, {}};
  for (std::size_t i = 0; i < count * 28 * 28; ++i) some.values.push_back(pixels.values[i] / 255.0F);
  return some;
}

}  // namespace

TEST_CASE("bias, multiplier and shift are what a layer's scales say") {
  tiny::requantization made;
  made.add(0.5, 0.25, 0.125, 0.3125);  // 2.5 units, a tie
  made.add(0.5, 0.25, 0.125, -0.3125);
  made.add(0.5, 0.25, 1.0, 1e30);
  made.add(0.5, 0.25, 1.0, -1e30);
  CHECK(made.bias == std::vector<std::int32_t>{3, -3, 2147483647, -2147483647 - 1});
  CHECK(made.multiplier == std::vector<std::int32_t>(4, 1 << 30));
  CHECK(made.shift == std::vector<std::int32_t>{1, 1, -2, -2});
}

TEST_CASE("codes of every layer are within 1 of those that ONNX's arithmetic gives, and seldom differ") {
  const static_lenet model;
  tiny::engine onnx = model.engine(tiny::arithmetic::onnx);
  tiny::engine integer = model.engine(tiny::arithmetic::integer);
  CHECK(integer.integer_layers() == 4);
  const float_array input = images(100);
  std::size_t codes = 0;
  std::size_t different = 0;
  const ptq::onnx_model graph = read(model.path);
  for (const ptq::onnx_node& node : graph.graph.nodes) {
    if (node.op_type != "QuantizeLinear") continue;
    const std::string& name = node.outputs.front();
    CAPTURE(name);
    const std::vector<float> expected = answers(onnx, input.view(), name);
    const std::vector<float> found = answers(integer, input.view(), name);
    REQUIRE(found.size() == expected.size());
    codes += found.size();
    for (std::size_t i = 0; i < found.size(); ++i) {
      CHECK(std::fabs(found[i] - expected[i]) <= 1);
      different += found[i] != expected[i] ? 1u : 0u;
    }
    if (node.input(0) == "input") CHECK(different == 0);  // nothing came before
  }
  CHECK(codes == 100 * (784 + 1152 + 256 + 64));
  MESSAGE(different << " of " << codes << " codes differ by 1");
  CHECK(different < codes / 1000);
}

TEST_CASE("the right answers stay, and logits are multiples of one scale") {
  const static_lenet model;
  tiny::engine reference = load_engine(lenet + "model.onnx");
  tiny::engine onnx = model.engine(tiny::arithmetic::onnx);
  tiny::engine integer = model.engine(tiny::arithmetic::integer);
  const float_array input = images(100);
  const auto labels = read_array(lenet + "test_labels.npy").values;
  ptq::accuracy_accumulator against_float;
  ptq::accuracy_accumulator against_onnx;
  const std::vector<float> floats = answers(reference, input.view());
  const std::vector<float> by_onnx = answers(onnx, input.view());
  const std::vector<float> by_integers = answers(integer, input.view());
  for (std::size_t i = 0; i < 100; ++i) {
    const auto row = [&](const std::vector<float>& all) { return std::span(all).subspan(i * 10, 10); };
    against_float.add(row(floats), row(by_integers), static_cast<std::int64_t>(labels[i]));
    against_onnx.add(row(by_onnx), row(by_integers));
  }
  MESSAGE("agreement with float " << against_float.metrics().agreement << ", with ONNX's arithmetic "
                                  << against_onnx.metrics().agreement << " at "
                                  << against_onnx.metrics().outputs.sqnr_db << " dB");
  CHECK(against_float.metrics().agreement >= 0.99);
  CHECK(against_onnx.metrics().agreement == 1);
  CHECK(against_onnx.metrics().outputs.sqnr_db > 45);
}

TEST_CASE("layers of every kind answer as ONNX Runtime does, but for the rounding of bias and output") {
  for (const char* name : {"int8_conv", "int8_conv_1d", "int8_gemm", "int8_gemm_plain", "int8_matmul"}) {
    CAPTURE(name);
    const std::string file = PTQ_GOLDEN_DIR "/engine/" + std::string(name);
    tiny::engine integer = load(file + ".onnx", tiny::arithmetic::integer);
    CHECK(integer.integer_layers() == 1);
    const std::vector<float> expected = read_array(file + ".npz", "y").values;
    const double error = relative_error(answers(integer, read_array(file + ".npz", "x").view()), expected);
    CHECK(error < 1e-3);
    CHECK(error > 1e-7);  // it is rounded
  }
}

TEST_CASE("what is added to a MatMul is its bias, and to nothing else") {
  const std::string file = PTQ_GOLDEN_DIR "/engine/int8_matmul";
  const float_array x = read_array(file + ".npz", "x");
  const std::vector<float> plain = read_array(file + ".npz", "y").values;
  // y = MatMul(x, w) becomes y = Add(MatMul(x, w), bias), or with its sides the other way round.
  const auto added = [&](std::vector<float> bias, std::vector<std::size_t> dims, bool is_first) {
    ptq::onnx_model model = read(file + ".onnx");
    auto& nodes = model.graph.nodes;
    const auto product =
        std::find_if(nodes.begin(), nodes.end(), [](const auto& node) { return node.op_type == "MatMul"; });
    ptq::onnx_node add;
    add.op_type = "Add";
    add.inputs = {is_first ? "bias" : "product", is_first ? "product" : "bias"};
    add.outputs = product->outputs;
    product->outputs = {"product"};
    nodes.push_back(std::move(add));
    ptq::onnx_tensor& constant = model.graph.initializers.emplace_back();
    constant.name = "bias";
    constant.type = ptq::element_type::float32;
    constant.dims = std::move(dims);
    const auto bytes = std::as_bytes(std::span(bias));
    constant.data = model.decoded.emplace_back(bytes.begin(), bytes.end());
    return model;
  };
  const std::size_t channels = plain.size() / (x.values.size() / x.shape[x.shape.rank - 1]);
  std::vector<float> bias(channels);
  for (std::size_t c = 0; c < channels; ++c) bias[c] = 0.25F * static_cast<float>(c) - 1;
  std::vector<float> expected = plain;
  for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += bias[i % channels];
  for (const bool is_first : {false, true}) {
    auto engine = tiny::engine::load(added(bias, {channels}, is_first), tiny::arithmetic::integer);
    INFO(engine.error().what);
    REQUIRE(engine);
    CHECK(relative_error(answers(*engine, x.view()), expected) < 1e-3);
  }
  CHECK(has(refusal(added(std::vector<float>(channels), {1, 1, channels}, false)), "one number for each"));
}

TEST_CASE("results do not depend on the batch") {
  tiny::engine integer = static_lenet().engine(tiny::arithmetic::integer);
  const float_array input = images(3);
  const std::vector<float> together = answers(integer, input.view());
  for (std::size_t i = 0; i < 3; ++i) {
    const ptq::any_view one(input.values.data() + i * 784, ptq::element_type::float32, {1, 1, 28, 28});
    CHECK(answers(integer, one) ==
          std::vector<float>(together.begin() + static_cast<std::ptrdiff_t>(i * 10),
                             together.begin() + static_cast<std::ptrdiff_t>(i * 10 + 10)));
  }
}

TEST_CASE("what needs float is refused, by the node's name") {
  CHECK(has(refusal(read(lenet + "model.onnx")), "(Conv): not in integer arithmetic: the layer's input"));
  const std::string golden = PTQ_GOLDEN_DIR "/engine/";
  CHECK(has(refusal(read(golden + "weight_only_e4m3fn.onnx")), "the layer's input is not int8"));
  CHECK(has(refusal(read(golden + "softmax.onnx")), "(Softmax): not in integer arithmetic: this operator"));
  CHECK(has(refusal(read(golden + "max_pool.onnx")), "nothing before it is quantized"));
  CHECK(has(refusal(read(golden + "quantize_uint8.onnx")), "codes other than int8"));

  const static_lenet artifact;
  ptq::onnx_model model = read(artifact.path);
  for (ptq::onnx_node& node : model.graph.nodes)
    if (node.op_type == "MaxPool") node.op_type = "Softmax";
  CHECK(has(refusal(std::move(model)), "which takes no int8 codes"));

  const std::vector<std::pair<float, std::string>> biases{{3e38F, "output channel 0 can exceed int32"},
                                                          {HUGE_VALF, "the layer's bias is not finite"}};
  for (const auto& [value, why] : biases) {
    model = read(artifact.path);
    const std::vector<float> values(64, value);
    for (ptq::onnx_tensor& tensor : model.graph.initializers)
      if (tensor.name == "fc1.bias") {
        const auto bytes = std::as_bytes(std::span(values));
        tensor.data = model.decoded.emplace_back(bytes.begin(), bytes.end());
      }
    CHECK(has(refusal(std::move(model)), why));
  }
}
