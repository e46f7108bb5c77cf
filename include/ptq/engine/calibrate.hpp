// SPDX-License-Identifier: Apache-2.0
/// @file calibrate.hpp Runs samples through an engine and collects what its layers take in.
#ifndef PTQ_ENGINE_CALIBRATE_HPP
#define PTQ_ENGINE_CALIBRATE_HPP

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "ptq/data/array.hpp"
#include "ptq/data/fed_layers.hpp"
#include "ptq/data/graph_input.hpp"
#include "ptq/data/samples.hpp"
#include "ptq/engine/concept.hpp"
#include "ptq/engine/inputs.hpp"
#include "ptq/engine/outputs.hpp"
#include "ptq/engine/progress.hpp"
#include "ptq/error.hpp"
#include "ptq/model/calibration.hpp"
#include "ptq/result.hpp"
#include "ptq/tensor/any_view.hpp"

namespace ptq::inline v0_1 {

namespace detail {

/// Refuses what no data can have made plausible, before it becomes a range.
inline result<void> check_layer_input(const std::string& layer, const any_view& made) {
  const auto found = find_implausible(made);
  if (!found) return {};
  return error(errc::not_finite, "layer \"" + layer + "\"",
               "its input" + found->text +
                   ", which the graph makes of a finite sample. Leave the sample out, or the layer's "
                   "activations as floats (activations: {dtype: native}).");
}

/// Says which sample a batch was refused for, if it was one: it is refused alone, too.
///
/// @param count of the samples in the batch, the last that `data` has handed out
/// @param run   runs a batch again
template <class Run>
error in_sample(const error& refused, const samples& data, std::size_t count,
                std::span<const named_array> batch, Run& run) {
  if (refused.code != errc::not_finite) return refused;
  const std::size_t first = data.position() - count;
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<named_array> alone(batch.begin(), batch.end());
    std::vector<std::vector<std::byte>> rows(alone.size());
    for (std::size_t k = 0; k < alone.size(); ++k) {
      const any_view part = batch_of(alone[k], i, 1);
      rows[k].resize(part.size() * size_of(part.type));
      copy_elements(part, rows[k].data());
      alone[k].array = {rows[k].data(), part.type, part.shape};
    }
    if (const auto ran = run(alone); !ran && ran.error().code == refused.code)
      return ran.error().in(data.place_of(first + i));
  }
  return refused.in(data.place_of(first) + " and the " + std::to_string(count - 1) + " behind it");
}

}  // namespace detail

/// Runs all samples, a batch at a time, and gives `seen` the inputs of the layers. The ranges depend neither
/// on batches nor on the order of samples.
///
/// @param running  runs the model that the layers belong to
/// @param data     is read to its end
/// @param fed      the tensors that are wanted of the engine, and the layers that they feed, of which those
///                 that need no range are passed over
/// @param seen     of a plan that has these layers. After an error it holds some of the samples, some of them
///                 twice: discard it
/// @param progress is told how many samples are done, and may stop the run
/// @return not_finite with the sample and the layer: an input is NaN, infinite or beyond `largest_plausible`.
///         Else what the data, the engine, `calibration::collect` or `progress` says
template <engine Engine, progress_sink Progress = no_progress>
result<void> calibrate(Engine& running, samples& data, const fed_layers& fed, calibration& seen,
                       Progress&& progress = {}) {
  std::vector<std::string> wanted;
  for (const auto& [tensor, layers] : fed) wanted.push_back(tensor);
  const auto run = [&](std::span<const named_array> batch) {
    return running.run(batch, wanted, [&](const named_array& made) -> result<void> {
      const auto found = fed.find(made.name);
      if (found == fed.end())
        return error(errc::tensor_not_found, "tensor \"" + made.name + "\"",
                     "the engine hands it over, but it was not asked for.");
      for (const std::string& layer : found->second) {
        if (seen.collected().contains(layer))
          if (auto sound = detail::check_layer_input(layer, made.array); !sound) return sound;
        if (auto taken = seen.collect(layer, made.array); !taken) return taken;
      }
      return {};
    });
  };
  for (;;) {
    const std::size_t first = data.position();
    if (auto told = detail::tell(progress, first); !told) return told;
    const auto batch = data.next();
    if (!batch) return batch.error();
    if (batch->empty()) return {};
    if (const auto ran = run(*batch); !ran)
      return detail::in_sample(ran.error(), data, data.position() - first, *batch, run);
  }
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_ENGINE_CALIBRATE_HPP
