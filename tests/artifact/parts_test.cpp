// SPDX-License-Identifier: Apache-2.0
// How a checkpoint is divided, and artifacts that are put together of parts.
#include "ptq/artifact/parts.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "ptq/formats/checkpoint/model.hpp"
#include "ptq/formats/checkpoint/read_artifact.hpp"
#include "ptq/formats/checkpoint/share.hpp"
#include "ptq/formats/checkpoint/write_artifact.hpp"
#include "ptq/formats/safetensors/layout.hpp"
#include "ptq/formats/safetensors/open.hpp"
#include "ptq/formats/safetensors/writer.hpp"
#include "ptq/model/match.hpp"
#include "ptq/report/part_report.hpp"
#include "support/temporary_folder.hpp"

namespace {

std::vector<ptq::stored_tensor> tensors_of(const std::vector<std::size_t>& sizes) {
  static const std::byte none{};
  std::vector<ptq::stored_tensor> tensors;
  for (const std::size_t size : sizes)
    tensors.push_back(
        {std::to_string(tensors.size()), ptq::element_type::uint8, "U8", {size}, {&none, size}});
  return tensors;
}

using shares = std::vector<std::size_t>;

}  // namespace

TEST_CASE("shares are runs of tensors with about as many bytes each") {
  CHECK(ptq::divide(tensors_of({1, 1, 1, 1}), 2) == shares{1, 1, 2, 2});
  CHECK(ptq::divide(tensors_of({1, 1, 1, 1}), 1) == shares{1, 1, 1, 1});
  CHECK(ptq::divide(tensors_of({100, 1, 1}), 2) == shares{1, 2, 2});
  CHECK(ptq::divide(tensors_of({1, 1, 100}), 2) == shares{1, 1, 2});
  CHECK(ptq::divide(tensors_of({0, 0}), 3) == shares{1, 1});
  CHECK(ptq::divide(tensors_of({}), 3).empty());
  CHECK(ptq::divide(tensors_of({5, 0}), 900).size() == 2);
}

TEST_CASE("no number of shares leaves a tensor out, and none is far from its size") {
  std::vector<std::size_t> sizes;
  std::size_t largest = 0;
  std::size_t total = 0;
  for (std::size_t i = 0; i < 200; ++i) {
    sizes.push_back(i * 7919 % 1000);
    largest = std::max(largest, sizes.back());
    total += sizes.back();
  }
  for (std::size_t count = 1; count < 250; count += 13) {
    const shares found = ptq::divide(tensors_of(sizes), count);
    CHECK(std::is_sorted(found.begin(), found.end()));
    std::vector<std::size_t> bytes(count);
    for (std::size_t i = 0; i < found.size(); ++i) {
      REQUIRE(found[i] >= 1);
      REQUIRE(found[i] <= count);
      bytes[found[i] - 1] += sizes[i];
    }
    CHECK(*std::max_element(bytes.begin(), bytes.end()) <= total / count + largest + 1);
  }
}

TEST_CASE("sizes near the end of what can be counted are divided, too") {
  constexpr std::size_t huge = (std::numeric_limits<std::size_t>::max)() / 4;
  CHECK(ptq::divide(tensors_of({huge, huge, huge, huge}), 4) == shares{1, 2, 3, 4});
}

TEST_CASE("names of parts") {
  const ptq::part_name part{"quantized_model_torchao", {2, 40}};
  CHECK(part.tensors() == "quantized_model_torchao-part-00002-of-00040.safetensors");
  for (const std::string& name : {part.tensors(), part.report(), "." + part.tensors() + ".ptq-run"}) {
    const auto read = ptq::part_name::parse(name);
    REQUIRE(read.has_value());
    CHECK(read->stem() == part.stem());
    CHECK(read->of.index == 2);
  }
  for (const char* other :
       {"", "-part-", "-part-00001-of-00002.json", "a-part-00000-of-00002.json", "a-part-00003-of-00002.json",
        "a-part-00001-of-00002", "a-part-00001-of-00002.yaml", "a-part-0000x-of-00002.json",
        "a-part-00001-of-0", "a-part-00001_of_00002.json", "a-part-00001-of-00002.json2",
        "a-part-+0001-of-00002.json"})
    CHECK_FALSE(ptq::part_name::parse(other).has_value());
}

