// SPDX-License-Identifier: Apache-2.0
/// @file output_values.hpp The outputs that an engine makes of a batch, put together from their pieces.
#ifndef PTQ_ENGINE_OUTPUT_VALUES_HPP
#define PTQ_ENGINE_OUTPUT_VALUES_HPP

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ptq/data/array.hpp"
#include "ptq/data/batch_axis.hpp"
#include "ptq/data/graph_input.hpp"
#include "ptq/data/graph_value.hpp"
#include "ptq/data/samples.hpp"
#include "ptq/engine/concept.hpp"
#include "ptq/engine/inputs.hpp"
#include "ptq/engine/outputs.hpp"
#include "ptq/error.hpp"
#include "ptq/numeric/element_type.hpp"
#include "ptq/result.hpp"
#include "ptq/tensor/any_view.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1 {

/// The values of an output for a batch, samples first.
struct output_values {
  element_type type = element_type::float32;
  std::optional<std::size_t> batch_axis;  ///< nothing: the output has none, and `samples` counts runs
  tensor_shape sample;                    ///< its shape without the batch axis
  std::size_t samples = 0;
  std::vector<double> values;

  void add(const any_view& piece) {
    type = piece.type;
    any_view moved = piece;  // with the batch axis in front
    sample = piece.shape;
    if (batch_axis) {
      for (std::size_t axis = *batch_axis; axis > 0; --axis) {
        moved.shape.extents[axis] = moved.shape.extents[axis - 1];
        moved.strides[axis] = moved.strides[axis - 1];
      }
      moved.shape.extents[0] = piece.shape[*batch_axis];
      moved.strides[0] = piece.strides[*batch_axis];
      for (std::size_t axis = 1; axis < piece.shape.rank; ++axis)
        sample.extents[axis - 1] = moved.shape[axis];
      sample.extents[--sample.rank] = 0;
    }
    samples += batch_axis ? piece.shape[*batch_axis] : 1;
    for_each_element(moved, [&](auto value) { values.push_back(static_cast<double>(number_of(value))); });
  }
};

namespace detail {

/// Samples in a piece that an engine hands over, of a batch with `count`.
template <engine Engine>
std::size_t samples_in_piece(const Engine& running, std::span<const named_array> batch, std::size_t count) {
  bool is_alone = false;
  if constexpr (requires { running.makes_samples_alone(); }) is_alone = running.makes_samples_alone();
  return fixed_batch(running.inputs(), batch).value_or(is_alone ? 1 : count);
}

/// What stands in an output that is no number, and for which sample.
inline error implausible_output(const std::string& output, const implausible_value& found,
                                const samples& data, std::size_t first, std::size_t count) {
  const std::string picture = data.picture_of(first);
  return {
      errc::not_finite,
      (count == 1 ? "sample " + std::to_string(first) + (picture.empty() ? "" : " (" + picture + ")")
                  : "samples " + std::to_string(first) + " to " + std::to_string(first + count - 1)) +
          ": output \"" + output + "\"",
      found.text +
          ", so there is nothing to compare. If the model itself answers so, leave the sample out; if its "
          "artifact alone does, leave layers before the output as floats (skip_names)."};
}

/// Runs batches for their outputs. One object serves one engine.
class outputs_of_batch {
 public:
  /// @param declared of the outputs that are wanted. A graph may name one twice
  outputs_of_batch(std::span<const graph_value> declared, const samples& data)
      : declared_(declared), data_(data), axes_(declared.size()) {
    for (const graph_value& output : declared)
      if (std::find(wanted_.begin(), wanted_.end(), output.name) == wanted_.end())
        wanted_.push_back(output.name);
  }

  /// @param first of the samples in the batch
  /// @return one for each declared output; not_finite with the sample; size_mismatch: the pieces do not make
  ///         up the batch
  template <engine Engine>
  result<std::vector<output_values>> run(Engine& running, std::span<const named_array> batch,
                                         std::size_t first, std::size_t count) {
    std::vector<output_values> made(declared_.size());
    std::vector<std::size_t> begun(declared_.size());  // samples
    const auto ran = running.run(batch, wanted_, [&](const named_array& piece) -> result<void> {
      const std::size_t step = samples_in_piece(running, batch, count);
      for (std::size_t i = 0; i < declared_.size(); ++i) {
        if (declared_[i].name != piece.name) continue;
        if (!is_scalar(piece.array.type))
          return error(errc::wrong_type, "output \"" + piece.name + "\"",
                       std::string("it holds ") + name_of(piece.array.type) +
                           ", which cannot be compared. Let the graph cast it to float32.");
        const auto axis = axis_of(piece.array, i, step);
        if (const auto found = find_implausible(piece.array)) {
          const std::size_t within = axis ? sample_in(piece.array, *axis, *found) : 0;
          return implausible_output(piece.name, *found, data_, first + begun[i] + within, axis ? 1 : step);
        }
        made[i].batch_axis = axis;
        made[i].add(piece.array);
        begun[i] += step;
      }
      return {};
    });
    if (!ran) return ran.error();
    for (std::size_t i = 0; i < declared_.size(); ++i)
      if (begun[i] != count) return in_other_pieces(declared_[i].name, begun[i], count);
    return made;
  }

 private:
  static error in_other_pieces(const std::string& output, std::size_t found, std::size_t count) {
    return {errc::size_mismatch, "output \"" + output + "\"",
            "the engine hands over pieces for " + std::to_string(found) + " samples of a batch of " +
                std::to_string(count) +
                ". It hands over a batch at once, or says that it makes_samples_alone()."};
  }

  /// It stays the same as long as it can: other axes may be as long as the last batch.
  std::optional<std::size_t> axis_of(const any_view& piece, std::size_t output, std::size_t step) {
    std::optional<std::size_t>& axis = axes_[output];
    if (axis && *axis < piece.shape.rank && piece.shape[*axis] == step) return axis;
    std::vector<std::string> labels;
    for (const graph_extent& e : declared_[output].shape.value_or(std::vector<graph_extent>()))
      labels.push_back(e.text());
    return axis = find_batch_axis(labels, piece.shape, step, data_.axes().dimension);
  }

  /// The sample of a value, in its piece.
  static std::size_t sample_in(const any_view& piece, std::size_t axis, const implausible_value& found) {
    std::size_t behind = 1;
    for (std::size_t i = axis + 1; i < piece.shape.rank; ++i) behind *= piece.shape[i];
    return found.at / behind % piece.shape[axis];
  }

  std::span<const graph_value> declared_;
  const samples& data_;
  std::vector<std::string> wanted_;
  std::vector<std::optional<std::size_t>> axes_;  // of the outputs, that count samples
};

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_ENGINE_OUTPUT_VALUES_HPP
