// SPDX-License-Identifier: Apache-2.0
#include "ptq/data/recorded.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/goldens.hpp"
#include "ptq/formats/numpy/npy.hpp"
#include "ptq/formats/numpy/npz.hpp"
#include "support/temporary_folder.hpp"

namespace {

struct seen {
  std::vector<std::string> batches;  // "layer: extent of the first axis"
  double sum = 0;
  std::vector<std::string> notes;
};

/// A plan that quantizes the activations of all layers.
ptq::plan plan_of(const std::vector<ptq::layer>& layers) {
  ptq::plan made;
  for (const ptq::layer& layer : layers) {
    ptq::planned_layer& planned = made.layers.emplace_back();
    planned.name = layer.name;
    planned.activations.dtype = "int8";
  }
  return made;
}

/// Layers whose weights say nothing about what they take.
std::vector<ptq::layer> weightless(const std::vector<std::string>& names) {
  std::vector<ptq::layer> layers;
  for (const std::string& name : names) layers.push_back({name, "LeakyReLU", {}});
  return layers;
}

ptq::result<seen> read_layers(const ptq::data_config& data, const std::vector<ptq::layer>& layers) {
  seen all;
  const auto done = ptq::read_recorded(
      data, plan_of(layers), layers, formats,
      [&](std::string_view layer, const ptq::tensor_view<const float>& batch) -> ptq::result<void> {
        all.batches.push_back(std::string(layer) + ": " + std::to_string(batch.shape[0]));
        for (std::size_t i = 0; i < batch.size(); ++i) all.sum += static_cast<double>(batch.data[i]);
        return {};
      });
  if (!done) return done.error();
  all.notes = *done;
  return all;
}

ptq::result<seen> read(const ptq::data_config& data, const std::vector<std::string>& names) {
  return read_layers(data, weightless(names));
}

}  // namespace

TEST_CASE("each layer's inputs arrive in batches") {
  ptq::data_config data;
  data.activations = folder + "deflated.npz";
  data.batch_size = 400;
  const auto all = read(data, {"input", "mask"});
  REQUIRE(all);
  CHECK(all->batches == std::vector<std::string>{"input: 400", "input: 400", "input: 200", "mask: 400",
                                                 "mask: 400", "mask: 200"});
  CHECK(all->sum == 59999.0 * 60000 / 2 + 999.0 * 1000 / 2);

  data.max_samples = 401;
  const auto some = read(data, {"mask"});
  REQUIRE(some);
  CHECK(some->batches == std::vector<std::string>{"mask: 400", "mask: 1"});
  CHECK(some->sum == 400.0 * 401 / 2);

  data.activations = folder + "vector.npy";
  const auto unnamed = read(data, {"any"});
  REQUIRE(unnamed);
  CHECK(unnamed->sum == 10);
}

TEST_CASE("what is missing or not finite is named") {
  ptq::data_config data;
  data.activations = folder + "stored.npz";
  CHECK(read(data, {"input", "masks"})
            .error()
            .what.find("no array \"masks\" in it; it holds \"input\", \"mask\". Did you mean \"mask\"?") !=
        std::string::npos);
  data.activations = folder + "vector.npy";
  CHECK(read(data, {"a", "b"}).error().code == ptq::errc::tensor_not_found);
  data.activations = folder + "scalar.npy";
  CHECK(read(data, {"a"}).error().code == ptq::errc::wrong_rank);
  data.activations = folder + "empty.npy";
  CHECK(read(data, {"a"}).error().code == ptq::errc::no_data);

  const temporary_folder temporary;
  data.activations = temporary / "none.npy";  // batches without values would be counted for ever
  REQUIRE(ptq::write_npy(data.activations,
                         {nullptr, ptq::element_type::float32, {std::size_t{1} << 40, 0, 256}}));
  const ptq::error none = read(data, {"a"}).error();
  CHECK(none.code == ptq::errc::no_data);
  CHECK(none.what.ends_with("layer \"a\": its samples hold no values: one extent is 0."));

  std::vector<float> values(5 * 6, 1.0F);
  values[4 * 6 + 5] = std::numeric_limits<float>::infinity();
  REQUIRE(ptq::write_npy(temporary / "a.npy", {values.data(), ptq::element_type::float32, {5, 2, 3}}));
  data.activations = temporary / "a.npy";
  data.batch_size = 3;
  const ptq::error refused = read(data, {"fc"}).error();
  CHECK(refused.code == ptq::errc::not_finite);
  CHECK(refused.what.find("a.npy: layer \"fc\": sample 4, element [1, 2] is NaN or infinite as float32.") !=
        std::string::npos);
}

