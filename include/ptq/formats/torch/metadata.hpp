// SPDX-License-Identifier: Apache-2.0
/// @file metadata.hpp What a checkpoint that ptq wrote says about itself: a JSON object of strings, taken as
/// it is read.
#ifndef PTQ_FORMATS_TORCH_METADATA_HPP
#define PTQ_FORMATS_TORCH_METADATA_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "ptq/error.hpp"
#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/formats/json.hpp"
#include "ptq/formats/torch/archive.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// Takes the events of nlohmann's SAX parser: {text: text} and nothing else.
class text_map_events {
 public:
  metadata_map take() { return std::move(texts_); }

  static bool null() { return false; }
  static bool boolean(bool) { return false; }
  static bool number_integer(std::int64_t) { return false; }
  static bool number_unsigned(std::uint64_t) { return false; }
  static bool number_float(double, const std::string&) { return false; }
  static bool binary(nlohmann::json::binary_t&) { return false; }
  static bool start_array(std::size_t) { return false; }
  static bool end_array() { return false; }
  static bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) { return false; }

  bool start_object(std::size_t) { return !std::exchange(is_begun_, true); }
  static bool end_object() { return true; }
  bool key(std::string& key) {
    key_ = std::move(key);
    return !texts_.contains(key_);
  }
  bool string(std::string& text) { return is_begun_ && texts_.emplace(key_, std::move(text)).second; }

 private:
  metadata_map texts_;
  std::string key_;
  bool is_begun_ = false;
};

}  // namespace detail

/// @param text of the entry; empty where there is none
/// @return wrong_format
inline result<metadata_map> read_torch_metadata(std::string_view text, const std::string& where) {
  detail::text_map_events events;
  if (text.empty() || nlohmann::json::sax_parse(text.begin(), text.end(), &events)) return events.take();
  return error(
      errc::wrong_format, where + ": entry \"" + std::string(torch_metadata_name) + "\"",
      "it is not an object of JSON whose values are strings, each key once. Write the artifact again.");
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_TORCH_METADATA_HPP
