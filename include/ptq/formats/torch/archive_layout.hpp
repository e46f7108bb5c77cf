// SPDX-License-Identifier: Apache-2.0
/// @file archive_layout.hpp PyTorch's zip container before it is written: a state dict that
/// torch.load(weights_only=True) gives back as a dict of plain tensors.
///
/// What a file says about itself is an entry of its own (`torch_metadata_name`). There is no
/// `.format_version`: it would promise the gaps that PyTorch's own writer leaves. The bytes depend on nothing
/// but the tensors, not even on the file's name.
#ifndef PTQ_FORMATS_TORCH_ARCHIVE_LAYOUT_HPP
#define PTQ_FORMATS_TORCH_ARCHIVE_LAYOUT_HPP

#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/formats/checkpoint/tensor_declaration.hpp"
#include "ptq/formats/crc32.hpp"
#include "ptq/formats/torch/archive.hpp"
#include "ptq/formats/torch/globals.hpp"
#include "ptq/formats/torch/pickle_writer.hpp"
#include "ptq/formats/zip_layout.hpp"
#include "ptq/numeric/element_type.hpp"
#include "ptq/result.hpp"
#include "ptq/text/utf8.hpp"

namespace ptq::inline v0_1 {

/// Where each tensor will lie, and all bytes around them.
struct torch_archive_layout {
  std::vector<zip_place> places;    ///< of the tensors, in the order of their declarations
  std::vector<placed_text> pieces;  ///< all that is not a tensor; the CRCs of tensors are 0 in them
  std::uint64_t size = 0;           ///< of the file
};

namespace detail {

inline constexpr std::string_view torch_root = "archive/";  // PyTorch's, where it writes to no file
inline constexpr std::uint64_t torch_alignment = 64;

/// The bytes of a tensor that PyTorch can have.
inline result<std::uint64_t> torch_size_of(const tensor_declaration& tensor, const std::string& where) {
  const auto fail = [&](errc code, const std::string& text) {
    return error(code, where + ": tensor \"" + tensor.name + "\"", text);
  };
  if (torch_dtype_of(tensor.type) == nullptr)
    return fail(errc::unsupported, std::string("PyTorch has no element type ") + name_of(tensor.type) + ".");
  if (tensor.name.empty() || find_invalid_utf8(tensor.name))
    return fail(errc::invalid_header, "its name is not UTF-8.");
  constexpr std::uint64_t most = std::uint64_t{1} << 62;
  std::uint64_t size = size_of(tensor.type);
  for (const std::size_t extent : tensor.shape) {
    if (extent != 0 && size > most / extent)
      return fail(errc::validation_overflow, "it takes more bytes than can be counted.");
    size *= extent;
  }
  return size;
}

}  // namespace detail

/// @param metadata JSON, as `dump_json` gives it; empty: none
/// @param where    names the file in errors
/// @return unsupported: an element type that PyTorch lacks; invalid_header: a name is not UTF-8;
///   duplicate_key; validation_overflow
inline result<torch_archive_layout> lay_out_torch_archive(std::span<const tensor_declaration> tensors,
                                                          std::string_view metadata,
                                                          const std::string& where) {
  struct text_entry {
    std::string_view name;
    std::string text;
  };
  torch_pickle_writer pickle;
  std::set<std::string_view> names;
  std::vector<std::uint64_t> sizes;
  std::uint64_t sum = 0;
  for (const tensor_declaration& tensor : tensors) {
    const auto size = detail::torch_size_of(tensor, where);
    if (!size) return size.error();
    if (!names.insert(tensor.name).second)
      return error(errc::duplicate_key, where, "tensor \"" + tensor.name + "\" is declared twice.");
    sum += *size;
    if (sum > std::uint64_t{1} << 62)
      return error(errc::validation_overflow, where,
                   "all tensors together take more bytes than can be counted.");
    pickle.add(tensor.name, tensor.type, tensor.shape, std::to_string(sizes.size()), *size);
    sizes.push_back(*size);
  }
  std::vector<text_entry> texts;
  texts.push_back({"data.pkl", pickle.finish()});
  texts.push_back({"byteorder", "little"});
  if (!metadata.empty()) texts.push_back({torch_metadata_name, std::string(metadata)});
  texts.push_back({"version", "3\n"});

  const std::string root(detail::torch_root);
  std::vector<zip_declaration> entries;
  for (const text_entry& one : texts)
    entries.push_back(
        {root + std::string(one.name), one.text.size(), crc32_of(std::as_bytes(std::span(one.text)))});
  for (std::size_t i = 0; i < sizes.size(); ++i)
    entries.push_back({root + "data/" + std::to_string(i), sizes[i], 0});
  zip_layout zip = lay_out_zip(entries, detail::torch_alignment);
  torch_archive_layout made{{}, std::move(zip.pieces), zip.size};
  for (std::size_t i = 0; i < texts.size(); ++i)
    made.pieces.push_back({zip.places[i].data, std::move(texts[i].text)});
  made.places.assign(zip.places.begin() + static_cast<std::ptrdiff_t>(texts.size()), zip.places.end());
  return made;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_TORCH_ARCHIVE_LAYOUT_HPP