TEST_CASE("an array that cannot be the inputs of its layer") {
  const temporary_folder temporary;
  ptq::data_config data;
  data.activations = temporary / "a.npy";
  const std::vector<float> values(1024, 1.0F);
  const auto refusal = [&](const std::string& class_name, const ptq::tensor_shape& weight,
                           const ptq::tensor_shape& recorded, std::optional<std::size_t> output_axis = {}) {
    REQUIRE(ptq::write_npy(data.activations, {values.data(), ptq::element_type::float32, recorded}));
    ptq::layer fed{"a", class_name, {nullptr, ptq::element_type::float32, weight}};
    fed.output_axis = output_axis;
    const auto done = read_layers(data, {fed});
    CHECK(done.error().code == (done ? ptq::errc::ok : ptq::errc::size_mismatch));
    return done.error().what.substr((std::min)(done.error().what.size(), data.activations.size()));
  };
  const std::string found = ": layer \"a\": the shape of its array is ";
  CHECK(refusal("Linear", {10, 64}, {4, 64}).empty());
  CHECK(refusal("Linear", {10, 64}, {2, 4, 64}).empty());
  CHECK(refusal("Linear", {64, 10}, {4, 64}, 1).empty());  // as MatMul of ONNX has it
  CHECK(refusal("Linear", {10, 64}, {4, 10}) ==
        found + "[4, 10], but the weight of this Linear is [10, 64]: the last extent must be 64.");
  CHECK(refusal("Linear", {10, 64}, {64}) ==
        found +
            "[64], but the weight of this Linear is [10, 64]: at least 2 "
            "axes are needed, the first for samples.");
  CHECK(refusal("Conv2d", {8, 3, 5, 5}, {2, 3, 6, 6}).empty());
  CHECK(refusal("Conv2d", {8, 1, 5, 5}, {2, 4, 6, 6}).empty());  // four groups
  CHECK(refusal("Conv1d", {8, 2, 5}, {2, 6, 6}) ==
        found +
            "[2, 6, 6], but the weight of this Conv1d is [8, 2, 5]: the extent of the channels, 6, must be 2 "
            "times the number of groups, a divisor of 8.");
  CHECK(refusal("Conv2d", {8, 3, 5, 5}, {2, 6, 6, 3}).empty());  // two groups of three
  CHECK(refusal("Conv2d", {8, 3, 5, 5}, {2, 7, 6, 3}).find("channels, 7, must be 3 times") !=
        std::string::npos);
  CHECK(refusal("Conv2d", {8, 3, 5, 5}, {3, 6, 6}).find("at least 4 axes") != std::string::npos);
  CHECK(refusal("ConvTranspose1d", {6, 2, 3}, {2, 6, 9}).empty());
  CHECK(refusal("ConvTranspose1d", {6, 2, 3}, {2, 2, 9}).ends_with("channels, 2, must be 6."));
}

TEST_CASE("arrays of no layer are counted") {
  ptq::data_config data;
  data.activations = folder + "stored.npz";
  CHECK(read(data, {"input", "mask"})->notes.empty());
  const auto layers = weightless({"input", "masks"});
  ptq::plan planned = plan_of(layers);
  planned.layers[1].activations.dtype = "native";
  const auto notes = ptq::read_recorded(data, planned, layers, formats,
                                        [](std::string_view, const auto&) { return ptq::result<void>(); });
  REQUIRE(notes);
  REQUIRE(notes->size() == 1);
  CHECK(
      notes->front().ends_with("stored.npz: 1 array is not read, as no layer has its name: \"mask\". Did you "
                               "mean \"masks\"?"));
}

TEST_CASE("an error of the sink stops the reading") {
  ptq::data_config data;
  data.activations = folder + "stored.npz";
  int calls = 0;
  const auto layers = weightless({"input", "mask"});
  const auto stopped = ptq::read_recorded(data, plan_of(layers), layers, formats,
                                          [&](std::string_view, const auto&) -> ptq::result<void> {
                                            ++calls;
                                            return ptq::error(ptq::errc::stopped, "", "enough.");
                                          });
  CHECK(stopped.error().code == ptq::errc::stopped);
  CHECK(calls == 1);
}
