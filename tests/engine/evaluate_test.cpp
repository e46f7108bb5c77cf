// SPDX-License-Identifier: Apache-2.0
// Two engines on the same samples, and what of their outputs is compared.
#include "ptq/engine/evaluate.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "engine/toy_engine.hpp"
#include "ptq/numeric/bfloat16.hpp"

namespace {

using ptq::element_type;
using test::floats;
using test::made_tensor;

ptq::graph_value output(const std::string& name, const std::vector<ptq::graph_extent>& shape) {
  return {name, element_type::float32, shape};
}

ptq::graph_extent extent(std::size_t number) {
  return {number, ""};
}
const ptq::graph_extent batch{{}, "n"};

/// Of samples [i, 1]: y [n, 3] answers class i % 3, and the quantized model errs in every fifth.
struct pair_of_models {
  pair_of_models() {
    reference.makes["y"] = [](const floats& x) { return scores(x, 0); };
    quantized.makes["y"] = [](const floats& x) { return scores(x, 1); };
  }

  static made_tensor scores(const floats& x, std::size_t step) {
    floats y;
    for (std::size_t i = 0; i < x.size(); i += 2) {
      const auto sample = static_cast<std::size_t>(x[i]);
      const std::size_t answer = (sample % 5 == 0 ? sample + step : sample) % 3;
      for (std::size_t c = 0; c < 3; ++c) y.push_back(c == answer ? 2.0F : -1.0F);
    }
    return test::rows_of(y, 3);
  }

  void make(const std::string& name, const test::toy_engine::maker& maker) {
    reference.makes[name] = maker;
    quantized.makes[name] = maker;
  }

  ptq::result<ptq::evaluation> run(const test::toy_samples& data) {
    auto samples = data.open();
    return ptq::evaluate(reference, quantized, samples, how);
  }

  /// The only output, where all is well.
  ptq::compared_output compare(const test::toy_samples& data) {
    auto found = run(data);
    INFO(found.error().what);
    REQUIRE(found);
    REQUIRE(found->outputs.size() == how.outputs.size());
    return found->outputs[0];
  }

  test::telling_engine reference;
  test::telling_engine quantized;
  ptq::comparison how{{output("y", {batch, extent(3)})}, {}, {}, "m.onnx", "q.onnx"};
};

ptq::label_array labels_of(const ptq::tensor_shape& shape, const std::vector<std::int64_t>& values) {
  return {shape, values};
}

/// 0, 1, 2, 0, ..
ptq::label_array right_labels(std::size_t samples) {
  ptq::label_array labels{{samples}, {}};
  for (std::size_t i = 0; i < samples; ++i) labels.values.push_back(static_cast<std::int64_t>(i % 3));
  return labels;
}

}  // namespace

TEST_CASE("answers and their shares do not depend on batches or pieces") {
  for (const std::size_t size : {1U, 3U, 4U, 10U, 32U}) {
    for (const bool is_alone : {false, true}) {
      pair_of_models models;
      models.reference.is_alone = is_alone;
      models.how.labels = right_labels(10);
      models.how.labels->values[1] = 0;
      const auto found = models.run(test::toy_samples(test::counting(10), size));
      INFO(found.error().what);
      REQUIRE(found);
      CHECK(found->samples == 10);
      const ptq::compared_output& y = found->outputs[0];
      CHECK(y.name() == "y");
      CHECK(y.task() == ptq::task::classification);
      CHECK(y.batch_axis() == std::size_t{0});
      CHECK(y.class_axis() == std::size_t{1});
      CHECK(y.text() == "y [N, 3]: the largest of 3 along axis 1");
      const ptq::accuracy a = y.metrics();
      CHECK(a.samples == 10);
      CHECK(a.agreement == 0.8);
      CHECK(a.float_top1 == 0.9);
      CHECK(a.quantized_top1 == 0.7);
      CHECK(a.outputs.count == 30);
      CHECK(a.outputs.max_abs == 3.0);
    }
  }
  pair_of_models models;
  CHECK_FALSE(models.compare(test::toy_samples(test::counting(10))).metrics().float_top1);
}

