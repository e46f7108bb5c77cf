// SPDX-License-Identifier: Apache-2.0
// .npy files that NumPy wrote, files that it reads, and files that nobody should write.
#include "ptq/formats/numpy/npy.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "data/goldens.hpp"
#include "support/temporary_folder.hpp"

namespace {

std::span<const std::byte> bytes_of(const std::string& content) {
  return std::as_bytes(std::span(content));
}

/// What reading the content fails with.
ptq::error error_of(const std::string& content) {
  const auto array = ptq::read_npy(bytes_of(content), "x.npy");
  REQUIRE_FALSE(array);
  CHECK(array.error().what.starts_with("x.npy: "));
  return array.error();
}

bool says(const ptq::error& error, const char* text) {
  return error.what.find(text) != std::string::npos;
}

std::vector<double> values_of(const ptq::any_view& array) {
  std::vector<double> values;
  ptq::for_each_element(array, [&](auto x) { values.push_back(static_cast<double>(ptq::number_of(x))); });
  return values;
}

}  // namespace

TEST_CASE("every element type is read as NumPy wrote it") {
  using ptq::element_type;
  for (auto type = element_type::boolean; type <= element_type::float64;
       type = static_cast<element_type>(static_cast<int>(type) + 1)) {
    if (!ptq::is_scalar(type) || type == element_type::bfloat16) continue;  // NumPy has none
    CAPTURE(ptq::name_of(type));
    const std::string content = read_file(folder + ptq::name_of(type) + ".npy");
    const auto array = ptq::read_npy(bytes_of(content), "x.npy");
    REQUIRE(array);
    CHECK(array->type == type);
    CHECK(array->shape == ptq::tensor_shape{2, 3});
    const bool is_bool = type == element_type::boolean;
    CHECK(values_of(*array) ==
          (is_bool ? std::vector<double>{0, 1, 0, 1, 0, 1} : std::vector<double>{0, 1, 2, 3, 4, 5}));
  }
}

TEST_CASE("format versions, ranks and orders") {
  for (const char* name : {"float32.npy", "version_2.npy", "version_3.npy"}) {
    CAPTURE(name);
    const std::string content = read_file(folder + name);
    const auto array = ptq::read_npy(bytes_of(content), name);
    REQUIRE(array);
    CHECK(values_of(*array) == std::vector<double>{0, 1, 2, 3, 4, 5});
    CHECK(array->at(24 / static_cast<std::ptrdiff_t>(size_of(array->type))) ==
          bytes_of(content).data() + content.size());  // a view, not a copy
  }
  const std::string fortran = read_file(folder + "fortran.npy");
  const auto column_major = ptq::read_npy(bytes_of(fortran), "fortran.npy");
  REQUIRE(column_major);
  CHECK(column_major->shape == ptq::tensor_shape{2, 3, 4});
  CHECK(column_major->strides[0] == 1);
  std::vector<double> counted(24);
  for (std::size_t i = 0; i < 24; ++i) counted[i] = static_cast<double>(i);
  CHECK(values_of(*column_major) == counted);
  CHECK(values_of(column_major->rows(1, 1)) == std::vector<double>(counted.begin() + 12, counted.end()));

  const std::string scalar = read_file(folder + "scalar.npy");
  CHECK(values_of(*ptq::read_npy(bytes_of(scalar), "")) == std::vector<double>{2.5});
  const std::string empty = read_file(folder + "empty.npy");
  CHECK(ptq::read_npy(bytes_of(empty), "")->shape == ptq::tensor_shape{0, 3});
}

TEST_CASE("what is not a plain array is refused with the line that converts it") {
  const auto refused = [](const char* name) { return error_of(read_file(folder + name)); };
  CHECK(says(refused("object.npy"), "pickled Python objects, which are never loaded"));
  CHECK(says(refused("structured.npy"), "np.save(path, a[\"field\"])"));
  CHECK(says(refused("big_endian.npy"), "a.astype(\"<f4\")"));
  CHECK(says(refused("complex.npy"), "\"<c8\""));
  CHECK(says(refused("text.npy"), "\"<U2\""));
  CHECK(says(refused("nine_axes.npy"), "9 axes; at most 8"));
  CHECK(refused("object.npy").code == ptq::errc::unsupported);
}

