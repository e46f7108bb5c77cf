// SPDX-License-Identifier: Apache-2.0
/// @file engine.hpp A small inference engine for ONNX graphs: a model of `ptq::engine`.
#ifndef TINY_ENGINE_ENGINE_HPP
#define TINY_ENGINE_ENGINE_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "graph.hpp"
#include "ptq/data/graph_value.hpp"
#include "ptq/engine/concept.hpp"
#include "ptq/engine/inputs.hpp"
#include "ptq/formats/onnx/declared.hpp"
#include "ptq/formats/onnx/read.hpp"
#include "tensor.hpp"

namespace tiny {

/// Whether the engine computes with elements of a type, and hands them out: fp8 codes, strings and the like
/// it does not.
constexpr bool takes(element_type type) noexcept {
  return type == element_type::float32 || type == element_type::int64 || type == element_type::int32 ||
         type == element_type::int8 || type == element_type::uint8 || type == element_type::boolean;
}

/// Every sample is computed alone (every fixed batch, where the graph has one) and every sum in one order, so
/// results depend neither on the batch nor on the order of samples. Tensors reach the sink a sample at a
/// time.
class engine {
 public:
  /// @param numbers `integer`: as firmware computes, or not at all
  static result<engine> load(ptq::onnx_model model, arithmetic numbers = arithmetic::onnx) {
    auto graph = graph::load(std::move(model), numbers);
    if (!graph) return graph.error();
    engine loaded(*std::move(graph));
    if (auto declared = loaded.declare(); !declared) return declared.error();
    return loaded;
  }
  static result<engine> load(const std::string& path, arithmetic numbers = arithmetic::onnx) {
    auto model = ptq::read_onnx(path);
    return model ? load(*std::move(model), numbers) : model.error();
  }

  std::span<const ptq::graph_input> inputs() const noexcept { return inputs_; }
  std::span<const std::string> outputs() const noexcept { return outputs_; }
  bool makes_samples_alone() const noexcept { return true; }
  /// The layers that compute in integers.
  std::size_t integer_layers() const noexcept { return graph_.integer_layers(); }

  /// As `ptq::engine` says. What is held as integers where the graph has floats is handed out as floats.
  ///
  /// @return tensor_not_found for an unknown wanted tensor or a missing input; wrong_type, size_mismatch
  template <ptq::array_sink Sink>
  result<void> run(std::span<const ptq::named_array> given, std::span<const std::string> wanted,
                   Sink&& sink) {
    const auto samples = ptq::count_samples(inputs_, given);
    if (!samples) return samples.error();
    std::vector<std::size_t> ids;
    for (const std::string& name : wanted) {
      const auto id = graph_.find(name);
      if (!id) return error(errc::tensor_not_found, "", "the graph has no tensor \"" + name + "\".");
      ids.push_back(*id);
    }
    const auto steps = graph_.steps_for(ids);
    const std::size_t batch = ptq::fixed_batch(inputs_, given).value_or(1);
    for (std::size_t first = 0; first < *samples; first += batch) {
      auto values = graph_.make_values();
      for (const ptq::named_array& input : given)
        values[*graph_.find(input.name)] = slice(input, first, batch);
      if (auto done = graph_.run(steps, values); !done) return done;
      for (std::size_t i = 0; i < wanted.size(); ++i) {
        const auto scale = graph_.scale_of(ids[i]);
        const tensor& held = *graph_.at(ids[i], values);
        const tensor decoded = scale ? floats_of(held, *scale) : tensor();
        const tensor& made = scale ? decoded : held;
        if (!takes(made.type))
          return error(errc::wrong_type, "",
                       "tensor \"" + wanted[i] + "\" holds " + ptq::onnx_word(made.type) + ".");
        if (auto taken =
                sink(ptq::named_array{wanted[i], ptq::any_view(made.bytes.data(), made.type, made.shape)});
            !taken)
          return taken;
      }
    }
    return {};
  }

 private:
  explicit engine(graph g) : graph_(std::move(g)) {}

  /// Lists inputs and outputs as `ptq::engine` shows them.
  result<void> declare() {
    for (const ptq::graph_value& input : ptq::declared_inputs(graph_.onnx())) {
      if (!takes(input.type))
        return unsupported("graph input \"" + input.name + "\" takes " + ptq::onnx_word(input.type) +
                           "; this engine computes with float32.");
      inputs_.push_back(ptq::input_of(input));
    }
    for (const ptq::onnx_value& output : graph_.onnx().outputs) outputs_.push_back(output.name);
    return {};
  }

  /// What codes or sums stand for.
  static tensor floats_of(const tensor& integers, float scale) {
    tensor floats(integers.shape);
    const auto each = [&](const auto values) {
      std::transform(values.begin(), values.end(), floats.floats().begin(),
                     [&](auto value) { return static_cast<float>(value) * scale; });
    };
    if (integers.type == element_type::int8)
      each(integers.as<std::int8_t>());
    else
      each(integers.as<std::int32_t>());
    return floats;
  }

  /// One batch of the graph, row-major.
  static tensor slice(const ptq::named_array& whole, std::size_t first, std::size_t batch) {
    const ptq::any_view part = ptq::batch_of(whole, first, batch);
    tensor t;
    t.shape = part.shape;
    t.bytes.resize(part.size() * ptq::size_of(part.type));
    ptq::copy_elements(part, t.bytes.data());
    t.type = takes(part.type) ? part.type : element_type::unknown;
    return t;
  }

  graph graph_;
  std::vector<ptq::graph_input> inputs_;
  std::vector<std::string> outputs_;
};

static_assert(ptq::engine<engine>);

}  // namespace tiny

#endif  // TINY_ENGINE_ENGINE_HPP
