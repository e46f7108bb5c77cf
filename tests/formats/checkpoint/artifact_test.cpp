// SPDX-License-Identifier: Apache-2.0
// From a checkpoint to an artifact and back.
#include "ptq/formats/checkpoint/read_artifact.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ptq/adaptors/std_vector.hpp"
#include "ptq/formats/checkpoint/write_artifact.hpp"
#include "ptq/formats/safetensors/layout.hpp"
#include "ptq/model/layers_of.hpp"
#include "support/safetensors_bytes.hpp"
#include "support/temporary_folder.hpp"

using ptq::element_type;
using ptq::errc;

namespace {

struct content {
  ptq::tensor_declaration tensor;
  std::string data;
};

std::string floats(std::size_t count, float first = -1.75F) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = first + 0.37F * static_cast<float>(i * 7 % (count + 3));
  return data_of(values);
}

std::string bfloats(std::size_t count) {
  std::vector<ptq::bfloat16> values(count);
  for (std::size_t i = 0; i < count; ++i)
    values[i] = ptq::bfloat16::from_float(0.3F * static_cast<float>(i) - 1.0F);
  return data_of(values);
}

std::vector<content> contents() {
  return {{{"fc.weight", element_type::float32, {3, 4}}, floats(12)},
          {{"fc.bias", element_type::float32, {3}}, floats(3)},
          {{"conv.weight", element_type::bfloat16, {2, 1, 2}}, bfloats(4)},
          {{"embed.weight", element_type::float32, {5, 2}}, floats(10)},
          {{"steps", element_type::int64, {}}, "01234567"},
          {{"mask", element_type::boolean, {3}}, std::string("\0\1\0", 3)},
          {{"deep", element_type::float16, {1, 1, 1, 1, 1, 1, 1, 1, 2}}, "abcd"}};
}

void write_model(const std::string& path, const std::vector<content>& tensors) {
  std::vector<ptq::tensor_declaration> declared;
  for (const content& c : tensors) declared.push_back(c.tensor);
  auto writer = ptq::safetensors_writer::create(path, declared, {{"format", "pt"}, {"title", "t"}});
  REQUIRE_MESSAGE(writer, writer.error().what);
  for (const content& c : tensors) REQUIRE(writer->write(c.tensor.name, bytes_of(c.data)));
  REQUIRE(writer->commit());
}

ptq::checkpoint opened(const std::string& path) {
  auto model = ptq::open_safetensors(path);
  REQUIRE_MESSAGE(model, model.error().what);
  return *std::move(model);
}

std::vector<ptq::layer> layers_in(const ptq::checkpoint& model) {
  std::vector<ptq::named_tensor> tensors;
  for (const ptq::stored_tensor& tensor : model.tensors()) tensors.push_back({tensor.name, tensor.view()});
  return ptq::layers_of(tensors);
}

/// Everything but embeddings, to one dtype.
ptq::plan plan_for(const std::vector<ptq::layer>& layers, const std::string& dtype,
                   const std::string& backend, std::optional<ptq::granularity> grain = {}) {
  ptq::plan plan;
  plan.backend = backend;
  plan.mode = "some_mode";
  for (const ptq::layer& layer : layers) {
    ptq::planned_layer planned;
    planned.name = layer.name;
    planned.shape = layer.weight.shape;
    if (layer.class_name != "Embedding") planned.weights = {dtype, grain, 0, {}};
    plan.layers.push_back(planned);
  }
  return plan;
}

ptq::activation_range range_of(std::size_t layer, const char* algorithm, float amax, float scale) {
  return {layer, algorithm, {amax, ptq::range_reason::found}, scale, 1, 0};
}

const auto nothing = [](const ptq::quantized_layer&) {};

/// Quantizes model.safetensors of the folder to `artifact` beside it.
template <class Policies = ptq::builtin>
ptq::result<void> quantize(const temporary_folder& folder, const ptq::checkpoint& model,
                           const ptq::plan& plan, const std::vector<ptq::layer>& layers,
                           const std::vector<ptq::activation_range>& inputs = {}) {
  auto writer = ptq::write_artifact<Policies>(ptq::ptq_in_safetensors, folder / "artifact", model, plan,
                                              layers, nothing, inputs);
  return writer ? writer->commit() : writer.error();
}

