// SPDX-License-Identifier: Apache-2.0
/// @file json.hpp Plans and reports as JSON, for machines.
#ifndef PTQ_REPORT_JSON_HPP
#define PTQ_REPORT_JSON_HPP

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ptq/formats/json.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/report/quantize_report.hpp"
#include "ptq/text/shape_text.hpp"

namespace ptq::inline v0_1 {

/// Adds "granularity" and "axis" of a decision to a row: both null where nothing is quantized, the axis null
/// per tensor.
inline void add_granularity(nlohmann::json& row, const std::optional<granularity>& grain) {
  row["granularity"] = nullptr;
  row["axis"] = nullptr;
  if (!grain) return;
  row["granularity"] = grain->is_per_channel() ? "per_channel" : "per_tensor";
  if (grain->is_per_channel()) row["axis"] = grain->axis;
}

/// Adds what the file calls a layer ("graph_name", "made_up"), where that is not its name, and the class of
/// the module around it ("module_class").
inline void add_origin(nlohmann::json& row, const layer_origin& origin) {
  if (!origin.graph_name.empty()) {
    row["graph_name"] = origin.graph_name;
    row["made_up"] = origin.is_made_up;
  }
  if (!origin.module_class.empty()) row["module_class"] = origin.module_class;
}

namespace detail {

inline nlohmann::json text_or_null(const std::string& text) {
  return text.empty() ? nlohmann::json() : nlohmann::json(text);
}

inline nlohmann::json pattern_json(const char* key, const pattern_count& pattern) {
  return {{key, pattern.pattern}, {"matched", pattern.matched}};
}

inline nlohmann::json layer_json(const planned_layer& layer) {
  nlohmann::json weights = {{"dtype", layer.weights.dtype},
                            {"rule", optional_json(layer.weights.rule)},
                            {"reason", text_or_null(layer.weights.reason)}};
  add_granularity(weights, layer.weights.grain);
  nlohmann::json row = {{"name", layer.name},
                        {"class", layer.class_name},
                        {"inferred", layer.inferred},
                        {"shape", extents_of(layer.shape)},
                        {"weights", std::move(weights)},
                        {"activations",
                         {{"dtype", layer.activations.dtype},
                          {"rule", optional_json(layer.activations.rule)},
                          {"reason", text_or_null(layer.activations.reason)}}},
                        {"skipped_by", optional_json(layer.skipped_by)}};
  add_origin(row, layer.origin);
  return row;
}

inline nlohmann::json weights_json(const layer_report& layer) {
  nlohmann::json row = {{"dtype", layer.planned.weights.dtype},
                        {"sqnr_db", nullptr},
                        {"mse", nullptr},
                        {"max_abs_error", nullptr},
                        {"bytes_before", nullptr},
                        {"bytes_after", nullptr}};
  add_granularity(row, layer.planned.weights.grain);
  if (!layer.weights) return row;
  if (layer.weights->error.count > 0) {
    row["sqnr_db"] = finite_or_null(layer.weights->error.sqnr_db);
    row["mse"] = finite_or_null(layer.weights->error.mse);
    row["max_abs_error"] = finite_or_null(layer.weights->error.max_abs);
  }
  row["bytes_before"] = layer.weights->bytes_before;
  row["bytes_after"] = layer.weights->bytes_after;
  return row;
}

inline nlohmann::json activations_json(const layer_report& layer) {
  nlohmann::json row = {{"dtype", layer.planned.activations.dtype},
                        {"amax", nullptr},
                        {"clipped_share", nullptr},
                        {"algorithm", nullptr},
                        {"reason", text_or_null(layer.planned.activations.reason)},
                        {"sqnr_db", nullptr}};
  if (!layer.activations) return row;
  row["amax"] = layer.activations->amax;
  row["algorithm"] = layer.activations->algorithm;
  row["reason"] = text_or_null(layer.activations->reason);
  if (layer.activations->clipped_share)
    row["clipped_share"] = finite_or_null(*layer.activations->clipped_share);
  if (layer.activations->sqnr_db) row["sqnr_db"] = finite_or_null(*layer.activations->sqnr_db);
  return row;
}

inline nlohmann::json layer_json(const layer_report& layer) {
  const decision& weights = layer.planned.weights;
  const decision& activations = layer.planned.activations;
  nlohmann::json row = {{"name", layer.planned.name},
                        {"class", layer.planned.class_name},
                        {"weights", weights_json(layer)},
                        {"activations", activations_json(layer)},
                        {"rule", optional_json(weights.rule ? weights.rule : activations.rule)},
                        {"reason", text_or_null(weights.reason)}};
  add_origin(row, layer.planned.origin);
  return row;
}

inline nlohmann::json totals_json(const quantize_report& report) {
  const auto quantized =
      std::count_if(report.layers.begin(), report.layers.end(),
                    [](const layer_report& layer) { return layer.planned.is_quantized(); });
  return {{"layers", report.layers.size()},
          {"quantized_layers", quantized},
          {"other_tensors", report.other_tensors},
          {"bytes_before", report.bytes_before},
          {"bytes_after", report.bytes_after}};
}

/// Puts the members of a plan into an object that is built or written, in the order of their keys.
template <class Object>
void describe(const plan& planned, Object& object) {
  object.add_rows("layers", planned.layers.size(),
                  [&](std::size_t i) { return layer_json(planned.layers[i]); });
  object.add("notes", planned.notes);
  object.add_rows("rules", planned.rules.size(),
                  [&](std::size_t i) { return pattern_json("module_name", planned.rules[i]); });
  object.add_rows("skip_names", planned.skip_names.size(),
                  [&](std::size_t i) { return pattern_json("pattern", planned.skip_names[i]); });
  object.add("warnings", planned.warnings);
}

/// Likewise of a report.
template <class Object>
void describe(const quantize_report& report, Object& object) {
  object.add_rows("layers", report.layers.size(),
                  [&](std::size_t i) { return layer_json(report.layers[i]); });
  object.add("notes", report.notes);
  object.add("totals", totals_json(report));
  object.add("warnings", report.warnings);
}

template <class Described>
nlohmann::json built_json(const Described& described) {
  json_object_builder object;
  describe(described, object);
  return std::move(object.value);
}

template <class Described, class Write>
void written_json(const Described& described, Write& write) {
  json_object_writer object(write);
  describe(described, object);
  object.end();
}

}  // namespace detail

/// What `ptq plan --json` prints: every layer, whatever its class.
inline nlohmann::json to_json(const plan& planned) {
  return detail::built_json(planned);
}

/// What is in quantize_report.json. Figures that do not exist are null.
inline nlohmann::json to_json(const quantize_report& report) {
  return detail::built_json(report);
}

/// Calls write(text) for one part after the other of what `to_json` gives, as lines. Of very many layers it
/// holds one at a time.
template <class Write>
void write_json(const plan& planned, Write&& write) {
  detail::written_json(planned, write);
}

/// As above.
template <class Write>
void write_json(const quantize_report& report, Write&& write) {
  detail::written_json(report, write);
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_REPORT_JSON_HPP
