// SPDX-License-Identifier: Apache-2.0
/// @file accuracy.hpp How well a quantized model answers, beside the float model it was made from.
#ifndef PTQ_ENGINE_ACCURACY_HPP
#define PTQ_ENGINE_ACCURACY_HPP

#include <cstddef>
#include <cstdint>
#include <optional>

#include "ptq/engine/outputs.hpp"
#include "ptq/quantize/error_metrics.hpp"

namespace ptq::inline v0_1 {

/// What the values of an output mean, and so by which answers two models are compared.
enum class task : unsigned char {
  classification,  ///< one value a class: the answer is the class with the largest
  binary,          ///< one value for yes or no: the answer is whether it lies above a threshold
  regression,      ///< numbers: there are no answers, errors alone
};

/// As a specification writes it.
constexpr const char* name_of(task meaning) noexcept {
  switch (meaning) {
    case task::classification:
      return "classification";
    case task::binary:
      return "binary";
    case task::regression:
      break;
  }
  return "regression";
}

/// Shares are of 1, and of answers: one a sample, or one a position of a map.
struct accuracy {
  std::size_t samples = 0;               ///< answers that were compared
  std::optional<double> float_top1;      ///< share of answers of the float model that are the label
  std::optional<double> quantized_top1;  ///< the same for the quantized model; nothing without labels
  double agreement = 0;                  ///< share of answers that both models give
  double threshold = 0;   ///< of yes, if the task is binary: 0.5 where all float values lie in [0, 1]
  error_metrics outputs;  ///< of all outputs; `sqnr_db` is the logit SQNR
};

namespace detail {

/// By its bits, since -ffast-math takes every number for one.
inline bool is_nan(const double& value) noexcept {
  return magnitude_bits(value) > std::uint64_t{0x7ff} << 52;
}

}  // namespace detail

/// The position of the largest value; the first of several. NaN is smaller than every number.
template <class Values>
std::size_t top1(const Values& outputs) noexcept {
  const auto is_nan = [](auto value) { return detail::is_nan(static_cast<double>(value)); };
  std::size_t best = 0;
  for (std::size_t i = 1; i < outputs.size(); ++i)
    if (outputs[i] > outputs[best] || (is_nan(outputs[best]) && !is_nan(outputs[i]))) best = i;
  return best;
}

namespace detail {

/// Answers of two models, counted.
struct answer_counts {
  std::size_t all = 0;
  std::size_t agreeing = 0;
  std::size_t labelled = 0;
  std::size_t float_right = 0;
  std::size_t quantized_right = 0;

  void add(std::int64_t expected, std::int64_t found, std::optional<std::int64_t> label) noexcept {
    ++all;
    agreeing += expected == found ? 1u : 0u;
    if (!label) return;
    ++labelled;
    float_right += expected == *label ? 1u : 0u;
    quantized_right += found == *label ? 1u : 0u;
  }
};

}  // namespace detail

/// Compares two models answer by answer. Each kind of output has an `add` of its own; one accumulator serves
/// one of them.
class accuracy_accumulator {
 public:
  /// Classification.
  ///
  /// @param reference outputs of the float model for one sample, or one position of it
  /// @param quantized as many of the quantized model
  /// @param label     the right position; for all samples or for none
  template <class Values>
  void add(const Values& reference, const Values& quantized,
           std::optional<std::int64_t> label = {}) noexcept {
    PTQ_ASSERT(reference.size() == quantized.size());
    for (std::size_t i = 0; i < reference.size(); ++i)
      add_number(static_cast<double>(reference[i]), static_cast<double>(quantized[i]));
    answers_.add(static_cast<std::int64_t>(top1(reference)), static_cast<std::int64_t>(top1(quantized)),
                 label);
  }

  /// A yes or no.
  void add_binary(double reference, double quantized, std::optional<std::int64_t> label = {}) noexcept {
    add_number(reference, quantized);
    is_probability_ = is_probability_ && reference >= 0 && reference <= 1;
    answers_.add(reference > 0 ? 1 : 0, quantized > 0 ? 1 : 0, label);
    halves_.add(reference > 0.5 ? 1 : 0, quantized > 0.5 ? 1 : 0, label);
  }

  /// A class, as models that answer with integers give it.
  void add_answer(std::int64_t reference, std::int64_t quantized,
                  std::optional<std::int64_t> label = {}) noexcept {
    add_number(static_cast<double>(reference), static_cast<double>(quantized));
    answers_.add(reference, quantized, label);
  }

  /// A number that is no answer.
  void add_number(double reference, double quantized) noexcept { errors_.add(reference, quantized); }

  /// Whether all binary values of the float model lie in [0, 1].
  bool is_probability() const noexcept { return halves_.all > 0 && is_probability_; }

  accuracy metrics() const noexcept {
    const detail::answer_counts& counts = is_probability() ? halves_ : answers_;
    accuracy a;
    a.samples = counts.all;
    a.outputs = errors_.metrics();
    a.threshold = is_probability() ? 0.5 : 0.0;
    if (counts.all > 0) a.agreement = share(counts.agreeing, counts.all);
    if (counts.labelled > 0) {
      a.float_top1 = share(counts.float_right, counts.labelled);
      a.quantized_top1 = share(counts.quantized_right, counts.labelled);
    }
    return a;
  }

 private:
  static double share(std::size_t part, std::size_t whole) noexcept {
    return static_cast<double>(part) / static_cast<double>(whole);
  }

  error_accumulator errors_;
  detail::answer_counts answers_;  // binary: above 0
  detail::answer_counts halves_;   // above 0.5
  bool is_probability_ = true;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_ENGINE_ACCURACY_HPP
