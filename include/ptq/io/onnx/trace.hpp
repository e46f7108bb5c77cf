// SPDX-License-Identifier: Apache-2.0
/// @file trace.hpp The constant behind a tensor, the nodes between them, and what those do to its axes.
#ifndef PTQ_IO_ONNX_TRACE_HPP
#define PTQ_IO_ONNX_TRACE_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/io/onnx/links.hpp"
#include "ptq/io/onnx/model.hpp"
#include "ptq/io/onnx/tensor.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// A constant, and the nodes through which it reaches a slot.
struct traced_constant {
  const onnx_tensor* tensor = nullptr;    ///< null: what reaches the slot is computed
  std::vector<std::size_t> path;          ///< the constant's end first
  onnx_type type = onnx_type::undefined;  ///< as it arrives
};

/// The numbers of an attribute or, in newer operator sets, of a constant input; nothing where they vary.
inline std::optional<std::vector<std::int64_t>> fixed_integers(const onnx_node& node, const onnx_links& links,
                                                               std::string_view attribute, std::size_t slot) {
  if (node.input(slot).empty()) {
    const auto given = node.integers(attribute);
    return std::vector<std::int64_t>(given.begin(), given.end());
  }
  const onnx_tensor* const stored = links.constant(node.input(slot));
  if (stored == nullptr || stored->type != onnx_type::int64 ||
      stored->data.size() % sizeof(std::int64_t) != 0)
    return std::nullopt;
  std::vector<std::int64_t> values(stored->data.size() / sizeof(std::int64_t));
  if (!values.empty()) std::memcpy(values.data(), stored->data.data(), stored->data.size());
  return values;
}

/// What a node that only passes a constant on, in another shape, order or type, is told about it.
inline std::optional<std::vector<std::int64_t>> passing_arguments(const onnx_node& node,
                                                                  const onnx_links& links) {
  if (!node.is_standard() || node.inputs.empty() || node.outputs.size() != 1) return std::nullopt;
  const std::string_view op = node.op_type;
  if (op == "Reshape") return fixed_integers(node, links, "shape", 1);
  if (op == "Squeeze" || op == "Unsqueeze") return fixed_integers(node, links, "axes", 1);
  if (op == "Transpose") return fixed_integers(node, links, "perm", 1);
  if (op == "Flatten") return std::vector<std::int64_t>{node.integer("axis", 1)};
  if (op == "Identity") return std::vector<std::int64_t>();
  if (op == "Cast" && element_of(static_cast<onnx_type>(node.integer("to", 0))))
    return std::vector<std::int64_t>();  // to integers it would round
  return std::nullopt;
}

inline traced_constant trace(const onnx_graph& graph, const onnx_links& links, std::string_view name) {
  traced_constant traced;
  while ((traced.tensor = links.constant(name)) == nullptr) {
    const auto found = links.producers.find(name);
    if (found == links.producers.end()) return {};
    const onnx_node& node = graph.nodes[found->second];
    if (!passing_arguments(node, links)) return {};
    if (node.op_type == "Cast" && traced.type == onnx_type::undefined)
      traced.type = static_cast<onnx_type>(node.integer("to", 0));
    traced.path.push_back(found->second);
    name = node.inputs.front();
  }
  if (traced.tensor->size() == 0) return {};  // nothing to quantize
  if (traced.type == onnx_type::undefined) traced.type = traced.tensor->type;
  std::reverse(traced.path.begin(), traced.path.end());
  return traced;
}

using onnx_dims = std::vector<std::size_t>;

inline std::size_t product(std::span<const std::size_t> extents) noexcept {
  std::size_t size = 1;
  for (const std::size_t extent : extents) size *= extent;
  return size;
}

/// An axis that may count from the end; `rank` or more where there is no such axis.
inline std::size_t axis_at(std::int64_t axis, std::size_t rank) noexcept {
  return static_cast<std::size_t>(axis < 0 ? axis + static_cast<std::int64_t>(rank) : axis);
}

/// Which axes these are, in order; nothing where one does not exist or is there twice.
inline std::optional<onnx_dims> axes_at(const std::vector<std::int64_t>& given, std::size_t rank) {
  onnx_dims axes;
  for (const std::int64_t axis : given) axes.push_back(axis_at(axis, rank));
  onnx_dims sorted = axes;
  std::sort(sorted.begin(), sorted.end());
  const bool is_twice = std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end();
  if (is_twice || (!sorted.empty() && sorted.back() >= rank)) return std::nullopt;
  return axes;
}

/// The order that a Transpose gives axes; nothing where it is none.
inline std::optional<onnx_dims> order_of(std::vector<std::int64_t> perm, std::size_t rank) {
  if (perm.empty())
    for (std::size_t i = rank; i-- > 0;) perm.push_back(static_cast<std::int64_t>(i));
  return perm.size() == rank ? axes_at(perm, rank) : std::nullopt;
}

