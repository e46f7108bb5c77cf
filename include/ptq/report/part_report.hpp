// SPDX-License-Identifier: Apache-2.0
/// @file part_report.hpp What the part of an artifact says of itself, in JSON: what it is a part of, and its
/// part of the report.
#ifndef PTQ_REPORT_PART_REPORT_HPP
#define PTQ_REPORT_PART_REPORT_HPP

#include <bit>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/formats/checkpoint/share.hpp"
#include "ptq/formats/json.hpp"
#include "ptq/quantize/error_metrics.hpp"
#include "ptq/report/quantize_report.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

/// Parts with one key belong together: it tells models, specifications and versions apart.
struct part_report {
  share of;
  std::string key;
  std::string specification;          ///< as YAML, resolved
  std::vector<std::string> command;   ///< that makes a part, but for its number
  std::string format;                 ///< of the artifact: an `artifact_format`; empty: the model's own
  std::vector<std::string> warnings;  ///< those of the whole plan
  std::vector<std::string> notes;     ///< likewise
  std::vector<std::size_t> places;    ///< of its layers in the plan of the whole model
  std::vector<layer_report> layers;   ///< what became of each; `planned` is not kept
};

namespace detail {

/// A number bit for bit: JSON has no infinity.
inline nlohmann::json bits_json(double value) {
  return std::bit_cast<std::uint64_t>(value);
}

inline nlohmann::json part_layer_json(std::size_t place, const layer_report& layer) {
  nlohmann::json row = {{"place", place}, {"lost", layer.lost}};
  if (layer.weights) {
    const error_metrics& error = layer.weights->error;
    row["weights"] = {{"count", error.count},
                      {"mse", bits_json(error.mse)},
                      {"max_abs", bits_json(error.max_abs)},
                      {"sqnr_db", bits_json(error.sqnr_db)},
                      {"cosine", bits_json(error.cosine)},
                      {"clipped_share", bits_json(error.clipped_share)},
                      {"bytes_before", layer.weights->bytes_before},
                      {"bytes_after", layer.weights->bytes_after}};
  }
  if (layer.activations) {
    const activations_report& input = *layer.activations;
    row["activations"] = {{"amax", bits_json(input.amax)},
                          {"algorithm", input.algorithm},
                          {"reason", input.reason},
                          {"clipped_share", nullptr},
                          {"sqnr_db", nullptr}};
    if (input.clipped_share) row["activations"]["clipped_share"] = bits_json(*input.clipped_share);
    if (input.sqnr_db) row["activations"]["sqnr_db"] = bits_json(*input.sqnr_db);
  }
  return row;
}

/// Reads members of an object; of what is missing or of another type `is_sound` is false then.
class part_reader {
 public:
  explicit part_reader(bool& is_sound) : sound_(&is_sound) {}

  std::string text(const nlohmann::json& object, const char* key) const {
    const nlohmann::json* const found = find(object, key);
    return found != nullptr && is(found->is_string()) ? found->get<std::string>() : std::string();
  }
  std::uint64_t number(const nlohmann::json& object, const char* key) const {
    const nlohmann::json* const found = find(object, key);
    return found != nullptr && is(found->is_number_unsigned()) ? found->get<std::uint64_t>() : 0;
  }
  double bits(const nlohmann::json& object, const char* key) const {
    return std::bit_cast<double>(number(object, key));
  }
  std::optional<double> optional_bits(const nlohmann::json& object, const char* key) const {
    const nlohmann::json* const found = find(object, key);
    return found == nullptr || found->is_null() ? std::optional<double>() : bits(object, key);
  }
  std::vector<std::string> texts(const nlohmann::json& object, const char* key) const {
    std::vector<std::string> read;
    const nlohmann::json* const found = find(object, key);
    if (found == nullptr || !is(found->is_array())) return read;
    for (const nlohmann::json& one : *found)
      if (is(one.is_string())) read.push_back(one.get<std::string>());
    return read;
  }

  layer_report layer(const nlohmann::json& row) const {
    layer_report read;
    read.lost = text(row, "lost");
    if (row.is_object() && row.contains("weights")) {
      const nlohmann::json& about = row["weights"];
      weights_report& weights = read.weights.emplace();
      weights.error = {number(about, "count"), bits(about, "mse"),    bits(about, "max_abs"),
                       bits(about, "sqnr_db"), bits(about, "cosine"), bits(about, "clipped_share")};
      weights.bytes_before = number(about, "bytes_before");
      weights.bytes_after = number(about, "bytes_after");
    }
    if (row.is_object() && row.contains("activations")) {
      const nlohmann::json& about = row["activations"];
      read.activations = {bits(about, "amax"), text(about, "algorithm"), text(about, "reason"),
                          optional_bits(about, "clipped_share"), optional_bits(about, "sqnr_db")};
    }
    return read;
  }

 private:
  const nlohmann::json* find(const nlohmann::json& object, const char* key) const {
    const auto found = object.find(key);  // the end, too, of what is no object
    return is(found != object.end()) ? &*found : nullptr;
  }
  bool is(bool sound) const noexcept {
    *sound_ = *sound_ && sound;
    return sound;
  }

  bool* sound_;
};

}  // namespace detail

inline std::string to_text(const part_report& part) {
  auto rows = nlohmann::json::array();
  for (std::size_t i = 0; i < part.layers.size(); ++i)
    rows.push_back(detail::part_layer_json(part.places[i], part.layers[i]));
  return dump_json_lines({{"part", part.of.index},
                          {"parts", part.of.count},
                          {"key", part.key},
                          {"specification", part.specification},
                          {"command", part.command},
                          {"format", part.format},
                          {"warnings", part.warnings},
                          {"notes", part.notes},
                          {"layers", std::move(rows)}});
}

/// @return syntax; wrong_format: no part of an artifact, or a damaged one
inline result<part_report> parse_part_report(std::string_view text, const std::string& where) {
  const auto read = detail::parse_json(text, where);
  if (!read) return read.error();
  bool is_sound = true;
  const detail::part_reader reader(is_sound);
  part_report part;
  part.of = {static_cast<std::size_t>(reader.number(*read, "part")),
             static_cast<std::size_t>(reader.number(*read, "parts"))};
  part.key = reader.text(*read, "key");
  part.specification = reader.text(*read, "specification");
  part.command = reader.texts(*read, "command");
  part.format = reader.text(*read, "format");
  part.warnings = reader.texts(*read, "warnings");
  part.notes = reader.texts(*read, "notes");
  const auto rows = read->find("layers");
  is_sound = is_sound && rows != read->end() && rows->is_array();
  if (is_sound)
    for (const nlohmann::json& row : *rows) {
      part.places.push_back(static_cast<std::size_t>(reader.number(row, "place")));
      part.layers.push_back(reader.layer(row));
    }
  if (is_sound) return part;
  return error(errc::wrong_format, where,
               "this is not what `ptq quantize --shard` says of a part. Remove it, and make the part again.");
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_REPORT_PART_REPORT_HPP
