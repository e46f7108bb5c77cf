// SPDX-License-Identifier: Apache-2.0
/// @file json.hpp Plans and reports as JSON, for machines.
#ifndef PTQ_REPORT_JSON_HPP
#define PTQ_REPORT_JSON_HPP

#include <cmath>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "ptq/model/plan.hpp"
#include "ptq/report/quantize_report.hpp"

namespace ptq::inline v0_1 {
namespace detail {

template <class T>
nlohmann::json optional_json(const std::optional<T>& value) {
  return value ? nlohmann::json(*value) : nlohmann::json();
}

inline nlohmann::json text_or_null(const std::string& text) {
  return text.empty() ? nlohmann::json() : nlohmann::json(text);
}

/// JSON has no infinity: the SQNR of an exact copy is null.
inline nlohmann::json finite_or_null(double value) {
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json();
}

inline std::vector<std::size_t> extents_of(const tensor_shape& shape) {
  return {shape.extents.begin(), shape.extents.begin() + static_cast<std::ptrdiff_t>(shape.axes())};
}

/// "granularity" and "axis" of a decision.
inline void add_granularity(nlohmann::json& row, const std::optional<granularity>& grain) {
  row["granularity"] = nullptr;
  row["axis"] = nullptr;
  if (!grain) return;
  row["granularity"] = grain->is_per_channel() ? "per_channel" : "per_tensor";
  if (grain->is_per_channel()) row["axis"] = grain->axis;
}

/// What the file calls a layer, where that is not its name, and the class of the module around it.
inline void add_origin(nlohmann::json& row, const layer_origin& origin) {
  if (!origin.graph_name.empty()) {
    row["graph_name"] = origin.graph_name;
    row["made_up"] = origin.is_made_up;
  }
  if (!origin.module_class.empty()) row["module_class"] = origin.module_class;
}

inline nlohmann::json patterns_json(const char* key, const std::vector<pattern_count>& patterns) {
  auto rows = nlohmann::json::array();
  for (const pattern_count& p : patterns) rows.push_back({{key, p.pattern}, {"matched", p.matched}});
  return rows;
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

}  // namespace detail

/// What `ptq plan --json` prints: every layer, whatever its class.
inline nlohmann::json to_json(const plan& planned) {
  auto layers = nlohmann::json::array();
  for (const planned_layer& layer : planned.layers) {
    nlohmann::json weights = {{"dtype", layer.weights.dtype},
                              {"rule", detail::optional_json(layer.weights.rule)},
                              {"reason", detail::text_or_null(layer.weights.reason)}};
    detail::add_granularity(weights, layer.weights.grain);
    layers.push_back({{"name", layer.name},
                      {"class", layer.class_name},
                      {"inferred", layer.inferred},
                      {"shape", detail::extents_of(layer.shape)},
                      {"weights", weights},
                      {"activations",
                       {{"dtype", layer.activations.dtype},
                        {"rule", detail::optional_json(layer.activations.rule)},
                        {"reason", detail::text_or_null(layer.activations.reason)}}},
                      {"skipped_by", detail::optional_json(layer.skipped_by)}});
    detail::add_origin(layers.back(), layer.origin);
  }
  return {{"layers", layers},
          {"rules", detail::patterns_json("module_name", planned.rules)},
          {"skip_names", detail::patterns_json("pattern", planned.skip_names)},
          {"warnings", planned.warnings},
          {"notes", planned.notes}};
}

/// What is in quantize_report.json. Figures that do not exist are null.
inline nlohmann::json to_json(const quantize_report& report) {
  auto layers = nlohmann::json::array();
  std::size_t quantized = 0;
  for (const layer_report& layer : report.layers) {
    quantized += layer.planned.is_quantized() ? 1u : 0u;
    const decision& weights = layer.planned.weights;
    const decision& activations = layer.planned.activations;
    layers.push_back({{"name", layer.planned.name},
                      {"class", layer.planned.class_name},
                      {"weights", detail::weights_json(layer)},
                      {"activations", detail::activations_json(layer)},
                      {"rule", detail::optional_json(weights.rule ? weights.rule : activations.rule)},
                      {"reason", detail::text_or_null(weights.reason)}});
    detail::add_origin(layers.back(), layer.planned.origin);
  }
  return {{"layers", layers},
          {"totals",
           {{"layers", report.layers.size()},
            {"quantized_layers", quantized},
            {"other_tensors", report.other_tensors},
            {"bytes_before", report.bytes_before},
            {"bytes_after", report.bytes_after}}},
          {"warnings", report.warnings},
          {"notes", report.notes}};
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_REPORT_JSON_HPP
