// SPDX-License-Identifier: Apache-2.0
/// @file header.hpp What the header of a safetensors file says, read from JSON event by event.
#ifndef PTQ_FORMATS_SAFETENSORS_HEADER_HPP
#define PTQ_FORMATS_SAFETENSORS_HEADER_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/formats/json.hpp"
#include "ptq/formats/safetensors/types.hpp"
#include "ptq/numeric/element_type.hpp"

namespace ptq::inline v0_1 {

namespace detail {

/// A tensor as the header describes it, before anything is believed.
struct safetensors_entry {
  std::string name;
  element_type type = element_type::float32;
  std::vector<std::size_t> shape;
  std::size_t begin = 0;  ///< of its data, from the end of the header
  std::size_t end = 0;
};

struct safetensors_header {
  std::vector<safetensors_entry> entries;
  metadata_map metadata;
};

/// Takes the events of nlohmann's SAX parser. Accepts exactly
///   {"__metadata__": {text: text}, name: {"dtype": word, "shape": [number...],
///   "data_offsets": [number, number]}}
/// where numbers are whole and below 2^64, other fields of a tensor are skipped, and no key comes twice.
class safetensors_events {
 public:
  safetensors_header take() { return std::move(header_); }
  const std::string& problem() const noexcept { return problem_; }

  bool null() { return (place_ == place::top && key_ == metadata_key) || scalar("null"); }
  bool boolean(bool) { return scalar("a boolean"); }
  bool number_integer(std::int64_t) { return scalar("a negative number"); }
  bool number_float(double, const std::string&) {
    return scalar("a number that is not whole or not below 2^64");
  }
  bool number_unsigned(std::uint64_t number) {
    if (place_ != place::numbers) return scalar("a number");
    (field_ == field::shape ? entry().shape : offsets_).push_back(number);
    return true;
  }
  bool string(std::string& text) {
    if (place_ == place::metadata) {
      header_.metadata.emplace(key_, std::move(text));
      return true;
    }
    return place_ == place::tensor && field_ == field::dtype ? set_type(text) : scalar("a string");
  }
  bool binary(nlohmann::json::binary_t&) { return scalar("binary data"); }

  bool start_object(std::size_t) {
    if (place_ == place::document) {
      place_ = place::top;
    } else if (place_ == place::top && key_ == metadata_key) {
      place_ = place::metadata;
    } else if (place_ == place::top) {
      place_ = place::tensor;
      header_.entries.emplace_back().name = key_;
      offsets_.clear();
      seen_ = {};
    } else {
      return start_nested("an object");
    }
    return true;
  }
  bool key(std::string& key) {
    if (place_ == place::skipped) return true;
    key_ = std::move(key);
    switch (place_) {
      case place::top:
        return key_ != metadata_key || !std::exchange(has_metadata_, true) || comes_twice();
      case place::metadata:
        return !header_.metadata.contains(key_) || comes_twice();
      default:
        field_ = static_cast<field>(std::find(fields.begin(), fields.end(), key_) - fields.begin());
        return field_ == field::other || !std::exchange(seen_[index(field_)], true) || comes_twice();
    }
  }
  bool end_object() {
    if (place_ == place::skipped) return end_nested();
    if (place_ == place::tensor && !complete_entry()) return false;
    place_ = place_ == place::top ? place::document : place::top;
    return true;
  }

  bool start_array(std::size_t) {
    if (place_ != place::tensor || (field_ != field::shape && field_ != field::data_offsets))
      return start_nested("an array");
    place_ = place::numbers;
    return true;
  }
  bool end_array() {
    if (place_ == place::skipped) return end_nested();
    place_ = place::tensor;
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception& raised) {
    return fail("the header is not JSON: " + json_text_of(raised));
  }

 private:
  enum class place { document, top, metadata, tensor, numbers, skipped };
  enum class field { dtype, shape, data_offsets, other };

  static constexpr std::string_view metadata_key = "__metadata__";
  static constexpr std::array<std::string_view, 3> fields{"dtype", "shape", "data_offsets"};
  static constexpr std::size_t deepest = 125;  // in a skipped field; the reference reader stops there too

  static constexpr std::size_t index(field f) noexcept { return static_cast<std::size_t>(f); }
  safetensors_entry& entry() { return header_.entries.back(); }

  bool fail(std::string text) {
    problem_ = std::move(text);
    return false;
  }
  bool fail_entry(const std::string& text) { return fail("tensor \"" + entry().name + "\": " + text); }
  bool fail_field(const std::string& text) { return fail_entry("\"" + key_ + "\" " + text); }
  bool comes_twice() {
    return place_ == place::tensor ? fail_field("comes twice.")
                                   : fail("\"" + key_ + "\" comes twice in the header.");
  }

  /// A value of a kind that may not stand at its place, unless that is a field that is skipped.
  bool scalar(const std::string& kind) {
    switch (place_) {
      case place::document:
        return fail("the header is " + kind + ", not an object.");
      case place::top:
        return fail("entry \"" + key_ + "\" of the header is " + kind + ", not an object.");
      case place::metadata:
        return fail("\"__metadata__\" may hold strings only, but \"" + key_ + "\" is " + kind + ".");
      case place::tensor:
        if (field_ == field::other) return true;
        return fail_field("is " + kind + (field_ == field::dtype ? ", not a string." : ", not an array."));
      case place::numbers:
        return fail_field("holds " + kind + "; whole numbers from 0 to 2^64 - 1 are allowed.");
      case place::skipped:
        break;
    }
    return true;
  }

  /// An object or array where none is expected: fine within a field that is skipped.
  bool start_nested(const char* kind) {
    const bool is_skipped = place_ == place::skipped || (place_ == place::tensor && field_ == field::other);
    if (!is_skipped) return scalar(kind);
    place_ = place::skipped;
    return ++depth_ <= deepest || fail_field("is nested too deeply.");
  }
  bool end_nested() {
    if (--depth_ == 0) place_ = place::tensor;
    return true;
  }

  bool set_type(const std::string& word) {
    const element_type type = find_safetensors_type(word);
    if (type == element_type::unknown)
      return fail_field("is \"" + word + "\", which the format does not have.");
    entry().type = type;
    return true;
  }

  bool complete_entry() {
    for (std::size_t i = 0; i < fields.size(); ++i)
      if (!seen_[i]) return fail_entry("\"" + std::string(fields[i]) + "\" is missing.");
    if (offsets_.size() != 2)
      return fail_entry("\"data_offsets\" has " + std::to_string(offsets_.size()) + " numbers, not 2.");
    entry().begin = offsets_[0];
    entry().end = offsets_[1];
    return true;
  }

  safetensors_header header_;
  bool has_metadata_ = false;
  place place_ = place::document;
  std::string key_;
  field field_ = field::other;              // of the tensor that `key_` names
  std::array<bool, fields.size()> seen_{};  // of that tensor
  std::vector<std::size_t> offsets_;        // of that tensor
  std::size_t depth_ = 0;                   // within a skipped field
  std::string problem_;
};

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_SAFETENSORS_HEADER_HPP
