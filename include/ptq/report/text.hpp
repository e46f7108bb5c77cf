// SPDX-License-Identifier: Apache-2.0
/// @file text.hpp A plan as text: every layer with its decision and the reason for it.
#ifndef PTQ_REPORT_TEXT_HPP
#define PTQ_REPORT_TEXT_HPP

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "ptq/model/plan.hpp"
#include "ptq/text/phrases.hpp"
#include "ptq/text/table.hpp"

namespace ptq::inline v0_1 {

/// "tensor", "channel, axis 0", or "-".
inline std::string granularity_text(const std::optional<granularity>& grain) {
  if (!grain) return "-";
  return grain->is_per_channel() ? "channel, axis " + std::to_string(grain->axis) : "tensor";
}

/// The class of a planned or listed layer, with a question mark where it was inferred, and with that of the
/// module around it where that is another: "Conv2d", "Linear?", "-".
template <class Layer>
std::string class_text(const Layer& layer) {
  std::string text = layer.class_name.empty() ? "-" : layer.class_name + (layer.inferred ? "?" : "");
  if (!layer.origin.module_class.empty()) text += " (" + layer.origin.module_class + ")";
  return text;
}

/// What the file calls a layer, with a star where nobody gave it that name.
inline std::string graph_name_text(const layer_origin& origin) {
  if (origin.graph_name.empty()) return "-";
  return name_text(origin.graph_name) + (origin.is_made_up ? "*" : "");
}

/// Whether a listing has a column of such names (`graph_name_text`).
template <class Layers>
bool has_graph_names(const Layers& layers) {
  return std::any_of(layers.begin(), layers.end(),
                     [](const auto& layer) { return !layer.origin.graph_name.empty(); });
}

/// A line under a table with a star (`graph_name_text`); else nothing.
template <class Layers>
std::string made_up_text(const Layers& layers) {
  const bool has_any =
      std::any_of(layers.begin(), layers.end(), [](const auto& layer) { return layer.origin.is_made_up; });
  return has_any ? "* numbered by the exporter: it may be another in the next export\n" : "";
}

/// A line under a table with a question mark (`class_text`); else nothing.
inline std::string inferred_text(bool has_inferred) {
  return has_inferred ? "? inferred from name and shape; ptq.module_types says otherwise if need be\n" : "";
}

namespace detail {

inline std::string rule_text(const decision& decided) {
  return decided.rule ? std::to_string(*decided.rule) : "-";
}

/// Why weights are left as they are; and activations, where a rule is about them.
inline std::string reason_text(const planned_layer& layer) {
  const std::string& weights = layer.weights.reason;
  const std::string& activations = layer.activations.reason;
  if (!layer.activations.rule || activations == weights) return weights;
  return weights + (weights.empty() || activations.empty() ? "" : "; ") + activations;
}

inline std::string pattern_lines(const char* title, const std::vector<pattern_count>& patterns) {
  std::string text;
  for (std::size_t i = 0; i < patterns.size(); ++i)
    text += std::string(title) + "[" + std::to_string(i) + "] \"" + printable(patterns[i].pattern) +
            "\" matches " + counted(patterns[i].matched, "layer") + "\n";
  return text;
}

}  // namespace detail

/// A row a layer; then how many layers each pattern matches. Warnings are not part of it: they go elsewhere.
inline std::string to_text(const plan& planned) {
  using column = text_table::column;
  const bool has_activations =
      std::any_of(planned.layers.begin(), planned.layers.end(),
                  [](const planned_layer& l) { return l.activations.rule.has_value(); });
  const column rule{"rule", text_table::align::right};
  const bool has_names = has_graph_names(planned.layers);
  std::vector<column> columns{column{"layer"}};
  if (has_names) columns.push_back(column{"in the graph"});
  columns.insert(columns.end(),
                 {column{"class"}, column{"shape"}, column{"weights"}, column{"scale per"}, rule});
  if (has_activations) columns.insert(columns.end(), {column{"activations"}, rule});
  columns.push_back(column{"reason"});
  text_table table(columns);
  std::size_t quantized = 0;
  for (const planned_layer& layer : planned.layers) {
    quantized += layer.is_quantized() ? 1u : 0u;
    // No layer has a scalar weight: rank 0 says that there is none.
    std::vector<std::string> row{layer.name};
    if (has_names) row.push_back(graph_name_text(layer.origin));
    row.insert(row.end(),
               {class_text(layer), layer.shape.rank == 0 ? "-" : shape_text(layer.shape), layer.weights.dtype,
                granularity_text(layer.weights.grain), detail::rule_text(layer.weights)});
    if (has_activations)
      row.insert(row.end(), {layer.activations.dtype, detail::rule_text(layer.activations)});
    row.push_back(detail::reason_text(layer));
    table.add(row);
  }
  const bool has_inferred = std::any_of(planned.layers.begin(), planned.layers.end(),
                                        [](const planned_layer& l) { return l.inferred; });
  std::string text = table.text() + inferred_text(has_inferred) + made_up_text(planned.layers) + "\n";
  text += detail::pattern_lines("layers", planned.rules);
  text += detail::pattern_lines("skip_names", planned.skip_names);
  text += "would quantize " + std::to_string(quantized) + " of " + counted(planned.layers.size(), "layer") +
          " with " + planned.backend + "\n";
  return text;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_REPORT_TEXT_HPP
