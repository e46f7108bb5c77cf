// SPDX-License-Identifier: Apache-2.0
/// @file json.hpp JSON by nlohmann-json: its exceptions end here.
#ifndef PTQ_FORMATS_JSON_HPP
#define PTQ_FORMATS_JSON_HPP

#include <cmath>
#include <cstddef>
#include <exception>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "ptq/error.hpp"
#include "ptq/result.hpp"
#include "ptq/text/printable.hpp"
#include "ptq/text/utf8.hpp"

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
///
/// @tparam Json nlohmann::ordered_json keeps the order of members
template <class Json = nlohmann::json>
result<Json> parse_json(std::string_view text, std::string_view where) {
  if (const auto at = find_too_nested(text))
    return error(errc::validation_overflow, where,
                 "byte " + std::to_string(*at) + ": this JSON is nested more than " +
                     std::to_string(most_nested_json) + " levels deep.");
  try {
    return Json::parse(text.begin(), text.end());
  } catch (const nlohmann::json::exception& raised) {
    return error(errc::syntax, where, "this is not JSON: " + json_text_of(raised));
  }
}

/// Compact. Text that is not UTF-8 is replaced, never thrown at.
inline std::string dump_json(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// Indented, for people: what a terminal would obey is escaped (`is_control`; JSON itself asks for that of
/// U+0000 to U+001F only). Such characters stand in strings alone.
///
/// @param margin spaces in front of each line but the first
inline std::string indented_json(const nlohmann::json& value, std::size_t margin) {
  const std::string text = value.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
  std::string out;
  for (std::string_view left = text; !left.empty();) {
    const code_point c = first_code_point(left);
    if (c.value != '\n' && is_control(c.value))
      out += "\\u" + hex_digits(c.value, 4);
    else
      out += left.substr(0, c.length);
    if (c.value == '\n') out.append(margin, ' ');
    left.remove_prefix(c.length);
  }
  return out;
}

}  // namespace detail

/// A whole document, indented, for people: text that is not UTF-8 is replaced, and what a terminal would obey
/// is escaped. Nothing is thrown.
inline std::string dump_json_lines(const nlohmann::json& value) {
  return detail::indented_json(value, 0) + '\n';
}

/// null where there is no value.
template <class T>
nlohmann::json optional_json(const std::optional<T>& value) {
  return value ? nlohmann::json(*value) : nlohmann::json();
}

/// JSON has no infinity and no NaN: null, as of the SQNR of an exact copy.
inline nlohmann::json finite_or_null(double value) {
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json();
}

namespace detail {

/// Builds an object of members, and of lists of rows.
struct json_object_builder {
  nlohmann::json value = nlohmann::json::object();

  void add(const char* key, const nlohmann::json& member) { value[key] = member; }

  /// @param row makes the row of a number
  template <class Row>
  void add_rows(const char* key, std::size_t rows, Row&& row) {
    nlohmann::json& list = value[key] = nlohmann::json::array();
    for (std::size_t i = 0; i < rows; ++i) list.push_back(row(i));
  }
};

/// Writes an object as `dump_json_lines` does, but each row of a long list as it is made: nobody holds them
/// all. Members come in the order in which that sorts them, by their keys.
///
/// @tparam Write is called with one text after the other
template <class Write>
class json_object_writer {
 public:
  explicit json_object_writer(Write& write) : write_(&write) {}

  void add(const char* key, const nlohmann::json& value) {
    start(key);
    (*write_)(indented_json(value, 2));
  }

  /// @param row makes the row of a number
  template <class Row>
  void add_rows(const char* key, std::size_t rows, Row&& row) {
    start(key);
    for (std::size_t i = 0; i < rows; ++i)
      (*write_)((i == 0 ? "[\n    " : ",\n    ") + indented_json(row(i), 4));
    (*write_)(rows == 0 ? "[]" : "\n  ]");
  }

  void end() { (*write_)("\n}\n"); }

 private:
  void start(const char* key) {
    (*write_)(std::exchange(is_empty_, false) ? "{\n  \"" : ",\n  \"");
    (*write_)(std::string(key) + "\": ");
  }

  Write* write_;
  bool is_empty_ = true;
};

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_JSON_HPP
