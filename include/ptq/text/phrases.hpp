// SPDX-License-Identifier: Apache-2.0
/// @file phrases.hpp Pieces of messages.
#ifndef PTQ_TEXT_PHRASES_HPP
#define PTQ_TEXT_PHRASES_HPP

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace ptq::inline v0_1 {

/// "1 layer", "2 layers".
///
/// @param noun in the singular; its plural ends in s
inline std::string counted(std::size_t n, std::string_view noun) {
  return std::to_string(n) + " " + std::string(noun) + (n == 1 ? "" : "s");
}

namespace detail {

inline std::string in_quotes(std::string_view word) {
  return '"' + std::string(word) + '"';
}

/// "Allowed: int8, native."
inline std::string allowed_text(std::span<const std::string_view> allowed) {
  std::string text = "Allowed: ";
  for (std::size_t i = 0; i < allowed.size(); ++i) text.append(i == 0 ? "" : ", ").append(allowed[i]);
  return text + ".";
}

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_TEXT_PHRASES_HPP
