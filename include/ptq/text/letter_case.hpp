// SPDX-License-Identifier: Apache-2.0
/// @file letter_case.hpp Latin letters without their case; others stay as they are.
#ifndef PTQ_TEXT_LETTER_CASE_HPP
#define PTQ_TEXT_LETTER_CASE_HPP

#include <string>
#include <string_view>

namespace ptq::inline v0_1::detail {

constexpr char lower_cased(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

inline std::string lower_cased(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = lower_cased(c);
  return lower;
}

}  // namespace ptq::inline v0_1::detail

#endif  // PTQ_TEXT_LETTER_CASE_HPP