std::vector<std::byte> vector_of(std::span<const std::byte> bytes) {
  return {bytes.begin(), bytes.end()};
}

template <class D, class B>
void check_layer(const ptq::artifact& content, const ptq::layer& source) {
  CAPTURE(source.name);
  const ptq::granularity grain = ptq::recipe_of<D, B>.weights;
  const std::size_t size = source.weight.size();
  std::vector<typename D::storage> codes(size);
  std::vector<float> scales(ptq::scale_count(source.weight.shape, grain));
  ptq::visit(source.weight, [&](const auto& view) {
    REQUIRE(bool(ptq::quantize<D, B>(view, std::span(codes), std::span(scales))));
  });
  const ptq::artifact_layer* const layer = content.find(source.name);
  REQUIRE(layer != nullptr);
  CHECK(layer->class_name == source.class_name);
  CHECK(!layer->activations);
  REQUIRE(layer->weights.has_value());
  const ptq::artifact_weights& weights = *layer->weights;
  CHECK(weights.dtype == D::name);
  CHECK(weights.shape == source.weight.shape);
  CHECK(weights.grain == grain);
  CHECK(vector_of(weights.codes) == vector_of(std::as_bytes(std::span(codes))));
  CHECK(weights.template codes_as<D>()[size - 1] == codes.back());
  CHECK(vector_of(std::as_bytes(weights.scales)) == vector_of(std::as_bytes(std::span(scales))));

  std::vector<float> values(size);
  std::vector<float> wanted(size);
  REQUIRE(bool(ptq::dequantize(weights, values)));
  REQUIRE(bool(ptq::dequantize<D>(std::span<const typename D::storage>(codes), scales, grain,
                                  ptq::tensor_view<float>(wanted.data(), weights.shape))));
  CHECK(values == wanted);
}

template <class D, class B>
void check_round_trip(element_type codes_type) {
  CAPTURE(D::name);
  CAPTURE(B::name);
  const temporary_folder folder;
  write_model(folder / "model.safetensors", contents());
  const ptq::checkpoint model = opened(folder / "model.safetensors");
  const std::vector<ptq::layer> layers = layers_in(model);
  const ptq::plan plan = plan_for(layers, D::name, B::name);
  REQUIRE(quantize(folder, model, plan, layers));

  const auto made = ptq::open_artifact(folder / "artifact");
  REQUIRE_MESSAGE(made, made.error().what);
  CHECK(made->content.version == PTQ_VERSION_STRING);
  CHECK(made->content.backend == B::name);
  CHECK(made->content.mode == "some_mode");
  CHECK(made->content.layers.size() == 2);
  for (const ptq::layer& layer : layers)
    if (layer.class_name != "Embedding") check_layer<D, B>(made->content, layer);

  for (const char* const name : {"fc.bias", "embed.weight", "steps", "mask", "deep"}) {
    CAPTURE(name);
    const ptq::stored_tensor* const before = model.find(name);
    const ptq::stored_tensor* const after = made->file.find(name);
    REQUIRE(after != nullptr);
    CHECK(after->type == before->type);
    CHECK(after->shape == before->shape);
    CHECK(vector_of(after->data) == vector_of(before->data));
  }
  CHECK(made->file.tensors().size() == 9);
  const bool per_channel = ptq::recipe_of<D, B>.weights.is_per_channel();
  using shape = std::vector<std::size_t>;
  CHECK(made->file.find("fc.weight")->type == codes_type);
  CHECK(made->file.find("fc.weight_scale")->shape == (per_channel ? shape{3, 1} : shape{}));
  CHECK(made->file.find("conv.weight")->shape == shape{2, 1, 2});
  CHECK(made->file.find("conv.weight_scale")->shape == (per_channel ? shape{2, 1, 1} : shape{}));
}

}  // namespace

