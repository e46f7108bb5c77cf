// SPDX-License-Identifier: Apache-2.0
/// @file quantize_report.hpp What a quantization run did to each layer, and what it cost: plain data and a
/// table.
#ifndef PTQ_REPORT_QUANTIZE_REPORT_HPP
#define PTQ_REPORT_QUANTIZE_REPORT_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ptq/model/activation_range.hpp"
#include "ptq/model/apply.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/quantize/error_metrics.hpp"
#include "ptq/report/text.hpp"
#include "ptq/text/table.hpp"

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
  std::string reason;  ///< why amax is not the algorithm's own answer, and what is odd about it; else empty
  std::optional<double> clipped_share;  ///< nothing where no values were seen
  std::optional<double> sqnr_db;        ///< likewise; an estimate (`expected_sqnr_db`)
};

struct layer_report {
  planned_layer planned;
  std::optional<weights_report> weights;
  std::optional<activations_report> activations;
  std::string lost;  ///< what quantization lost of it, in words (`zeroed_channels_text`); nothing: empty
};

struct quantize_report {
  std::vector<layer_report> layers;  ///< every layer of the plan, in its order
  std::uint64_t bytes_before = 0;    ///< of the whole model: all tensors, quantized or not
  std::uint64_t bytes_after = 0;
  std::size_t other_tensors = 0;  ///< tensors that are no layer's weight, copied
  std::vector<std::string> warnings;
  std::vector<std::string> notes;  ///< those of the plan first
};

inline weights_report weights_report_of(const quantized_layer& q, const error_metrics& error) {
  weights_report report;
  report.error = error;
  report.bytes_before = q.source.weight.size() * size_of(q.source.weight.type);
  report.bytes_after = q.dtype.stored_size(q.source.weight.size()) + q.scales.size_bytes();
  return report;
}
inline weights_report weights_report_of(const quantized_layer& q) {
  return weights_report_of(q, quantization_error(q));
}

/// What is odd about the range of a layer's inputs, and what to do; empty where nothing is.
struct range_finding {
  std::string what;
  std::string_view advice;
};

/// Ranges whose scale is no normal number, and those in which all but 1 % of the values are next to nothing.
inline range_finding finding_of(const activation_range& input) {
  const float amax = input.range.amax;
  constexpr float normal = (std::numeric_limits<float>::min)();
  if (!(amax > 0)) return {};
  if (amax < normal || input.scale < normal)
    return {
        input.scale == 1 ? "its scale would be 0, so it is 1 and all codes are 0" : "its scale is subnormal",
        "Such numbers have few digits, and programs that flush them take them for 0. Look into the "
        "calibration data."};
  const std::uint64_t others = input.count - input.near_zero;
  if (input.near_zero <= 99 * others) return {};
  const double share = static_cast<double>(others) / static_cast<double>(input.count);
  return {
      "all but " + short_text(100 * share, 2) + " % of the values are 0 or below " +
          short_text(static_cast<double>(input.near_zero_below), 2),
      "Unless they are zeros, look for an outlier in the calibration data. One less than 1000 times as large "
      "as the rest can be clipped: ptq.calibration: {algorithm: percentile, percentile: 99}."};
}

inline activations_report activations_report_of(const activation_range& input) {
  activations_report report;
  report.amax = static_cast<double>(input.range.amax);
  report.algorithm = input.algorithm;
  report.reason = text_of(input.range.reason);
  const std::string odd = finding_of(input).what;
  if (!report.reason.empty() && !odd.empty()) report.reason += "; ";
  report.reason += odd;
  if (input.count > 0) {
    report.clipped_share = static_cast<double>(input.clipped) / static_cast<double>(input.count);
    report.sqnr_db = input.sqnr_db;
  }
  return report;
}

