// SPDX-License-Identifier: Apache-2.0
/// @file rule_path.hpp Where rules stand in a specification.
#ifndef PTQ_CONFIG_RULE_PATH_HPP
#define PTQ_CONFIG_RULE_PATH_HPP

#include <cstddef>
#include <string>

namespace ptq::inline v0_1::detail {

/// "quantize.layers[2]": the path of a rule.
inline std::string rule_path(std::size_t index) {
  return "quantize.layers[" + std::to_string(index) + "]";
}

/// "quantize.skip_names[2]".
inline std::string skip_path(std::size_t index) {
  return "quantize.skip_names[" + std::to_string(index) + "]";
}

}  // namespace ptq::inline v0_1::detail

#endif  // PTQ_CONFIG_RULE_PATH_HPP
