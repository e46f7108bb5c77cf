// SPDX-License-Identifier: Apache-2.0
#include "ptq/data/samples.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "data/goldens.hpp"
#include "ptq/formats/numpy/npy.hpp"
#include "ptq/formats/numpy/npz.hpp"
#include "support/temporary_folder.hpp"

namespace {

using ptq::element_type;

using extents = std::vector<std::optional<std::size_t>>;

ptq::graph_input floats(const std::string& name, const extents& shape) {
  return {name, element_type::float32, shape};
}

ptq::data_config from(const std::string& path) {
  ptq::data_config config;
  config.inputs[""] = path;
  return config;
}

/// All batches' values of one input, and the shapes of the batches.
struct delivered {
  std::vector<float> values;
  std::vector<ptq::tensor_shape> shapes;
};

delivered drain(ptq::samples& source, std::size_t input = 0) {
  delivered all;
  for (;;) {
    const auto batch = source.next();
    REQUIRE(batch);
    if (batch->empty()) return all;
    const ptq::any_view& array = (*batch)[input].array;
    all.shapes.push_back(array.shape);
    ptq::for_each_element(array,
                          [&](auto x) { all.values.push_back(static_cast<float>(ptq::number_of(x))); });
  }
}

std::string failure_of(const ptq::data_config& config, const std::vector<ptq::graph_input>& inputs) {
  auto source = ptq::samples::open(config, inputs, formats);
  if (!source) return source.error().what;
  for (;;) {
    const auto batch = source->next();
    if (!batch) return batch.error().what;
    if (batch->empty()) return "";
  }
}

}  // namespace

TEST_CASE("batches: the size asked for, the last one partial, up to max_samples") {
  const temporary_folder temporary;
  std::vector<std::uint8_t> pixels(10 * 2 * 3);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i);
  REQUIRE(ptq::write_npy(temporary / "x.npy", {pixels.data(), element_type::uint8, {10, 2, 3}}));
  ptq::data_config config = from(temporary / "x.npy");
  config.batch_size = 4;
  config.scale = {1.0 / 255};
  const std::vector<ptq::graph_input> inputs{floats("input", {std::nullopt, 1, 2, 3})};

  auto source = ptq::samples::open(config, inputs, formats);
  REQUIRE(source);
  CHECK(source->count() == 10);
  REQUIRE(source->notes().size() == 1);
  CHECK(source->notes()[0] == "Graph input \"input\": samples of shape [2, 3] are taken as [1, 2, 3].");
  const delivered all = drain(*source);
  CHECK(all.shapes == std::vector<ptq::tensor_shape>{{4, 1, 2, 3}, {4, 1, 2, 3}, {2, 1, 2, 3}});
  REQUIRE(all.values.size() == 60);
  for (std::size_t i = 0; i < 60; ++i) CHECK(all.values[i] == static_cast<float>(i) / 255.0F);

  config.max_samples = 5;
  auto some = ptq::samples::open(config, inputs, formats);
  REQUIRE(some);
  CHECK(some->count() == 5);
  CHECK(some->total() == 10);
  CHECK(drain(*some).shapes == std::vector<ptq::tensor_shape>{{4, 1, 2, 3}, {1, 1, 2, 3}});

  SUBCASE("a graph with a fixed batch gets that batch") {
    auto fixed = ptq::samples::open(config, std::vector{floats("input", {3, 1, 2, 3})}, formats);
    REQUIRE(fixed);
    CHECK(fixed->count() == 3);
    REQUIRE(fixed->notes().size() == 3);
    CHECK(fixed->notes()[2] == "The last 2 of 5 samples do not fill a batch of the graph and are left out.");
    CHECK(drain(*fixed).shapes == std::vector<ptq::tensor_shape>{{3, 1, 2, 3}});
    CHECK(holds(failure_of(config, {floats("input", {6, 1, 2, 3})}),
                "the graph takes 6 samples at a time, but there are 5."));
    auto but_one = ptq::samples::open(config, std::vector{floats("input", {4, 1, 2, 3})}, formats);
    REQUIRE(but_one);
    CHECK(but_one->count() == 4);
    CHECK(drain(*but_one).shapes == std::vector<ptq::tensor_shape>{{4, 1, 2, 3}});
    auto all_five = ptq::samples::open(config, std::vector{floats("input", {5, 1, 2, 3})}, formats);
    REQUIRE(all_five);
    CHECK(all_five->count() == 5);
    CHECK(all_five->notes().size() == 2);  // nothing is left out
  }
}