TEST_CASE("what the values mean: what is given, else what they look like") {
  const test::toy_samples data(test::counting(10));
  pair_of_models models;
  ptq::data_config& settings = models.how.settings;

  SUBCASE("one value is a yes or no if it is a probability, or if it is said") {
    models.how.outputs = {output("p", {batch, extent(1)})};
    models.make("p", [](const floats& x) {
      floats p;
      for (std::size_t i = 0; i < x.size(); i += 2) p.push_back(x[i] / 10);
      return test::rows_of(p, 1);
    });
    const auto found = models.compare(data);
    CHECK(found.task() == ptq::task::binary);
    CHECK(found.text() == "p [N, 1]: above 0.5 (all lie in [0, 1])");
    models.make("p", [](const floats& x) {
      floats p;
      for (std::size_t i = 0; i < x.size(); i += 2) p.push_back(x[i] - 4);
      return test::rows_of(p, 1);
    });
    CHECK(models.compare(data).text() == "p [N, 1]: numbers; evaluate.task=binary decides at 0");
    models.how.labels = labels_of({10}, {0, 0, 0, 0, 0, 1, 1, 1, 1, 0});
    CHECK(models.compare(data).metrics().float_top1 == 0.9);
    CHECK(models.compare(data).text() == "p [N, 1]: above 0");
    models.how.labels.reset();
    settings.task[""] = "binary";
    CHECK(models.compare(data).text() == "p [N, 1]: above 0");
    settings.task["p"] = "classification";
    CHECK(models.compare(data).text() == "p [N, 1]: the largest of 1 along axis 1");
    settings.task["p"] = "regression";
    CHECK(models.compare(data).text() == "p [N, 1]: numbers");
  }
  SUBCASE("one value a sample may have no axis of its own") {
    models.how.outputs = {output("p", {batch})};
    models.make("p", [](const floats& x) {
      return made_tensor(element_type::float32, floats(x.size() / 2, 0.25F), {x.size() / 2});
    });
    CHECK(models.compare(data).text() == "p [N]: above 0.5 (all lie in [0, 1])");
  }
  SUBCASE("of a graph that declares nothing the last axis has the classes") {
    models.how.outputs = {{"y"}};
    CHECK(models.compare(data).text() == "y [N, 3]: the largest of 3 along axis 1");
  }
  SUBCASE("integers are answers") {
    models.make("y", [](const floats& x) {
      std::vector<std::int64_t> y;
      for (std::size_t i = 0; i < x.size(); i += 2) y.push_back(static_cast<std::int64_t>(x[i]) % 3);
      return made_tensor(element_type::int64, y, {y.size()});
    });
    models.how.outputs = {output("y", {batch})};
    models.how.labels = right_labels(10);
    const auto found = models.compare(data);
    CHECK(found.text() == "y [N]: integers, each an answer");
    CHECK(found.metrics().float_top1 == 1.0);
  }
  SUBCASE("of several outputs each has its own, and labels belong to the first") {
    models.make("boxes", [](const floats& x) { return test::rows_of(x, 2); });
    models.how.outputs.push_back(output("boxes", {batch, extent(2)}));
    models.how.labels = right_labels(10);
    auto found = models.run(data);
    REQUIRE(found);
    REQUIRE(found->outputs.size() == 2);
    CHECK(found->outputs[0].metrics().float_top1 == 1.0);
    CHECK(found->outputs[1].task() == ptq::task::classification);
    CHECK_FALSE(found->outputs[1].metrics().float_top1);
    settings.task["boxes"] = "regression";
    found = models.run(data);
    REQUIRE(found);
    CHECK(found->outputs[1].task() == ptq::task::regression);
    CHECK(found->outputs[1].metrics().outputs.count == 20);
  }
  SUBCASE("an output that a graph names twice is compared twice") {
    models.how.outputs.push_back(models.how.outputs[0]);
    const auto found = models.run(data);
    REQUIRE(found);
    CHECK(found->outputs[1].metrics().agreement == 0.8);
    CHECK(found->outputs[1].metrics().samples == 10);
  }
}

