// SPDX-License-Identifier: Apache-2.0
// Weights in several files, and codes that are packed into int32.
#include "ptq/formats/huggingface/shards.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ptq/backend/recipe.hpp"
#include "ptq/file/mapped_file.hpp"
#include "ptq/formats/checkpoint/checkpoint.hpp"
#include "ptq/formats/checkpoint/stored_layer.hpp"
#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/formats/compressed_tensors/config.hpp"
#include "ptq/formats/huggingface/layer_scheme.hpp"
#include "ptq/formats/safetensors/open.hpp"
#include "support/safetensors_bytes.hpp"
#include "support/temporary_folder.hpp"

using ptq::element_type;

namespace {

std::vector<std::vector<std::string>> names_of(const std::vector<ptq::tensor_declarations>& shards) {
  std::vector<std::vector<std::string>> names;
  for (const ptq::tensor_declarations& shard : shards) {
    names.emplace_back();
    for (const ptq::tensor_declaration& tensor : shard) names.back().push_back(tensor.name);
  }
  return names;
}

std::vector<std::byte> bytes_of(std::size_t count, int first) {
  std::vector<std::byte> bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(first + static_cast<int>(i));
  return bytes;
}

}  // namespace

TEST_CASE("shards are full, hold neighbours by name, and a large tensor has one of its own") {
  const ptq::tensor_declarations tensors{{"b.weight", element_type::int8, {6}},
                                         {"a.weight", element_type::int8, {4}},
                                         {"b.weight_scale", element_type::float32, {1}},
                                         {"c", element_type::int8, {30}},
                                         {"d", element_type::int8, {1}}};
  using lists = std::vector<std::vector<std::string>>;
  CHECK(names_of(ptq::split_into_shards(tensors, 10)) ==
        lists{{"a.weight", "b.weight"}, {"b.weight_scale"}, {"c"}, {"d"}});
  CHECK(names_of(ptq::split_into_shards(tensors, 45)) ==
        lists{{"a.weight", "b.weight", "b.weight_scale", "c", "d"}});
  CHECK(names_of(ptq::split_into_shards(tensors, 44)) ==
        lists{{"a.weight", "b.weight", "b.weight_scale", "c"}, {"d"}});
  CHECK(ptq::shard_name(0, 1) == "model.safetensors");
  CHECK(ptq::shard_name(1, 12) == "model-00002-of-00012.safetensors");
  CHECK(ptq::shard_name(122999, 123456) == "model-123000-of-123456.safetensors");
}

TEST_CASE("what is written into shards is read through their index") {
  const temporary_folder folder;
  const ptq::tensor_declarations tensors{{"a", element_type::int8, {5}},
                                         {"b", element_type::uint8, {2, 3}},
                                         {"c", element_type::float32, {2}},
                                         {"a_empty", element_type::int8, {0}}};
  auto writer = ptq::create_shards(folder / "model.safetensors", tensors, {{"format", "pt"}}, 6);
  REQUIRE(writer);
  for (const ptq::tensor_declaration& tensor : tensors) {  // in two pieces each
    const std::size_t size = *ptq::safetensors_size(tensor.type, tensor.shape);
    const std::vector<std::byte> bytes = bytes_of(size, tensor.name[0]);
    const std::span<const std::byte> all(bytes);
    CHECK(writer->write(tensor.name, all.first(size / 2)));
    CHECK(writer->write(tensor.name, all.subspan(size / 2)));
  }
  auto made = writer->finish(19);
  REQUIRE(made);
  CHECK(made->names() ==
        std::vector<std::string>{"model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors",
                                 "model-00003-of-00003.safetensors", "model.safetensors.index.json"});
  REQUIRE(made->commit());
  const auto index = nlohmann::json::parse(read_file(folder / "model.safetensors.index.json"));
  CHECK(index["metadata"]["total_size"] == 19);
  CHECK(index["weight_map"]["c"] == "model-00003-of-00003.safetensors");
  for (const std::string& path : {folder.path(), folder / "model.safetensors.index.json"}) {
    const auto opened = ptq::open_safetensors(path);
    REQUIRE(opened);
    CHECK(opened->files().size() == 3);
    CHECK(opened->metadata().at("format") == "pt");
    for (const ptq::tensor_declaration& tensor : tensors) {
      const ptq::stored_tensor* const found = opened->find(tensor.name);
      REQUIRE(found != nullptr);
      CHECK(found->shape == tensor.shape);
      CHECK(std::ranges::equal(found->data, bytes_of(found->data.size(), tensor.name[0])));
    }
  }
}