TEST_CASE("codes and scales are those of quantize, the rest is copied, and all of it comes back as views") {
  check_round_trip<ptq::int8, ptq::torchao>(element_type::int8);
  check_round_trip<ptq::int8, ptq::modelopt>(element_type::int8);
  check_round_trip<ptq::fp8_e4m3fn, ptq::torchao>(element_type::fp8_e4m3fn);
  check_round_trip<ptq::fp8_e4m3fn, ptq::modelopt>(element_type::fp8_e4m3fn);
  check_round_trip<ptq::fp8_e5m2, ptq::torchao>(element_type::fp8_e5m2);
  check_round_trip<ptq::fp8_e5m2, ptq::modelopt>(element_type::fp8_e5m2);
}

TEST_CASE("the metadata describe the layers; what the source said stays") {
  const temporary_folder folder;
  write_model(folder / "model.safetensors", contents());
  const ptq::checkpoint model = opened(folder / "model.safetensors");
  const std::vector<ptq::layer> layers = layers_in(model);
  ptq::plan plan = plan_for(layers, "int8", "modelopt.pytorch", ptq::per_channel(1));
  REQUIRE(layers[1].name == "fc");
  plan.layers[1].weights.grain = ptq::per_tensor();
  plan.layers[1].activations.dtype = "int8";
  REQUIRE(quantize(folder, model, plan, layers, {range_of(1, "entropy", 2.5F, 0.0196850393F)}));

  const auto made = ptq::open_artifact(folder / "artifact");
  REQUIRE_MESSAGE(made, made.error().what);
  CHECK(
      made->file.metadata() ==
      ptq::metadata_map{
          {"format", "ptq"},
          {"ptq_backend", "modelopt.pytorch"},
          {"ptq_layers",
           R"({"conv":{"activations":null,"class":"Conv1d","weights":{"axis":1,"dtype":"int8","granularity":"per_channel",)"
           R"("source":"bfloat16"}},)"
           R"("fc":{"activations":{"algorithm":"entropy","amax":2.5,"dtype":"int8"},"class":"Linear",)"
           R"("weights":{"axis":null,"dtype":"int8","granularity":"per_tensor"}}})"},
          {"ptq_mode", "some_mode"},
          {"ptq_version", PTQ_VERSION_STRING},
          {"title", "t"}});
  const ptq::artifact_layer* const fc = made->content.find("fc");
  REQUIRE(fc != nullptr);
  REQUIRE(fc->activations.has_value());
  CHECK(fc->activations->dtype == "int8");
  CHECK(fc->activations->algorithm == "entropy");
  CHECK(fc->activations->amax == 2.5F);
  CHECK(fc->activations->scale == 0.0196850393F);
  CHECK(made->file.find("fc.input_scale")->shape.empty());
  CHECK(made->file.find("conv.weight_scale")->shape == std::vector<std::size_t>{1, 1, 1});
}

TEST_CASE("a layer may have calibrated activations and an untouched weight") {
  const temporary_folder folder;
  write_model(folder / "model.safetensors", contents());
  const ptq::checkpoint model = opened(folder / "model.safetensors");
  const std::vector<ptq::layer> layers = layers_in(model);
  ptq::plan plan = plan_for(layers, "native", "modelopt");
  plan.layers[0].activations.dtype = "fp8_e4m3fn";
  REQUIRE(quantize(folder, model, plan, layers, {range_of(0, "minmax", 448.0F, 1.0F)}));
  const auto made = ptq::open_artifact(folder / "artifact");
  REQUIRE_MESSAGE(made, made.error().what);
  REQUIRE(made->content.layers.size() == 1);
  CHECK(!made->content.layers[0].weights);
  CHECK(made->content.layers[0].activations->scale == 1.0F);
  CHECK(made->file.tensors().size() == model.tensors().size() + 1);
}