TEST_CASE("the axis of the samples and that of the classes, and how the values lie in memory") {
  const test::toy_samples data(test::counting(10), 2);  // as long as the axis of steps
  pair_of_models models;
  // [2, n, 3], time first; in memory [n, 3, 2]. Step 1 answers the class behind.
  models.make("y", [](const floats& x) {
    floats y;
    for (std::size_t i = 0; i < x.size(); i += 2)
      for (std::size_t c = 0; c < 3; ++c)
        for (std::size_t t = 0; t < 2; ++t)
          y.push_back((static_cast<std::size_t>(x[i]) + t) % 3 == c ? 1.0F : 0.0F);
    return made_tensor(element_type::float32, y, {2, x.size() / 2, 3}, {1, 6, 2}, 0);
  });
  models.how.outputs = {output("y", {extent(2), batch, extent(3)})};
  ptq::label_array labels{{10, 2}, {}};
  for (std::size_t i = 0; i < 10; ++i)
    for (std::size_t t = 0; t < 2; ++t) labels.values.push_back(static_cast<std::int64_t>((i + t) % 3));
  models.how.labels = labels;
  const auto found = models.compare(data);
  CHECK(found.text() == "y [2, N, 3]: the largest of 3 along axis 2");
  CHECK(found.batch_axis() == std::size_t{1});
  CHECK(found.metrics().samples == 20);
  CHECK(found.metrics().float_top1 == 1.0);

  models.how.labels.reset();
  models.how.settings.class_axis["y"] = -3;
  CHECK(models.compare(data).text() == "y [2, N, 3]: the largest of 2 along axis 0");

  SUBCASE("that stays where it was, though the last batch is as long as another axis") {
    models.how.settings.class_axis.clear();
    models.how.outputs = {output("y", {{}, {}, extent(3)})};
    CHECK(models.compare(test::toy_samples(test::counting(8), 3)).batch_axis() == std::size_t{1});
  }
  SUBCASE("of half the width") {
    models.how.settings.class_axis.clear();
    models.how.outputs = {output("y", {batch, extent(2)})};
    models.make("y", [](const floats& x) {
      std::vector<ptq::bfloat16> y;
      for (const float value : x) y.push_back(ptq::bfloat16::from_float(value));
      return made_tensor(element_type::bfloat16, y, {x.size() / 2, 2});
    });
    const ptq::accuracy a = models.compare(data).metrics();
    CHECK(a.samples == 10);
    CHECK(a.outputs.max_abs == 0.0);
    CHECK(a.outputs.count == 20);
  }
}

