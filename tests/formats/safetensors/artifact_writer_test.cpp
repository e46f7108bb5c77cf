// SPDX-License-Identifier: Apache-2.0
// Codes and scales that somebody holds, saved and opened again.
#include "ptq/formats/safetensors/artifact_writer.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "ptq/adaptors/std_vector.hpp"
#include "ptq/core.hpp"
#include "ptq/formats/checkpoint/read_artifact.hpp"
#include "ptq/model/quantized_tensor.hpp"
#include "support/temporary_folder.hpp"

namespace {

/// A dtype that files hold two of in a byte.
struct int4 {
  static constexpr const char* name = "int4";
  using storage = std::int8_t;
  static constexpr bool is_integer = true;
  static constexpr int bits = 4;
  static constexpr float max_finite = 7.0F;
  static constexpr float lowest = -8.0F;

  static constexpr storage encode(float value) noexcept {
    const storage code = ptq::int8::encode(value);
    return code < -8 ? storage{-8} : code > 7 ? storage{7} : code;
  }
  static constexpr float decode(storage code) noexcept { return static_cast<float>(code); }
};

struct my_policies : ptq::builtin {
  using dtypes = ptq::list<ptq::int8, ptq::fp8_e4m3fn, int4>;
};

const std::vector<float> flat{1, -2, 3, 4, 5, -6, 7, 8, 9, -10, 11, 12, -13, 14, 15};
const ptq::tensor_view<const float> rows(flat.data(), {3, 5});
const ptq::tensor_view<const float> columns(flat.data(), {3, 5}, {1, 3});

std::vector<float> decoded(const ptq::artifact_layer& layer) {
  std::vector<float> values(layer.weights->shape.size());
  REQUIRE(ptq::dequantize<my_policies>(*layer.weights, values));
  return values;
}

/// Row-major.
std::vector<float> decoded(const ptq::quantized_tensor& tensor) {
  const ptq::quantized_view view = tensor.view();
  std::vector<float> values(view.size()), sorted(view.size());
  REQUIRE(tensor.dequantize(ptq::tensor_view<float>(values.data(), view.shape, view.strides)));
  for (std::size_t i = 0; i < sorted.size(); ++i)
    sorted[i] = values[static_cast<std::size_t>(ptq::offset_of(i, view.shape, view.strides))];
  return sorted;
}

}  // namespace

TEST_CASE("what is added comes back, whatever its dtype, granularity and order") {
  const temporary_folder folder;
  std::vector<ptq::quantized_tensor> held;
  for (const ptq::quantizer& how :
       {ptq::quantizer_of<ptq::int8, ptq::torchao>, ptq::quantizer_of<ptq::fp8_e4m3fn, ptq::modelopt>,
        ptq::quantizer_of<int4, ptq::modelopt>})
    for (const auto& source : {rows, columns})
      for (const ptq::granularity grain : {ptq::per_tensor(), ptq::per_channel(0), ptq::per_channel(1)})
        held.push_back(*ptq::quantized_tensor::of(source, how, grain));
  ptq::artifact_writer writer("torchao", "weight_only_ptq");
  for (std::size_t i = 0; i < held.size(); ++i)
    REQUIRE(writer.add("layer." + std::to_string(i), held[i].view(), "Linear"));
  auto made = writer.write(folder / "a.safetensors");
  REQUIRE(made);
  CHECK(made->bytes() == 12 * 15 + 6 * 8 + 3 * 2 * 4 * (1 + 3 + 5));
  CHECK(!std::filesystem::exists(folder / "a.safetensors"));
  REQUIRE(made->commit());

  const auto opened = ptq::open_artifact<my_policies>(folder / "a.safetensors");
  REQUIRE(opened);
  CHECK(opened->content.backend == "torchao");
  CHECK(opened->content.mode == "weight_only_ptq");
  REQUIRE(opened->content.layers.size() == held.size());
  for (std::size_t i = 0; i < held.size(); ++i) {
    CAPTURE(i);
    const ptq::artifact_layer* const layer = opened->content.find("layer." + std::to_string(i));
    REQUIRE(layer != nullptr);
    CHECK(layer->class_name == "Linear");
    CHECK(layer->weights->grain == held[i].grain());
    CHECK(layer->weights->shape == held[i].shape());
    CHECK(layer->weights->dtype == held[i].view().dtype->name);
    CHECK(std::equal(layer->weights->scales.begin(), layer->weights->scales.end(), held[i].scales().begin(),
                     held[i].scales().end()));
    CHECK(decoded(*layer) == decoded(held[i]));
  }
}

TEST_CASE("an input that no program could read back is refused") {
  const std::int8_t codes[2][2] = {{1, 2}, {3, 4}};
  const float scale = 0.5F;
  const ptq::quantized_view weight{&ptq::dtype_row_of<ptq::int8>,
                                   {2, 2},
                                   {2, 1},
                                   ptq::per_tensor(),
                                   std::as_bytes(std::span(&codes[0][0], 4)),
                                   {&scale, 1}};
  const auto bits = [](std::uint32_t word) { return std::bit_cast<float>(word); };
  ptq::artifact_writer writer;
  for (const float wrong : {0.0F, -1.0F, bits(0x7f800000u), bits(0x7fc00000u)}) {
    const auto refused =
        writer.add("fc", weight, "Linear", ptq::artifact_activations{"int8", "minmax", 1, wrong});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().what ==
          "layer \"fc\": the scale of its input must be positive and finite, and its amax finite. Calibrate "
          "first.");
  }
  CHECK_FALSE(
      writer.add("fc", weight, "Linear", ptq::artifact_activations{"int8", "minmax", bits(0x7fc00000u), 1}));
  CHECK(writer.add("fc", weight, "Linear", ptq::artifact_activations{"int8", "minmax", 1, 1}));
}

