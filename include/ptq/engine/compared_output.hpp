// SPDX-License-Identifier: Apache-2.0
/// @file compared_output.hpp An output of two models, and how its answers are compared.
#ifndef PTQ_ENGINE_COMPARED_OUTPUT_HPP
#define PTQ_ENGINE_COMPARED_OUTPUT_HPP

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
#include "ptq/data/graph_value.hpp"
#include "ptq/data/samples.hpp"
#include "ptq/engine/accuracy.hpp"
#include "ptq/engine/output_values.hpp"
#include "ptq/error.hpp"
#include "ptq/result.hpp"
#include "ptq/tensor/view.hpp"
#include "ptq/text/phrases.hpp"
#include "ptq/text/shape_text.hpp"

namespace ptq::inline v0_1 {

namespace detail {

/// The extents that are not 1, without one axis.
inline std::vector<std::size_t> extents_without(const tensor_shape& shape, std::size_t left_out) {
  std::vector<std::size_t> extents;
  for (std::size_t axis = 0; axis < shape.rank; ++axis)
    if (axis != left_out && shape[axis] != 1) extents.push_back(shape[axis]);
  return extents;
}

inline std::size_t product(const tensor_shape& shape, std::size_t first, std::size_t last) {
  std::size_t all = 1;
  for (std::size_t axis = first; axis < last; ++axis) all *= shape[axis];
  return all;
}

/// The entry of an output, or the one for all.
template <class Value>
const Value* setting_of(const std::map<std::string, Value>& settings, const std::string& output) {
  const auto own = settings.find(output);
  const auto found = own != settings.end() ? own : settings.find("");
  return found != settings.end() ? &found->second : nullptr;
}

}  // namespace detail

/// An output of a graph. What it holds is settled by the first batch.
class compared_output {
 public:
  /// @param declared what the graph says of it
  /// @param settings `task` and `class_axis`: what is given under its name, or under ""
  /// @param labels   the right answers, one row a sample; null without any. `add` reads them
  compared_output(const graph_value& declared, const data_config& settings, const label_array* labels)
      : declared_(declared), labels_(labels), has_labels_(labels != nullptr) {
    if (const std::string* const word = detail::setting_of(settings.task, declared.name))
      given_task_ = *word == name_of(ptq::task::binary)       ? ptq::task::binary
                    : *word == name_of(ptq::task::regression) ? ptq::task::regression
                                                              : ptq::task::classification;
    if (const std::int64_t* const axis = detail::setting_of(settings.class_axis, declared.name))
      given_axis_ = *axis;
  }

  const std::string& name() const noexcept { return declared_.name; }

  /// Compares the answers to a batch.
  ///
  /// @param first the batch's first sample
  /// @param count samples in the batch
  /// @return what is wrong with a setting or with the labels, with `where` "task", "class_axis" or "labels";
  ///         size_mismatch where the output is another one than in the first batch
  result<void> add(const output_values& reference, const output_values& quantized, std::size_t first,
                   std::size_t count) {
    if (!is_settled_)
      if (auto settled = settle(reference, count); !settled) return settled;
    if (auto same = check_shapes(reference, quantized); !same) return same;
    if (task_ == ptq::task::regression) {
      for (std::size_t i = 0; i < reference.values.size(); ++i)
        sums_.add_number(reference.values[i], quantized.values[i]);
      return {};
    }
    const std::size_t answers = outer_ * inner_;
    std::vector<double> expected(classes_);
    std::vector<double> found(classes_);
    for (std::size_t i = 0; i < reference.samples; ++i) {
      const double* const x = reference.values.data() + i * answers * classes_;
      const double* const y = quantized.values.data() + i * answers * classes_;
      for (std::size_t answer = 0; answer < answers; ++answer) {
        const auto right = label(first + i, answer);
        if (!right) return right.error();
        if (is_integer_) {
          sums_.add_answer(static_cast<std::int64_t>(x[answer]), static_cast<std::int64_t>(y[answer]),
                           *right);
        } else if (task_ == ptq::task::binary) {
          sums_.add_binary(x[answer], y[answer], *right);
        } else {
          const std::size_t at = answer / inner_ * classes_ * inner_ + answer % inner_;
          for (std::size_t c = 0; c < classes_; ++c) {
            expected[c] = x[at + c * inner_];
            found[c] = y[at + c * inner_];
          }
          sums_.add(expected, found, *right);
        }
      }
    }
    return {};
  }

  /// What the figures are of; regression where nothing speaks for answers.
  ptq::task task() const {
    const bool is_guess = task_ == ptq::task::binary && !given_task_ && !has_labels_;
    return is_guess && !sums_.is_probability() ? ptq::task::regression : task_;
  }