TEST_CASE("a map has an answer for each place, classes along the axis that the graph fixes") {
  const test::toy_samples data(test::counting(10));
  pair_of_models models;
  models.make("y", [](const floats& x) {  // [n, 3, 2]
    floats y;
    for (std::size_t i = 0; i < x.size(); i += 2)
      for (std::size_t c = 0; c < 3; ++c)
        for (std::size_t at = 0; at < 2; ++at)
          y.push_back((static_cast<std::size_t>(x[i]) + at) % 3 == c ? 1.0F : 0.0F);
    return made_tensor(element_type::float32, y, {x.size() / 2, 3, 2});
  });
  models.how.outputs = {output("y", {batch, extent(3), {{}, "width"}})};
  CHECK(models.compare(data).text() == "y [N, 3, 2]: the largest of 3 along axis 1");
  ptq::label_array labels{{10, 2}, {}};
  for (std::size_t i = 0; i < 10; ++i)
    for (std::size_t at = 0; at < 2; ++at) labels.values.push_back(static_cast<std::int64_t>((i + at) % 3));
  models.how.labels = labels;
  CHECK(models.compare(data).metrics().float_top1 == 1.0);
  models.how.labels->values[5] = 5;
  CHECK(models.run(data).error().what.starts_with("labels: sample 2, answer 1 of 2: the label is 5"));

  // Where the graph fixes none, labels tell: without classes they have the shape of the answers.
  models.how.outputs = {output("y", {batch, {}, {}})};
  models.how.labels = labels;
  CHECK(models.compare(data).text() == "y [N, 3, 2]: the largest of 3 along axis 1");
  models.how.labels = labels_of({10, 3, 2}, std::vector<std::int64_t>(60, 1));
  const auto each = models.compare(data);
  CHECK(each.text() == "y [N, 3, 2]: above 0.5 (all lie in [0, 1])");
  CHECK(each.metrics().samples == 60);
  models.how.labels.reset();
  CHECK(models.compare(data).text() == "y [N, 3, 2]: the largest of 2 along axis 2");

  models.make("y", [](const floats& x) {
    return made_tensor(element_type::float32, floats(x.size() / 2 * 24, 0.5F), {x.size() / 2, 3, 2, 4});
  });
  models.how.labels = labels_of({10, 4, 2}, std::vector<std::int64_t>(80));
  CHECK(test::says(models.run(data).error(), ptq::errc::size_mismatch,
                   "labels: they are [10, 4, 2], but a sample of the output y [N, 3, 2, 4]: the largest of 3 "
                   "along axis 1 has answers of the shape [2, 4]. Give the labels in that shape."));
}

TEST_CASE("an output without an axis for samples holds numbers, and has no place for labels") {
  const test::toy_samples data(test::counting(10), 5);
  pair_of_models models;
  models.make("y", [](const floats& x) {
    floats mean(2);
    for (std::size_t i = 0; i < x.size(); ++i) mean[i % 2] += x[i] * 2 / static_cast<float>(x.size());
    return made_tensor(element_type::float32, mean, {2});
  });
  models.how.outputs = {output("y", {extent(2)})};
  const auto found = models.compare(data);
  CHECK(found.text() == "y [2]: numbers");
  CHECK(found.batch_axis() == std::nullopt);
  CHECK(found.metrics().outputs.count == 4);

  models.how.labels = right_labels(10);
  CHECK(
      test::says(models.run(data).error(), ptq::errc::size_mismatch,
                 "labels: they are [10], but the output y [2]: the largest of 2 along axis 0 has no axis for "
                 "samples: it answers 5 samples at once. Set evaluate.batch_size=1."));
  models.how.labels.reset();
  models.make("y", [](const floats& x) {
    floats mean(2, x[0] == 5 ? std::numeric_limits<float>::quiet_NaN() : 0);
    return made_tensor(element_type::float32, mean, {2});
  });
  CHECK(models.run(data).error().what.starts_with("m.onnx: samples 5 to 9: output \"y\": [0] is NaN, so"));
}

TEST_CASE("a number that is none is told with its sample and its model") {
  const test::toy_samples data(test::counting(10));
  for (const bool is_alone : {false, true}) {
    for (const bool is_float : {false, true}) {
      pair_of_models models;
      test::telling_engine& odd = is_float ? models.reference : models.quantized;
      odd.is_alone = is_alone;
      odd.makes["y"] = [](const floats& x) {
        floats y;
        for (std::size_t i = 0; i < x.size(); i += 2)
          y.insert(y.end(), {0, 1, x[i] == 6 ? -std::numeric_limits<float>::infinity() : 2});
        return test::rows_of(y, 3);
      };
      CHECK(
          test::says(models.run(data).error(), ptq::errc::not_finite,
                     std::string(is_float ? "m.onnx" : "q.onnx") + ": sample 6: output \"y\": [" +
                         (is_alone ? "0" : "2") +
                         ", 2] is infinite, so there is nothing to compare. If the model itself answers so, "
                         "leave the sample out; if its artifact alone does, leave layers before the output "
                         "as floats (skip_names)."));
    }
  }
}

