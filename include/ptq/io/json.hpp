// SPDX-License-Identifier: Apache-2.0
/// @file json.hpp JSON by nlohmann-json: its exceptions end here.
#ifndef PTQ_IO_JSON_HPP
#define PTQ_IO_JSON_HPP

#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "ptq/error.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error" -> "parse error at ...".
inline std::string json_text_of(const std::exception& raised) {
  const std::string_view text = raised.what();
  const std::size_t prefix = text.find("] ");
  return std::string(prefix == std::string_view::npos ? text : text.substr(prefix + 2)) + ".";
}

/// Levels that JSON in files may be nested. Ours has four; values nested without end would overflow the stack
/// of whoever copies or writes them.
inline constexpr std::size_t most_nested_json = 64;

/// The first bracket that opens one level too many, if there is one.
inline std::optional<std::size_t> find_too_nested(std::string_view text) noexcept {
  std::size_t depth = 0;
  bool is_quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (is_quoted && c == '\\')
      ++i;
    else if (c == '"')
      is_quoted = !is_quoted;
    else if (!is_quoted && (c == '[' || c == '{') && ++depth > most_nested_json)
      return i;
    else if (!is_quoted && (c == ']' || c == '}') && depth > 0)
      --depth;
  }
  return {};
}

/// A whole document. @return syntax, with the place; validation_overflow where it is nested too deeply
inline result<nlohmann::json> parse_json(std::string_view text, std::string_view where) {
  if (const auto at = find_too_nested(text))
    return error(errc::validation_overflow, where,
                 "byte " + std::to_string(*at) + ": this JSON is nested more than " +
                     std::to_string(most_nested_json) + " levels deep.");
  try {
    return nlohmann::json::parse(text.begin(), text.end());
  } catch (const nlohmann::json::exception& raised) {
    return error(errc::syntax, where, "this is not JSON: " + json_text_of(raised));
  }
}

/// Compact. Text that is not UTF-8 is replaced, never thrown at.
inline std::string dump_json(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// The first byte that does not continue UTF-8 text, if there is one. Overlong forms, surrogates and code
/// points above U+10FFFF are not UTF-8 (RFC 3629).
inline std::optional<std::size_t> find_invalid_utf8(std::string_view text) noexcept {
  const auto byte_at = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  for (std::size_t i = 0; i < text.size();) {
    const unsigned lead = byte_at(i);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    const unsigned low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (lead < 0xc2 || lead > 0xf4 || byte_at(i + 1) < low || byte_at(i + 1) > high) return i;
    for (std::size_t k = 2; k < length; ++k)
      if (byte_at(i + k) >> 6 != 2) return i;
    i += length;
  }
  return {};
}

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_IO_JSON_HPP
