// SPDX-License-Identifier: Apache-2.0
// What is laid out as an archive of PyTorch is one: the readers find every tensor where it was to lie.
#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "ptq/formats/crc32.hpp"
#include "ptq/formats/torch/archive_layout.hpp"
#include "ptq/formats/torch/open.hpp"
#include "ptq/formats/zip.hpp"
#include "support/files.hpp"
#include "support/temporary_folder.hpp"

namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

/// The file, with the bytes of tensor i all i + 1, and their CRCs.
std::string fill(const ptq::torch_archive_layout& layout, const std::vector<std::size_t>& sizes) {
  std::string file(layout.size, '\0');
  for (const ptq::placed_text& piece : layout.pieces)
    file.replace(piece.place, piece.text.size(), piece.text);
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const std::string data(sizes[i], static_cast<char>(i + 1));
    file.replace(layout.places[i].data, data.size(), data);
    const std::uint32_t crc = ptq::crc32_of(bytes_of(data));
    for (const std::uint64_t at : layout.places[i].crcs) std::memcpy(&file[at], &crc, sizeof crc);
  }
  return file;
}

}  // namespace

TEST_CASE("CRC-32: known values, and pieces that are joined") {
  CHECK(ptq::crc32_of({}) == 0);
  CHECK(ptq::crc32_of(bytes_of("123456789")) == 0xcbf43926);
  CHECK(ptq::crc32_of(bytes_of("The quick brown fox jumps over the lazy dog")) == 0x414fa339);
  const std::string text = "a longer text than eight bytes, to be cut anywhere";
  const std::uint32_t whole = ptq::crc32_of(bytes_of(text));
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    const auto first = bytes_of(text).first(cut);
    const auto second = bytes_of(text).subspan(cut);
    CHECK(ptq::crc32_of(second, ptq::crc32_of(first)) == whole);
    CHECK(ptq::crc32_joined(ptq::crc32_of(first), ptq::crc32_of(second), second.size()) == whole);
  }
  std::uint32_t zeros = ptq::crc32_of(std::vector<std::byte>(1));
  for (std::uint64_t size = 1; size < std::uint64_t{1} << 30; size *= 2)
    zeros = ptq::crc32_joined(zeros, zeros, size);
  CHECK(zeros == 0x5b64c2b0);  // of 1 GiB, as zlib has it
}

TEST_CASE("every element type, rank and size comes back") {
  using enum ptq::element_type;
  std::vector<ptq::tensor_declaration> declared;
  for (const ptq::element_type type :
       {boolean, uint8,    int8,       uint16,       int16,     uint32,       int32,
        uint64,  int64,    fp8_e4m3fn, fp8_e4m3fnuz, fp8_e5m2,  fp8_e5m2fnuz, fp8_e8m0,
        float16, bfloat16, float32,    float64,      complex64, complex128})
    declared.push_back({"layer." + std::string(ptq::name_of(type)), type, {2, 3}});
  declared.push_back({"scalar", float32, {}});
  declared.push_back({"empty", float32, {0, 3}});
  for (const std::uint64_t extent :
       {0x7fffffffULL, 0x80000000ULL, 0xffffffffULL, 0x7fffffffffULL, 0x8000000000ULL})
    declared.push_back({"wide " + std::to_string(extent), int8, {0, static_cast<std::size_t>(extent)}});
  declared.push_back({"larger than a byte counts", int8, {300, 1}});
  declared.push_back({"nine axes \xc3\xa4", int8, {1, 2, 1, 1, 2, 1, 1, 1, 2}});
  std::vector<std::size_t> sizes;
  for (const ptq::tensor_declaration& one : declared) {
    sizes.push_back(ptq::size_of(one.type));
    for (const std::size_t extent : one.shape) sizes.back() *= extent;
  }
  const auto layout = ptq::lay_out_torch_archive(declared, R"({"format":"ptq","x":"y"})", "m.pth");
  REQUIRE(layout);
  for (const ptq::zip_place& at : layout->places) CHECK(at.data % 64 == 0);
  const std::string file = fill(*layout, sizes);

  const auto entries = ptq::read_zip(bytes_of(file), "m.pth");
  INFO(entries.error().what);
  REQUIRE(entries);
  for (const ptq::zip_entry& entry : *entries) {
    INFO(entry.name);
    CHECK(ptq::crc32_of(entry.packed) == entry.crc);
  }

  const temporary_folder folder;
  write_file(folder / "m.pth", file);
  const auto opened = ptq::open_torch(folder / "m.pth");
  INFO(opened.error().what);
  REQUIRE(opened);
  CHECK(opened->notes.empty());
  CHECK(opened->file.metadata() == ptq::metadata_map{{"format", "ptq"}, {"x", "y"}});
  REQUIRE(opened->file.tensors().size() == declared.size());
  for (std::size_t i = 0; i < declared.size(); ++i) {
    const ptq::stored_tensor& read = opened->file.tensors()[i];
    INFO(declared[i].name);
    CHECK(read.name == declared[i].name);
    CHECK(read.type == declared[i].type);
    CHECK(read.shape == declared[i].shape);
    CHECK_FALSE(read.strides);
    CHECK(std::vector(read.data.begin(), read.data.end()) ==
          std::vector(sizes[i], static_cast<std::byte>(i + 1)));
  }
}