TEST_CASE("data that cannot be read end the run") {
  floats values = test::counting(10);
  values[11] = std::numeric_limits<float>::infinity();
  const test::toy_samples data(values);
  pair_of_models models;
  CHECK(test::says(models.run(data).error(), ptq::errc::not_finite,
                   data.path() +
                       ": sample 5, element [1] is NaN or infinite as float32. Repair the data, or leave "
                       "the sample out."));
}

TEST_CASE("settings and labels that do not fit are refused with their place") {
  const test::toy_samples data(test::counting(10));
  pair_of_models models;
  ptq::data_config& settings = models.how.settings;
  const auto refuses = [&](ptq::errc code, const std::string& what) {
    return test::says(models.run(data).error(), code, what);
  };
  SUBCASE("outputs that are not there") {
    settings.task["z"] = "binary";
    CHECK(refuses(ptq::errc::unknown_word,
                  "task.z: the graph has no output \"z\"; it has \"y\". Did you mean \"y\"?"));
    settings.task.clear();
    settings.class_axis["logits"] = 1;
    CHECK(refuses(ptq::errc::unknown_word,
                  "class_axis.logits: the graph has no output \"logits\"; it has \"y\"."));
    CHECK(models.reference.runs == 0);
  }
  SUBCASE("words that mean nothing") {
    settings.task[""] = "binry";
    CHECK(refuses(ptq::errc::unknown_word,
                  "task: unknown word \"binry\". Allowed: binary, classification, regression. Did you mean "
                  "\"binary\"?"));
    settings.task = {{"y", "regresion"}};
    CHECK(refuses(ptq::errc::unknown_word,
                  "task.y: unknown word \"regresion\". Allowed: binary, classification, regression. Did you "
                  "mean \"regression\"?"));
  }
  SUBCASE("axes that no class lies along") {
    settings.class_axis[""] = 2;
    CHECK(refuses(ptq::errc::axis_out_of_range, "class_axis: is 2, but the output \"y\" has axes 0 to 1."));
    settings.class_axis[""] = -3;
    CHECK(refuses(ptq::errc::axis_out_of_range, "class_axis: is -3, but the output \"y\" has axes 0 to 1."));
    settings.class_axis[""] = -2;
    CHECK(refuses(ptq::errc::axis_out_of_range,
                  "class_axis: is -2, but the output \"y\" counts samples along it."));
    CHECK(models.reference.runs == 3);
  }
  SUBCASE("classes of one value") {
    models.make("y", [](const floats& x) {
      return made_tensor(element_type::float32, floats(x.size() / 2, 1.0F), {x.size() / 2});
    });
    settings.task["y"] = "classification";
    CHECK(refuses(ptq::errc::invalid_value,
                  "task: is classification, but the output \"y\" has one value a sample. Write binary or "
                  "regression."));
  }
  SUBCASE("labels of other samples, of other answers, or of no class") {
    models.how.labels = right_labels(9);
    CHECK(refuses(ptq::errc::size_mismatch,
                  "labels: they are [9] for 10 samples; the first axis counts samples."));
    CHECK(models.reference.runs == 0);
    models.how.labels = labels_of({}, {1});
    CHECK(refuses(ptq::errc::size_mismatch,
                  "labels: they are [] for 10 samples; the first axis counts samples."));
    models.how.labels = labels_of({10, 2}, std::vector<std::int64_t>(20));
    CHECK(refuses(
        ptq::errc::size_mismatch,
        "labels: they are [10, 2], 2 a sample, but the output y [N, 3]: the largest of 3 along axis 1 "
        "has 1 answer a sample. Give as many, or set evaluate.class_axis or evaluate.task."));
    models.how.labels = right_labels(10);
    models.how.labels->values[7] = 3;
    CHECK(
        refuses(ptq::errc::invalid_value,
                "labels: sample 7: the label is 3, but the model has 3 classes: labels are numbers from 0 to "
                "2."));
  }
}

