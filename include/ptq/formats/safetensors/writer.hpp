// SPDX-License-Identifier: Apache-2.0
/// @file writer.hpp Writes a safetensors file piece by piece, with the bytes of the reference writer.
#ifndef PTQ_FORMATS_SAFETENSORS_WRITER_HPP
#define PTQ_FORMATS_SAFETENSORS_WRITER_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/file/output_file.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/formats/checkpoint/tensor_declaration.hpp"
#include "ptq/formats/checkpoint/tensor_writer.hpp"
#include "ptq/formats/json.hpp"
#include "ptq/formats/safetensors/parse.hpp"
#include "ptq/formats/safetensors/types.hpp"
#include "ptq/numeric/element_type.hpp"
#include "ptq/result.hpp"
#include "ptq/text/utf8.hpp"

namespace ptq::inline v0_1 {

/// A safetensors file but for its data.
struct safetensors_frame {
  std::string header;    ///< with its length in front
  tensor_places places;  ///< in the file
  std::uint64_t size = 0;
};

namespace detail {

inline result<std::uint64_t> safetensors_size_of(const tensor_declaration& tensor, const std::string& where) {
  const auto fail = [&](errc code, const std::string& text) {
    return error(code, where, "tensor \"" + tensor.name + "\": " + text);
  };
  if (!safetensors_place(tensor.type))
    return fail(errc::unsupported,
                "the format has no element type " + std::string(name_of(tensor.type)) + ".");
  if (tensor.name == "__metadata__") return fail(errc::invalid_value, "this name is reserved.");
  if (find_invalid_utf8(tensor.name)) return fail(errc::invalid_header, "the name is not UTF-8.");
  auto size = safetensors_size(tensor.type, tensor.shape);
  return size ? size : fail(size.error().code, size.error().what);
}

/// With its length in front, and spaces behind it so that the data are aligned to 8 bytes.
///
/// @param places counted from the end of the header
inline std::string safetensors_header_text(const std::vector<tensor_declaration>& tensors,
                                           const tensor_places& places, const metadata_map& metadata) {
  std::string text(safetensors_length_size, '\0');
  text += '{';
  if (!metadata.empty()) text += "\"__metadata__\":" + dump_json(metadata);
  for (const tensor_declaration& tensor : tensors) {
    const tensor_place& at = places.find(tensor.name)->second;
    if (text.back() != '{') text += ',';
    text += dump_json(tensor.name) + ":{\"dtype\":\"";
    text.append(safetensors_word(tensor.type)).append("\",\"shape\":").append(dump_json(tensor.shape));
    text +=
        ",\"data_offsets\":[" + std::to_string(at.begin) + "," + std::to_string(at.begin + at.size) + "]}";
  }
  text += '}';
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::uint64_t length = text.size() - safetensors_length_size;
  for (std::size_t i = 0; i < safetensors_length_size; ++i, length >>= 8)
    text[i] = static_cast<char>(static_cast<unsigned char>(length));
  return text;
}

}  // namespace detail

/// Lays a file out as the reference writer does: by descending element type, then name. With at most one
/// metadata key the bytes are the reference writer's; with more, its order of the keys is random, and ours is
/// sorted.
///
/// @param where the file, in errors
/// @return unsupported (an element type that the format lacks), duplicate_key, validation_overflow,
///   misaligned_slice, invalid_header (a name is not UTF-8), invalid_value (the name is reserved),
///   header_too_large
inline result<safetensors_frame> lay_out_safetensors(const std::string& where,
                                                     std::vector<tensor_declaration> tensors,
                                                     const metadata_map& metadata = {}) {
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) {
    const auto place_a = safetensors_place(a.type);
    const auto place_b = safetensors_place(b.type);
    return place_a != place_b ? place_a > place_b : a.name < b.name;
  });
  safetensors_frame made;
  for (const tensor_declaration& tensor : tensors) {
    const auto size = detail::safetensors_size_of(tensor, where);
    if (!size) return size.error();
    if (!made.places.emplace(tensor.name, tensor_place{made.size, *size}).second)
      return error(errc::duplicate_key, where, "tensor \"" + tensor.name + "\" is declared twice.");
    if (*size > (std::numeric_limits<std::uint64_t>::max)() - made.size)
      return error(errc::validation_overflow, where,
                   "all tensors together take more bytes than can be counted.");
    made.size += *size;
  }
  made.header = detail::safetensors_header_text(tensors, made.places, metadata);
  if (made.header.size() > detail::safetensors_largest_header + detail::safetensors_length_size)
    return error(errc::header_too_large, where,
                 "the header would have " + std::to_string(made.header.size()) +
                     " bytes, but at most 100000000 are allowed. Give the tensors shorter names.");
  for (auto& [name, at] : made.places) at.begin += made.header.size();
  made.size += made.header.size();
  return made;
}

/// One file, whose room is taken before any data come.
class safetensors_writer : public tensor_writer {
 public:
  /// @return what `lay_out_safetensors` returns, cannot_write
  static result<safetensors_writer> create(const std::string& path, std::vector<tensor_declaration> tensors,
                                           const metadata_map& metadata = {}) {
    auto layout = lay_out_safetensors(absolute_path(path), std::move(tensors), metadata);
    if (!layout) return layout.error();
    auto file = begin_file(path, *layout);
    if (!file) return file.error();
    std::vector<output_file> files;
    files.push_back(*std::move(file));
    return safetensors_writer(std::move(files), layout->places);
  }

  /// A file of its final size, with everything but the data in it.
  ///
  /// @return cannot_write
  static result<output_file> begin_file(const std::string& path, const safetensors_frame& layout) {
    auto file = output_file::create(path);
    if (!file) return file;
    if (auto taken = file->resize(layout.size); !taken) return taken.error();
    if (auto written = file->write_at(0, std::as_bytes(std::span(layout.header))); !written)
      return written.error();
    return file;
  }

 private:
  using tensor_writer::tensor_writer;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_SAFETENSORS_WRITER_HPP