TEST_CASE("column-major weights and several files make the same artifact") {
  const temporary_folder folder;
  write_model(folder / "model.safetensors", contents());
  const ptq::checkpoint model = opened(folder / "model.safetensors");
  std::vector<ptq::layer> layers = layers_in(model);
  const ptq::plan plan = plan_for(layers, "int8", "torchao");
  REQUIRE(quantize(folder, model, plan, layers));
  const std::string wanted = read_file(folder / "artifact");

  SUBCASE("column-major") {
    std::vector<float> columns(12);
    REQUIRE(layers[1].name == "fc");
    const auto rows = layers[1].weight.as<float>();
    for (std::size_t i = 0; i < 12; ++i) columns[i % 4 * 3 + i / 4] = rows.data[i];
    layers[1].weight = ptq::tensor_view<const float>(columns.data(), {3, 4}, {1, 3});
    REQUIRE(quantize(folder, model, plan, layers));
    CHECK(read_file(folder / "artifact") == wanted);
  }
  SUBCASE("several files") {
    const std::vector<content> all = contents();
    write_model(folder / "s1.safetensors", {all.begin(), all.begin() + 2});
    write_model(folder / "s2.safetensors", {all.begin() + 2, all.end()});
    std::string map;
    for (std::size_t i = 0; i < all.size(); ++i)
      map += (i > 0 ? ",\"" : "\"") + all[i].tensor.name +
             (i < 2 ? "\":\"s1.safetensors\"" : "\":\"s2.safetensors\"");
    write_file(folder / "s.safetensors.index.json", "{\"weight_map\":{" + map + "}}");
    const ptq::checkpoint shards = opened(folder / "s.safetensors.index.json");
    const std::vector<ptq::layer> sharded = layers_in(shards);
    REQUIRE(quantize(folder, shards, plan_for(sharded, "int8", "torchao"), sharded));
    CHECK(read_file(folder / "artifact") == wanted);
  }
}

TEST_CASE("a large column-major weight is stored row-major") {
  const temporary_folder folder;
  constexpr std::size_t rows = 700;
  constexpr std::size_t columns = 300;
  std::vector<float> values(rows * columns);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(i * 2654435761U % 1000) - 500.0F;
  const std::vector<ptq::layer> layers{
      {"big", "Linear", ptq::tensor_view<const float>(values.data(), {rows, columns}, {1, rows})}};
  REQUIRE(quantize(folder, ptq::checkpoint(), plan_for(layers, "int8", "torchao"), layers));
  const auto made = ptq::open_artifact(folder / "artifact");
  REQUIRE(made);
  const auto codes = made->content.layers[0].weights->codes_as<ptq::int8>();
  const auto scales = made->content.layers[0].weights->scales;
  std::size_t wrong = 0;
  for (std::size_t row = 0; row < rows; ++row)
    for (std::size_t column = 0; column < columns; ++column) {
      const float back = static_cast<float>(codes[row * columns + column]) * scales[row];
      const float away = back - values[column * rows + row];
      if (away * away > scales[row] * scales[row]) ++wrong;
    }
  CHECK(wrong == 0);
}

TEST_CASE("data at odd addresses") {
  const temporary_folder folder;
  const std::string header =
      R"({"fc.weight":{"dtype":"F32","shape":[3,4],"data_offsets":[3,51]},"m":{"dtype":"I8","shape":[3],"data_offsets":[0,3]}})";
  write_file(folder / "odd.safetensors", safetensors_bytes(header, "abc" + floats(12)));
  const ptq::checkpoint model = opened(folder / "odd.safetensors");
  const std::vector<ptq::layer> layers = layers_in(model);
  REQUIRE(layers.size() == 1);
  REQUIRE(quantize(folder, model, plan_for(layers, "fp8_e4m3fn", "torchao"), layers));
  const auto made = ptq::open_artifact(folder / "artifact");
  REQUIRE(made);
  check_layer<ptq::fp8_e4m3fn, ptq::torchao>(made->content, layers[0]);
}