TEST_CASE("x' = (x * scale - mean) / std, per channel") {
  const temporary_folder temporary;
  const std::vector<double> values{1, 2, 3, 4, 5, 6, 7, 8};  // two samples of [2, 2]
  REQUIRE(ptq::write_npy(temporary / "x.npy", {values.data(), element_type::float64, {2, 2, 2}}));
  ptq::data_config config = from(temporary / "x.npy");
  config.scale = {2};
  config.mean = {1, 3};
  config.std = {0.5, 4};
  auto source = ptq::samples::open(config, std::vector{floats("x", {std::nullopt, 2, 2})}, formats);
  REQUIRE(source);
  CHECK(drain(*source).values == std::vector<float>{2, 6, 0.75F, 1.25F, 18, 22, 2.75F, 3.25F});

  config.mean = {1, 2, 3};
  CHECK(holds(failure_of(config, {floats("x", {std::nullopt, 2, 2})}),
              "mean has 3 values; give one, or one for each of the 2 channels"));
}

TEST_CASE("several inputs come from one archive or from files of their own") {
  const std::vector<ptq::graph_input> inputs{floats("input", {std::nullopt, 60}),
                                             {"mask", element_type::int32, extents{std::nullopt}}};
  const auto check = [&](const ptq::data_config& config) {
    auto source = ptq::samples::open(config, inputs, formats);
    REQUIRE(source);
    const auto batch = source->next();
    REQUIRE(batch);
    REQUIRE(batch->size() == 2);
    CHECK((*batch)[0].name == "input");
    CHECK((*batch)[1].array.type == element_type::int32);
    CHECK((*batch)[1].array.as<std::int32_t>().data[5] == 5);  // integers are not scaled
    CHECK((*batch)[0].array.as<float>().data[7] == 70.0F);
  };
  ptq::data_config together = from(folder + "stored.npz");
  together.scale = {10};
  check(together);
  ptq::data_config apart;
  apart.inputs = {{"input", folder + "deflated.npz"}, {"mask", folder + "stored.npz"}};
  CHECK(holds(failure_of(apart, inputs), "\"mask\" has 6 samples, but \"input\" has 1000"));
  apart.inputs["input"] = folder + "descriptors.npz";
  apart.scale = {10};
  check(apart);

  CHECK(holds(failure_of(from(folder + "vector.npy"), inputs), "format holds one array without a name"));
  apart.inputs.erase("mask");
  CHECK(holds(failure_of(apart, inputs), "no file is given for the graph's input \"mask\""));
  apart.inputs["masc"] = folder + "vector.npy";
  CHECK(holds(failure_of(apart, inputs),
              "no input \"masc\"; it has \"input\", \"mask\". Did you mean \"mask\"?"));
}

