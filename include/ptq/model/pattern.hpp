// SPDX-License-Identifier: Apache-2.0
/// @file pattern.hpp Shell patterns over names, as Python's `fnmatch.fnmatchcase` reads them.
#ifndef PTQ_MODEL_PATTERN_HPP
#define PTQ_MODEL_PATTERN_HPP

#include <cstddef>
#include <string_view>

#include "ptq/text/utf8.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// Whether a set, the text between "[" and "]", takes a code point.
constexpr bool set_takes(std::string_view set, char32_t c) noexcept {
  bool first = true;
  bool negated = false;
  bool found = false;
  while (!set.empty()) {
    if (first && set.front() == '!') {
      negated = true;
      first = false;
      set.remove_prefix(1);
      continue;
    }
    const code_point low = first_code_point(set);
    code_point high = low;
    set.remove_prefix(low.length);
    if (set.size() > 1 && set.front() == '-') {
      high = first_code_point(set.substr(1));
      set.remove_prefix(1 + high.length);
    }
    if (low.value > high.value)
      continue;  // an empty range is as if it were not there, also for a "!" after it
    first = false;
    found = found || (low.value <= c && c <= high.value);
  }
  return found != negated;
}

/// How many bytes of a pattern, from `at` on, take the one code point `c`; 0 if they do not. There is no "*"
/// at `at`. `last_bracket` is the place of the pattern's last "]", or npos.
constexpr std::size_t bytes_that_take(std::string_view pattern, std::size_t at, std::size_t last_bracket,
                                      char32_t c) noexcept {
  if (pattern[at] == '?') return 1;
  if (pattern[at] == '[') {
    std::size_t inside = at + 1;
    if (inside < pattern.size() && pattern[inside] == '!') ++inside;
    if (inside < pattern.size() && pattern[inside] == ']') ++inside;  // the first one is a member
    if (last_bracket != std::string_view::npos && last_bracket >= inside) {
      const std::size_t end = pattern.find(']', inside);
      return set_takes(pattern.substr(at + 1, end - at - 1), c) ? end + 1 - at : 0;
    }
  }
  const code_point literal = first_code_point(pattern.substr(at));
  return literal.value == c ? literal.length : 0;
}

}  // namespace detail

/// Whether a pattern matches the whole of a name. `*` takes any run, dots and the empty one included; `?` one
/// code point; `[abc]`, `[a-c]` one of a set; `[!abc]` one outside it; a `[` without its `]` stands for
/// itself. Case-sensitive. Steps: at most the product of both lengths.
constexpr bool matches(std::string_view pattern, std::string_view name) noexcept {
  constexpr std::size_t none = std::string_view::npos;
  const std::size_t last_bracket = pattern.rfind(']');
  std::size_t at = 0;
  std::size_t seen = 0;
  std::size_t after_star = none;  // where the pattern goes on after its last star
  std::size_t star_end = 0;       // how far into the name that star reaches
  while (seen < name.size()) {
    if (at < pattern.size() && pattern[at] == '*') {
      after_star = ++at;
      star_end = seen;
      continue;
    }
    const detail::code_point c = detail::first_code_point(name.substr(seen));
    const std::size_t taken =
        at < pattern.size() ? detail::bytes_that_take(pattern, at, last_bracket, c.value) : 0;
    if (taken > 0) {
      at += taken;
      seen += c.length;
    } else if (after_star != none) {
      star_end += detail::first_code_point(name.substr(star_end)).length;
      seen = star_end;
      at = after_star;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', at) == none;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_MODEL_PATTERN_HPP
