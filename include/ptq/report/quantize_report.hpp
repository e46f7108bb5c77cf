// SPDX-License-Identifier: Apache-2.0
/// @file quantize_report.hpp What a quantization run did to each layer, and what it cost: plain data and a
/// table.
#ifndef PTQ_REPORT_QUANTIZE_REPORT_HPP
#define PTQ_REPORT_QUANTIZE_REPORT_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ptq/model/activation_range.hpp"
#include "ptq/model/apply.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/quantize/error.hpp"
#include "ptq/report/table.hpp"
#include "ptq/report/text.hpp"

namespace ptq::inline v0_1 {

/// Weights that were quantized. Bytes are those of the weight alone, and of codes and scales together.
struct weights_report {
  error_metrics error;
  std::uint64_t bytes_before = 0;
  std::uint64_t bytes_after = 0;
};

/// An activation that was calibrated.
struct activations_report {
  double amax = 0;
  std::string algorithm;
  std::string reason;  ///< why amax is not the algorithm's own answer; else empty
  std::optional<double> clipped_share;
  std::optional<double> sqnr_db;
};

struct layer_report {
  planned_layer planned;
  std::optional<weights_report> weights;
  std::optional<activations_report> activations;
};

struct quantize_report {
  std::vector<layer_report> layers;  ///< every layer of the plan, in its order
  std::uint64_t bytes_before = 0;    ///< of the whole model: all tensors, quantized or not
  std::uint64_t bytes_after = 0;
  std::size_t other_tensors = 0;  ///< tensors that are no layer's weight, copied
  std::vector<std::string> warnings;
};

inline weights_report weights_report_of(const quantized_layer& q) {
  weights_report report;
  report.error = quantization_error(q);
  report.bytes_before = q.source.weight.size() * size_of(*q.source.weight.type);
  report.bytes_after = q.codes.size() + q.scales.size_bytes();
  return report;
}

inline activations_report activations_report_of(const activation_range& input) {
  activations_report report;
  report.amax = static_cast<double>(input.range.amax);
  report.algorithm = input.algorithm;
  report.reason = text_of(input.range.reason);
  if (input.count > 0)
    report.clipped_share = static_cast<double>(input.clipped) / static_cast<double>(input.count);
  return report;
}

namespace detail {

/// Indices of the layers whose weights were quantized, lowest SQNR first.
inline std::vector<std::size_t> worst_first(const quantize_report& report) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < report.layers.size(); ++i)
    if (report.layers[i].weights) order.push_back(i);
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const double sqnr_a = report.layers[a].weights->error.sqnr_db;
    const double sqnr_b = report.layers[b].weights->error.sqnr_db;
    return sqnr_a < sqnr_b || (sqnr_a == sqnr_b && a < b);
  });
  return order;
}

/// "left as they are (no rule matches): 2 layers: conv1, conv2", one line a reason.
inline std::string left_text(const quantize_report& report) {
  constexpr std::size_t named = 6;  // names shown a reason
  std::vector<std::pair<std::string, std::vector<std::string>>> groups;
  for (const layer_report& l : report.layers) {
    if (l.weights) continue;
    const std::string& reason = l.planned.weights.reason;
    auto group = std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return g.first == reason; });
    if (group == groups.end()) group = groups.insert(groups.end(), {reason, {}});
    group->second.push_back(l.planned.name);
  }
  std::string text;
  for (const auto& [reason, names] : groups) {
    text += "left as they are, " + reason + ": " + std::to_string(names.size()) + " (";
    for (std::size_t i = 0; i < (std::min)(names.size(), named); ++i) text += (i == 0 ? "" : ", ") + names[i];
    text += names.size() > named ? ", ...)\n" : ")\n";
  }
  return text;
}

}  // namespace detail

/// The table that ends a run: quantized layers with the lowest SQNR first, then what was left and why, then
/// sizes.
inline std::string to_text(const quantize_report& report) {
  using column = text_table::column;
  constexpr auto right = text_table::align::right;
  text_table table({column{"layer"}, column{"class"}, column{"shape"}, column{"dtype"}, column{"scale per"},
                    column{"SQNR dB", right}, column{"max error", right}, column{"before", right},
                    column{"after", right}});
  const std::vector<std::size_t> order = detail::worst_first(report);
  for (const std::size_t i : order) {
    const layer_report& l = report.layers[i];
    table.add({l.planned.name, detail::class_text(l.planned), shape_text(l.planned.shape),
               l.planned.weights.dtype, granularity_text(l.planned.weights.grain),
               fixed_text(l.weights->error.sqnr_db, 1), short_text(l.weights->error.max_abs),
               bytes_text(l.weights->bytes_before), bytes_text(l.weights->bytes_after)});
  }
  std::string text = table.empty() ? std::string() : table.text() + "\n";
  text += "quantized: " + std::to_string(order.size()) + " of " + std::to_string(report.layers.size()) +
          " layers\n";
  text += detail::left_text(report);
  if (report.other_tensors > 0)
    text += "copied, not the weight of a layer: " + std::to_string(report.other_tensors) + " tensors\n";
  text += "model: " + bytes_text(report.bytes_before) + " -> " + bytes_text(report.bytes_after);
  if (report.bytes_after > 0)
    text +=
        " (" +
        fixed_text(static_cast<double>(report.bytes_before) / static_cast<double>(report.bytes_after), 2) +
        " times smaller)";
  return text + "\n";
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_REPORT_QUANTIZE_REPORT_HPP
