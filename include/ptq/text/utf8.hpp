// SPDX-License-Identifier: Apache-2.0
/// @file utf8.hpp UTF-8 as RFC 3629 has it: overlong forms, surrogates and code points above U+10FFFF are
/// none.
#ifndef PTQ_TEXT_UTF8_HPP
#define PTQ_TEXT_UTF8_HPP

#include <cstddef>
#include <optional>
#include <string_view>

namespace ptq::inline v0_1::detail {

struct code_point {
  char32_t value = 0;
  std::size_t length = 0;  ///< in bytes
};

/// The code point at the front of a UTF-8 text. A byte that is not UTF-8 counts as one of its own, U+DC00
/// plus the byte, as in Python's "surrogateescape".
constexpr code_point first_code_point(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) -> char32_t { return static_cast<unsigned char>(text[i]); };
  const char32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const code_point stray{0xdc00 + lead, 1};
  if (lead < 0xc2 || lead > 0xf4) return stray;
  const std::size_t length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (text.size() < length) return stray;
  char32_t value = lead & (0x7fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return stray;
    value = value << 6 | (byte(i) & 0x3f);
  }
  const bool overlong = value < (length == 2 ? 0x80u : length == 3 ? 0x800u : 0x10000u);
  const bool surrogate = value >= 0xd800 && value < 0xe000;
  return overlong || surrogate || value > 0x10ffff ? stray : code_point{value, length};
}

/// Whether it is a byte that is not UTF-8: no code point has the value of a surrogate.
constexpr bool is_stray(const code_point& c) noexcept {
  return c.value >= 0xdc00 && c.value < 0xdd00;
}

/// The first byte that does not continue UTF-8 text, if there is one.
constexpr std::optional<std::size_t> find_invalid_utf8(std::string_view text) noexcept {
  for (std::size_t at = 0; at < text.size();) {
    const code_point c = first_code_point(text.substr(at));
    if (is_stray(c)) return at;
    at += c.length;
  }
  return {};
}

}  // namespace ptq::inline v0_1::detail

#endif  // PTQ_TEXT_UTF8_HPP
