// SPDX-License-Identifier: Apache-2.0
/// @file graph_value.hpp What a graph declares of its inputs and outputs, whatever the format of its file.
#ifndef PTQ_DATA_GRAPH_VALUE_HPP
#define PTQ_DATA_GRAPH_VALUE_HPP

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "ptq/data/graph_input.hpp"
#include "ptq/numeric/element_type.hpp"

namespace ptq::inline v0_1 {

/// An extent that is a number, or has a name such as "batch", or neither.
struct graph_extent {
  std::optional<std::size_t> number{};
  std::string symbol{};

  /// "10", "batch", or "" where nothing is known.
  std::string text() const { return number ? std::to_string(*number) : symbol; }
};

/// An input or output of a graph.
struct graph_value {
  std::string name;
  element_type type = element_type::unknown;         ///< unknown also for what is no tensor
  std::optional<std::vector<graph_extent>> shape{};  ///< nothing: not even the rank is known
};

/// What an engine says of an input that it takes as the graph declares it.
inline graph_input input_of(const graph_value& declared) {
  graph_input input{declared.name, declared.type, {}};
  if (!declared.shape) return input;
  input.shape.emplace();
  for (const graph_extent& extent : *declared.shape) {
    input.shape->push_back(extent.number);
    input.symbols.push_back(extent.symbol);
  }
  return input;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_DATA_GRAPH_VALUE_HPP
