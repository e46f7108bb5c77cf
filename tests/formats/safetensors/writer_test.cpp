// SPDX-License-Identifier: Apache-2.0
#include "ptq/formats/safetensors/writer.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "ptq/formats/safetensors/open.hpp"
#include "support/safetensors_bytes.hpp"
#include "support/temporary_folder.hpp"

using ptq::element_type;
using ptq::errc;

namespace {

ptq::safetensors_writer created(const std::string& path, std::vector<ptq::tensor_declaration> tensors) {
  auto writer = ptq::safetensors_writer::create(path, std::move(tensors));
  REQUIRE_MESSAGE(writer, writer.error().what);
  return *std::move(writer);
}

ptq::error error_of(std::vector<ptq::tensor_declaration> tensors) {
  const temporary_folder folder;
  const auto writer = ptq::safetensors_writer::create(folder / "f", std::move(tensors));
  REQUIRE(!writer);
  CHECK(ptq::names_in(folder.path()).empty());
  return writer.error();
}

}  // namespace

TEST_CASE("every element type: read and written, the reference writer's bytes come out again") {
  const std::string path = PTQ_GOLDEN_DIR "/safetensors/all_types.safetensors";
  const auto model = ptq::open_safetensors(path);
  REQUIRE(model);
  CHECK(model->tensors().size() == 30);
  std::vector<ptq::tensor_declaration> declared;
  for (const ptq::stored_tensor& t : model->tensors()) declared.push_back({t.name, t.type, t.shape});
  std::reverse(declared.begin(), declared.end());  // any order will do

  const temporary_folder folder;
  auto writer = ptq::safetensors_writer::create(folder / "copy", declared, model->metadata());
  REQUIRE(writer);
  for (const ptq::tensor_declaration& tensor : declared) {
    const auto data = model->find(tensor.name)->data;
    const std::size_t piece = data.size() / 3;
    REQUIRE(writer->write(tensor.name, data.first(piece)));
    REQUIRE(writer->write(tensor.name, data.subspan(piece)));
  }
  REQUIRE(writer->commit());
  CHECK(read_file(folder / "copy") == read_file(path));
}

TEST_CASE("tensors may interleave") {
  const temporary_folder folder;
  auto writer = created(folder / "f", {{"a", element_type::int8, {4}}, {"b", element_type::int8, {4}}});
  REQUIRE(writer.write("b", bytes_of("BC")));
  REQUIRE(writer.write("a", bytes_of("abcd")));
  REQUIRE(writer.write("b", bytes_of("DE")));
  REQUIRE(writer.commit());
  const std::string text = read_file(folder / "f");
  CHECK(text.size() % 8 == 0);
  CHECK(text.ends_with("abcdBCDE"));
}

TEST_CASE("a file without tensors") {
  const temporary_folder folder;
  REQUIRE(created(folder / "f", {}).commit());
  CHECK(read_file(folder / "f") == length_bytes(8) + "{}      ");
}

TEST_CASE("data must be what was declared") {
  const temporary_folder folder;
  auto writer = created(folder / "f", {{"a", element_type::float32, {2}}});
  const auto unknown = writer.write("b", bytes_of("x"));
  REQUIRE(!unknown);
  CHECK(unknown.error().code == errc::tensor_not_found);
  CHECK(unknown.error().what == folder / "f" + ": tensor \"b\" was not declared.");
  REQUIRE(writer.write("a", bytes_of("0123")));
  const auto incomplete = writer.commit();
  REQUIRE(!incomplete);
  CHECK(incomplete.error().code == errc::size_mismatch);
  CHECK(incomplete.error().what == folder / "f" + ": tensor \"a\" has 8 bytes; only 4 were given.");
  const auto too_much = writer.write("a", bytes_of("45678"));
  REQUIRE(!too_much);
  CHECK(too_much.error().code == errc::size_mismatch);
  CHECK(too_much.error().what == folder / "f" + ": tensor \"a\" has 8 bytes; 9 were given.");
  REQUIRE(writer.write("a", bytes_of("4567")));
  REQUIRE(writer.commit());
}

TEST_CASE("declarations that no file can hold") {
  CHECK(error_of({{"a", element_type::int8, {1}}, {"a", element_type::float32, {1}}}).code ==
        errc::duplicate_key);
  CHECK(error_of({{"__metadata__", element_type::int8, {1}}}).code == errc::invalid_value);
  CHECK(error_of({{"\xff", element_type::int8, {1}}}).code == errc::invalid_header);
  CHECK(error_of({{"a", element_type::fp4_e2m1, {3}}}).code == errc::misaligned_slice);
  constexpr std::size_t huge = std::numeric_limits<std::size_t>::max() / 16;
  CHECK(error_of({{"a", element_type::float32, {huge}}}).code == errc::validation_overflow);
  std::vector<ptq::tensor_declaration> many;
  for (const char* const name :
       {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q"})
    many.push_back({name, element_type::int8, {huge}});
  CHECK(error_of(many).code == errc::validation_overflow);
  CHECK(error_of({{std::string(100'000'000, 'a'), element_type::int8, {1}}}).code == errc::header_too_large);
}

TEST_CASE("a file that does not fit on the disk is refused before any data come") {
  const ptq::error e = error_of({{"a", element_type::int8, {std::size_t{1} << 60}}});
  CHECK(e.code == errc::cannot_write);
}
