// SPDX-License-Identifier: Apache-2.0
/// @file evaluate.hpp A float model and what was made of it by quantization, on the same inputs.
#ifndef PTQ_ENGINE_EVALUATE_HPP
#define PTQ_ENGINE_EVALUATE_HPP

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ptq/config/spec.hpp"
#include "ptq/data/graph_names.hpp"
#include "ptq/data/graph_value.hpp"
#include "ptq/data/samples.hpp"
#include "ptq/engine/accuracy.hpp"
#include "ptq/engine/compared_output.hpp"
#include "ptq/engine/concept.hpp"
#include "ptq/engine/output_values.hpp"
#include "ptq/engine/progress.hpp"
#include "ptq/error.hpp"
#include "ptq/result.hpp"
#include "ptq/text/nearest_word.hpp"
#include "ptq/text/phrases.hpp"
#include "ptq/text/shape_text.hpp"

namespace ptq::inline v0_1 {

/// What is compared, and how.
struct comparison {
  std::vector<graph_value> outputs;               ///< as the float model's graph declares them
  data_config settings{};                         ///< its `task` and `class_axis` count
  std::optional<label_array> labels;              ///< the right answers of the first output, one row a sample
  std::string reference = "the float model";      ///< what errors call it: its file
  std::string quantized = "the quantized model";  ///< likewise
};

/// Whether settings that go by outputs name some that are there, and known tasks. `evaluate` checks that,
/// too.
///
/// @return unknown_word, with `where` "task" or "class_axis" and the output: "task.boxes"
inline result<void> check_outputs(const data_config& settings, std::span<const graph_value> outputs) {
  std::vector<std::string_view> names;
  for (const graph_value& output : outputs) names.emplace_back(output.name);
  if (auto known = check_graph_names("task", settings.task, "output", names); !known) return known;
  const std::string_view tasks[] = {name_of(task::binary), name_of(task::classification),
                                    name_of(task::regression)};
  for (const auto& [output, word] : settings.task)
    if (std::find(std::begin(tasks), std::end(tasks), word) == std::end(tasks))
      return error(errc::unknown_word, "task" + (output.empty() ? "" : "." + output),
                   "unknown word " + detail::in_quotes(word) + ". " + detail::allowed_text(tasks),
                   nearest_word(word, tasks));
  return check_graph_names("class_axis", settings.class_axis, "output", names);
}

/// What `evaluate` found.
struct evaluation {
  std::size_t samples = 0;
  std::vector<compared_output> outputs;  ///< in the order of `comparison::outputs`
};

/// Runs all samples through both models and compares their outputs, sample by sample.
///
/// @param reference runs the float model
/// @param quantized runs what was made of it: by the same names of inputs and outputs
/// @param data      is read to its end
/// @param how       is used while this runs
/// @param progress  is told how many samples are done, and may stop the run
/// @return of a model, under its name in `how`: what the engine says; not_finite with the sample and the
///         output, where that is NaN, infinite or beyond `largest_plausible`. As `check_outputs` and
///         `compared_output::add`: what is wrong with a setting or the labels, with `where` "task",
///         "class_axis" or "labels". Else what the data or `progress` say
template <engine Reference, engine Quantized, progress_sink Progress = no_progress>
result<evaluation> evaluate(Reference& reference, Quantized& quantized, samples& data, const comparison& how,
                            Progress&& progress = {}) {
  if (auto known = check_outputs(how.settings, how.outputs); !known) return known.error();
  const label_array* const labels = how.labels ? &*how.labels : nullptr;
  if (labels != nullptr && (labels->shape.rank == 0 || labels->shape[0] != data.total()))
    return error(errc::size_mismatch, "labels",
                 "they are " + extents_text(labels->shape) + " for " + std::to_string(data.total()) +
                     " samples; the first axis counts samples.");
  detail::outputs_of_batch of_reference(how.outputs, data);
  detail::outputs_of_batch of_quantized(how.outputs, data);
  evaluation found;
  for (const graph_value& output : how.outputs)
    found.outputs.emplace_back(output, how.settings, found.outputs.empty() ? labels : nullptr);
  for (;;) {
    const std::size_t first = data.position();
    if (auto told = detail::tell(progress, first); !told) return told.error();
    const auto batch = data.next();
    if (!batch) return batch.error();
    if (batch->empty()) return found;
    const std::size_t count = data.position() - first;
    const auto expected = of_reference.run(reference, *batch, first, count);
    if (!expected) return expected.error().in(how.reference);
    const auto made = of_quantized.run(quantized, *batch, first, count);
    if (!made) return made.error().in(how.quantized);
    for (std::size_t i = 0; i < found.outputs.size(); ++i)
      if (auto added = found.outputs[i].add((*expected)[i], (*made)[i], first, count); !added)
        return added.error();
    found.samples += count;
  }
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_ENGINE_EVALUATE_HPP
