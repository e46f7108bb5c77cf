// SPDX-License-Identifier: Apache-2.0
/// @file overrides.hpp Arguments of the form `key.path=value`, which win over the file.
#ifndef PTQ_CONFIG_OVERRIDES_HPP
#define PTQ_CONFIG_OVERRIDES_HPP

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/config/reader.hpp"
#include "ptq/config/tree.hpp"
#include "ptq/error.hpp"
#include "ptq/result.hpp"
#include "ptq/text/nearest_word.hpp"
#include "ptq/text/phrases.hpp"

namespace ptq::inline v0_1::detail {

struct assignment {
  std::string path;
  std::string value;
};

/// The value of an argument stands there, not in the file.
inline void mark_argument(tree& value, std::size_t number) {
  value.at = value.key_at = {0, 0, number};
  for (tree& member : value.members) mark_argument(member, number);
}

/// How an argument that is the name of a file is given.
inline std::string given_as(std::string_view file) {
  const auto ends = [&](std::initializer_list<std::string_view> suffixes) {
    return std::any_of(suffixes.begin(), suffixes.end(),
                       [&](std::string_view s) { return file.ends_with(s); });
  };
  if (ends({".yaml", ".yml"})) return "-e " + std::string(file);
  if (ends({".ptqcal"})) return "ptq.calibration.statistics=" + std::string(file);
  if (ends({".npy", ".npz"})) return "dataset.quant_calibration_dataset.inputs=" + std::string(file);
  return "model_path=" + std::string(file);
}

/// Splits "key.path=value". `model_path` and `results_dir` alone mean those of `quantize`.
inline result<assignment> assignment_of(std::string_view argument) {
  const std::size_t equals = argument.find('=');
  if (equals == std::string_view::npos || equals == 0)
    return error(errc::syntax, {},
                 in_quotes(argument) + " is not of the form key.path=value." +
                     (argument.starts_with('=') ? "" : " A file is given as " + given_as(argument) + "."));
  std::string path(argument.substr(0, equals));
  if (path == "model_path" || path == "results_dir") path = "quantize." + path;
  if (!steps_of(path))
    return error(errc::syntax, {}, in_quotes(path) + " is not a path of keys like quantize.backend.");
  return assignment{std::move(path), std::string(argument.substr(equals + 1))};
}

/// The path with the nearest section for its first step, or with the nearest key of quantize; else nothing.
inline std::string nearest_path(std::string_view path, std::string_view first,
                                std::span<const std::string_view> sections) {
  const std::string rest(path.substr(first.size()));
  if (const auto key = nearest_word(first, quantize_keys); !key.empty())
    return "quantize." + std::string(key) + rest;
  const auto section = nearest_word(first, sections);
  return section.empty() ? std::string() : std::string(section) + rest;
}

/// Whether a setting is a path or a name of a file. The argument is taken as it is then: neither a comment
/// nor quotes are in `results_dir=my #1 out`. Settings that may be a map too are one where they begin with a
/// brace.
inline bool is_path_setting(std::string_view path, std::string_view value) {
  static constexpr std::string_view paths[] = {"quantize.model_path", "quantize.results_dir", "results_dir",
                                               "ptq.calibration.statistics", "evaluate.labels"};
  static constexpr std::string_view sections[] = {"dataset.quant_calibration_dataset.", "evaluate."};
  if (std::find(std::begin(paths), std::end(paths), path) != std::end(paths)) return true;
  const bool is_map = value.starts_with('{');
  if (path == "ptq.module_types") return !is_map;
  for (const std::string_view section : sections) {
    if (!path.starts_with(section)) continue;
    const std::string_view key = path.substr(section.size());
    if (key == "activations" || key == "images_dir" || key.starts_with("inputs.")) return true;
    if (key == "inputs") return !is_map;
  }
  return false;
}

/// Puts a value into a document, making the maps on the way where they are missing. Lists do not grow.
inline result<void> assign(tree& root, std::string_view path, tree value) {
  static constexpr std::string_view sections[] = {"quantize", "dataset", "evaluate", "ptq", "results_dir"};
  const std::vector<std::string> steps = *steps_of(path);
  if (std::find(std::begin(sections), std::end(sections), steps.front()) == std::end(sections) &&
      !root.member(steps.front()))
    return error(errc::unknown_key, path, "there is no section " + in_quotes(steps.front()) + ".",
                 nearest_path(path, steps.front(), sections));
  tree* at = &root;
  std::string walked;
  for (const std::string& step : steps) {
    if (at->is_list()) {
      const auto index = index_of(*at, step);
      if (!index)
        return error(errc::invalid_value, path,
                     in_quotes(step) + " is not an index of " + walked + ", which has " +
                         counted(at->members.size(), "item") + ", counted from 0.");
      at = &at->members[*index];
    } else if (at->is_word()) {
      return error(errc::wrong_type, path, walked + " is a word: it has no " + in_quotes(step) + " to set.");
    } else {
      at->kind = tree::kind_type::map;
      tree* found = at->member(step);
      if (!found) {
        found = &at->members.emplace_back();
        found->key = step;
        found->key_at = value.at;
        found->at = value.at;
      }
      at = found;
    }
    walked += (walked.empty() ? "" : ".") + step;
  }
  at->kind = value.kind;
  at->word = std::move(value.word);
  at->members = std::move(value.members);
  at->at = value.at;
  return {};
}

}  // namespace ptq::inline v0_1::detail

#endif  // PTQ_CONFIG_OVERRIDES_HPP
