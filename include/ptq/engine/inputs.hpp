// SPDX-License-Identifier: Apache-2.0
/// @file inputs.hpp What every engine checks of the tensors it is given.
#ifndef PTQ_ENGINE_INPUTS_HPP
#define PTQ_ENGINE_INPUTS_HPP

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "ptq/engine/concept.hpp"
#include "ptq/error.hpp"
#include "ptq/io/array.hpp"
#include "ptq/result.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1 {

/// The samples that a graph insists on taking at a time; nothing where it takes any number.
inline std::optional<std::size_t> fixed_batch(std::span<const graph_input> inputs) {
  for (const graph_input& input : inputs)
    if (input.shape && !input.shape->empty() && input.shape->front().value_or(0) > 0)
      return input.shape->front();
  return {};
}

/// Checks types and shapes of the tensors for a graph's inputs, and that all hold as many samples: whole
/// batches, where the batch is fixed. An input without axes is a number that all samples share.
///
/// @return the number of samples; tensor_not_found, wrong_type, wrong_rank, size_mismatch
inline result<std::size_t> count_samples(std::span<const graph_input> inputs,
                                         std::span<const named_array> given) {
  const std::size_t batch = fixed_batch(inputs).value_or(1);
  std::optional<std::size_t> samples;
  for (const graph_input& wanted : inputs) {
    const auto found = std::find_if(given.begin(), given.end(),
                                    [&](const named_array& array) { return array.name == wanted.name; });
    const std::string where = "graph input \"" + wanted.name + "\"";
    if (found == given.end()) return error(errc::tensor_not_found, where, "is missing.");
    if (found->array.type != wanted.type)
      return error(
          errc::wrong_type, where,
          std::string("takes ") + name_of(wanted.type) + ", not " + name_of(found->array.type) + ".");
    const tensor_shape& shape = found->array.shape;
    if (wanted.shape && wanted.shape->size() != shape.rank)
      return error(
          errc::wrong_rank, where,
          "has rank " + std::to_string(wanted.shape->size()) + ", not " + std::to_string(shape.rank) + ".");
    for (std::size_t axis = 1; wanted.shape && axis < shape.rank; ++axis)
      if ((*wanted.shape)[axis].value_or(shape[axis]) != shape[axis])
        return error(errc::size_mismatch, where,
                     "axis " + std::to_string(axis) + " has " + std::to_string(*(*wanted.shape)[axis]) +
                         " entries, not " + std::to_string(shape[axis]) + ".");
    if (shape.rank == 0) continue;
    if (shape[0] % batch != 0 || samples.value_or(shape[0]) != shape[0])
      return error(
          errc::size_mismatch, where,
          "does not hold whole batches of " + std::to_string(batch) + ", as many as the other inputs.");
    samples = shape[0];
  }
  if (given.size() != inputs.size())
    return error(errc::tensor_not_found, "",
                 "the graph has " + std::to_string(inputs.size()) + " inputs; " +
                     std::to_string(given.size()) + " were given.");
  return samples.value_or(batch);
}

/// The samples of one batch of an input; the number that all share, if it is one.
inline array_view batch_of(const array_view& input, std::size_t first, std::size_t count) noexcept {
  return input.shape.rank == 0 ? input : input.rows(first, count);
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_ENGINE_INPUTS_HPP
