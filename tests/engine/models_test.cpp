// SPDX-License-Identifier: Apache-2.0
// The shipped models and the Q/DQ goldens: right answers, independent of the batch; taps; errors.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "engine/goldens.hpp"
#include "ptq/data/samples.hpp"
#include "ptq/engine/accuracy.hpp"

namespace {

const std::string goldens = PTQ_GOLDEN_DIR "/engine/";

struct shipped_model {
  std::string name;
  std::string inputs;
  double scale;
  std::size_t right;  // of the test set, by the largest logit
};

const std::vector<shipped_model> shipped{{"lenet-digits", "test_images.npy", 1.0 / 255, 950},
                                         {"pitch-transformer", "test_inputs.npy", 1, 1048}};

/// Logits of the test set, in batches.
std::vector<float> logits_of(tiny::engine& engine, const ptq::data_config& config) {
  auto source = ptq::samples::open(config, engine.inputs(), data_formats);
  REQUIRE(source);
  std::vector<float> logits;
  for (;;) {
    const auto batch = source->next();
    REQUIRE(batch);
    if (batch->empty()) return logits;
    const std::vector<float> some = answers(engine, (*batch)[0].array);
    logits.insert(logits.end(), some.begin(), some.end());
  }
}

ptq::data_config test_data(const shipped_model& model) {
  ptq::data_config config;
  config.inputs[""] = models + model.name + "/" + model.inputs;
  config.scale = {model.scale};
  return config;
}

/// Why MaxPool is refused over an image of 4 x 4.
std::string pooling_failure(const std::vector<std::int64_t>& kernel, std::int64_t dilation,
                            const std::vector<std::int64_t>& pads = {}) {
  ptq::onnx_node node;
  node.op_type = "MaxPool";
  const auto add = [&](const char* name, std::vector<std::int64_t> values) {
    ptq::onnx_attribute& attribute = node.attributes.emplace_back();
    attribute.name = name;
    attribute.kind = ptq::onnx_attribute::type::integers;
    attribute.integers = std::move(values);
  };
  add("kernel_shape", kernel);
  add("dilations", {dilation, dilation});
  add("pads", pads);
  const tiny::tensor image({1, 1, 4, 4});
  const auto made = tiny::max_pool({node, 19, {&image}});
  REQUIRE_FALSE(made);
  return made.error().what;
}

}  // namespace

TEST_CASE("logits are ONNX Runtime's") {
  for (const shipped_model& model : shipped) {
    CAPTURE(model.name);
    tiny::engine engine = load_engine(models + model.name + "/model.onnx");
    const float_array input = read_array(goldens + model.name + ".npz", "input");
    CHECK(relative_error(answers(engine, input.view()),
                         read_array(goldens + model.name + ".npz", "output").values) < 1e-5);
  }
}

TEST_CASE("as many test samples are right as in ONNX Runtime") {
  for (const shipped_model& model : shipped) {
    CAPTURE(model.name);
    tiny::engine engine = load_engine(models + model.name + "/model.onnx");
    const auto labels = read_array(models + model.name + "/test_labels.npy").values;
    const std::vector<float> logits = logits_of(engine, test_data(model));
    const std::size_t classes = logits.size() / labels.size();
    std::size_t right = 0;
    for (std::size_t i = 0; i < labels.size(); ++i)
      right +=
          ptq::top1(std::span(logits).subspan(i * classes, classes)) == static_cast<std::size_t>(labels[i])
              ? 1u
              : 0u;
    CHECK(right == model.right);
  }
}

TEST_CASE("results do not depend on the batch") {
  for (const shipped_model& model : shipped) {
    CAPTURE(model.name);
    tiny::engine engine = load_engine(models + model.name + "/model.onnx");
    ptq::data_config config = test_data(model);
    config.max_samples = 40;
    const std::vector<float> together = logits_of(engine, config);
    for (const std::size_t size : {1u, 7u, 256u}) {
      config.batch_size = size;
      CHECK(logits_of(engine, config) == together);
    }
  }
}

TEST_CASE("Q/DQ graphs answer as ONNX Runtime does, int8 layers in integers") {
  const std::string folder = PTQ_GOLDEN_DIR "/f_onnx/";
  for (const char* net : {"conv_relu_gemm", "matmul"})
    for (const char* kind : {"float", "int8_qdq", "fp8_qdq"}) {
      CAPTURE(net);
      CAPTURE(kind);
      const std::string name = folder + net + "_" + kind;
      tiny::engine engine = load_engine(name + ".onnx");
      const bool is_int8 = std::string(kind) == "int8_qdq";
      CHECK(engine.integer_layers() == (!is_int8 ? 0u : std::string(net) == "matmul" ? 1u : 2u));
      const std::string expected = std::string(kind) == "float" ? folder + net + "_y_float.npy"
                                                                : name.substr(0, name.size() - 4) + "_y.npy";
      const float_array x = read_array(folder + net + "_x.npy");
      CHECK(relative_error(answers(engine, x.view()), read_array(expected).values) < 1e-5);
    }
}

