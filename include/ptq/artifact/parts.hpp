// SPDX-License-Identifier: Apache-2.0
/// @file parts.hpp Artifacts in parts: each holds the share of one process, and all together are the artifact
/// that one process would have written.
#ifndef PTQ_ARTIFACT_PARTS_HPP
#define PTQ_ARTIFACT_PARTS_HPP

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/file/mapped_file.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats/checkpoint/checkpoint.hpp"
#include "ptq/formats/checkpoint/share.hpp"
#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/formats/json.hpp"
#include "ptq/formats/safetensors/parse.hpp"
#include "ptq/formats/safetensors/types.hpp"
#include "ptq/model/layer.hpp"
#include "ptq/result.hpp"
#include "ptq/text/printable.hpp"
#include "ptq/text/word_hash.hpp"
#include "ptq/version.hpp"

namespace ptq::inline v0_1 {

/// So many parts at most: a name has room for five digits, and a merge holds a lock of each.
inline constexpr std::size_t most_parts = 900;

/// "quantized_model_torchao-part-00002-of-00004": a part without the suffixes of its files, ".safetensors"
/// and ".json" (`part_report`).
struct part_name {
  std::string artifact;  ///< without its suffix: "quantized_model_torchao"
  share of;

  std::string stem() const { return artifact + "-part-" + digits(of.index) + "-of-" + digits(of.count); }
  std::string tensors() const { return stem() + ".safetensors"; }
  std::string report() const { return stem() + ".json"; }

  /// By the name of one of its files, or of what is left of a run that wrote them.
  static std::optional<part_name> parse(std::string_view file) {
    if (file.starts_with('.')) file.remove_prefix(1);
    const std::size_t mark = file.rfind(mark_text);
    if (mark == std::string_view::npos || mark == 0) return {};
    const std::string_view numbers = file.substr(mark + mark_text.size());
    const std::string_view rest = numbers.size() < 14 ? std::string_view() : numbers.substr(14);
    const auto index = number(numbers.substr(0, 5));
    const auto count = numbers.size() < 14 ? std::nullopt : number(numbers.substr(9, 5));
    if (!index || !count || numbers.substr(5, 4) != "-of-" || *index == 0 || *index > *count) return {};
    if (rest != ".safetensors" && rest != ".json" && rest != ".safetensors.ptq-run") return {};
    return part_name{std::string(file.substr(0, mark)), {*index, *count}};
  }

 private:
  static constexpr std::string_view mark_text = "-part-";

  static std::string digits(std::size_t number) {
    const std::string text = std::to_string(number);
    return std::string(text.size() < 5 ? 5 - text.size() : 0, '0') + text;
  }

  static std::optional<std::size_t> number(std::string_view digits) {
    std::size_t found = 0;
    const auto [end, wrong] = std::from_chars(digits.data(), digits.data() + digits.size(), found);
    const bool is_number = wrong == std::errc() && end == digits.data() + digits.size() && digits.size() == 5;
    return is_number ? std::optional(found) : std::nullopt;
  }
};

/// What decides about the bytes of an artifact, as 16 hexadecimal digits: parts whose keys differ do not
/// belong together. The version of the library is in it.
class part_key {
 public:
  part_key() { add(PTQ_VERSION_STRING); }

  void add(std::string_view text) noexcept { hash_.add(text); }
  void add(std::uint64_t number) noexcept { hash_.add(number); }
  /// Their names, classes and shapes: no data are read.
  void add(std::span<const layer> layers) noexcept {
    for (const layer& one : layers) {
      hash_.add(one.name);
      hash_.add(one.class_name);
      hash_.add(std::uint64_t{one.weight.shape.rank});
      for (std::size_t axis = 0; axis < one.weight.shape.axes(); ++axis)
        hash_.add(std::uint64_t{one.weight.shape[axis]});
    }
  }

  std::string text() const { return detail::hex_digits(hash_.value(), 16); }

 private:
  detail::word_hash hash_;
};

namespace detail {

/// What a file of an artifact says of its layers.
inline result<nlohmann::json> layers_of_part(const metadata_map& metadata, const std::string& where) {
  const auto text = metadata.find("ptq_layers");
  auto described = parse_json(text == metadata.end() ? "null" : text->second, where + ": ptq_layers");
  if (!described || described->is_object()) return described;
  return error(errc::wrong_format, where,
               "ptq_layers is not an object. The part is damaged: remove it, and make it again.");
}

}  // namespace detail

/// Opens the parts of an artifact as the artifact that they are together: `read_artifact` reads it, and
/// `convert_artifact` writes it as one file.
///
/// @param paths of the files with the tensors of all parts, in their order
/// @return what `mapped_file::open` and `parse_safetensors` return; wrong_format: a file is no part;
///   duplicate_key: parts have a tensor in common
inline result<checkpoint> open_parts(std::span<const std::string> paths) {
  std::vector<mapped_file> files;
  std::vector<safetensors_content> contents;
  auto layers = nlohmann::json::object();
  for (const std::string& path : paths) {
    auto file = mapped_file::open(path);
    if (!file) return file.error();
    auto content = parse_safetensors(file->bytes(), absolute_path(path));
    if (!content) return content.error();
    const auto described = detail::layers_of_part(content->metadata, absolute_path(path));
    if (!described) return described.error();
    layers.update(*described);
    files.push_back(*std::move(file));
    contents.push_back(*std::move(content));
  }
  checkpoint whole(safetensors_word);
  for (std::size_t i = 0; i < files.size(); ++i) {
    contents[i].metadata["ptq_layers"] = detail::dump_json(layers);
    if (auto added =
            whole.add(std::move(files[i]), std::move(contents[i].tensors), std::move(contents[i].metadata));
        !added)
      return added.error();
  }
  return whole;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_ARTIFACT_PARTS_HPP
