// SPDX-License-Identifier: Apache-2.0
#include "ptq/file/file_kind.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace {

using namespace std::string_view_literals;

std::string_view kind(std::string_view bytes, std::string_view path = "x") {
  return ptq::kind_of_file(path, std::as_bytes(std::span(bytes.data(), bytes.size())));
}

bool is_binary(std::string_view bytes) {
  return ptq::is_known_binary(std::as_bytes(std::span(bytes.data(), bytes.size())));
}

}  // namespace

TEST_CASE("files are told by how they begin") {
  CHECK(kind("\x93NUMPY\1\0"sv) == "a NumPy array (.npy)");
  CHECK(kind("PK\x03\x04rest"sv) == "a zip archive (.npz, or a checkpoint of PyTorch)");
  CHECK(kind("GGUF\3\0\0\0"sv) == "a GGUF file");
  CHECK(kind("\x89HDF\r\n\x1a\n"sv) == "an HDF5 file");
  CHECK(kind("\x80\x02}q"sv) == "a Python pickle");
  CHECK(kind("\x08\x07\x12\x02pt"sv) == "an ONNX model");
  CHECK(kind("\x40\0\0\0\0\0\0\0{"sv) == "a safetensors file");
  CHECK(kind("\x08\0\0\0\0\0\0\0{"sv) == "a safetensors file");  // whose length begins as ONNX does
  CHECK(kind("\x40\0\0\0\0\0\0\0"sv).empty());
  CHECK(kind("\x40\0\0\0\0\0\0\0["sv).empty());
  CHECK(kind("") == "an empty file");
}

TEST_CASE(
    "text has no control characters but breaks and tabs in its first 256 bytes, and a suffix that tells its "
    "kind") {
  CHECK(kind("a:\tb\r\n") == "text");
  CHECK(kind("a: b\n", "spec.yaml") == "a YAML file");
  CHECK(kind("a: b\n", "spec.yml") == "a YAML file");
  CHECK(kind("{}", "x.json") == "a JSON file");
  CHECK(kind("a\x1f") == "");
  CHECK(kind(std::string(255, 'a') + '\x01').empty());
  CHECK(kind(std::string(256, 'a') + '\x01') == "text");
}

TEST_CASE("what is known to be no text") {
  CHECK(is_binary("GGUF\3\0\0\0"sv));
  CHECK_FALSE(is_binary("text"));
  CHECK_FALSE(is_binary(""));
  CHECK_FALSE(is_binary("\x01\x02"sv));
  const std::string_view model = "\x08\x07\x12\x02pt";
  const auto bytes = std::as_bytes(std::span(model.data(), model.size()));
  CHECK(ptq::look_of_file("x", bytes) == ": it looks like an ONNX model");
  CHECK(ptq::look_of_file("x", bytes.first(0)) == ": it looks like an empty file");
  CHECK(ptq::look_of_file("x", std::as_bytes(std::span("\x01", 1))).empty());
}
