// SPDX-License-Identifier: Apache-2.0
/// @file concept.hpp What runs a model: give it inputs, receive named tensors.
#ifndef PTQ_ENGINE_CONCEPT_HPP
#define PTQ_ENGINE_CONCEPT_HPP

#include <concepts>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "ptq/io/array.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

/// An input of a graph.
struct graph_input {
  std::string name;
  scalar_type type = scalar_type::float32;
  /// Extents, outermost first; one without a value takes any. Without a shape even the rank is free.
  std::optional<std::vector<std::optional<std::size_t>>> shape;
  /// What the graph calls its axes ("batch"), "" for an axis without a name; may be fewer than axes.
  std::vector<std::string> symbols{};
};

/// An array with the name of the graph tensor that it is.
struct named_array {
  std::string name;
  array_view array;
  /// Of a graph input: the axis that counts samples; nothing where all samples share the array.
  std::optional<std::size_t> batch_axis = 0;
};

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
/// Inputs are row-major, aligned and of the input's type. An engine may hand a tensor over in pieces, for
/// instance sample by sample; they come in the order of the samples.
template <class E>
concept engine = requires(E& running, const E& loaded, std::span<const named_array> inputs,
                          std::span<const std::string> wanted, detail::any_array_sink sink) {
  { loaded.inputs() } -> std::convertible_to<std::span<const graph_input>>;
  { loaded.outputs() } -> std::convertible_to<std::span<const std::string>>;
  { running.run(inputs, wanted, sink) } -> std::same_as<result<void>>;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_ENGINE_CONCEPT_HPP
