// SPDX-License-Identifier: Apache-2.0
/// @file trace.hpp The constant behind a tensor, the nodes between them, and what those do to its axes.
#ifndef PTQ_FORMATS_ONNX_TRACE_HPP
#define PTQ_FORMATS_ONNX_TRACE_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ptq/formats/onnx/links.hpp"
#include "ptq/formats/onnx/model.hpp"
#include "ptq/formats/onnx/tensor.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// Tensors of more axes are not followed through nodes, nor are longer lists of numbers.
inline constexpr std::size_t most_axes = 64;

/// The numbers of an attribute or, in newer operator sets, of a constant input; nothing where they vary.
inline std::optional<std::vector<std::int64_t>> fixed_integers(const onnx_node& node, const onnx_links& links,
                                                               std::string_view attribute, std::size_t slot) {
  if (node.input(slot).empty()) {
    const auto given = node.integers(attribute);
    return std::vector<std::int64_t>(given.begin(), given.end());
  }
  const onnx_tensor* const stored = links.constant(node.input(slot));
  if (stored == nullptr || stored->type != element_type::int64 ||
      stored->data.size() % sizeof(std::int64_t) != 0 ||
      stored->data.size() > most_axes * sizeof(std::int64_t))
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
  const bool is_same = op == "Identity" || (op == "Sum" && node.inputs.size() == 1);  // ours, against fusions
  if (is_same) return std::vector<std::int64_t>();
  if (op == "Cast" && is_float(onnx_type(node.integer("to", 0))))
    return std::vector<std::int64_t>();  // to integers it would round
  return std::nullopt;
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

/// The axis that runs over the same elements in the same order in another shape of the same memory.
inline std::optional<std::size_t> same_axis(const onnx_dims& dims, std::size_t axis, const onnx_dims& other) {
  const std::size_t inner = product(std::span(dims).subspan(axis + 1));
  std::size_t inner_there = 1;
  for (std::size_t i = other.size(); i-- > 0; inner_there *= other[i])
    if (other[i] == dims[axis] && inner_there == inner) return i;
  return std::nullopt;
}

/// A constant as it arrives somewhere, through nodes that only pass it on.
struct traced_constant {
  const onnx_tensor* tensor = nullptr;        ///< null: what arrives is computed
  std::optional<std::size_t> carrier;         ///< the last node on the way; nothing: it comes as it is
  element_type type = element_type::unknown;  ///< as it arrives
  onnx_dims dims;                             ///< likewise
  std::vector<std::optional<std::size_t>>
      axes;                           ///< where each of them lies in the constant, if in one axis of it
  std::optional<std::size_t> misfit;  ///< the first node on the way that cannot take it

  /// Where an axis of it as it arrives lies in the constant's own layout; nothing where it is a part of one
  /// of its axes, or of several.
  std::optional<std::size_t> axis_before(std::size_t axis) const {
    if (!carrier) return axis;
    return axis < axes.size() ? axes[axis] : std::nullopt;
  }
};

/// Follows tensors back to constants. Each node is passed once, however many ways lead over it.
class onnx_tracer {
 public:
  onnx_tracer(const onnx_graph& graph, const onnx_links& links) : graph_(&graph), links_(&links) {}

  /// @param name a tensor of the graph
  traced_constant trace(std::string_view name) {
    std::vector<std::size_t> way;  // back from the tensor
    traced_constant found;
    for (;;) {
      if (const onnx_tensor* const tensor = links_->constant(name)) {
        found = start_of(*tensor);
        break;
      }
      const auto maker = links_->maker(name);
      if (!maker) break;
      if (const auto known = passed_.find(*maker); known != passed_.end()) {
        found = known->second;
        break;
      }
      const onnx_node& node = graph_->nodes[*maker];
      if (!passing_arguments(node, *links_)) break;
      way.push_back(*maker);
      name = node.inputs.front();
    }
    for (std::size_t i = way.size(); i-- > 0;) {
      pass(way[i], found);
      passed_.emplace(way[i], found);
    }
    return found;
  }

 private:
  static traced_constant start_of(const onnx_tensor& tensor) {
    if (tensor.size() == 0) return {};  // nothing to quantize
    return {&tensor, {}, tensor.type, tensor.dims, {}, {}};
  }

  void pass(std::size_t step, traced_constant& passed) const {
    const onnx_node& node = graph_->nodes[step];
    if (passed.tensor == nullptr) return;
    if (passed.dims.size() > most_axes) {
      passed = {};
      return;
    }
    const bool is_first = !passed.carrier;
    passed.carrier = step;
    if (passed.misfit) return;
    if (const auto type = onnx_type(node.integer("to", 0));
        node.op_type == "Cast" && type != element_type::unknown)
      passed.type = type;
    auto dims = shape_behind(node, *links_, passed.dims);
    if (!dims) {
      passed.misfit = step;
      return;
    }
    passed.axes = axes_behind(node, passed, *dims, is_first);
    passed.dims = *std::move(dims);
  }

  std::vector<std::optional<std::size_t>> axes_behind(const onnx_node& node, const traced_constant& passed,
                                                      const onnx_dims& dims, bool is_first) const {
    std::vector<std::optional<std::size_t>> axes(dims.size());
    const auto order = node.op_type == "Transpose"
                           ? order_of(*passing_arguments(node, *links_), passed.dims.size())
                           : std::nullopt;
    for (std::size_t axis = 0; axis < dims.size(); ++axis) {
      const auto before = order ? std::optional((*order)[axis]) : same_axis(dims, axis, passed.dims);
      axes[axis] = before && !is_first ? passed.axes[*before] : before;
    }
    return axes;
  }

  const onnx_graph* graph_;
  const onnx_links* links_;
  std::unordered_map<std::size_t, traced_constant> passed_;  // by the node that passed it on
};

/// The node in front of one that passes a constant on, on the constant's way; nothing: it is the first.
inline std::optional<std::size_t> step_before(const onnx_graph& graph, const onnx_links& links,
                                              std::size_t step) {
  const std::string& input = graph.nodes[step].inputs.front();
  return links.constant(input) == nullptr ? links.maker(input) : std::nullopt;
}

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_TRACE_HPP
