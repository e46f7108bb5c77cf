// SPDX-License-Identifier: Apache-2.0
/// @file concept.hpp What runs a model: give it inputs, receive named tensors.
#ifndef PTQ_ENGINE_CONCEPT_HPP
#define PTQ_ENGINE_CONCEPT_HPP

#include <concepts>
#include <span>
#include <string>

#include "ptq/data/graph_input.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

/// A callable that takes tensors as an engine makes them. Each view is valid until it returns. An error stops
/// the run and is passed on.
template <class Sink>
concept array_sink = requires(Sink& sink, const named_array& tensor) {
  { sink(tensor) } -> std::same_as<result<void>>;
};

namespace detail {

struct any_array_sink {
  result<void> operator()(const named_array&) const;
};

}  // namespace detail

/// Runs a graph:
///
/// | member                    | meaning                                                               |
/// |---------------------------|-----------------------------------------------------------------------|
/// | inputs()                  | the inputs of the graph                                               |
/// | outputs()                 | the names of its outputs                                              |
/// | run(inputs, wanted, sink) | computes one batch and hands each wanted tensor to the sink, by name: |
/// |                           | graph inputs, inner tensors and outputs alike                         |
///
/// Inputs are row-major, aligned and of the input's type. What it makes may have any strides and alignment.
/// An engine may hand a tensor over in pieces, which come in the order of the samples: as many samples at a
/// time as the graph insists on; where it takes any number, all of a batch, or one at a time. An engine of
/// the last kind says so to those who count samples in outputs (`evaluate`):
///
/// | optional member           | meaning                                                               |
/// |---------------------------|-----------------------------------------------------------------------|
/// | makes_samples_alone()     | whether tensors reach the sink a sample at a time                     |
template <class E>
concept engine = requires(E& running, const E& loaded, std::span<const named_array> inputs,
                          std::span<const std::string> wanted, detail::any_array_sink sink) {
  { loaded.inputs() } -> std::convertible_to<std::span<const graph_input>>;
  { loaded.outputs() } -> std::convertible_to<std::span<const std::string>>;
  { running.run(inputs, wanted, sink) } -> std::same_as<result<void>>;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_ENGINE_CONCEPT_HPP
