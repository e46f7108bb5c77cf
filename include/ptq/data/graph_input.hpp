// SPDX-License-Identifier: Apache-2.0
/// @file graph_input.hpp The inputs of a graph, and arrays that are called as its tensors are.
#ifndef PTQ_DATA_GRAPH_INPUT_HPP
#define PTQ_DATA_GRAPH_INPUT_HPP

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ptq/data/array.hpp"

namespace ptq::inline v0_1 {

/// An input of a graph.
struct graph_input {
  std::string name;
  element_type type = element_type::float32;
  /// Extents, outermost first; one without a value takes any. Without a shape even the rank is free.
  std::optional<std::vector<std::optional<std::size_t>>> shape;
  /// What the graph calls its axes ("batch"), "" for an axis without a name; may be fewer than axes.
  std::vector<std::string> symbols{};
};

/// "[?, 1, 28, 28]": the extents that a graph input takes, where some may be any.
inline std::string extents_text(std::span<const std::optional<std::size_t>> extents) {
  std::string text;
  for (const std::optional<std::size_t>& extent : extents)
    text += (text.empty() ? "" : ", ") + (extent ? std::to_string(*extent) : "?");
  return "[" + text + "]";
}

/// An array with the name of the graph tensor that it is.
struct named_array {
  std::string name;
  any_view array;
  /// Of a graph input: the axis that counts samples; nothing where all samples share the array.
  std::optional<std::size_t> batch_axis = 0;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_DATA_GRAPH_INPUT_HPP
