// SPDX-License-Identifier: Apache-2.0
/// @file compared_output.hpp An output of two models, and how its answers are compared.
#ifndef PTQ_CLI_COMPARED_OUTPUT_HPP
#define PTQ_CLI_COMPARED_OUTPUT_HPP

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ptq/config/spec.hpp"
#include "ptq/data/array.hpp"
#include "ptq/data/samples.hpp"
#include "ptq/engine/accuracy.hpp"
#include "ptq/formats/onnx/model.hpp"
#include "ptq/result.hpp"

namespace cli {

/// The values of an output for a batch, samples first.
struct output_values {
  ptq::element_type type = ptq::element_type::float32;
  std::optional<std::size_t> batch_axis;  // nothing: the output has none, and `samples` counts runs
  ptq::tensor_shape sample;               // its shape without the batch axis
  std::size_t samples = 0;
  std::vector<double> values;

  void add(const ptq::any_view& piece);
};

/// An output of a graph. What it holds is settled by the first batch.
class compared_output {
 public:
  /// @param declared what the graph says of it
  /// @param labels   the right answers, of the first output; null without any
  compared_output(const ptq::onnx_value& declared, const ptq::data_config& settings,
                  const ptq::label_array* labels);

  const std::string& name() const noexcept { return declared_.name; }

  /// Compares the answers to a batch.
  ///
  /// @param first the batch's first sample
  /// @param count samples in the batch
  /// @return what is wrong with a setting, with `where` "task" or "class_axis", or with the labels;
  ///         size_mismatch where the output is another one than in the first batch
  ptq::result<void> add(const output_values& reference, const output_values& quantized, std::size_t first,
                        std::size_t count);

  /// What the figures are of; regression where nothing speaks for answers.
  ptq::task task() const;
  ptq::accuracy metrics() const { return sums_.metrics(); }
  /// The axis of the classes, in the output.
  std::optional<std::size_t> class_axis() const noexcept { return class_axis_; }
  std::optional<std::size_t> batch_axis() const noexcept { return batch_axis_; }
  /// "logits [N, 10]: the largest of 10 values along axis 1"
  std::string text() const;

 private:
  ptq::result<void> settle(const output_values& made, std::size_t count);
  ptq::result<void> check_labels(std::size_t samples, std::size_t count) const;
  ptq::result<void> check_shapes(const output_values& reference, const output_values& quantized) const;
  ptq::result<void> settle_classes(const ptq::tensor_shape& sample);
  std::optional<std::size_t> axis_for_labels(const ptq::tensor_shape& sample) const;
  std::size_t usual_axis(const ptq::tensor_shape& sample) const;
  std::size_t in_output(std::size_t axis) const;
  std::size_t in_sample(std::size_t axis) const;
  ptq::result<std::optional<std::int64_t>> label(std::size_t sample, std::size_t answer) const;
  std::string shape_text() const;

  ptq::onnx_value declared_;
  std::optional<ptq::task> given_task_;
  std::optional<std::int64_t> given_axis_;
  const ptq::label_array* labels_;

  bool is_settled_ = false;
  bool is_integer_ = false;
  ptq::task task_ = ptq::task::classification;
  std::optional<std::size_t> batch_axis_;
  std::optional<std::size_t> class_axis_;  // in the output
  ptq::tensor_shape sample_;
  std::size_t classes_ = 1;
  std::size_t outer_ = 1, inner_ = 1;  // positions in front of and behind the class axis
  ptq::accuracy_accumulator sums_;
};

const char* name_of(ptq::task task) noexcept;

}  // namespace cli

#endif  // PTQ_CLI_COMPARED_OUTPUT_HPP