  accuracy metrics() const { return sums_.metrics(); }
  /// The axis of the classes, in the output.
  std::optional<std::size_t> class_axis() const noexcept { return class_axis_; }
  std::optional<std::size_t> batch_axis() const noexcept { return batch_axis_; }

  /// "logits [N, 10]: the largest of 10 along axis 1"
  std::string text() const {
    if (task() == ptq::task::regression)
      return shape_text() + ": numbers" +
             (task_ == ptq::task::binary ? "; evaluate.task=binary decides at 0" : "");
    if (is_integer_) return shape_text() + ": integers, each an answer";
    if (task() == ptq::task::binary)
      return shape_text() + ": above " + (sums_.is_probability() ? "0.5 (all lie in [0, 1])" : "0");
    return shape_text() + ": the largest of " + std::to_string(classes_) + " along axis " +
           std::to_string(*class_axis_);
  }

 private:
  result<void> settle(const output_values& made, std::size_t count) {
    is_settled_ = true;
    batch_axis_ = made.batch_axis;
    sample_ = made.sample;
    is_integer_ = !is_float(made.type);
    outer_ = sample_.size();
    if (given_task_ == ptq::task::regression || (!batch_axis_ && !given_task_ && labels_ == nullptr)) {
      task_ = ptq::task::regression;
    } else if (is_integer_) {
      task_ = ptq::task::classification;  // each value is an answer
    } else if (given_task_ == ptq::task::binary ||
               (sample_.size() <= 1 && !given_axis_ && given_task_ != ptq::task::classification)) {
      task_ = ptq::task::binary;
    } else if (auto settled = settle_classes(sample_); !settled) {
      return settled;
    }
    const bool takes_labels = labels_ != nullptr && given_task_ != ptq::task::regression;
    return takes_labels ? check_labels(made.samples, count) : result<void>();
  }

  /// Each answer has its label: of a sample as many, in the same shape or in a row.
  result<void> check_labels(std::size_t samples, std::size_t count) const {
    const auto refuse = [&](const std::string& why) {
      return error(errc::size_mismatch, "labels", "they are " + extents_text(labels_->shape) + why);
    };
    if (samples != count)
      return refuse(", but the output " + text() + " has no axis for samples: it answers " +
                    counted(count, "sample") + " at once. Set evaluate.batch_size=1.");
    const std::size_t answers = outer_ * inner_;
    const std::size_t given = labels_->shape[0] > 0 ? labels_->values.size() / labels_->shape[0] : 0;
    if (given != answers)
      return refuse(", " + std::to_string(given) + " a sample, but the output " + text() + " has " +
                    counted(answers, "answer") +
                    " a sample. Give as many, or set evaluate.class_axis or evaluate.task.");
    const auto extents = detail::extents_without(labels_->shape, 0);
    const auto wanted =
        detail::extents_without(sample_, class_axis_ ? in_sample(*class_axis_) : sample_.rank);
    if (extents.size() > 1 && extents != wanted)
      return refuse(", but a sample of the output " + text() + " has answers of the shape " +
                    extents_text(std::span<const std::size_t>(wanted)) + ". Give the labels in that shape.");
    return {};
  }

  /// Answers are told apart by the shape that the first batch has.
  result<void> check_shapes(const output_values& reference, const output_values& quantized) const {
    const std::string where = "output \"" + name() + "\"";
    if (reference.values.size() != quantized.values.size())
      return error(errc::size_mismatch, where,
                   "the model and its artifact make a different number of values.");
    if (task_ == ptq::task::regression) return {};
    if (reference.batch_axis == batch_axis_ && reference.sample == sample_) return {};
    return error(errc::size_mismatch, where,
                 "its shape, or the axis that is as long as the batch, differs from batch to batch, so "
                 "its answers cannot be told apart. Set evaluate.batch_size=1, or evaluate.task=regression.");
  }

