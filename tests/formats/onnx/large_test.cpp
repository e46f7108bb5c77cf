// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "formats/onnx/models.hpp"
#include "formats/onnx/quantized.hpp"
#include "support/temporary_folder.hpp"

using ptq::element_type;

TEST_CASE("models beyond 2 GB are read and written") {
  // Two tensors in a sparse file: a table of 2.25 GB that stays, and a weight behind it.
  const temporary_folder folder;
  if (std::filesystem::space(folder.path()).available < std::uint64_t{3} << 30) {
    MESSAGE("skipped: less than 3 GB are free in " << folder.path());
    return;
  }
  const std::uint64_t table = std::uint64_t{9} << 28;
  const auto field = [](protozero::pbf_tag_type tag, const std::string& text) {
    return ptq::detail::make_field(tag, text);
  };
  const auto tensor = [&](const char* name, std::vector<std::size_t> dims, std::uint64_t offset) {
    const std::uint64_t size = 4 * dims[0] * dims[1];
    return field(5, ptq::detail::describe_tensor(name, element_type::float32, dims) +
                        ptq::detail::location_fields({"big.data", offset, size}));
  };
  const std::string graph = ptq::detail::make_node("Gather", "look_up", {"table", "ids"}, "h") +
                            ptq::detail::make_node("MatMul", "fc", {"h", "fc.weight"}, "y") +
                            field(11, field(1, "ids")) + field(12, field(1, "y")) +
                            tensor("table", {std::size_t{9} << 16, 1024}, 0) +
                            tensor("fc.weight", {1024, 2}, table);
  write_file(folder / "big.onnx", field(7, graph) + field(8, std::string("\x10\x13", 2)));
  const std::string values(8192, '\x3f');
  write_file(folder / "big.data", "");
  std::filesystem::resize_file(folder / "big.data", table);
  std::ofstream(folder / "big.data", std::ios::binary | std::ios::app) << values;
  const auto source = read_model(folder / "big.onnx");
  job work(source);
  work.quantize_weights("int8");
  const auto written = work.write(folder / "q.onnx");
  struct stat about{};
  const std::string data = initializer(written.graph, "table").external->file;
  REQUIRE(::stat((folder / data).c_str(), &about) == 0);
  CHECK(static_cast<std::uint64_t>(about.st_size) > table);
  REQUIRE(::stat((folder / "q.onnx").c_str(), &about) == 0);
  CHECK(about.st_size < 10000);
  CHECK(initializer(written.graph, "table").data.size() == table);
  const auto codes = values_of<std::int8_t>(initializer(written.graph, "fc.weight_quantized"));
  CHECK(codes == std::vector<std::int8_t>(2048, 127));
}
