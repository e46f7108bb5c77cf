// SPDX-License-Identifier: Apache-2.0
// .npz archives: stored, deflated, with data descriptors, with ZIP64 records, damaged and hostile.
#include "ptq/formats/numpy/npz.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "data/goldens.hpp"
#include "ptq/data/data_file.hpp"
#include "support/temporary_folder.hpp"

namespace {

/// All values of an array, read some rows at a time; or the error's words.
struct outcome {
  std::vector<double> values;
  std::string error;
};

outcome read_all(const ptq::data_file& file, std::string_view name, std::size_t rows) {
  auto reader = file.read(name);
  if (!reader) return {{}, reader.error().what};
  std::vector<double> values;
  for (;;) {
    const auto part = reader->next(rows);
    if (!part) return {values, part.error().what};
    if (part->size() == 0) return {values, ""};
    ptq::for_each_element(*part, [&](auto x) { values.push_back(static_cast<double>(ptq::number_of(x))); });
  }
}

std::vector<double> counted(std::size_t size) {
  std::vector<double> values(size);
  for (std::size_t i = 0; i < size; ++i) values[i] = static_cast<double>(i);
  return values;
}

/// Opens an archive with this content and reads "input"; the first error's words.
std::string failure_of(const std::string& content) {
  const temporary_folder temporary;
  write_file(temporary / "x.npz", content);
  const auto file = ptq::data_file::open(temporary / "x.npz", formats);
  return file ? read_all(*file, "input", 7).error : file.error().what;
}

/// Replaces a little-endian number.
void put(std::string& content, std::size_t at, std::uint64_t value, std::size_t width) {
  for (std::size_t i = 0; i < width; ++i) content[at + i] = static_cast<char>(value >> (8 * i));
}

}  // namespace

TEST_CASE("archives of every kind hold the same arrays") {
  for (const char* name : {"stored.npz", "descriptors.npz", "zip64.npz"}) {
    CAPTURE(name);
    const auto file = ptq::data_file::open(folder + name, formats);
    REQUIRE(file);
    CHECK(file->names() == std::vector<std::string_view>{"input", "mask"});
    for (const std::size_t rows : {1u, 4u, 100u}) {
      CHECK(read_all(*file, "input", rows).values == counted(6 * 60));
      CHECK(read_all(*file, "mask", rows).values == counted(6));
    }
  }
}

TEST_CASE("deflated arrays are read in pieces") {
  const auto file = ptq::data_file::open(folder + "deflated.npz", formats);
  REQUIRE(file);
  for (const std::size_t rows : {1u, 7u, 32u, 999u, 1000u, 5000u})
    CHECK(read_all(*file, "input", rows).values == counted(60000));
  auto reader = file->read("input");
  REQUIRE(reader);
  CHECK(reader->type() == ptq::element_type::float32);
  CHECK(reader->shape() == ptq::tensor_shape{1000, 60});
}

TEST_CASE("Fortran order: read where stored, refused where deflated") {
  const auto stored = ptq::data_file::open(folder + "fortran.npz", formats);
  REQUIRE(stored);
  CHECK(read_all(*stored, "input", 4).values == counted(360));
  const auto deflated = ptq::data_file::open(folder + "fortran_deflated.npz", formats);
  REQUIRE(deflated);
  CHECK(holds(read_all(*deflated, "input", 4).error, "np.ascontiguousarray"));
}

TEST_CASE("a missing array is named with the nearest one") {
  const auto file = ptq::data_file::open(folder + "stored.npz", formats);
  REQUIRE(file);
  CHECK(holds(read_all(*file, "inputs", 1).error,
              "no array \"inputs\" in it; it holds \"input\", \"mask\". Did you mean \"input\"?"));
  const auto npy = ptq::data_file::open(folder + "float32.npy", formats);
  REQUIRE(npy);
  CHECK(holds(read_all(*npy, "inputs", 1).error, "holds one array without a name"));
}

TEST_CASE("an archive cut anywhere is refused, and so is one with any byte of its data changed") {
  for (const char* name : {"stored.npz", "descriptors.npz", "zip64.npz"}) {
    CAPTURE(name);
    const std::string whole = read_file(folder + name);
    REQUIRE(failure_of(whole).empty());
    for (std::size_t size = 0; size < whole.size(); size += 13) {
      CAPTURE(size);
      CHECK_FALSE(failure_of(whole.substr(0, size)).empty());
    }
    for (std::size_t at = 0; at < 300; ++at) {  // the first entry: "input"; names and times are not data
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ 0x5a);
      failure_of(changed);
      if (at >= 128) CHECK_FALSE(failure_of(changed).empty());
    }
  }
}