TEST_CASE("codes of one's own matrices, tensors that are not quantized, and how inputs are") {
  const temporary_folder folder;
  const std::array<std::array<std::int8_t, 3>, 2> codes{{{1, -2, 3}, {4, 5, -128}}};
  const std::vector<float> scales{0.5F, 0.25F};
  const std::vector<float> three_scales{1, 2, 3};
  const float scale = 2.0F;
  const std::vector<double> turned{1, 2, 3, 4, 5, 6};
  const ptq::quantized_tensor weight =
      *ptq::quantized_tensor::of(rows, ptq::quantizer_of<ptq::int8, ptq::modelopt>);
  ptq::artifact_writer writer;
  REQUIRE(writer.add<ptq::int8>("fc", codes, scales));
  REQUIRE(writer.add<ptq::int8>("head", codes, {&scale, 1}));
  REQUIRE(writer.add<ptq::int8>("left", codes, three_scales, ptq::per_channel(1), "Conv1D"));
  REQUIRE(writer.add("static", weight.view(), "Linear",
                     ptq::artifact_activations{"int8", "minmax", 2.54F, 0.02F}));
  REQUIRE(writer.add("fc.bias", scales));
  REQUIRE(writer.add("turned", ptq::tensor_view<const double>(turned.data(), {2, 3}, {1, 2})));
  auto made = writer.write(folder / "a.safetensors");
  REQUIRE(made);
  CHECK(made->bytes() == (6 + 6 + 6 + 15) + 4 * (2 + 1 + 3 + 3) + 8 + 48);
  REQUIRE(made->commit());

  const auto opened = ptq::open_artifact(folder / "a.safetensors");
  REQUIRE(opened);
  const auto& fc = *opened->content.find("fc");
  CHECK(fc.weights->grain == ptq::per_channel(0));
  CHECK(decoded(fc) == std::vector<float>{0.5F, -1, 1.5F, 1, 1.25F, -32});
  CHECK(opened->content.find("head")->weights->grain == ptq::per_tensor());
  CHECK(decoded(*opened->content.find("head")) == std::vector<float>{2, -4, 6, 8, 10, -256});
  CHECK(decoded(*opened->content.find("left")) == std::vector<float>{1, -4, 9, 4, 10, -384});
  CHECK(opened->content.find("left")->class_name == "Conv1D");
  const auto& input = opened->content.find("static")->activations;
  REQUIRE(input);
  CHECK(input->dtype == "int8");
  CHECK(input->algorithm == "minmax");
  CHECK(input->amax == 2.54F);
  CHECK(input->scale == 0.02F);

  const ptq::stored_tensor* const bias = opened->file.find("fc.bias");
  REQUIRE(bias != nullptr);
  CHECK(bias->type == ptq::element_type::float32);
  CHECK(std::equal(bias->data.begin(), bias->data.end(), std::as_bytes(std::span(scales)).begin()));
  const ptq::stored_tensor* const stored = opened->file.find("turned");
  REQUIRE(stored != nullptr);
  CHECK(stored->shape == std::vector<std::size_t>{2, 3});
  const std::vector<double> by_rows{1, 3, 5, 2, 4, 6};
  CHECK(std::equal(stored->data.begin(), stored->data.end(), std::as_bytes(std::span(by_rows)).begin()));
}

TEST_CASE("what could not be read again is not taken") {
  const temporary_folder folder;
  const std::array<std::array<std::int8_t, 3>, 2> codes{};
  const auto text = [&](const auto& scales, std::optional<ptq::granularity> grain = {}) {
    ptq::artifact_writer writer;
    return writer.add<ptq::int8>("fc", codes, scales, grain).error().what;
  };
  CHECK(text(std::array{1.0F, 2.0F}).empty());
  CHECK(text(std::array{1.0F, 2.0F, 3.0F}) ==
        "layer \"fc\": shape [2, 3] asks for 2 scales, one for each index of axis 0; there are 3. Give the "
        "granularity, too.");
  CHECK(text(std::array{1.0F, 2.0F}, ptq::per_tensor()) ==
        "layer \"fc\": shape [2, 3] asks for 1 scale; there are 2. Give the granularity, too.");
  CHECK(text(std::array{1.0F, 2.0F}, ptq::per_channel(2)) ==
        "layer \"fc\": the weight of shape [2, 3] has no axis 2 to have scales for.");
  for (const float bad :
       {0.0F, -1.0F, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()})
    CHECK(text(std::array{1.0F, bad}) == "layer \"fc\": scale 1 is not positive and finite.");

  ptq::artifact_writer writer;
  const float scale = 1;
  CHECK(writer.add<ptq::int8>("fc", ptq::tensor_view<const std::int8_t>(&codes[0][0], {2}, {2}), {&scale, 1})
            .error()
            .what == "layer \"fc\": memory lies between the codes. Copy them to where nothing does.");
  CHECK(writer.add("fc", ptq::quantized_view()).error().what == "layer \"fc\": there are no codes to save.");
  const ptq::any_view misfit(flat, {4, 4});
  CHECK(writer.add("bias", misfit).error().what ==
        "tensor \"bias\": it lies in memory of 15 elements, but its shape [4, 4] has 16.");
  CHECK(writer.add("bias", ptq::any_view()).error().code == ptq::errc::unsupported);

  REQUIRE(writer.add("bias", flat));
  REQUIRE(writer.add("bias", flat));
  const auto twice = writer.write(folder / "a.safetensors");
  REQUIRE(!twice);
  CHECK(twice.error().code == ptq::errc::duplicate_key);
  CHECK(std::filesystem::is_empty(folder / "."));
}