TEST_CASE("a graph that takes a number takes one sample at a time, each with its own") {
  const temporary_folder temporary;
  const auto numbers = [&](const std::string& name, const std::string& shape,
                           const std::vector<float>& values) {
    std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + shape + "), }";
    header.resize(117, ' ');
    const std::string data(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
    write_file(temporary / name, std::string("\x93NUMPY\x01\0\x76\0", 10) + header + "\n" + data);
  };
  numbers("x.npy", "3, 2", {1, 2, 3, 4, 5, 6});
  numbers("low.npy", "3,", {7, 8, 9});
  ptq::data_config config;
  config.inputs = {{"x", temporary / "x.npy"}, {"low", temporary / "low.npy"}};
  const std::vector inputs{floats("x", {{}, 2}), floats("low", {})};
  for (const std::size_t input : {0u, 1u}) {
    auto source = ptq::samples::open(config, inputs, formats);
    INFO(source.error().what);
    REQUIRE(source);
    const delivered all = drain(*source, input);
    CHECK(all.shapes ==
          std::vector<ptq::tensor_shape>(3, input == 0 ? ptq::tensor_shape{1, 2} : ptq::tensor_shape{}));
    CHECK(all.values == (input == 0 ? std::vector<float>{1, 2, 3, 4, 5, 6} : std::vector<float>{7, 8, 9}));
  }
}

TEST_CASE("samples move to the axis where the graph counts them, whatever the size of a batch") {
  const temporary_folder temporary;
  std::vector<float> values(5 * 2 * 3);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  REQUIRE(ptq::write_npy(temporary / "h.npy", {values.data(), element_type::float32, {5, 2, 3}}));
  ptq::data_config config = from(temporary / "h.npy");
  const std::vector<ptq::graph_input> inputs{
      {"h", element_type::float32, extents{2, std::nullopt, 3}, {"", "batch", ""}}};
  for (const std::size_t size : {1u, 2u, 5u}) {
    config.batch_size = size;
    auto source = ptq::samples::open(config, inputs, formats);
    REQUIRE(source);
    CHECK(source->axes().dimension == "batch");
    std::size_t sample = 0;
    for (auto batch = source->next(); batch && !batch->empty(); batch = source->next()) {
      const ptq::named_array& given = (*batch)[0];
      CHECK(given.batch_axis == std::size_t{1});
      const std::size_t count = given.array.shape[1];
      CHECK(given.array.shape == ptq::tensor_shape{2, count, 3});
      const float* const made = given.array.as<float>().data;
      for (std::size_t n = 0; n < count; ++n, ++sample)
        for (std::size_t layer = 0; layer < 2; ++layer)
          for (std::size_t i = 0; i < 3; ++i)
            CHECK(made[(layer * count + n) * 3 + i] == values[(sample * 2 + layer) * 3 + i]);
    }
    CHECK(sample == 5);
  }
  CHECK(holds(failure_of(config, {{"h", element_type::float32, extents{2, 3}}}),
              "the file holds [5, 2, 3] (the first axis counts the samples"));
}

TEST_CASE("numbers are rounded once, and booleans are 0 or 1") {
  const temporary_folder temporary;
  // A float between this number and the half below it would be the tie of two halves, and be rounded up.
  const std::vector<double> numbers{65519.9999, 1 + 0x1p-11 + 0x1p-40, -(1 + 0x1p-11 - 0x1p-40), 3};
  REQUIRE(ptq::write_npy(temporary / "x.npy", {numbers.data(), element_type::float64, {4, 1}}));
  auto halves = ptq::samples::open(
      from(temporary / "x.npy"), std::vector<ptq::graph_input>{{"x", element_type::float16, extents{{}, 1}}},
      formats);
  REQUIRE(halves);
  CHECK(drain(*halves).values == std::vector<float>{65504, 1 + 0x1p-10F, -1, 3});

  const std::vector<std::uint8_t> bytes{0, 1, 255};
  REQUIRE(ptq::write_npy(temporary / "mask.npy", {bytes.data(), element_type::boolean, {3, 1}}));
  for (const element_type type : {element_type::boolean, element_type::int64, element_type::float32})
    CHECK(holds(failure_of(from(temporary / "mask.npy"), {{"x", type, extents{{}, 1}}}),
                "mask.npy: sample 2, element [0] does not fit into bool: it is 255, not 0 or 1."));
}

TEST_CASE("what does not fit is refused with both shapes or types") {
  CHECK(holds(failure_of(from(folder + "float32.npy"), {floats("x", {std::nullopt, 4})}),
              "graph input \"x\": it takes [?, 4], but the file holds [2, 3]"));
  CHECK(holds(failure_of(from(folder + "fortran.npy"), {floats("x", {std::nullopt, 3})}), "it takes [?, 3]"));
  CHECK(
      holds(failure_of(from(folder + "float32.npy"), {{"x", element_type::int64, extents{std::nullopt, 3}}}),
            "it takes int64, but the file holds float32. Convert: np.save(path, a.astype(\"int64\"))"));
  CHECK(holds(failure_of(from(folder + "scalar.npy"), {floats("x", {std::nullopt})}), "single number"));
  CHECK(holds(failure_of(from(folder + "empty.npy"), {floats("x", {std::nullopt, 3})}), "no samples"));
  CHECK(holds(failure_of(from(folder + "missing.npy"), {floats("x", {std::nullopt, 3})}), "no such file"));
  CHECK(holds(failure_of(from(folder), {floats("x", {std::nullopt, 3})}), "folder"));
  CHECK(holds(failure_of(from(folder + "make.py"), {floats("x", {std::nullopt, 3})}),
              "this is not a data file: it looks like text; .npy, .npz can be read"));
}

TEST_CASE("missing dimensions are inserted where the graph has 1") {
  using ptq::detail::fit_sample;
  const auto fit = [](const std::vector<std::size_t>& sample, const extents& wanted) {
    return fit_sample(sample, wanted);
  };
  CHECK(fit({28, 28}, {1, 28, 28}) == ptq::tensor_shape{1, 28, 28});
  CHECK(fit({28, 28}, {std::nullopt, 1, 28}) == ptq::tensor_shape{28, 1, 28});
  CHECK(fit({5}, {1, std::nullopt, 1}) == ptq::tensor_shape{1, 5, 1});
  CHECK(fit({}, {1}) == ptq::tensor_shape{1});
  CHECK(fit({}, {}) == ptq::tensor_shape{});
  CHECK_FALSE(fit({28}, {28, 28}));
  CHECK_FALSE(fit({28, 28}, {3, 28, 28}));
  CHECK_FALSE(fit({1, 28}, {28}));
}

TEST_CASE("values that cannot be used are named: file, sample, index") {
  const temporary_folder temporary;
  std::vector<float> values(6 * 4, 1.0F);
  values[5 * 4 + 3] = std::numeric_limits<float>::quiet_NaN();
  REQUIRE(ptq::write_npy(temporary / "nan.npy", {values.data(), element_type::float32, {6, 2, 2}}));
  ptq::data_config config = from(temporary / "nan.npy");
  config.batch_size = 4;
  CHECK(holds(failure_of(config, {floats("x", {std::nullopt, 2, 2})}),
              "nan.npy: sample 5, element [1, 1] is NaN or infinite as float32."));
  config.max_samples = 5;
  CHECK(failure_of(config, {floats("x", {std::nullopt, 2, 2})}).empty());
  config.max_samples.reset();
  config.inputs = {{"x", temporary / "nan.npy"}, {"y", temporary / "nan.npy"}};
  CHECK(holds(failure_of(config, {floats("x", {std::nullopt, 2, 2}), floats("y", {std::nullopt, 2, 2})}),
              "nan.npy: graph input \"x\": sample 5, element [1, 1] is NaN"));

  const std::vector<double> large{1, 1e39};
  REQUIRE(ptq::write_npy(temporary / "large.npy", {large.data(), element_type::float64, {2, 1}}));
  CHECK(holds(failure_of(from(temporary / "large.npy"), {floats("x", {std::nullopt, 1})}),
              "sample 1, element [0] is NaN or infinite as float32"));
  const std::vector<std::int64_t> integers{1, -1};
  REQUIRE(ptq::write_npy(temporary / "integers.npy", {integers.data(), element_type::int64, {2, 1}}));
  CHECK(holds(
      failure_of(from(temporary / "integers.npy"), {{"x", element_type::uint8, extents{std::nullopt, 1}}}),
      "sample 1, element [0] does not fit into uint8"));
}

TEST_CASE("labels are one integer a sample") {
  const auto labels = ptq::read_labels(folder + "vector.npy", 5, formats);
  REQUIRE(labels);
  CHECK(*labels == std::vector<std::int64_t>{0, 1, 2, 3, 4});
  CHECK(ptq::read_labels(folder + "vector.npy", 6, formats).error().what.find("5 labels for 6 samples") !=
        std::string::npos);
  CHECK(ptq::read_labels(folder + "float32.npy", 2, formats).error().code == ptq::errc::wrong_type);
  CHECK(ptq::read_labels(folder + "int32.npy", 2, formats).error().code == ptq::errc::wrong_rank);
  const auto map = ptq::read_label_array(folder + "int32.npy", 2, formats);
  REQUIRE(map);
  CHECK(map->values.size() == map->shape.size());
  CHECK(map->shape.rank > 1);
}