TEST_CASE("parts become the artifact that is written at once") {
  const temporary_folder folder;
  const std::vector<float> values{1, -2, 3, 4, 5.5F, -6, 7, 8, 9, 10, 11, 12};
  const std::span<const std::byte> bytes = std::as_bytes(std::span(values));
  const std::string source = folder / "model.safetensors";
  auto writer = ptq::safetensors_writer::create(source,
                                                {{"a.weight", ptq::element_type::float32, {2, 3}},
                                                 {"a.bias", ptq::element_type::float32, {2}},
                                                 {"b.weight", ptq::element_type::float32, {3, 4}},
                                                 {"c", ptq::element_type::float32, {1, 1}}},
                                                {{"format", "pt"}, {"title", "t"}});
  REQUIRE(writer.has_value());
  for (const auto& [name, size] : {std::pair("a.weight", 24), {"a.bias", 8}, {"b.weight", 48}, {"c", 4}})
    CHECK(writer->write(name, bytes.first(static_cast<std::size_t>(size))).has_value());
  REQUIRE(writer->commit().has_value());

  const auto open = [&] { return ptq::checkpoint_model(source, *ptq::open_safetensors(source)); };
  ptq::spec wanted;
  wanted.quantize.backend = "torchao";
  wanted.quantize.mode = "weight_only_ptq";
  wanted.quantize.layers.push_back({});
  wanted.quantize.layers[0].module_name = "Linear";
  wanted.quantize.layers[0].weights.emplace().dtype = "int8";
  const auto ignore = [](const ptq::quantized_layer&) {};
  const auto write = [&](const std::string& path, const ptq::checkpoint_model& model, const ptq::plan& plan) {
    auto made =
        ptq::write_artifact(ptq::ptq_in_safetensors, path, model.file(), plan, model.layers(), ignore);
    REQUIRE(made.has_value());
    REQUIRE(made->commit().has_value());
    return made->bytes();
  };
  const ptq::checkpoint_model whole = open();
  const ptq::plan plan = ptq::match(wanted, whole.layers());
  REQUIRE(plan.quantizes_weights());
  const std::uint64_t all = write(folder / "whole.safetensors", whole, plan);

  for (const std::size_t count : shares{1, 2, 3, 7}) {
    std::vector<std::string> parts;
    std::uint64_t sum = 0;
    std::size_t layers = 0;
    for (std::size_t i = 1; i <= count; ++i) {
      ptq::checkpoint_model model = open();
      const std::vector<std::size_t> places = model.keep_only({i, count});
      CHECK(places.size() == model.layers().size());
      layers += places.size();
      parts.push_back(folder / (std::to_string(i) + ".safetensors"));
      sum += write(parts.back(), model, ptq::plan_for(plan, places));
    }
    CHECK(layers == whole.layers().size());
    CHECK(sum == all);
    const auto opened = ptq::open_parts(parts);
    REQUIRE(opened.has_value());
    const auto content = ptq::read_artifact(*opened);
    REQUIRE(content.has_value());
    auto merged =
        ptq::convert_artifact(ptq::ptq_in_safetensors, folder / "merged.safetensors", *opened, *content);
    REQUIRE(merged.has_value());
    CHECK(merged->bytes() == all);
    REQUIRE(merged->commit().has_value());
    CHECK(read_file(folder / "merged.safetensors") == read_file(folder / "whole.safetensors"));
  }
  const std::vector<std::string> twice(2, folder / "whole.safetensors");
  const auto refused = ptq::open_parts(twice);
  REQUIRE(!refused.has_value());
  CHECK(refused.error().code == ptq::errc::duplicate_key);
}

TEST_CASE("what a part says of itself is read as it was written") {
  ptq::part_report part{{2, 3}, "key",      "quantize: {}", {"-e", "my spec"}, "pth",
                        {"w"},  {"n", "m"}, {4, 9},         {{}, {}}};
  ptq::layer_report& layer = part.layers[0];
  layer.lost = "all of it";
  layer.weights = ptq::weights_report{{7, 0.1, 1e-300, ptq::sqnr_db(1, 0), -0.0, 0.3}, 8, 9};
  layer.activations = ptq::activations_report{0.7, "minmax", "", {}, ptq::sqnr_db(0, 1)};
  const std::string text = ptq::to_text(part);
  const auto read = ptq::parse_part_report(text, "part.json");
  REQUIRE(read.has_value());
  CHECK(ptq::to_text(*read) == text);
  CHECK(read->of.index == 2);
  CHECK(read->places == part.places);
  REQUIRE(read->layers[0].weights.has_value());
  CHECK(read->layers[0].weights->error.sqnr_db == ptq::sqnr_db(1, 0));
  CHECK(read->layers[0].weights->error.max_abs == 1e-300);
  CHECK_FALSE(read->layers[0].activations->clipped_share.has_value());
  CHECK_FALSE(read->layers[1].weights.has_value());
  CHECK(read->command == part.command);
  for (const char* other : {"", "[]", "1", "{}", "{\"part\": 1}"})
    CHECK_FALSE(ptq::parse_part_report(other, "part.json").has_value());
}