TEST_CASE("one shard has no index, and a name comes once") {
  const temporary_folder folder;
  auto writer = ptq::create_shards(folder / "model.safetensors", {{"a", element_type::int8, {0}}}, {});
  REQUIRE(writer);
  CHECK(writer->finish(0)->names() == std::vector<std::string>{"model.safetensors"});
  const ptq::tensor_declarations twice{{"a", element_type::int8, {5}}, {"a", element_type::int8, {5}}};
  for (const std::uint64_t largest : {std::uint64_t{5}, std::uint64_t{100}}) {
    const auto refused = ptq::create_shards(folder / "model.safetensors", twice, {}, largest);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ptq::errc::duplicate_key);
  }
}

TEST_CASE("codes are packed into int32 the same in any pieces") {
  constexpr std::size_t every_columns[] = {1, 3, 4, 5, 8, 77};
  constexpr std::size_t pieces[] = {1, 7, 1000, 70001};
  for (const std::size_t columns : every_columns)
    for (const std::size_t piece : pieces) {
      const std::size_t rows = (piece < 1000 ? 300 : 140000) / columns;
      const std::size_t stride = (columns + 3) / 4 * 4;
      CHECK(4 * ptq::int32s_of_codes(columns) == stride);
      const std::vector<std::byte> codes = bytes_of(rows * columns, 0);
      std::vector<std::byte> expected(rows * stride);
      for (std::size_t i = 0; i < codes.size(); ++i)
        expected[i / columns * stride + i % columns] =
            static_cast<std::byte>(static_cast<std::int8_t>(codes[i]) + 128);
      std::vector<std::byte> packed(rows * stride);
      const auto fill = [&](std::uint64_t at, std::span<const std::byte> bytes) -> ptq::result<void> {
        REQUIRE(at + bytes.size() <= packed.size());
        std::ranges::copy(bytes, packed.begin() + static_cast<std::ptrdiff_t>(at));
        return {};
      };
      for (std::size_t first = 0; first < codes.size(); first += piece) {
        const auto part = std::span(codes).subspan(first, (std::min)(piece, codes.size() - first));
        CHECK(ptq::detail::pack_into_int32(columns, first, part, fill));
      }
      CHECK(packed == expected);
    }
}

namespace {

/// An artifact whose codes are packed: [rows, 4 * columns], and other tensors of the layer.
std::string packed_artifact(std::size_t rows, std::size_t columns, const std::string& more) {
  const std::string header =
      R"({"__metadata__":{"ptq_layers":"{}"},"x.weight_shape":{"dtype":"I64","shape":[2],"data_offsets":[0,16]},)"
      R"("x.weight_packed":{"dtype":"I32","shape":[)" +
      std::to_string(rows) + "," + std::to_string(columns) + R"(],"data_offsets":[16,)" +
      std::to_string(16 + rows * columns * 4) + "]}" + more + "}";
  return safetensors_bytes(
      header, length_bytes(rows) + length_bytes(columns * 4) + std::string(rows * columns * 4, '\x80'));
}

}  // namespace

TEST_CASE("packed codes of no columns are read at once, and those beside others are refused") {
  const temporary_folder folder;
  const auto opened = [&](const std::string& name, const std::string& bytes) {
    write_file(folder / name, bytes);
    return ptq::open_safetensors(folder / name);
  };
  const auto empty = opened("empty", packed_artifact(std::size_t{1} << 60, 0, ""));  // else years, row by row
  REQUIRE_MESSAGE(empty, empty.error().what);
  CHECK(empty->find("x.weight")->shape == std::vector<std::size_t>{std::size_t{1} << 60, 0});
  CHECK(opened("packed", packed_artifact(2, 1, "")));
  const auto twice = opened(
      "twice", packed_artifact(2, 1, R"(,"x.weight":{"dtype":"I8","shape":[0],"data_offsets":[24,24]})"));
  REQUIRE_FALSE(twice);
  CHECK(twice.error().code == ptq::errc::duplicate_key);
}

