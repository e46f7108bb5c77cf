// SPDX-License-Identifier: Apache-2.0
/// @file regular_expression.hpp What somebody meant who wrote a regular expression where patterns are
/// fnmatch's.
#ifndef PTQ_MODEL_REGULAR_EXPRESSION_HPP
#define PTQ_MODEL_REGULAR_EXPRESSION_HPP

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace ptq::inline v0_1::detail {

/// Other tools mark them with "re:". Without it, by what no name of a layer has.
constexpr bool looks_like_regular_expression(std::string_view pattern) noexcept {
  return pattern.starts_with("re:") || pattern.starts_with(".*") ||
         pattern.find_first_of("^$\\()|+") != std::string_view::npos;
}

/// Takes a regular expression apart, an atom at a time.
class expression_translator {
 public:
  explicit expression_translator(std::string_view expression) : rest_(expression) {}

  std::optional<std::string> run() {
    while (!rest_.empty()) {
      if (rest_ == "$") return pattern_;
      const auto atom = take_atom();
      if (!atom) return std::nullopt;
      pattern_ += *atom;
    }
    if (!pattern_.ends_with('*')) pattern_ += '*';  // "re:" is matched from the start, not to the end
    return pattern_;
  }

 private:
  static bool is_letter_or_digit(char c) noexcept {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  }

  bool take(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }

  char take_character() {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }

  /// An atom with its quantifier; nothing where patterns cannot say it.
  std::optional<std::string> take_atom() {
    if (take(".*")) return "*";
    if (take(".+")) return "?*";
    std::string atom;
    if (take("\\d")) {
      atom = "[0-9]";
    } else if (take(".") || take("\\w")) {
      atom = "?";
    } else if (take("[")) {
      const std::size_t end = rest_.find(']');
      if (end == std::string_view::npos) return std::nullopt;
      atom = take("^") ? "[!" : "[";
      while (!atom.ends_with(']')) atom += take_character();
    } else if (take("\\")) {
      if (rest_.empty()) return std::nullopt;
      atom = take_character();
      if (is_letter_or_digit(atom[0])) return std::nullopt;  // "\\s", "\\b", "\\1"
    } else {
      atom = take_character();
      if (std::string_view("()|{}^$*+?").find(atom) != std::string_view::npos) return std::nullopt;
    }
    if (take("+")) return atom + "*";
    if (rest_.starts_with('*') || rest_.starts_with('?') || rest_.starts_with('{')) return std::nullopt;
    return atom;
  }

  std::string_view rest_;
  std::string pattern_;
};

/// The pattern that takes what a regular expression does, or a little more; nothing where one pattern cannot.
inline std::optional<std::string> pattern_of_regular_expression(std::string_view expression) {
  for (const std::string_view start : {"re:", "^"})
    if (expression.starts_with(start)) expression.remove_prefix(start.size());
  return expression_translator(expression).run();
}

}  // namespace ptq::inline v0_1::detail

#endif  // PTQ_MODEL_REGULAR_EXPRESSION_HPP