namespace {

/// A user's dtype of two bytes, and one whose codes are no numbers that a file could hold.
struct int12 : ptq::int8 {
  static constexpr const char* name = "int12";
  using storage = std::int16_t;
  static constexpr float max_finite = 2047.0F;
  static constexpr float lowest = -2048.0F;
  static storage encode(float x) noexcept { return static_cast<storage>(std::clamp(x, lowest, max_finite)); }
  static float decode(storage code) noexcept { return static_cast<float>(code); }
};
struct pair_of_nibbles {
  std::uint8_t both;
};
struct odd : int12 {
  static constexpr const char* name = "odd";
  using storage = pair_of_nibbles;
  static storage encode(float) noexcept { return {}; }
  static float decode(storage) noexcept { return 0; }
};
struct int4 : int12 {
  static constexpr const char* name = "int4";
  static constexpr int bits = 4;
  using storage = std::int8_t;
  static constexpr float max_finite = 7.0F;
  static constexpr float lowest = -8.0F;
  static storage encode(float x) noexcept { return static_cast<storage>(std::clamp(x, lowest, max_finite)); }
  static float decode(storage code) noexcept { return static_cast<float>(code); }
};
struct my_policies : ptq::builtin {
  using dtypes = ptq::list<int12, odd, int4, ptq::int8>;
};

}  // namespace

TEST_CASE("a user's dtype is stored by its storage type, and read back with the same policies") {
  const temporary_folder folder;
  write_model(folder / "model.safetensors", contents());
  const ptq::checkpoint model = opened(folder / "model.safetensors");
  const std::vector<ptq::layer> layers = layers_in(model);
  REQUIRE(quantize<my_policies>(folder, model, plan_for(layers, "int12", "torchao"), layers));
  const auto made = ptq::open_artifact<my_policies>(folder / "artifact");
  REQUIRE_MESSAGE(made, made.error().what);
  CHECK(made->file.find("fc.weight")->type == element_type::int16);
  CHECK(made->content.find("fc")->weights->codes_as<int12>().size() == 12);

  const auto without = ptq::open_artifact(folder / "artifact");
  REQUIRE(!without);
  CHECK(without.error().code == errc::unsupported);
  CHECK(
      without.error().what ==
      folder / "artifact" +
          ": tensor \"conv.weight\" has the dtype \"int12\", which this program does not have. It is a dtype "
          "of the program that wrote the artifact: read it with that one.");
}

TEST_CASE("packed codes come back in their shape, however many there are") {
  const temporary_folder folder;
  write_model(folder / "model.safetensors", {{{"odd.weight", element_type::float32, {3, 5}}, floats(15)},
                                             {{"none.weight", element_type::float32, {0, 5}}, ""},
                                             {{"narrow.weight", element_type::float32, {5, 0}}, ""}});
  const ptq::checkpoint model = opened(folder / "model.safetensors");
  const std::vector<ptq::layer> layers = layers_in(model);
  REQUIRE(quantize<my_policies>(folder, model, plan_for(layers, "int4", "torchao"), layers));
  const auto made = ptq::open_artifact<my_policies>(folder / "artifact");
  REQUIRE_MESSAGE(made, made.error().what);
  REQUIRE(made->content.layers.size() == layers.size());
  for (const ptq::layer& layer : layers) {
    const ptq::artifact_weights& weights = *made->content.find(layer.name)->weights;
    CHECK(weights.shape == layer.weight.shape);
    CHECK(weights.codes.size() == (layer.weight.size() + 1) / 2);
  }
}

