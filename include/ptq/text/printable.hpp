// SPDX-License-Identifier: Apache-2.0
/// @file printable.hpp Text of files and arguments, made harmless for a terminal: what could colour, move,
/// break or reorder its lines is shown, not obeyed.
#ifndef PTQ_TEXT_PRINTABLE_HPP
#define PTQ_TEXT_PRINTABLE_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ptq/text/utf8.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// Control characters (C0, DEL and C1), and what breaks or reorders a line: U+2028 and U+2029, the marks,
/// embeddings, overrides and isolates of the bidirectional algorithm (Unicode Standard Annex 9).
constexpr bool is_control(char32_t c) noexcept {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c || c == 0x200e || c == 0x200f ||
         (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/// The lowest `count` hexadecimal digits of a number.
inline std::string hex_digits(std::uint64_t value, std::size_t count) {
  std::string text(count, '0');
  for (std::size_t i = count; i-- > 0; value >>= 4) text[i] = "0123456789abcdef"[value & 15u];
  return text;
}

/// "\n", "\x1b", "\u202e".
inline std::string escape_of(char32_t c) {
  switch (c) {
    case '\n':
      return "\\n";
    case '\t':
      return "\\t";
    case '\r':
      return "\\r";
    default:
      return c < 0x100 ? "\\x" + hex_digits(c, 2) : "\\u" + hex_digits(c, 4);
  }
}

/// Control characters but those in `kept` as escapes, and bytes that are not UTF-8 as "\x9b".
inline std::string without_controls(std::string_view text, std::string_view kept) {
  std::string out;
  while (!text.empty()) {
    const code_point c = first_code_point(text);
    if (is_stray(c))
      out += escape_of(c.value - 0xdc00);
    else if (is_control(c.value) && (c.value > 0x7f || kept.find(text.front()) == std::string_view::npos))
      out += escape_of(c.value);
    else
      out += text.substr(0, c.length);
    text.remove_prefix(c.length);
  }
  return out;
}

}  // namespace detail

/// Text as one line of a terminal.
inline std::string printable(std::string_view text) {
  return detail::without_controls(text, "");
}

/// Text as lines of a terminal: line breaks stay.
inline std::string printable_lines(std::string_view text) {
  return detail::without_controls(text, "\n");
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_TEXT_PRINTABLE_HPP