  result<void> settle_classes(const tensor_shape& sample) {
    std::optional<std::size_t> axis;  // in the sample
    if (given_axis_) {
      const auto rank = static_cast<std::int64_t>(sample.rank + (batch_axis_ ? 1 : 0));
      const std::int64_t in_front = *given_axis_ < 0 ? *given_axis_ + rank : *given_axis_;
      const bool is_batch = batch_axis_ && in_front == static_cast<std::int64_t>(*batch_axis_);
      if (in_front < 0 || in_front >= rank || is_batch)
        return error(
            errc::axis_out_of_range, "class_axis",
            "is " + std::to_string(*given_axis_) + ", but the output \"" + name() + "\" " +
                (is_batch ? "counts samples along it." : "has axes 0 to " + std::to_string(rank - 1) + "."));
      axis = in_sample(static_cast<std::size_t>(in_front));
    } else if (sample.rank == 0) {
      return error(errc::invalid_value, "task",
                   "is classification, but the output \"" + name() +
                       "\" has one value a sample. Write binary or regression.");
    } else {
      axis = labels_ != nullptr ? axis_for_labels(sample) : usual_axis(sample);
    }
    if (!axis || (sample[*axis] == 1 && !given_task_)) {
      task_ = ptq::task::binary;  // a label for each value, or one value in the place of classes
      return {};
    }
    task_ = ptq::task::classification;
    classes_ = sample[*axis];
    class_axis_ = in_output(*axis);
    outer_ = detail::product(sample, 0, *axis);
    inner_ = detail::product(sample, *axis + 1, sample.rank);
    return {};
  }

  /// The axis without which a sample has the shape of its labels; nothing where it has that shape itself.
  std::optional<std::size_t> axis_for_labels(const tensor_shape& sample) const {
    tensor_shape wanted = labels_->shape;
    wanted.extents[0] = 1;
    const std::vector<std::size_t> extents = detail::extents_without(wanted, 0);
    const std::size_t usual = usual_axis(sample);
    if (detail::extents_without(sample, usual) == extents && sample[usual] > 1) return usual;
    for (std::size_t axis = 0; axis < sample.rank; ++axis)
      if (sample[axis] > 1 && detail::extents_without(sample, axis) == extents) return axis;
    return detail::extents_without(sample, sample.rank) == extents ? std::nullopt : std::optional(usual);
  }

  /// The only axis whose extent the graph fixes; else the last of two, as of sequences, and the first of
  /// more, as of images.
  std::size_t usual_axis(const tensor_shape& sample) const {
    std::vector<std::size_t> fixed;
    for (std::size_t axis = 0; declared_.shape && axis < sample.rank; ++axis)
      if (in_output(axis) < declared_.shape->size() && (*declared_.shape)[in_output(axis)].number)
        fixed.push_back(axis);
    if (fixed.size() == 1) return fixed[0];
    return sample.rank <= 2 ? sample.rank - 1 : 0;
  }

  std::size_t in_output(std::size_t axis) const {
    return batch_axis_ && axis >= *batch_axis_ ? axis + 1 : axis;
  }

  std::size_t in_sample(std::size_t axis) const {
    return batch_axis_ && axis > *batch_axis_ ? axis - 1 : axis;
  }

  result<std::optional<std::int64_t>> label(std::size_t sample, std::size_t answer) const {
    if (labels_ == nullptr) return std::optional<std::int64_t>();
    const std::size_t count = outer_ * inner_;
    const std::int64_t label = labels_->values[sample * count + answer];
    const std::size_t classes = task_ == ptq::task::binary ? 2 : classes_;
    if (is_integer_ || (label >= 0 && std::cmp_less(label, classes))) return std::optional(label);
    const std::string place =
        count > 1 ? ", answer " + std::to_string(answer) + " of " + std::to_string(count) : std::string();
    return error(
        errc::invalid_value, "labels",
        "sample " + std::to_string(sample) + place + ": the label is " + std::to_string(label) +
            ", but the model has " + std::to_string(classes) + " classes: labels are numbers from 0 to " +
            std::to_string(classes - 1) + "." +
            (task_ == ptq::task::binary ? " For numbers that are no classes, set evaluate.task=regression."
                                        : ""));
  }

  std::string shape_text() const {
    std::string text;
    for (std::size_t axis = 0; axis < sample_.rank + (batch_axis_ ? 1 : 0); ++axis) {
      const bool is_batch = batch_axis_ == axis;
      text.append(text.empty() ? "" : ", ").append(is_batch ? "N" : std::to_string(sample_[in_sample(axis)]));
    }
    return name() + " [" + text + "]";
  }

  graph_value declared_;
  std::optional<ptq::task> given_task_;
  std::optional<std::int64_t> given_axis_;
  const label_array* labels_;
  bool has_labels_;  // still known when the labels are gone

  bool is_settled_ = false;
  bool is_integer_ = false;
  ptq::task task_ = ptq::task::classification;
  std::optional<std::size_t> batch_axis_;
  std::optional<std::size_t> class_axis_;  // in the output
  tensor_shape sample_;
  std::size_t classes_ = 1;
  std::size_t outer_ = 1, inner_ = 1;  // positions in front of and behind the class axis
  accuracy_accumulator sums_;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_ENGINE_COMPARED_OUTPUT_HPP