TEST_CASE("inner tensors and inputs can be tapped, each as often as there are samples") {
  tiny::engine engine = load_engine(models + "lenet-digits/model.onnx");
  const float_array input = read_array(goldens + "lenet-digits.npz", "input");
  const std::vector<std::string> wanted{"r1", "input", "f"};
  std::vector<std::string> names;
  std::vector<ptq::tensor_shape> shapes;
  const auto done = engine.run(std::vector<ptq::named_array>{{"input", input.view()}}, wanted,
                               [&](const ptq::named_array& made) -> ptq::result<void> {
                                 names.push_back(made.name);
                                 shapes.push_back(made.array.shape);
                                 return {};
                               });
  REQUIRE(done);
  CHECK(names.size() == 24);
  CHECK(std::vector<std::string>(names.begin(), names.begin() + 3) == wanted);
  CHECK(shapes[0] == ptq::tensor_shape{1, 8, 24, 24});
  CHECK(shapes[1] == ptq::tensor_shape{1, 1, 28, 28});
  CHECK(shapes[23] == ptq::tensor_shape{1, 256});
  CHECK(answers(engine, input.view(), "input") == input.values);
}

TEST_CASE("what is wrong with a call is said by name") {
  tiny::engine engine = load_engine(models + "lenet-digits/model.onnx");
  const float_array input = read_array(goldens + "lenet-digits.npz", "input");
  const auto failure = [&](const std::string& name, const ptq::any_view& array, const std::string& wanted) {
    const auto done = engine.run(std::vector<ptq::named_array>{{name, array}}, std::vector{wanted},
                                 [](const ptq::named_array&) { return ptq::result<void>(); });
    REQUIRE_FALSE(done);
    return done.error().what;
  };
  CHECK(failure("input", input.view(), "conv9") == "the graph has no tensor \"conv9\".");
  CHECK(failure("image", input.view(), "logits") == "graph input \"input\": is missing.");
  const std::vector<float> small(4);
  const auto made = [&](const ptq::tensor_shape& shape) {
    return ptq::any_view(small.data(), ptq::element_type::float32, shape);
  };
  CHECK(failure("input", made({1, 4}), "logits") == "graph input \"input\": has rank 4, not 2.");
  CHECK(failure("input", made({1, 1, 2, 2}), "logits") ==
        "graph input \"input\": axis 2 has 28 entries, not 2.");
  CHECK(failure("input", ptq::any_view(small.data(), ptq::element_type::int32, {1, 1, 2, 2}), "logits") ==
        "graph input \"input\": takes float32, not int32.");
  const auto stopped = engine.run(std::vector<ptq::named_array>{{"input", input.view()}},
                                  std::vector<std::string>{"logits"}, [](const ptq::named_array&) {
                                    return ptq::result<void>(ptq::error(ptq::errc::stopped, "", "enough."));
                                  });
  CHECK(stopped.error().code == ptq::errc::stopped);
}

TEST_CASE("windows that no image has are refused") {
  CHECK(pooling_failure({2, 5}, 1) == "the image is smaller than the window.");
  CHECK(pooling_failure({0, 2}, 1) == "a window without extent.");
  CHECK(pooling_failure({-1, 2}, 1) == "kernel_shape holds -1.");
  // with this dilation the extent of the window would wrap around to 1
  CHECK(pooling_failure({std::numeric_limits<std::int64_t>::min() + 1, 2}, 2) ==
        "kernel_shape holds -9223372036854775807.");
  CHECK(pooling_failure({9, 9}, 0) == "dilations holds 0.");
}

TEST_CASE("padding that has nothing to do with the image is refused") {
  CHECK(pooling_failure({2, 2}, 1, {0, 0, 0, 65}) == "pads holds 65 for an extent of 4.");
  constexpr std::int64_t many = 1 << 24;
  CHECK(pooling_failure({2, 2}, 1, {many, many, many, many}) ==
        "windows of 33554435 x 33554435 positions: there is not enough memory for this model. Make pads "
        "smaller.");
  CHECK(pooling_failure({2, 2}, 1, {0, 64, 0, 0}) ==
        "window 0 of spatial axis 1 lies wholly in the padding, where there is no maximum. Make pads smaller "
        "than the window.");
  CHECK(pooling_failure({2, 2}, 1, {0, 0, 2, 0}) ==
        "window 4 of spatial axis 0 lies wholly in the padding, where there is no maximum. Make pads smaller "
        "than the window.");
}

TEST_CASE("an operator that is missing is named with its node, before anything runs") {
  const auto loaded = tiny::engine::load(PTQ_GOLDEN_DIR "/onnx/bodies.onnx");
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().code == ptq::errc::unsupported);
  CAPTURE(loaded.error().what);
  CHECK(loaded.error().what.find("tiny_engine lacks If (node \"") != std::string::npos);
  const auto old = tiny::engine::load(PTQ_GOLDEN_DIR "/onnx/opset11_softmax.onnx");
  REQUIRE_FALSE(old);
  CHECK(old.error().what.find("opset 11 is older than 13") != std::string::npos);
}
