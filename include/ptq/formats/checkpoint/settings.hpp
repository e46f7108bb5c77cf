// SPDX-License-Identifier: Apache-2.0
/// @file settings.hpp Settings of `ptq.checkpoint` that a format has no use for.
#ifndef PTQ_FORMATS_CHECKPOINT_SETTINGS_HPP
#define PTQ_FORMATS_CHECKPOINT_SETTINGS_HPP

#include <string>
#include <string_view>

#include "ptq/config/spec.hpp"
#include "ptq/error.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

/// @param format that knows no nested checkpoints, as messages call it
/// @return invalid_value: a key is given
inline result<void> refuse_key(const checkpoint_config& how, std::string_view format) {
  if (how.key.empty()) return {};
  return error(errc::invalid_value, "ptq.checkpoint.key",
               "a model of the format " + std::string(format) + " is not nested, so there is no \"" +
                   how.key + "\" to look for. Leave the setting out.");
}

/// @param format whose tensors are named by a graph
/// @return invalid_value: prefixes are given
inline result<void> refuse_prefixes(const checkpoint_config& how, std::string_view format) {
  if (how.strip_prefix.empty()) return {};
  return error(
      errc::invalid_value, "ptq.checkpoint.strip_prefix",
      "names in a model of the format " + std::string(format) + " stay as they are. Leave the setting out.");
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_CHECKPOINT_SETTINGS_HPP