TEST_CASE("what PyTorch cannot have is refused") {
  const auto failure = [](std::vector<ptq::tensor_declaration> declared) {
    return ptq::lay_out_torch_archive(declared, {}, "m.pth").error();
  };
  CHECK(failure({{"a", ptq::element_type::fp4_e2m1, {2}}}).code == ptq::errc::unsupported);
  CHECK(failure({{"a\xff", ptq::element_type::int8, {2}}}).code == ptq::errc::invalid_header);
  CHECK(failure({{"a", ptq::element_type::int8, {2}}, {"a", ptq::element_type::int8, {2}}}).code ==
        ptq::errc::duplicate_key);
  CHECK(failure({{"a", ptq::element_type::int8, {std::size_t{1} << 40, std::size_t{1} << 40}}}).code ==
        ptq::errc::validation_overflow);
}

TEST_CASE("more than 4 GB, and more than 65535 entries, by ZIP64") {
  const std::vector<ptq::zip_declaration> large = {{"a", 5, 1}, {"b", 0xffffffff, 2}, {"c", 7, 3}};
  const ptq::zip_layout layout = ptq::lay_out_zip(large, 64);
  CHECK(layout.places[2].data > 0xffffffff);
  // The directory alone, as if what lies before it were there: the reader asks for it by its absolute places.
  const std::string& end = layout.pieces.back().text;
  const ptq::detail::zip_bytes bytes(bytes_of(end));
  std::uint64_t at = 0;
  for (std::size_t i = 0; i < large.size(); ++i) {
    const auto record = ptq::detail::zip_record::read(bytes, at);
    REQUIRE(record);
    CHECK(record->name == large[i].name);
    CHECK(record->size == large[i].size);
    CHECK(record->packed_size == large[i].size);
    CHECK(record->crc == large[i].crc);
    CHECK(record->local == layout.pieces[i].place);
    at += record->length;
  }
  CHECK(bytes.number(at, 4) == 0x06064b50);
  CHECK(bytes.number(at + 24, 8) == large.size());
  CHECK(bytes.number(at + 40, 8) == at);
  CHECK(bytes.number(at + 48, 8) == layout.pieces.back().place);
  CHECK(bytes.number(at + 56 + 8, 8) == layout.pieces.back().place + at);

  const std::vector<ptq::zip_declaration> many(70000, {"n", 0, 0});
  std::string file;
  for (const ptq::placed_text& piece : ptq::lay_out_zip(many, 4).pieces) file += piece.text;
  const auto entries = ptq::read_zip(bytes_of(file), "m");
  REQUIRE(entries);
  CHECK(entries->size() == many.size());
}
