// SPDX-License-Identifier: Apache-2.0
/// @file named_model.hpp A checkpoint as a model, whose tensors have the names that `ptq.checkpoint` asks
/// for.
#ifndef PTQ_FORMATS_CHECKPOINT_NAMED_MODEL_HPP
#define PTQ_FORMATS_CHECKPOINT_NAMED_MODEL_HPP

#include <algorithm>
#include <cstddef>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/config/spec.hpp"
#include "ptq/error.hpp"
#include "ptq/formats/checkpoint/checkpoint.hpp"
#include "ptq/formats/checkpoint/left_out.hpp"
#include "ptq/formats/checkpoint/model.hpp"
#include "ptq/formats/checkpoint/model_hints.hpp"
#include "ptq/formats/checkpoint/read_artifact.hpp"
#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/model/layer.hpp"
#include "ptq/model/layers_of.hpp"
#include "ptq/result.hpp"
#include "ptq/text/nearest_word.hpp"

namespace ptq::inline v0_1 {

namespace detail {

/// "module." of "module.fc.weight"; empty where a name has no point.
inline std::string_view first_part(std::string_view name) {
  return name.substr(0, name.find('.') + 1);  // npos + 1 is 0
}

/// Where no name begins with a prefix.
inline error unknown_prefix(std::string_view prefix, std::span<const std::string> names) {
  constexpr std::size_t most = 1000;
  std::set<std::string_view> parts;
  for (const std::string& name : names)
    if (parts.size() < most) parts.insert(first_part(name));
  const std::vector<std::string_view> known(parts.begin(), parts.end());
  return {errc::unknown_word, "ptq.checkpoint.strip_prefix",
          "no tensor's name begins with \"" + std::string(prefix) + "\"; the first is \"" +
              (names.empty() ? "" : names.front()) + "\". Leave the setting out, or name another.",
          nearest_word(prefix, known)};
}

/// Takes a prefix off the names that have it.
inline result<void> strip_prefix(std::string_view prefix, std::vector<std::string>& names) {
  bool is_known = false;
  for (std::string& name : names) {
    if (!name.starts_with(prefix)) continue;
    is_known = true;
    if (name.size() == prefix.size() || name[prefix.size()] == '.')
      return error(errc::invalid_value, "ptq.checkpoint.strip_prefix",
                   "\"" + std::string(prefix) + "\" would leave \"" + name.substr(prefix.size()) +
                       "\" of \"" + name + "\". Give whole parts of names, with their point: \"module.\".");
    name.erase(0, prefix.size());
  }
  return is_known ? result<void>() : unknown_prefix(prefix, names);
}

inline bool have_prefix(std::span<const stored_tensor> tensors, std::string_view prefix) {
  return !tensors.empty() && std::all_of(tensors.begin(), tensors.end(), [&](const stored_tensor& tensor) {
    return tensor.name.starts_with(prefix);
  });
}

}  // namespace detail

/// Gives tensors the names that `ptq.checkpoint.strip_prefix` leaves of theirs.
///
/// @param where names the file in errors
/// @return unknown_word: no name has the prefix; invalid_value: a name would be empty, or the file is an
///   artifact, whose layers have their names; duplicate_key: two tensors would have one name
inline result<void> strip_prefixes(checkpoint& file, const checkpoint_config& how, const std::string& where) {
  if (how.strip_prefix.empty()) return {};
  if (is_artifact(file))
    return error(errc::invalid_value, "ptq.checkpoint.strip_prefix",
                 "this is an artifact of ptq, which says what its layers are called. Leave the setting out.");
  std::vector<std::string> names;
  for (const stored_tensor& tensor : file.tensors()) names.push_back(tensor.name);
  for (const std::string& prefix : how.strip_prefix)
    if (auto stripped = detail::strip_prefix(prefix, names); !stripped) return stripped.error();
  std::map<std::string_view, std::size_t> seen;
  for (std::size_t i = 0; i < names.size(); ++i)
    if (const auto [other, is_new] = seen.emplace(names[i], i); !is_new)
      return error(errc::duplicate_key, where,
                   "without their prefixes, the tensors \"" + file.tensors()[other->second].name +
                       "\" and \"" + file.tensors()[i].name + "\" would both be \"" + names[i] +
                       "\". Leave ptq.checkpoint.strip_prefix out.");
  file.rename(std::move(names));
  return {};
}

/// What DataParallel writes in front of every name; nothing of others, which may be the model's own.
inline std::vector<std::string> prefix_notes(const checkpoint& file) {
  if (!detail::have_prefix(file.tensors(), "module.")) return {};
  return {
      "every tensor's name begins with \"module.\", as rules must, too; ptq.checkpoint.strip_prefix=module. "
      "leaves it out."};
}

/// The layers that have another class by hints than without.
inline std::vector<std::string> hint_notes(const checkpoint& file, const model_hints& hints) {
  if (hints.empty()) return {};
  std::vector<named_tensor> tensors;
  for (const stored_tensor& tensor : file.tensors()) tensors.push_back({tensor.name, tensor.view()});
  const std::vector<layer> plain = layers_of(tensors);
  const std::vector<layer> told = layers_of(tensors, {}, hints);
  name_list names;
  for (std::size_t i = 0; i < told.size(); ++i)
    if (told[i].class_name != plain[i].class_name) names.add({}, told[i].name, told[i].class_name);
  if (names.empty()) return {};
  return {"classes inferred by the config.json beside the checkpoint: " + names.text() +
          "; ptq.module_types names others."};
}

/// A checkpoint as a model, with the names that it is to have.
///
/// @param path  absolute
/// @param notes how the file was read
/// @return what `strip_prefixes` returns
inline result<checkpoint_model> named_model(std::string path, checkpoint file, const checkpoint_config& how,
                                            std::vector<std::string> notes = {}) {
  if (auto stripped = strip_prefixes(file, how, path); !stripped) return stripped.error();
  for (std::string& note : prefix_notes(file)) notes.push_back(std::move(note));
  const model_hints hints = read_model_hints(path);
  for (std::string& note : hint_notes(file, hints)) notes.push_back(std::move(note));
  return checkpoint_model(std::move(path), std::move(file), std::move(notes), hints);
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_CHECKPOINT_NAMED_MODEL_HPP