TEST_CASE("the shape of packed codes is believed only where it fits, and asked of no others") {
  const temporary_folder folder;
  const auto open = [&](const std::string& weights, const std::string& codes) {
    std::string header = R"({"__metadata__":{"format":"ptq","ptq_layers":"{\"x\":{\"weights\":{)" + weights +
                         R"(}}}"},"x.weight_scale":{"dtype":"F32","shape":[],"data_offsets":[0,4]},)" +
                         R"("x.weight":{"dtype":)" + codes + R"(,"data_offsets":[4,8]}})";
    header.resize((header.size() + 7) / 8 * 8, ' ');
    write_file(folder / "a", safetensors_bytes(header, data_of(std::vector{1.0F}) + "abcd"));
    return ptq::open_artifact<my_policies>(folder / "a");
  };
  const std::string bytes = R"("U8","shape":[4])";
  CHECK(open(R"(\"dtype\":\"int4\",\"shape\":[7])", bytes));
  CHECK(open(R"(\"dtype\":\"int4\",\"shape\":[2,2,2])", bytes));
  CHECK(open(R"(\"dtype\":\"int8\",\"shape\":[9])", R"("I8","shape":[2,2])")
            ->content.layers[0]
            .weights->shape == ptq::tensor_shape{2, 2});
  const std::string end = ". The artifact is damaged; make it again.";
  for (const char* const shape : {"", R"(,\"shape\":8)", R"(,\"shape\":[-2,-4])", R"(,\"shape\":[8.0])",
                                  R"(,\"shape\":[1,1,1,1,1,1,1,1,8])"}) {
    const auto refused = open(R"(\"dtype\":\"int4\")" + std::string(shape), bytes);
    REQUIRE(!refused);
    CHECK(refused.error().what ==
          folder / "a" + ": ptq_layers: \"shape\" for \"x.weight\" is not a list of extents" + end);
  }
  for (const char* const shape :
       {"[9]", "[6]", "[0]", "[]", "[4294967296,4294967296,8]", "[18446744073709551615,8]"}) {
    const auto refused = open(R"(\"dtype\":\"int4\",\"shape\":)" + std::string(shape), bytes);
    REQUIRE(!refused);
    CHECK(refused.error().what.ends_with(" codes of int4, packed into bytes" + end));
  }
  CHECK(!open(R"(\"dtype\":\"int4\",\"shape\":[8])", R"("I8","shape":[4])"));
  CHECK(open(R"(\"dtype\":\"int4\",\"bits\":4,\"shape\":[8])", bytes));
  for (const char* const other : {"3", "\\\"4\\\"", "null"}) {
    const auto refused = open(R"(\"dtype\":\"int4\",\"shape\":[8],\"bits\":)" + std::string(other), bytes);
    REQUIRE(!refused);
    CHECK(refused.error().what.ends_with(" bits, but those of \"int4\" have 4" + end));
  }
}

TEST_CASE("what cannot be written leaves no partial and keeps the older artifact") {
  const temporary_folder folder;
  write_file(folder / "artifact", "older");
  std::vector<content> tensors = contents();
  std::string expected;
  errc code = errc::ok;
  ptq::result<void> outcome;
  const auto run = [&](const char* dtype, std::optional<ptq::granularity> grain = {}) {
    write_model(folder / "model.safetensors", tensors);
    const ptq::checkpoint model = opened(folder / "model.safetensors");
    const std::vector<ptq::layer> layers = layers_in(model);
    outcome = quantize<my_policies>(folder, model, plan_for(layers, dtype, "torchao", grain), layers);
  };

  SUBCASE("NaN in a weight") {
    tensors[0].data.replace(20, 4, data_of(std::vector{std::numeric_limits<float>::quiet_NaN()}));
    run("int12");
    code = errc::not_finite;
    expected =
        "layer \"fc\": weight[1, 1] is NaN or infinite. Repair the checkpoint, or leave the layer out with "
        "skip_names.";
  }
  SUBCASE("quantized already") {
    tensors.push_back({{"fc.weight_scale", element_type::float32, {3}}, floats(3)});
    run("int12");
    code = errc::duplicate_key;
    expected =
        "tensor \"fc.weight_scale\": the model has a tensor of this name already. Is it quantized? Start "
        "from the original.";
  }
  SUBCASE("codes that no element type holds") {
    run("odd");
    code = errc::unsupported;
    expected =
        "layer \"fc\": safetensors has no element type for the codes of \"odd\". Give the dtype another "
        "storage, or "
        "specialise stored_type_of for it.";
  }
  SUBCASE("a dtype that the policies lack") {
    run("fp8_e5m2");
    code = errc::unsupported;
    expected =
        "layer \"fc\": the policies do not have dtype \"fp8_e5m2\" with backend \"torchao\". Give `apply` "
        "the bundle that "
        "the specification was read with: apply<my_policies>(...).";
  }
  SUBCASE("an axis that a weight does not have") {
    run("int12", ptq::per_channel(2));
    code = errc::axis_out_of_range;
    expected = "layer \"fc\": there is no axis 2 in a weight of shape [3, 4].";
  }
  SUBCASE("activations that were never seen") {
    write_model(folder / "model.safetensors", tensors);
    const ptq::checkpoint model = opened(folder / "model.safetensors");
    const std::vector<ptq::layer> layers = layers_in(model);
    ptq::plan plan = plan_for(layers, "int8", "modelopt");
    plan.layers[2].activations.dtype = "int8";
    outcome = quantize(folder, model, plan, layers, {range_of(1, "minmax", 1, 1)});
    code = errc::no_data;
    expected =
        "layer \"conv\": its activations are to be quantized, but calibration never saw its inputs. Collect "
        "them, or take the "
        "layer out with skip_names.";
  }
  SUBCASE("the run is stopped") {
    write_model(folder / "model.safetensors", tensors);
    const ptq::checkpoint model = opened(folder / "model.safetensors");
    const std::vector<ptq::layer> layers = layers_in(model);
    const auto writer = ptq::write_artifact(
        ptq::ptq_in_safetensors, folder / "artifact", model, plan_for(layers, "int8", "torchao"), layers,
        [&](const ptq::quantized_layer&) -> ptq::status {
          CHECK(ptq::names_in(folder.path()).front().starts_with(".ptq-"));
          return {errc::stopped, 0};
        });
    REQUIRE(!writer);
    outcome = writer.error();
    code = errc::stopped;
    expected = "layer \"fc\": the sink stopped the run.";
  }
  REQUIRE(!outcome);
  CHECK(outcome.error().code == code);
  CHECK(outcome.error().what == expected);
  CHECK(ptq::names_in(folder.path()) == std::vector<std::string>{"artifact", "model.safetensors"});
  CHECK(read_file(folder / "artifact") == "older");
}

