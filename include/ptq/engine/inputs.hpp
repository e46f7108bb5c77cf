// SPDX-License-Identifier: Apache-2.0
/// @file inputs.hpp What every engine checks of the tensors it is given.
#ifndef PTQ_ENGINE_INPUTS_HPP
#define PTQ_ENGINE_INPUTS_HPP

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ptq/data/array.hpp"
#include "ptq/data/graph_input.hpp"
#include "ptq/error.hpp"
#include "ptq/result.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1 {

namespace detail {

inline const named_array* find_array(std::span<const named_array> given, std::string_view name) {
  const auto found =
      std::find_if(given.begin(), given.end(), [&](const named_array& a) { return a.name == name; });
  return found == given.end() ? nullptr : &*found;
}

/// The axis of an array that counts samples, if it has one.
inline std::optional<std::size_t> batch_axis_in(const named_array& input) noexcept {
  const bool exists = input.batch_axis && *input.batch_axis < input.array.shape.rank;
  return exists ? input.batch_axis : std::nullopt;
}

}  // namespace detail

/// The samples that a graph insists on taking at a time; nothing where it takes any number.
///
/// @param given says which axes count samples
inline std::optional<std::size_t> fixed_batch(std::span<const graph_input> inputs,
                                              std::span<const named_array> given) {
  for (const graph_input& input : inputs) {
    const named_array* const array = detail::find_array(given, input.name);
    const auto axis = array != nullptr ? detail::batch_axis_in(*array) : std::nullopt;
    if (axis && input.shape && *axis < input.shape->size() && (*input.shape)[*axis].value_or(0) > 0)
      return (*input.shape)[*axis];
  }
  return {};
}

/// Checks types and shapes of the tensors for a graph's inputs, and that all hold as many samples: whole
/// batches, where the batch is fixed. Samples share an input that has no axis for them.
///
/// @return the number of samples; tensor_not_found, wrong_type, wrong_rank, size_mismatch
inline result<std::size_t> count_samples(std::span<const graph_input> inputs,
                                         std::span<const named_array> given) {
  const std::size_t batch = fixed_batch(inputs, given).value_or(1);
  std::optional<std::size_t> samples;
  for (const graph_input& wanted : inputs) {
    const named_array* const found = detail::find_array(given, wanted.name);
    const std::string where = "graph input \"" + wanted.name + "\"";
    if (found == nullptr) return error(errc::tensor_not_found, where, "is missing.");
    if (found->array.type != wanted.type)
      return error(
          errc::wrong_type, where,
          std::string("takes ") + name_of(wanted.type) + ", not " + name_of(found->array.type) + ".");
    const tensor_shape& shape = found->array.shape;
    if (wanted.shape && wanted.shape->size() != shape.rank)
      return error(
          errc::wrong_rank, where,
          "has rank " + std::to_string(wanted.shape->size()) + ", not " + std::to_string(shape.rank) + ".");
    const auto counting = detail::batch_axis_in(*found);
    for (std::size_t axis = 0; wanted.shape && axis < shape.rank; ++axis)
      if (axis != counting && (*wanted.shape)[axis].value_or(shape[axis]) != shape[axis])
        return error(errc::size_mismatch, where,
                     "axis " + std::to_string(axis) + " has " + std::to_string(*(*wanted.shape)[axis]) +
                         " entries, not " + std::to_string(shape[axis]) + ".");
    if (!counting) continue;
    const std::size_t count = shape[*counting];
    if (count % batch != 0 || samples.value_or(count) != count)
      return error(
          errc::size_mismatch, where,
          "does not hold whole batches of " + std::to_string(batch) + ", as many as the other inputs.");
    samples = count;
  }
  if (given.size() != inputs.size())
    return error(errc::tensor_not_found, "",
                 "the graph has " + std::to_string(inputs.size()) + " inputs; " +
                     std::to_string(given.size()) + " were given.");
  return samples.value_or(batch);
}

/// Some samples of an input; all of it where samples share it. It may have gaps: `copy_elements` closes them.
inline any_view batch_of(const named_array& input, std::size_t first, std::size_t count) noexcept {
  const auto axis = detail::batch_axis_in(input);
  return axis ? input.array.part(*axis, first, count) : input.array;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_ENGINE_INPUTS_HPP
