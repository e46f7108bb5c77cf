// SPDX-License-Identifier: Apache-2.0
/// @file graph_names.hpp Settings that are given by the name of a graph's input or output.
#ifndef PTQ_DATA_GRAPH_NAMES_HPP
#define PTQ_DATA_GRAPH_NAMES_HPP

#include <algorithm>
#include <span>
#include <string>
#include <string_view>

#include "ptq/error.hpp"
#include "ptq/result.hpp"
#include "ptq/text/nearest_word.hpp"

namespace ptq::inline v0_1 {

/// Refuses settings for an input or output that the graph does not have.
///
/// @param setting  their path: "inputs"
/// @param settings name -> anything; "" stands for whatever there is
/// @param kind     "input" or "output"
/// @param names    those of the graph
/// @return unknown_word, with the nearest name; `where` is the setting
template <class Settings>
result<void> check_graph_names(const std::string& setting, const Settings& settings, std::string_view kind,
                               std::span<const std::string_view> names) {
  for (const auto& [name, value] : settings) {
    if (name.empty() || std::find(names.begin(), names.end(), name) != names.end()) continue;
    std::string known;
    for (const std::string_view n : names) known.append(known.empty() ? "\"" : ", \"").append(n).append("\"");
    return error(errc::unknown_word, setting + "." + name,
                 "the graph has no " + std::string(kind) + " \"" + name + "\"; it has " + known + ".",
                 nearest_word(name, names));
  }
  return {};
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_DATA_GRAPH_NAMES_HPP