TEST_CASE("a file cut anywhere is refused") {
  const std::string whole = read_file(folder + "float32.npy");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    const auto array = ptq::read_npy(bytes_of(whole.substr(0, size)), "x.npy");
    CHECK_FALSE(array);
  }
  CHECK(says(error_of(whole.substr(0, 3)), "truncated"));
  CHECK(says(error_of(whole.substr(0, 50)), "its header ends at byte 128, but it has only 50"));
  CHECK(says(error_of(whole.substr(0, 140)), "which is 24 bytes, but the file holds 12: it is truncated"));
  CHECK(says(error_of(whole + "more"), "one file holds one array"));
  CHECK(says(error_of(""), "empty"));
}

TEST_CASE("damaged headers are refused") {
  const auto with_header = [](std::string header, char major = 1) {
    std::string bytes("\x93NUMPY");
    bytes += major;
    bytes += '\0';
    bytes += static_cast<char>(header.size());
    bytes += '\0';
    if (major > 1) bytes.append(2, '\0');
    return bytes + header;
  };
  const std::string good = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }";
  CHECK(ptq::read_npy(bytes_of(with_header(good) + "abcd"), ""));
  for (const char* header : {
           "",
           "{",
           "{}",
           "nonsense",
           "{'descr': '<f4', 'fortran_order': False}",
           "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,), }",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
           "{'descr': '<f4', 'fortran_order': False, 'shape': 1, }",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (1, }",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999,), }",
           "{'descr': '<f4, 'fortran_order': False, 'shape': (1,), }",
           "{'descr': [('x', '<f4', 'fortran_order': False, 'shape': (1,), }",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), } x",
       }) {
    CAPTURE(header);
    CHECK(says(error_of(with_header(header)), "not a dictionary"));
  }
  CHECK(says(error_of(with_header(
                 "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4), }")),
             "promises [4294967296, 4294967296, 4] of float32"));
  CHECK(says(
      error_of(with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 9223372036854775807), }")),
      "promises"));
  CHECK(says(error_of(with_header(good, 4)), "version 4.0 is unknown"));
  CHECK(says(error_of("PK\3\4"), "not an .npy file"));
  // Python 2 wrote long integers, and other quotes are as good.
  CHECK(ptq::read_npy(
      bytes_of(with_header("{\"shape\": (1L,), \"fortran_order\": True, \"descr\": \"=f4\"}") + "abcd"), ""));
}

TEST_CASE("the writer's files equal NumPy's, byte for byte") {
  const temporary_folder temporary;
  for (const char* name : {"bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64",
                           "float16", "float32", "float64", "scalar", "vector", "empty"}) {
    CAPTURE(name);
    const std::string content = read_file(folder + name + ".npy");
    const std::string copy = temporary / "copy.npy";
    REQUIRE(ptq::write_npy(copy, *ptq::read_npy(bytes_of(content), "")));
    CHECK(read_file(copy) == content);
  }
  // Column-major arrays are written row-major.
  const std::string fortran = read_file(folder + "fortran.npy");
  const auto source = ptq::read_npy(bytes_of(fortran), "");
  REQUIRE(ptq::write_npy(temporary / "c.npy", *source));
  const std::string written = read_file(temporary / "c.npy");
  CHECK(written.find("'fortran_order': False") != std::string::npos);
  CHECK(values_of(*ptq::read_npy(bytes_of(written), "")) == values_of(*source));

  const auto refused = ptq::write_npy("/nowhere/x.npy", *source);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ptq::errc::cannot_write);
  CHECK(ptq::write_npy(temporary / "b.npy", ptq::any_view(nullptr, ptq::element_type::bfloat16, {0}))
            .error()
            .code == ptq::errc::unsupported);
}
