// SPDX-License-Identifier: Apache-2.0
#include "ptq/io/safetensors_data.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ptq/io/npy.hpp"
#include "ptq/io/samples.hpp"
#include "support/temporary_folder.hpp"

namespace {

constexpr ptq::list<ptq::npy, ptq::safetensors> formats;
const std::string arrays = PTQ_GOLDEN_DIR "/data/arrays.safetensors";

}  // namespace

TEST_CASE("a safetensors file feeds a graph with an array for each input") {
  ptq::data_config config;
  config.inputs[""] = arrays;
  config.batch_size = 4;
  using extents = std::vector<std::optional<std::size_t>>;
  const std::vector<ptq::graph_input> inputs{{"input", ptq::scalar_type::float32, extents{std::nullopt, 60}},
                                             {"mask", ptq::scalar_type::int64, extents{std::nullopt}}};
  auto source = ptq::samples::open(config, inputs, formats);
  REQUIRE(source);
  for (const std::size_t size : {4u, 2u}) {
    const auto batch = source->next();
    REQUIRE(batch);
    REQUIRE(batch->size() == 2);
    CHECK((*batch)[0].array.shape == ptq::tensor_shape{size, 60});
    CHECK((*batch)[0].array.as<float>()[61] == (size == 4 ? 61.0F : 301.0F));
    CHECK((*batch)[1].array.as<std::int64_t>()[1] == (size == 4 ? 1 : 5));
  }
  CHECK(source->next()->empty());
}

TEST_CASE("every element type that data may have is read, others are refused by name") {
  const auto file = ptq::data_file::open(PTQ_GOLDEN_DIR "/safetensors/all_types.safetensors", formats);
  REQUIRE(file);
  std::size_t read = 0;
  std::size_t refused = 0;
  for (const std::string_view name : file->names()) {
    CAPTURE(name);
    const auto array = file->read(name);
    ++(array ? read : refused);
    if (!array) CHECK(array.error().code == ptq::errc::unsupported);
    if (!array) CHECK(array.error().what.find("its elements are ") != std::string::npos);
  }
  CHECK(read == 13);
  CHECK(refused == file->names().size() - 13);
}

TEST_CASE("a damaged file and a missing array are errors") {
  const temporary_folder temporary;
  const std::string whole = read_file(arrays);
  write_file(temporary / "cut.safetensors", whole.substr(0, whole.size() - 1));
  const auto cut = ptq::data_file::open(temporary / "cut.safetensors", formats);
  CHECK(cut.error().code == ptq::errc::metadata_incomplete_buffer);
  const auto file = ptq::data_file::open(arrays, formats);
  REQUIRE(file);
  const auto missing = file->read("masks");
  CHECK(missing.error().what.find("Did you mean \"mask\"?") != std::string::npos);
}