TEST_CASE("other files and other archives say what they are") {
  const auto told = [](const std::string& content) {
    return ptq::npz::list(std::as_bytes(std::span(content)), "x").error().what;
  };
  CHECK(told(read_file(folder + "float32.npy")) ==
        "x: this is not a ZIP archive: it looks like a NumPy array (.npy).");
  CHECK(told("some text") == "x: this is not a ZIP archive: it looks like text.");
  CHECK(told("") == "x: this is not a ZIP archive: it looks like an empty file.");
  std::string other = read_file(folder + "stored.npz");
  CHECK(holds(told(other.substr(0, 100)), "x: the end of this ZIP archive is missing."));
  for (std::size_t at = other.find(".npy"); at != std::string::npos; at = other.find(".npy", at))
    other.replace(at, 4, ".pkl");
  CHECK(holds(failure_of(other), "this ZIP archive holds no array (.npy); checkpoints of PyTorch are such"));
}

TEST_CASE("what ZIP readers do not agree on is refused by name") {
  const std::string whole = read_file(folder + "stored.npz");
  const std::size_t central = whole.find("PK\1\2");
  REQUIRE(central != std::string::npos);

  std::string encrypted = whole;
  put(encrypted, central + 8, 1, 2);
  CHECK(holds(failure_of(encrypted), "entry \"input.npy\": it is encrypted"));
  CHECK(holds(failure_of(read_file(folder + "bzip2.npz")), "compression method 12 is unknown"));

  std::string outside = whole;
  put(outside, central + 42, 0x7fffffff, 4);
  CHECK(holds(failure_of(outside), "lies outside of the archive"));

  std::string damaged_crc = whole;
  put(damaged_crc, central + 16, 0, 4);
  CHECK(holds(failure_of(damaged_crc), "CRC-32"));

  std::string overlapping = whole;
  const std::size_t second = whole.find("PK\1\2", central + 4);
  put(overlapping, second + 42, 0, 4);
  put(overlapping, second + 20, 1568, 4);
  put(overlapping, second + 24, 1568, 4);
  CHECK(holds(failure_of(overlapping), "overlap"));

  // The field with sizes of 64 bits ends where the record's extra bytes do: 16 bytes, not one more or less.
  const std::string wide = read_file(folder + "zip64.npz");
  const std::size_t field = wide.find("PK\1\2") + 46 + std::string_view("input.npy").size();
  for (const std::uint64_t size : {15u, 17u, 65535u}) {
    std::string misfit = wide;
    put(misfit, field + 2, size, 2);
    CHECK(holds(failure_of(misfit), "directory of the ZIP archive is damaged"));
  }

  std::string many = whole;
  put(many, whole.size() - 12, 3, 2);
  CHECK(holds(failure_of(many), "directory of the ZIP archive is damaged"));
}

TEST_CASE("two arrays of one name are refused: readers do not agree on which is meant") {
  CHECK(holds(failure_of(read_file(folder + "twice.npz")),
              "array \"input\": the file holds two arrays of this name"));
}

TEST_CASE("a bomb is refused before it goes off") {
  const std::string whole = read_file(folder + "deflated.npz");
  const std::size_t central = whole.find("PK\1\2");
  std::string bomb = whole;
  put(bomb, central + 24, 0xfffffff0u, 4);  // promises 4 GB out of 75 KB
  CHECK(holds(failure_of(bomb), "packed bytes cannot hold the 4294967280 bytes"));
  std::string more = whole;
  put(more, central + 24, 240128 - 4,
      4);  // unpacks to more than it promises; the .npy header disagrees first
  CHECK(holds(failure_of(more), "it is truncated"));
}

TEST_CASE("the unpacker checks sizes and sums") {
  const std::string whole = read_file(folder + "deflated.npz");
  const auto entries = ptq::read_zip(std::as_bytes(std::span(whole)), "x");
  REQUIRE(entries);
  ptq::zip_entry entry = (*entries)[1];
  std::vector<std::byte> out(entry.size);
  CHECK(ptq::inflater(entry, "x").read(out));

  ptq::zip_entry shorter = entry;
  shorter.size -= 1;
  CHECK(ptq::inflater(shorter, "x").read(std::span(out).first(shorter.size)).error().code ==
        ptq::errc::size_mismatch);
  ptq::zip_entry longer = entry;
  longer.size += 1;
  out.resize(longer.size);
  CHECK(holds(ptq::inflater(longer, "x").read(out).error().what, "damaged near packed byte"));
  ptq::zip_entry wrong = entry;
  wrong.crc ^= 1u;
  CHECK(holds(ptq::inflater(wrong, "x").read(std::span(out).first(wrong.size)).error().what, "CRC-32"));
  ptq::zip_entry cut = entry;
  cut.packed = cut.packed.first(cut.packed.size() / 2);
  CHECK(ptq::inflater(cut, "x").read(std::span(out).first(cut.size)).error().code == ptq::errc::wrong_format);
}
