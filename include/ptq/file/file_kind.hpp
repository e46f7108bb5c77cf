// SPDX-License-Identifier: Apache-2.0
/// @file file_kind.hpp What a file looks like: for messages about one that is not what it should be.
#ifndef PTQ_FILE_FILE_KIND_HPP
#define PTQ_FILE_FILE_KIND_HPP

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace ptq::inline v0_1 {

/// The kind of a file, in words that go after "it looks like"; empty if nothing is known about what it begins
/// with.
///
/// @param path  its suffix tells kinds of text apart
/// @param bytes its content, or how it begins: 9 bytes or more, unless it has fewer
inline std::string_view kind_of_file(std::string_view path, std::span<const std::byte> bytes) noexcept {
  using namespace std::string_view_literals;
  struct kind {
    std::string_view magic;
    std::string_view name;
  };
  constexpr kind kinds[] = {{"\x93NUMPY"sv, "a NumPy array (.npy)"},
                            {"PK\x03\x04"sv, "a zip archive (.npz, or a checkpoint of PyTorch)"},
                            {"GGUF"sv, "a GGUF file"},
                            {"\x89HDF\r\n"sv, "an HDF5 file"},
                            {"\x80\x02"sv, "a Python pickle"},
                            {"\x08"sv, "an ONNX model"}};
  constexpr std::size_t looked_at = 256;
  const std::string_view begin(reinterpret_cast<const char*>(bytes.data()),
                               (std::min)(bytes.size(), looked_at));
  if (begin.empty()) return "an empty file";
  if (begin.size() > 8 && begin.substr(5, 4) == "\0\0\0{"sv)  // the header begins behind its length, 8 bytes
    return "a safetensors file";
  for (const kind& known : kinds)
    if (begin.starts_with(known.magic)) return known.name;
  for (const char c : begin)
    if (static_cast<unsigned char>(c) < ' ' && c != '\n' && c != '\t' && c != '\r') return {};
  if (path.ends_with(".h")) return "a C header, which ptq writes and does not read";
  if (path.ends_with(".yaml") || path.ends_with(".yml")) return "a YAML file";
  return path.ends_with(".json") ? "a JSON file" : "text";
}

/// Whether a file begins as one that is no text, and of which kind is known.
inline bool is_known_binary(std::span<const std::byte> bytes) noexcept {
  const std::string_view kind = kind_of_file({}, bytes);
  return !kind.empty() && !bytes.empty() && kind != "text";
}

/// ": it looks like a NumPy array (.npy)"; empty if nothing is known.
inline std::string look_of_file(std::string_view path, std::span<const std::byte> bytes) {
  const std::string_view kind = kind_of_file(path, bytes);
  return kind.empty() ? std::string() : ": it looks like " + std::string(kind);
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FILE_FILE_KIND_HPP