TEST_CASE("a damaged artifact says what is wrong with it") {
  const temporary_folder folder;
  const auto text = [&](const std::string& layers, const std::string& tensors, const std::string& data = "") {
    const std::string metadata = layers.empty() ? "" : R"(,"ptq_layers":")" + layers + "\"";
    std::string header = R"({"__metadata__":{"format":"ptq")" + metadata + "}" + tensors + "}";
    header.resize((header.size() + 7) / 8 * 8, ' ');
    write_file(folder / "a", safetensors_bytes(header, data));
    const auto made = ptq::open_artifact(folder / "a");
    REQUIRE(!made);
    const std::string what = made.error().what;
    REQUIRE(what.starts_with(folder / "a" + ": "));
    return what.substr((folder / "a: ").size());
  };
  const std::string end = ". The artifact is damaged; make it again.";
  const std::string int8 =
      R"({\"x\":{\"weights\":{\"dtype\":\"int8\",\"granularity\":\"per_channel\",\"axis\":0}}})";
  const std::string codes = R"(,"x.weight":{"dtype":"I8","shape":[2,2],"data_offsets":[0,4]})";
  const std::string scale = R"(,"x.weight_scale":{"dtype":"F32","shape":[2,1],"data_offsets":[4,12]})";
  const std::string ones = data_of(std::vector{1.0F, 1.0F});

  CHECK(text("", "").starts_with("ptq_layers: this is not JSON: "));
  const std::string deep(200000, '[');  // an overflow of the stack, if its copies were
  CHECK(text(deep + std::string(deep.size(), ']'), "") ==
        "ptq_layers: byte 64: this JSON is nested more than 64 levels deep.");
  CHECK(text(R"({\"[\":[],\"x\":)" + deep, "").find("byte 75: this JSON is nested") != std::string::npos);
  CHECK(text("[]", "") == "ptq_layers is not an object" + end);
  CHECK(text(R"({\"x\":1})", "") == "ptq_layers: \"x\" describes neither weights nor activations" + end);
  CHECK(text(R"({\"x\":{\"weights\":1}})", "") ==
        "ptq_layers: \"x\" describes neither weights nor activations" + end);
  CHECK(text(int8, "") == "tensor \"x.weight\" is missing" + end);
  CHECK(text(int8, R"(,"x.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})", "abcd") ==
        "tensor \"x.weight\" is F32, but \"int8\" is stored as I8" + end);
  CHECK(text(int8, R"(,"x.weight":{"dtype":"I8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]})", "a") ==
        "tensor \"x.weight\" has rank 9" + end);
  CHECK(text(R"({\"x\":{\"weights\":{\"dtype\":7}}})", codes, "abcd").find("has the dtype \"\"") !=
        std::string::npos);
  for (const char* const axis : {"2", "-1", "1e3", R"(\"0\")", "null"})
    CHECK(text(R"({\"x\":{\"weights\":{\"dtype\":\"int8\",\"granularity\":\"per_channel\",\"axis\":)" +
                   std::string(axis) + "}}}",
               codes, "abcd") == "ptq_layers: \"axis\" for \"x.weight\" is not an axis of [2, 2]" + end);
  CHECK(text(int8, codes, "abcd") == "tensor \"x.weight_scale\" is missing" + end);
  CHECK(text(int8, codes + R"(,"x.weight_scale":{"dtype":"F32","shape":[2],"data_offsets":[4,12]})",
             "abcd" + ones) == "tensor \"x.weight_scale\" is not of shape [2, 1] and F32" + end);
  for (const float bad :
       {0.0F, -0.0F, -1.0F, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()})
    CHECK(text(int8, codes + scale, "abcd" + data_of(std::vector{1.0F, bad})) ==
          "tensor \"x.weight_scale\" holds a number that is not positive and finite" + end);
  CHECK(text(int8,
             R"(,"x.weight":{"dtype":"I8","shape":[2,1],"data_offsets":[0,2]})"
             R"(,"x.weight_scale":{"dtype":"F32","shape":[2,1],"data_offsets":[2,10]})",
             "ab" + ones) == "tensor \"x.weight_scale\" does not lie at a multiple of 4 bytes" + end);
  CHECK(text(R"({\"x\":{\"activations\":{}}})", "") == "tensor \"x.input_scale\" is missing" + end);
  CHECK(text(R"({\"x\":{\"activations\":{}}})",
             R"(,"x.input_scale":{"dtype":"F32","shape":[],"data_offsets":[0,4]})",
             data_of(std::vector{1.0F})) == "ptq_layers: \"amax\" for \"x\" is not a number" + end);
}