TEST_CASE("loaders take quantized matrices, whose weights are not those of layers that are not quantized") {
  const ptq::quantization_scheme int8{"int8", ptq::per_channel(0), ""};
  for (const std::size_t rank : {1U, 2U, 3U}) {
    const std::vector<ptq::layer_scheme> layers{{"x", "Linear", int8, rank}};
    CHECK(ptq::check_compressed(layers).has_value() == (rank == 2));
  }
  const temporary_folder folder;
  write_file(folder / "bytes", "abcdefgh");
  auto bytes = ptq::mapped_file::open(folder / "bytes");
  REQUIRE(bytes);
  const std::span<const std::byte> all = bytes->bytes();
  const std::vector<ptq::stored_tensor> tensors{{"embed.weight", element_type::int8, "", {4}, all.first(4)},
                                                {"head.weight", element_type::int8, "", {4}, all.first(4)},
                                                {"other.weight", element_type::int8, "", {4}, all.last(4)}};
  ptq::checkpoint file;
  REQUIRE(file.add(*std::move(bytes), tensors, {}));
  std::vector<ptq::layer_scheme> layers{
      {"embed", "Embedding", {}, 2}, {"head", "Linear", int8, 2}, {"other", "Linear", int8, 2}};
  const auto shared = ptq::expect_alone(file, {}, layers);
  REQUIRE_FALSE(shared);
  CHECK(shared.error().where == "layer \"head\"");
  CHECK(ptq::expect_alone(file, {{"tie_word_embeddings", false}}, layers));
  layers[1].scheme = {};
  CHECK(ptq::expect_alone(file, {}, layers));
}

TEST_CASE("loaders are told to leave heads that share the embedding, as each architecture calls them") {
  constexpr std::pair<const char*, const char*> known[] = {{"LlamaForCausalLM", "lm_head"},
                                                           {"GPT2LMHeadModel", "lm_head"},
                                                           {"MarianMTModel", "lm_head"},
                                                           {"BartForConditionalGeneration", "lm_head"},
                                                           {"WhisperForConditionalGeneration", "proj_out"},
                                                           {"BertForMaskedLM", "cls.predictions.decoder"},
                                                           {"BertForPreTraining", "cls.predictions.decoder"},
                                                           {"XLMRobertaForMaskedLM", "lm_head.decoder"},
                                                           {"MPNetForMaskedLM", "lm_head.decoder"},
                                                           {"DistilBertForMaskedLM", "vocab_projector"},
                                                           {"ElectraForMaskedLM", "generator_lm_head"},
                                                           {"AlbertForMaskedLM", "predictions.decoder"},
                                                           {"AlbertForPreTraining", "predictions.decoder"},
                                                           {"ModernBertForMaskedLM", "decoder"}};
  for (const auto& [architecture, head] : known) {
    CAPTURE(architecture);
    const ptq::ordered_json config{{"architectures", {architecture}}};
    const std::vector<std::string> ignored = ptq::ignored_layers(config, {});
    CHECK(std::ranges::count(ignored, head) == 1);
    const std::vector<ptq::layer_scheme> own{{head, "Linear", {"int8", {}, ""}, 2}};
    CHECK(std::ranges::count(ptq::ignored_layers(config, own), head) == 0);
  }
}

TEST_CASE("loaders are told to leave what has a name of an embedding and may be a Linear layer") {
  const std::vector<ptq::layer_scheme> layers{{"embed_vision.embedding_projection", "Embedding", {}, 2},
                                              {"embed_tokens", "Embedding", {}, 2},
                                              {"fc", "Linear", {}, 2},
                                              {"quantized", "Linear", {"int8", {}, ""}, 2},
                                              {"norm", "LayerNorm", {}, 1}};
  CHECK(ptq::ignored_layers({}, layers) ==
        std::vector<std::string>{"embed_vision.embedding_projection", "fc"});
}