TEST_CASE("outputs whose answers cannot be told apart") {
  const test::toy_samples data(test::counting(10));
  pair_of_models models;
  models.quantized.makes["y"] = [](const floats& x) { return test::rows_of(x, 2); };
  CHECK(test::says(models.run(data).error(), ptq::errc::size_mismatch,
                   "output \"y\": the model and its artifact make a different number of values."));
  models.make("y", [](const floats& x) {  // as many columns as samples
    return made_tensor(element_type::float32, floats(x.size() * x.size() / 4, 0.5F),
                       {x.size() / 2, x.size() / 2});
  });
  CHECK(models.run(data).error().what.starts_with(
      "output \"y\": its shape, or the axis that is as long as the batch, differs from batch to batch"));
  models.how.settings.task["y"] = "regression";
  CHECK(models.run(data));
}

TEST_CASE("elements that C++ does not compute with are refused") {
  pair_of_models models;
  models.make("y", [](const floats& x) {
    return made_tensor(element_type::fp8_e4m3fn, std::vector<std::uint8_t>(x.size()), {x.size() / 2, 2});
  });
  CHECK(test::says(models.run(test::toy_samples(test::counting(3))).error(), ptq::errc::wrong_type,
                   "m.onnx: output \"y\": it holds fp8_e4m3fn, which cannot be compared. Let the graph cast "
                   "it to float32."));
}

TEST_CASE("an engine that makes samples alone has to say so") {
  const test::toy_samples data(test::counting(10));
  pair_of_models models;
  test::toy_engine silent;
  silent.makes = models.reference.makes;
  auto samples = data.open();
  CHECK(ptq::evaluate(silent, models.quantized, samples, models.how));
  silent.is_alone = true;
  samples = data.open();
  const auto found = ptq::evaluate(silent, models.quantized, samples, models.how);
  CHECK(test::says(
      found.error(), ptq::errc::size_mismatch,
      "m.onnx: output \"y\": the engine hands over pieces for 16 samples of a batch of 4. It hands "
      "over a batch at once, or says that it makes_samples_alone()."));
  models.how.outputs.push_back(output("z", {batch}));
  models.make("z", models.reference.makes["y"]);
  CHECK(models.run(data));
  models.quantized.renames["z"] = "w";
  CHECK(
      test::says(models.run(data).error(), ptq::errc::size_mismatch,
                 "q.onnx: output \"z\": the engine hands over pieces for 0 samples of a batch of 4. It hands "
                 "over a batch at once, or says that it makes_samples_alone()."));
  models.reference.fails = ptq::error(ptq::errc::unsupported, "node 3", "no kernel.");
  CHECK(test::says(models.run(data).error(), ptq::errc::unsupported, "m.onnx: node 3: no kernel."));
}

TEST_CASE("the caller is told of every batch that was compared, and may stop") {
  const test::toy_samples data(test::counting(10));
  pair_of_models models;
  std::vector<std::size_t> told;
  auto samples = data.open();
  CHECK(ptq::evaluate(models.reference, models.quantized, samples, models.how,
                      [&](std::size_t done) { told.push_back(done); }));
  CHECK(told == std::vector<std::size_t>{0, 4, 8, 10});
  samples = data.open();
  models.reference.runs = 0;
  const auto stopped = ptq::evaluate(
      models.reference, models.quantized, samples, models.how,
      [](std::size_t done) { return done < 4 ? ptq::status() : ptq::status{ptq::errc::stopped}; });
  CHECK(test::says(stopped.error(), ptq::errc::stopped, "the run was stopped when 4 samples were done."));
  CHECK(models.reference.runs == 1);
}
