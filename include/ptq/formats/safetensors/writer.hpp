// SPDX-License-Identifier: Apache-2.0
/// @file writer.hpp Writes a safetensors file piece by piece, with the bytes of the reference
/// writer.
#ifndef PTQ_FORMATS_SAFETENSORS_WRITER_HPP
#define PTQ_FORMATS_SAFETENSORS_WRITER_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/file/output_file.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/formats/json.hpp"
#include "ptq/formats/pending_artifact.hpp"
#include "ptq/formats/safetensors/parse.hpp"
#include "ptq/formats/safetensors/types.hpp"
#include "ptq/numeric/element_type.hpp"
#include "ptq/result.hpp"
#include "ptq/text/utf8.hpp"

namespace ptq::inline v0_1 {

/// A tensor to come.
struct tensor_declaration {
  std::string name;
  element_type type = element_type::float32;
  std::vector<std::size_t> shape;
};

/// All tensors are declared first, so their places in the file are known, and its room is taken. Their data
/// then come in any order, each tensor in pieces of any size: nothing is kept in memory. A model is
/// quantized in the order of its layers, while the file is ordered as the reference writer does it:
/// descending element type, then name. With at most one metadata key the bytes are the reference writer's;
/// with more, its order of the keys is random, and ours is sorted.
class safetensors_writer {
 public:
  /// @return unsupported (an element type that the format lacks), duplicate_key, validation_overflow,
  /// misaligned_slice, invalid_header (a name is not UTF-8),
  ///   invalid_value (the name is reserved), header_too_large, cannot_write
  static result<safetensors_writer> create(const std::string& path, std::vector<tensor_declaration> tensors,
                                           const metadata_map& metadata = {}) {
    const std::string where = absolute_path(path);
    std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) {
      const auto place_a = safetensors_place(a.type);
      const auto place_b = safetensors_place(b.type);
      return place_a != place_b ? place_a > place_b : a.name < b.name;
    });
    places_by_name places;
    std::uint64_t end = 0;
    for (const tensor_declaration& tensor : tensors) {
      const auto size = size_of(tensor, where);
      if (!size) return size.error();
      if (!places.emplace(tensor.name, place{end, *size, 0}).second)
        return error(errc::duplicate_key, where, "tensor \"" + tensor.name + "\" is declared twice.");
      if (*size > (std::numeric_limits<std::uint64_t>::max)() - end)
        return error(errc::validation_overflow, where,
                     "all tensors together take more bytes than can be counted.");
      end += *size;
    }
    const std::string header = header_text(tensors, places, metadata);
    if (header.size() > detail::safetensors_largest_header + detail::safetensors_length_size)
      return error(errc::header_too_large, where,
                   "the header would have " + std::to_string(header.size()) +
                       " bytes, but at most 100000000 are allowed. Give the tensors shorter names.");
    auto file = output_file::create(path);
    if (!file) return file.error();
    if (auto taken = file->resize(header.size() + end); !taken) return taken.error();
    if (auto written = file->write_at(0, std::as_bytes(std::span(header))); !written) return written.error();
    return safetensors_writer(*std::move(file), std::move(places), header.size());
  }

  const std::string& path() const noexcept { return file_.path(); }
  const std::string& partial_path() const noexcept { return file_.partial_path(); }
  /// Of the whole file.
  std::uint64_t size() const noexcept { return file_.size(); }

  /// The next bytes of a tensor.
  ///
  /// @return what `claim` returns, cannot_write
  result<void> write(std::string_view name, std::span<const std::byte> bytes) {
    const auto begin = claim(name, bytes.size());
    if (!begin) return begin.error();
    return fill(*begin, bytes);
  }

  /// The place in the file of the next bytes of a tensor, which `fill` is to be called with.
  ///
  /// @return tensor_not_found if it is not declared, size_mismatch if it has no room for them
  result<std::uint64_t> claim(std::string_view name, std::uint64_t size) {
    const auto found = places_.find(name);
    if (found == places_.end()) return failure(errc::tensor_not_found, name, "was not declared.");
    place& at = found->second;
    if (size > at.size - at.written)
      return failure(
          errc::size_mismatch, name,
          "has " + std::to_string(at.size) + " bytes; " + std::to_string(at.written + size) + " were given.");
    at.written += size;
    return data_begin_ + at.begin + at.written - size;
  }

  /// Several threads may fill different places.
  ///
  /// @return cannot_write
  result<void> fill(std::uint64_t begin, std::span<const std::byte> bytes) {
    return file_.write_at(begin, bytes);
  }

  /// As `output_file::check`: whether it is worth while to go on.
  result<void> check() const { return file_.check(); }

  /// Makes the file appear at its path (`output_file::commit`).
  ///
  /// @return size_mismatch if a tensor lacks data, cannot_write
  result<void> commit() {
    if (auto whole = check_whole(); !whole) return whole;
    return file_.commit();
  }

  /// The file as an artifact, to be committed later. Nothing can be written to it any more.
  ///
  /// @param tensor_bytes of its tensors
  /// @return size_mismatch if a tensor lacks data
  result<pending_artifact> finish(std::uint64_t tensor_bytes) {
    if (auto whole = check_whole(); !whole) return whole.error();
    pending_artifact made(tensor_bytes);
    std::string name(file_name_of(file_.path()));
    made.add(std::move(file_), std::move(name));
    return made;
  }

 private:
  struct place {
    std::uint64_t begin;  // from the end of the header
    std::uint64_t size;
    std::uint64_t written;
  };
  using places_by_name = std::map<std::string, place, std::less<>>;

  safetensors_writer(output_file file, places_by_name places, std::uint64_t data_begin)
      : file_(std::move(file)), places_(std::move(places)), data_begin_(data_begin) {}

  result<void> check_whole() const {
    for (const auto& [name, at] : places_)
      if (at.written != at.size)
        return failure(
            errc::size_mismatch, name,
            "has " + std::to_string(at.size) + " bytes; only " + std::to_string(at.written) + " were given.");
    return {};
  }

  static result<std::uint64_t> size_of(const tensor_declaration& tensor, const std::string& where) {
    const auto fail = [&](errc code, const std::string& text) {
      return error(code, where, "tensor \"" + tensor.name + "\": " + text);
    };
    if (!safetensors_place(tensor.type))
      return fail(errc::unsupported,
                  "the format has no element type " + std::string(name_of(tensor.type)) + ".");
    if (tensor.name == "__metadata__") return fail(errc::invalid_value, "this name is reserved.");
    if (detail::find_invalid_utf8(tensor.name)) return fail(errc::invalid_header, "the name is not UTF-8.");
    auto size = safetensors_size(tensor.type, tensor.shape);
    return size ? size : fail(size.error().code, size.error().what);
  }

  /// With its length in front, and spaces behind it so that the data are aligned to 8 bytes.
  static std::string header_text(const std::vector<tensor_declaration>& tensors, const places_by_name& places,
                                 const metadata_map& metadata) {
    std::string text(detail::safetensors_length_size, '\0');
    text += '{';
    if (!metadata.empty()) text += "\"__metadata__\":" + detail::dump_json(metadata);
    for (const tensor_declaration& tensor : tensors) {
      const place& at = places.find(tensor.name)->second;
      if (text.back() != '{') text += ',';
      text += detail::dump_json(tensor.name) + ":{\"dtype\":\"";
      text.append(safetensors_word(tensor.type))
          .append("\",\"shape\":")
          .append(detail::dump_json(tensor.shape));
      text +=
          ",\"data_offsets\":[" + std::to_string(at.begin) + "," + std::to_string(at.begin + at.size) + "]}";
    }
    text += '}';
    text.resize((text.size() + 7) / 8 * 8, ' ');
    std::uint64_t length = text.size() - detail::safetensors_length_size;
    for (std::size_t i = 0; i < detail::safetensors_length_size; ++i, length >>= 8)
      text[i] = static_cast<char>(static_cast<unsigned char>(length));
    return text;
  }

  error failure(errc code, std::string_view name, const std::string& text) const {
    return {code, absolute_path(file_.path()), "tensor \"" + std::string(name) + "\" " + text};
  }

  output_file file_;
  places_by_name places_;
  std::uint64_t data_begin_;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_SAFETENSORS_WRITER_HPP
