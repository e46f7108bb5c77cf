// SPDX-License-Identifier: Apache-2.0
/// @file parse.hpp The bytes of a safetensors file as tensors, after every check that the
/// reference reader makes, in its order and under its names (https://github.com/huggingface/safetensors).
///
/// Stricter than it in one point: no name may come twice, which the format's description forbids.
#ifndef PTQ_FORMATS_SAFETENSORS_PARSE_HPP
#define PTQ_FORMATS_SAFETENSORS_PARSE_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/formats/json.hpp"
#include "ptq/formats/safetensors/header.hpp"
#include "ptq/formats/safetensors/types.hpp"
#include "ptq/result.hpp"
#include "ptq/text/shape_text.hpp"
#include "ptq/text/utf8.hpp"

namespace ptq::inline v0_1 {

/// What a safetensors file holds. The tensors, in file order, look into its bytes.
struct safetensors_content {
  std::vector<stored_tensor> tensors;
  metadata_map metadata;
};

namespace detail {

inline constexpr std::size_t safetensors_length_size = 8;
inline constexpr std::size_t safetensors_largest_header = 100'000'000;

/// Cuts the header's text out of the file.
inline result<std::string_view> find_safetensors_header(std::span<const std::byte> file,
                                                        std::string_view where) {
  if (file.size() < safetensors_length_size)
    return error(errc::header_too_small, where,
                 "the file has " + std::to_string(file.size()) +
                     " bytes, but a safetensors file begins with 8 that give the length of its header.");
  std::uint64_t length = 0;
  for (std::size_t i = safetensors_length_size; i-- > 0;)
    length = length << 8 | std::to_integer<std::uint64_t>(file[i]);
  const std::string said = "the first 8 bytes say that the header has " + std::to_string(length) + " bytes, ";
  if (length > safetensors_largest_header)
    return error(errc::header_too_large, where,
                 said + "but at most 100000000 are allowed. Is this a safetensors file?");
  const std::span<const std::byte> rest = file.subspan(safetensors_length_size);
  if (length > rest.size())
    return error(errc::invalid_header_length, where,
                 said + "but only " + std::to_string(rest.size()) + " follow. The file is cut off.");
  return std::string_view(static_cast<const char*>(static_cast<const void*>(rest.data())),
                          static_cast<std::size_t>(length));
}

inline result<safetensors_header> parse_safetensors_header(std::string_view text, std::string_view where) {
  if (const auto at = find_invalid_utf8(text)) {
    error broken(errc::invalid_header, where, "byte " + std::to_string(*at) + " of the header is not UTF-8.");
    broken.at = *at;
    return broken;
  }
  // The parser would skip the one and stop at the other.
  if (text.starts_with("\xef\xbb\xbf") || text.find('\0') != std::string_view::npos)
    return error(errc::invalid_header_deserialization, where,
                 "the header is not JSON: it holds a byte order mark or a zero byte.");
  safetensors_events events;
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &events))
    return error(errc::invalid_header_deserialization, where, events.problem());
  return events.take();
}

/// Checks one tensor; `start` is where its data must begin.
inline result<void> check_safetensors_entry(const safetensors_entry& entry, std::size_t start,
                                            std::string_view where) {
  const std::size_t offsets[] = {entry.begin, entry.end};
  const std::string given = "\"data_offsets\" are " + extents_text(offsets);
  const auto fail = [&](errc code, const std::string& text) {
    return error(code, std::string(where) + ": tensor \"" + entry.name + "\"", text);
  };
  if (entry.begin != start)
    return fail(errc::invalid_offset,
                given + (entry.begin > start ? ", which leaves a hole" : ", which overlaps another tensor") +
                    ": they must begin at " + std::to_string(start) + ".");
  if (entry.end < entry.begin) return fail(errc::invalid_offset, given + ", which end before they begin.");
  const auto size = safetensors_size(entry.type, entry.shape);
  if (!size) return size.error().in(std::string(where) + ": tensor \"" + entry.name + "\"");
  if (*size != entry.end - entry.begin)
    return fail(errc::tensor_invalid_info, "shape " + extents_text(entry.shape) + " of " +
                                               safetensors_word(entry.type) + " takes " +
                                               std::to_string(*size) + " bytes, but " + given +
                                               ", which is " + std::to_string(entry.end - entry.begin) + ".");
  return {};
}

inline result<void> check_safetensors_names(const std::vector<safetensors_entry>& entries,
                                            std::string_view where) {
  std::vector<std::string_view> names;
  names.reserve(entries.size());
  for (const safetensors_entry& entry : entries) names.push_back(entry.name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice == names.end()) return {};
  return error(errc::invalid_header_deserialization, where,
               "tensor \"" + std::string(*twice) + "\" comes twice in the header.");
}

}  // namespace detail

/// Reads a file that is in memory. Data are not looked at: they may hold NaN, and need not be aligned.
///
/// @param where names the file in messages
/// @return header_too_small, header_too_large, invalid_header_length, invalid_header,
///   invalid_header_deserialization, invalid_offset, validation_overflow, misaligned_slice,
///   tensor_invalid_info, metadata_incomplete_buffer
inline result<safetensors_content> parse_safetensors(std::span<const std::byte> file,
                                                     std::string_view where) {
  const auto text = detail::find_safetensors_header(file, where);
  if (!text) return text.error();
  auto header = detail::parse_safetensors_header(*text, where);
  if (!header) return header.error();
  std::vector<detail::safetensors_entry>& entries = header->entries;
  if (auto checked = detail::check_safetensors_names(entries, where); !checked) return checked.error();
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });

  std::size_t end = 0;
  for (const detail::safetensors_entry& entry : entries) {
    if (auto checked = detail::check_safetensors_entry(entry, end, where); !checked) return checked.error();
    end = entry.end;
  }
  const std::span<const std::byte> data = file.subspan(detail::safetensors_length_size + text->size());
  if (end != data.size())
    return error(errc::metadata_incomplete_buffer, where,
                 "the header describes " + std::to_string(end) + " bytes of data, but " +
                     std::to_string(data.size()) + " follow it. " +
                     (end > data.size() ? "The file is cut off." : "The file has something behind its end."));

  safetensors_content content{{}, std::move(header->metadata)};
  content.tensors.reserve(entries.size());
  for (detail::safetensors_entry& entry : entries)
    content.tensors.push_back({std::move(entry.name), entry.type, safetensors_word(entry.type),
                               std::move(entry.shape), data.subspan(entry.begin, entry.end - entry.begin)});
  return content;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_SAFETENSORS_PARSE_HPP
