// SPDX-License-Identifier: Apache-2.0
/// @file left_out.hpp What files hold beside the tensors of a model, in words.
#ifndef PTQ_FORMATS_CHECKPOINT_LEFT_OUT_HPP
#define PTQ_FORMATS_CHECKPOINT_LEFT_OUT_HPP

#include <cstddef>
#include <span>
#include <string>

namespace ptq::inline v0_1::detail {

/// "\"ema\", \"optimizer\" and 3 more"
inline std::string some_of(std::span<const std::string> names) {
  constexpr std::size_t most = 8;
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < most; ++i) text.append(i == 0 ? "" : ", ").append(names[i]);
  return names.size() > most ? text + " and " + std::to_string(names.size() - most) + " more" : text;
}

/// @param container that has them: "checkpoint"
inline std::string left_out_note(const std::string& container, std::span<const std::string> names) {
  return "left out of the " + container + ", as no weights: " + some_of(names) + ".";
}

}  // namespace ptq::inline v0_1::detail

#endif  // PTQ_FORMATS_CHECKPOINT_LEFT_OUT_HPP
