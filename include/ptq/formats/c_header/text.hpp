// SPDX-License-Identifier: Apache-2.0
/// @file text.hpp Text of C, written while it is made: arrays of any length.
#ifndef PTQ_FORMATS_C_HEADER_TEXT_HPP
#define PTQ_FORMATS_C_HEADER_TEXT_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/detail/strict_float.hpp"
#include "ptq/file/output_file.hpp"
#include "ptq/result.hpp"
#include "ptq/text/printable.hpp"
#include "ptq/text/word_hash.hpp"

namespace ptq::inline v0_1 {

/// "0x1.99999ap-4F": a finite float to the last bit, without a word about decimals.
inline std::string hex_float(float value) {
  const std::uint32_t bits = detail::bits_of(value);
  const std::uint32_t field = (bits >> 23) & 0xffu;
  const std::uint32_t fraction = bits & 0x7fffffu;
  std::string text = bits >> 31 != 0 ? "-0x" : "0x";
  text += field == 0 ? '0' : '1';
  std::string digits = detail::hex_digits(std::uint64_t{fraction} << 1, 6);
  digits.erase(digits.find_last_not_of('0') + 1);
  if (!digits.empty()) text.append(".").append(digits);
  const int exponent = field != 0 ? static_cast<int>(field) - 127 : fraction != 0 ? -126 : 0;
  return text.append("p").append(exponent < 0 ? "" : "+").append(std::to_string(exponent)).append("F");
}

namespace detail {

/// An int32 that a compiler takes: -2147483648 is no number of C, but one that is negated.
inline std::string int32_text(std::int32_t value) {
  return value == INT32_MIN ? "INT32_MIN" : value == INT32_MAX ? "INT32_MAX" : std::to_string(value);
}

/// Breaks text into lines of a comment.
inline std::string comment_lines(std::string_view text) {
  constexpr std::size_t width = 97;
  std::string lines;
  while (!text.empty()) {
    std::size_t end = text.size();
    if (end > width) {
      end = text.rfind(' ', width);
      if (end == std::string_view::npos) end = (std::min)(text.find(' '), text.size());
    }
    lines.append(" * ").append(text.substr(0, end)).append("\n");
    text.remove_prefix((std::min)(end + 1, text.size()));
  }
  return lines;
}

}  // namespace detail

/// Appends to a file. After a write that fails the rest is dropped: `finish` tells.
class c_text {
 public:
  explicit c_text(output_file& file) : file_(&file) {}

  void add(std::string_view text) {
    pending_.append(text);
    if (pending_.size() >= most_pending) flush();
  }
  void line(std::string_view text) {
    add(text);
    add("\n");
  }
  void comment(std::string_view text) { add(detail::comment_lines(text)); }
  /// `#define NAME value`
  void macro(std::string_view name, std::string_view value) {
    hash_.add(name);
    hash_.add(value);
    add("#define ");
    add(name);
    add(" ");
    line(value);
  }

  /// The place in the file of what comes next.
  std::uint64_t place() const noexcept { return file_->size() + pending_.size(); }

  /// An array whose numbers f gives: it calls what it is given with each, as text. C has no array without
  /// elements.
  ///
  /// @param type of C
  /// @param size of an element in bytes
  template <class F>
  void array(std::string_view type, std::size_t size, const std::string& name, std::size_t count, F&& f) {
    if (count == 0) return line("/* " + name + " has no elements. */");
    line("PTQ_C_HEADER_ATTRIBUTE(" + name + ")");
    add("PTQ_C_HEADER_CONSTANT " + std::string(type) + " " + name + "[" + std::to_string(count) + "] = {");
    std::size_t column = line_width;
    hash_.add(std::string_view(name));
    f([&](std::string_view number) {
      if (column + number.size() + 1 > line_width) {
        add("\n  ");
        column = 2;
      }
      add(number);
      add(",");
      column += number.size() + 1;
      hash_.add(number);
    });
    line("\n};");
    arrays_.push_back({name, count * size});
  }

  struct made_array {
    std::string name;
    std::uint64_t bytes = 0;
  };
  /// Those since the last call.
  std::vector<made_array> take_arrays() { return std::exchange(arrays_, {}); }

  /// Of all macros and arrays, their names and values.
  std::string hash() const { return detail::hex_digits(hash_.value(), 16); }

  /// @return cannot_write
  result<void> finish() {
    flush();
    return std::move(written_);
  }

 private:
  static constexpr std::size_t most_pending = std::size_t{1} << 16;
  static constexpr std::size_t line_width = 100;

  void flush() {
    if (written_) written_ = file_->write(std::string_view(pending_));
    pending_.clear();
  }

  output_file* file_;
  std::string pending_;
  result<void> written_;
  std::vector<made_array> arrays_;
  detail::word_hash hash_;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_C_HEADER_TEXT_HPP