namespace detail {

/// The layers for which `sqnr_of(layer)` gives a figure, lowest first; among equals in the order of the
/// report.
template <class SqnrOf>
std::vector<const layer_report*> worst_first(const quantize_report& report, SqnrOf&& sqnr_of) {
  std::vector<const layer_report*> order;
  for (const layer_report& layer : report.layers)
    if (sqnr_of(layer)) order.push_back(&layer);
  // Not std::stable_sort: clang 19 warns of what libstdc++ 12 does in it.
  std::sort(order.begin(), order.end(), [&](const layer_report* a, const layer_report* b) {
    return std::pair(*sqnr_of(*a), a) < std::pair(*sqnr_of(*b), b);
  });
  return order;
}

/// "left as they are, no rule matches: 2 (conv1, conv2)", one line a reason.
inline std::string left_text(const quantize_report& report) {
  std::vector<std::pair<std::string, std::vector<std::string>>> groups;
  std::unordered_map<std::string, std::size_t> known;  // reason -> group
  for (const layer_report& l : report.layers) {
    if (l.planned.is_quantized()) continue;
    const auto [group, is_new] = known.emplace(reason_text(l.planned), groups.size());
    if (is_new) groups.emplace_back(group->first, std::vector<std::string>());
    groups[group->second].second.push_back(l.planned.name);
  }
  std::string text;
  for (const auto& [reason, names] : groups) {
    text += "left as they are, " + printable(reason) + ": " + std::to_string(names.size()) + " (" +
            names_text(names) + ")\n";
  }
  return text;
}

/// "82.1 KB -> 21.2 KB (3.87 times smaller)"
inline std::string sizes_text(std::uint64_t before, std::uint64_t after) {
  std::string text = bytes_text(before) + " -> " + bytes_text(after);
  if (before == after) return text + " (unchanged)";
  if (before == 0 || after == 0) return text;
  const auto ratio = [](std::uint64_t larger, std::uint64_t smaller) {
    return " (" + fixed_text(static_cast<double>(larger) / static_cast<double>(smaller), 2);
  };
  return text + (after < before ? ratio(before, after) + " times smaller)"
                                : ratio(after, before) + " times larger)");
}

/// Quantized weights.
inline std::string weights_text(const std::vector<const layer_report*>& layers) {
  using column = text_table::column;
  constexpr auto right = text_table::align::right;
  std::vector<planned_layer> planned;
  for (const layer_report* const l : layers) planned.push_back(l->planned);
  const bool has_names = has_graph_names(planned);
  std::vector<column> columns{column{"layer"}};
  if (has_names) columns.push_back(column{"in the graph"});
  columns.insert(columns.end(), {column{"class"}, column{"shape"}, column{"dtype"}, column{"scale per"},
                                 column{"SQNR dB", right}, column{"max error", right},
                                 column{"before", right}, column{"after", right}});
  text_table table(columns);
  bool has_inferred = false;
  for (const layer_report* const l : layers) {
    const error_metrics& error = l->weights->error;
    std::vector<std::string> row{l->planned.name};
    if (has_names) row.push_back(graph_name_text(l->planned.origin));
    row.insert(row.end(), {class_text(l->planned), shape_text(l->planned.shape), l->planned.weights.dtype,
                           granularity_text(l->planned.weights.grain),
                           error.count > 0 ? fixed_text(error.sqnr_db, 1) : "-",
                           error.count > 0 ? short_text(error.max_abs) : "-",
                           bytes_text(l->weights->bytes_before), bytes_text(l->weights->bytes_after)});
    table.add(row);
    has_inferred = has_inferred || l->planned.inferred;
  }
  return table.empty() ? std::string()
                       : table.text() + inferred_text(has_inferred) + made_up_text(planned) + "\n";
}

/// Calibrated inputs.
inline std::string activations_text(const std::vector<const layer_report*>& layers) {
  using column = text_table::column;
  constexpr auto right = text_table::align::right;
  text_table table({column{"input of"}, column{"dtype"}, column{"algorithm"}, column{"amax", right},
                    column{"clipped", right}, column{"SQNR dB (estimate)", right}, column{"note"}});
  for (const layer_report* const l : layers)
    table.add({l->planned.name, l->planned.activations.dtype, l->activations->algorithm,
               short_text(l->activations->amax, 4),
               fixed_text(100 * l->activations->clipped_share.value_or(0), 3) + " %",
               fixed_text(*l->activations->sqnr_db, 1), l->activations->reason});
  return table.empty() ? std::string() : table.text() + "\n";
}

}  // namespace detail

/// The tables that end a run: quantized weights and inputs, each with the lowest SQNR first, then what was
/// left and why, then sizes.
inline std::string to_text(const quantize_report& report) {
  const auto weights = detail::worst_first(report, [](const layer_report& l) {
    if (!l.weights) return std::optional<double>();
    const error_metrics& error = l.weights->error;
    return std::optional(error.count > 0 ? error.sqnr_db : sqnr_db(0, 0));  // no values, no error
  });
  const auto inputs = detail::worst_first(
      report, [](const layer_report& l) { return l.activations ? l.activations->sqnr_db : std::nullopt; });
  const auto quantized = std::count_if(report.layers.begin(), report.layers.end(),
                                       [](const layer_report& l) { return l.planned.is_quantized(); });
  std::string text = detail::weights_text(weights) + detail::activations_text(inputs);
  text += "quantized: " + std::to_string(quantized) + " of " + counted(report.layers.size(), "layer") + "\n";
  text += detail::left_text(report);
  if (report.other_tensors > 0)
    text += "copied, not the weight of a layer: " + counted(report.other_tensors, "tensor") + "\n";
  return text + "model: " + detail::sizes_text(report.bytes_before, report.bytes_after) + "\n";
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_REPORT_QUANTIZE_REPORT_HPP
