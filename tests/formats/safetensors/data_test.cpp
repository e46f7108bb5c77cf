// SPDX-License-Identifier: Apache-2.0
#include "ptq/formats/safetensors/data.hpp"
#include "ptq/formats/safetensors/open.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ptq/data/samples.hpp"
#include "ptq/formats/numpy/npy.hpp"
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
  const std::vector<ptq::graph_input> inputs{{"input", ptq::element_type::float32, extents{std::nullopt, 60}},
                                             {"mask", ptq::element_type::int64, extents{std::nullopt}}};
  auto source = ptq::samples::open(config, inputs, formats);
  REQUIRE(source);
  for (const std::size_t size : {4u, 2u}) {
    const auto batch = source->next();
    REQUIRE(batch);
    REQUIRE(batch->size() == 2);
    CHECK((*batch)[0].array.shape == ptq::tensor_shape{size, 60});
    CHECK((*batch)[0].array.as<float>().data[61] == (size == 4 ? 61.0F : 301.0F));
    CHECK((*batch)[1].array.as<std::int64_t>().data[1] == (size == 4 ? 1 : 5));
  }
  CHECK(source->next()->empty());
}

TEST_CASE("every element type that data may have is read, others are refused by name") {
  using enum ptq::element_type;
  const std::set<ptq::element_type> readable{boolean, uint8,  int8,    int16,   uint16, float16, bfloat16,
                                             int32,   uint32, float32, float64, int64,  uint64};
  const std::string path = PTQ_GOLDEN_DIR "/safetensors/all_types.safetensors";
  const auto file = ptq::data_file::open(path, formats);
  const auto model = ptq::open_safetensors(path);
  REQUIRE(file);
  REQUIRE(model);
  for (const ptq::stored_tensor& tensor : model->tensors()) {
    CAPTURE(tensor.name);
    const auto array = file->read(tensor.name);
    CHECK(array.has_value() == (readable.contains(tensor.type) && tensor.shape.size() <= ptq::max_rank));
    if (!array) CHECK(array.error().code == ptq::errc::unsupported);
  }
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
