// SPDX-License-Identifier: Apache-2.0
/// @file text.hpp Pieces of messages.
#ifndef PTQ_CONFIG_TEXT_HPP
#define PTQ_CONFIG_TEXT_HPP

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace ptq::inline v0_1::detail {

inline std::string in_quotes(std::string_view word) {
  return '"' + std::string(word) + '"';
}

/// "Allowed: int8, native."
inline std::string allowed_text(std::span<const std::string_view> allowed) {
  std::string text = "Allowed: ";
  for (std::size_t i = 0; i < allowed.size(); ++i) text.append(i == 0 ? "" : ", ").append(allowed[i]);
  return text + ".";
}

/// "1 layer", "2 layers".
inline std::string counted(std::size_t n, std::string_view noun) {
  return std::to_string(n) + " " + std::string(noun) + (n == 1 ? "" : "s");
}

/// "quantize.layers[2]": the path of a rule.
inline std::string rule_path(std::size_t index) {
  return "quantize.layers[" + std::to_string(index) + "]";
}

/// "quantize.skip_names[2]".
inline std::string skip_path(std::size_t index) {
  return "quantize.skip_names[" + std::to_string(index) + "]";
}

}  // namespace ptq::inline v0_1::detail

#endif  // PTQ_CONFIG_TEXT_HPP