TEST_CASE("codes and scales are no views, which containers of PyTorch may have") {
  const temporary_folder folder;
  write_file(folder / "bytes", data_of(std::vector{1.0F, 2.0F}) + "abcd");
  const auto said = [&](std::optional<ptq::tensor_strides> of_codes,
                        std::optional<ptq::tensor_strides> of_scales) {
    auto bytes = ptq::mapped_file::open(folder / "bytes");
    REQUIRE(bytes);
    const std::size_t held = of_scales ? 4 : 8;  // all scales are one
    const std::vector<ptq::stored_tensor> tensors{
        {"x.weight", element_type::int8, "I8", {2, 2}, bytes->bytes().subspan(8), of_codes},
        {"x.weight_scale", element_type::float32, "F32", {2, 1}, bytes->bytes().first(held), of_scales}};
    ptq::checkpoint file;
    REQUIRE(file.add(
        *std::move(bytes), tensors,
        {{"format", "ptq"},
         {"ptq_layers", R"({"x":{"weights":{"dtype":"int8","granularity":"per_channel","axis":0}}})"}}));
    const auto read = ptq::read_artifact(file);
    return read ? std::string() : read.error().what;
  };
  CHECK(said({}, {}).empty());
  CHECK(said(ptq::tensor_strides{1, 2}, {}).find("\"x.weight\" is a view that is not row-major") !=
        std::string::npos);
  CHECK(said({}, ptq::tensor_strides{0, 1}).find("\"x.weight_scale\" is a view that is not row-major") !=
        std::string::npos);
}

TEST_CASE("a file that is no artifact") {
  const temporary_folder folder;
  write_model(folder / "model.safetensors", contents());
  const auto made = ptq::open_artifact(folder / "model.safetensors");
  REQUIRE(!made);
  CHECK(made.error().code == errc::wrong_format);
  CHECK(made.error().what == folder / "model.safetensors" +
                                 ": this is not an artifact of ptq: its metadata lack \"format\": \"ptq\". "
                                 "Make one with `ptq quantize`.");
  const auto absent = ptq::open_artifact(folder / "absent.safetensors");
  REQUIRE(!absent);
  CHECK(absent.error().code == errc::cannot_open);
}
