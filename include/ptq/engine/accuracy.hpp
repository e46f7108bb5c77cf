// SPDX-License-Identifier: Apache-2.0
/// @file accuracy.hpp How well a quantized model answers, beside the float model it was made from.
#ifndef PTQ_ENGINE_ACCURACY_HPP
#define PTQ_ENGINE_ACCURACY_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "ptq/quantize/error.hpp"

namespace ptq::inline v0_1 {

/// Shares are of 1.
struct accuracy {
  std::size_t samples = 0;
  std::optional<double> float_top1;      ///< share of samples whose largest output is at the label
  std::optional<double> quantized_top1;  ///< the same for the quantized model; nothing without labels
  double agreement = 0;   ///< share of samples for which both models' largest output is the same
  error_metrics outputs;  ///< of all outputs; `sqnr_db` is the logit SQNR
};

/// The position of the largest value; the first of several.
inline std::size_t top1(std::span<const float> outputs) noexcept {
  return static_cast<std::size_t>(std::max_element(outputs.begin(), outputs.end()) - outputs.begin());
}

/// Compares two models sample by sample.
class accuracy_accumulator {
 public:
  /// @param reference outputs of the float model for one sample
  /// @param quantized as many of the quantized model
  /// @param label     the right position; for all samples or for none
  void add(std::span<const float> reference, std::span<const float> quantized,
           std::optional<std::int64_t> label = {}) noexcept {
    PTQ_ASSERT(reference.size() == quantized.size());
    for (std::size_t i = 0; i < reference.size(); ++i)
      errors_.add(static_cast<double>(reference[i]), static_cast<double>(quantized[i]));
    const std::size_t expected = top1(reference);
    const std::size_t found = top1(quantized);
    ++samples_;
    agreeing_ += expected == found ? 1u : 0u;
    if (!label) return;
    ++labelled_;
    float_right_ += std::cmp_equal(expected, *label) ? 1u : 0u;
    quantized_right_ += std::cmp_equal(found, *label) ? 1u : 0u;
  }

  accuracy metrics() const noexcept {
    accuracy a;
    a.samples = samples_;
    a.outputs = errors_.metrics();
    if (samples_ > 0) a.agreement = share(agreeing_, samples_);
    if (labelled_ > 0) {
      a.float_top1 = share(float_right_, labelled_);
      a.quantized_top1 = share(quantized_right_, labelled_);
    }
    return a;
  }

 private:
  static double share(std::size_t part, std::size_t whole) noexcept {
    return static_cast<double>(part) / static_cast<double>(whole);
  }

  error_accumulator errors_;
  std::size_t samples_ = 0;
  std::size_t agreeing_ = 0;
  std::size_t labelled_ = 0;
  std::size_t float_right_ = 0;
  std::size_t quantized_right_ = 0;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_ENGINE_ACCURACY_HPP