inline std::optional<onnx_dims> reshaped(const onnx_dims& dims, const std::vector<std::int64_t>& shape,
                                         bool allows_zero) {
  onnx_dims made;
  std::size_t open = shape.size();
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const bool copies = shape[i] == 0 && !allows_zero;
    const bool is_open = shape[i] == -1 && open == shape.size();
    if (is_open) open = i;
    if (shape[i] < (is_open ? -1 : 0) || (copies && i >= dims.size())) return std::nullopt;
    made.push_back(copies ? dims[i] : is_open ? 1 : static_cast<std::size_t>(shape[i]));
  }
  const std::size_t size = product(dims);
  const std::size_t known = product(made);
  if (open < made.size() && known != 0) made[open] = size / known;
  return product(made) == size ? std::optional(made) : std::nullopt;
}

inline std::optional<onnx_dims> squeezed(const onnx_dims& dims, const std::vector<std::int64_t>& given) {
  const auto axes = axes_at(given, dims.size());
  if (!axes) return std::nullopt;
  onnx_dims made;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    const bool goes = given.empty() ? dims[i] == 1 : std::find(axes->begin(), axes->end(), i) != axes->end();
    if (goes && dims[i] != 1) return std::nullopt;
    if (!goes) made.push_back(dims[i]);
  }
  return made;
}

inline std::optional<onnx_dims> unsqueezed(const onnx_dims& dims, const std::vector<std::int64_t>& given) {
  const std::size_t rank = dims.size() + given.size();
  const auto axes = axes_at(given, rank);
  if (!axes) return std::nullopt;
  onnx_dims made;
  for (std::size_t i = 0, from = 0; i < rank; ++i)
    made.push_back(std::find(axes->begin(), axes->end(), i) != axes->end() ? 1 : dims[from++]);
  return made;
}

/// The shape that a passing node makes of another; nothing where it cannot take it.
inline std::optional<onnx_dims> shape_behind(const onnx_node& node, const onnx_links& links,
                                             const onnx_dims& dims) {
  const auto arguments = passing_arguments(node, links);
  const std::string_view op = node.op_type;
  if (op == "Reshape") return reshaped(dims, *arguments, node.integer("allowzero", 0) != 0);
  if (op == "Squeeze") return squeezed(dims, *arguments);
  if (op == "Unsqueeze") return unsqueezed(dims, *arguments);
  if (op == "Flatten") {
    const std::size_t axis = axis_at(arguments->front(), dims.size());
    if (axis > dims.size()) return std::nullopt;
    return onnx_dims{product(std::span(dims).first(axis)), product(std::span(dims).subspan(axis))};
  }
  if (op != "Transpose") return dims;
  const auto order = order_of(*arguments, dims.size());
  if (!order) return std::nullopt;
  onnx_dims made;
  for (const std::size_t axis : *order) made.push_back(dims[axis]);
  return made;
}

/// The shapes of a constant on its way: its own first, last as it arrives.
///
/// @return invalid_value: a node on the way cannot take it
inline result<std::vector<onnx_dims>> shapes_along(const onnx_graph& graph, const onnx_links& links,
                                                   const traced_constant& traced) {
  std::vector<onnx_dims> shapes{traced.tensor->dims};
  for (const std::size_t step : traced.path) {
    const onnx_node& node = graph.nodes[step];
    auto made = shape_behind(node, links, shapes.back());
    if (!made)
      return error(errc::invalid_value, node_text(graph, step),
                   std::string("its ") +
                       (node.op_type == "Transpose" ? "perm does"
                        : node.op_type == "Reshape" ? "shape does"
                                                    : "axes do") +
                       " not fit \"" + traced.tensor->name + "\", which is " + traced.tensor->type_text() +
                       ".");
    shapes.push_back(*std::move(made));
  }
  return shapes;
}

/// The axis that runs over the same elements in the same order in another shape of the same memory.
inline std::optional<std::size_t> same_axis(const onnx_dims& dims, std::size_t axis, const onnx_dims& other) {
  const std::size_t inner = product(std::span(dims).subspan(axis + 1));
  std::size_t inner_there = 1;
  for (std::size_t i = other.size(); i-- > 0; inner_there *= other[i])
    if (other[i] == dims[axis] && inner_there == inner) return i;
  return std::nullopt;
}

/// Where an axis of a constant as it arrives lies in the constant's own layout; nothing where it is a part of
/// one of its axes, or of several.
///
/// @param shapes of `shapes_along`
inline std::optional<std::size_t> axis_before(const onnx_graph& graph, const onnx_links& links,
                                              const traced_constant& traced,
                                              const std::vector<onnx_dims>& shapes, std::size_t axis) {
  std::optional<std::size_t> found = axis;
  for (std::size_t i = traced.path.size(); i-- > 0 && found;) {
    const onnx_node& node = graph.nodes[traced.path[i]];
    found = node.op_type == "Transpose"
                ? (*order_of(*passing_arguments(node, links), shapes[i].size()))[*found]
                : same_axis(shapes[i + 1], *found, shapes[i]);
  }
  return found;
}

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_IO_ONNX_TRACE_HPP
