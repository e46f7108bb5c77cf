// SPDX-License-Identifier: Apache-2.0
/// @file open.hpp Opens safetensors checkpoints: a file, an index of several, or a folder with either.
#ifndef PTQ_FORMATS_SAFETENSORS_OPEN_HPP
#define PTQ_FORMATS_SAFETENSORS_OPEN_HPP

#include <algorithm>
#include <cstddef>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/file/file_kind.hpp"
#include "ptq/file/mapped_file.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats/checkpoint/checkpoint.hpp"
#include "ptq/formats/checkpoint/unpack_codes.hpp"
#include "ptq/formats/json.hpp"
#include "ptq/formats/safetensors/parse.hpp"
#include "ptq/formats/safetensors/types.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {
namespace detail {

inline constexpr std::string_view safetensors_suffix = ".safetensors";
inline constexpr std::string_view safetensors_index_suffix = ".safetensors.index.json";

inline result<void> add_safetensors(checkpoint& model, const std::string& path) {
  auto file = mapped_file::open(path);
  if (!file) return file.error();
  auto content = parse_safetensors(file->bytes(), absolute_path(path));
  if (!content) return content.error();
  return model.add(*std::move(file), std::move(content->tensors), std::move(content->metadata));
}

/// For each file that an index names: the tensors it should hold.
using shard_map = std::map<std::string, std::set<std::string, std::less<>>>;

inline result<shard_map> read_safetensors_index(const std::string& path) {
  const std::string where = absolute_path(path);
  const auto file = mapped_file::open(path);
  if (!file) return file.error();
  const auto* const text = static_cast<const char*>(static_cast<const void*>(file->bytes().data()));
  const auto refuse = [&](errc code, const std::string& what) {
    return error(code, where,
                 what + " The index of a sharded checkpoint is {\"weight_map\": {tensor: file, ...}}.");
  };
  const auto index = parse_json({text, file->bytes().size()}, where);
  if (!index && is_known_binary(file->bytes()))
    return refuse(index.error().code, "this is not JSON" + look_of_file(path, file->bytes()) + ".");
  if (!index) return index.error();
  if (!index->is_object()) return refuse(errc::wrong_type, "this is not a JSON object.");
  const auto weights = index->find("weight_map");
  if (weights == index->end()) return refuse(errc::missing_value, "\"weight_map\" is missing.");
  if (!weights->is_object()) return refuse(errc::wrong_type, "\"weight_map\" is not a JSON object.");
  if (weights->empty()) return refuse(errc::invalid_value, "\"weight_map\" is empty.");
  shard_map shards;
  for (const auto& [tensor, shard] : weights->items()) {
    const std::string field = where + ": weight_map: \"" + tensor + "\"";
    if (!shard.is_string()) return error(errc::wrong_type, field, "this is not the name of a file.");
    const std::string& name = shard.template get_ref<const std::string&>();
    if (name.empty() || name != file_name_of(name) || name.find('\0') != std::string::npos)
      return error(errc::invalid_value, field,
                   "\"" + name + "\" is not the name of a file in the folder of the index.");
    shards[name].insert(tensor);
  }
  return shards;
}

/// The map and the files must name the same tensors. `found` says for each tensor which file it is in.
inline result<void> check_shards(const shard_map& shards, std::map<std::string, std::string> found,
                                 const std::string& index) {
  const auto refuse = [&](const std::string& tensor, const std::string& text) {
    return error(errc::tensor_not_found, index + ": weight_map: \"" + tensor + "\"",
                 text + " Correct the index, or get it and its files again.");
  };
  for (const auto& [shard, tensors] : shards)
    for (const std::string& tensor : tensors) {
      const auto lies = found.find(tensor);
      if (lies == found.end())
        return refuse(tensor, "the tensor is neither in " + shard + " nor in another file of the index.");
      if (lies->second != shard)
        return refuse(tensor, "the tensor is in " + lies->second + ", not in " + shard + ".");
      found.erase(lies);
    }
  if (found.empty()) return {};
  return refuse(found.begin()->first,
                "the tensor is not listed, but it is in " + found.begin()->second + ".");
}

inline result<checkpoint> open_safetensors_file(const std::string& path) {
  checkpoint model(safetensors_word);
  if (auto added = add_safetensors(model, path); !added) return added.error();
  return model;
}

inline result<checkpoint> open_safetensors_index(const std::string& path) {
  const std::string where = absolute_path(path);
  const auto shards = read_safetensors_index(path);
  if (!shards) return shards.error();
  checkpoint model(safetensors_word);
  std::map<std::string, std::string> found;
  for (const auto& [name, tensors] : *shards) {
    const std::size_t first = model.tensors().size();
    if (auto added = add_safetensors(model, folder_of(path) + "/" + name); !added)
      return added.error().code == errc::cannot_open
                 ? error(errc::cannot_open, where, "a shard cannot be opened: " + added.error().what)
                 : added.error();
    for (const stored_tensor& tensor : model.tensors().subspan(first)) found.emplace(tensor.name, name);
  }
  if (auto checked = check_shards(*shards, std::move(found), where); !checked) return checked.error();
  return model;
}

/// The file that a folder stands for.
inline result<std::string> find_safetensors(const std::string& folder) {
  const std::vector<std::string> names = names_in(folder);
  const auto has = [&](std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  for (const char* const usual : {"model.safetensors", "model.safetensors.index.json"})
    if (has(usual)) return folder + "/" + usual;
  std::vector<std::string> candidates;
  for (const std::string_view suffix : {safetensors_index_suffix, safetensors_suffix}) {
    for (const std::string& name : names)
      if (name.ends_with(suffix)) candidates.push_back(name);
    if (candidates.size() == 1) return folder + "/" + candidates.front();
  }
  if (candidates.empty())
    return error(errc::cannot_open, absolute_path(folder),
                 "there is no .safetensors file in this folder. Name the file of the model (ONNX models are "
                 "named, always).");
  std::string text = "there are several models in this folder; name one of them:";
  for (const std::string& name : candidates) text.append(" ").append(name);
  return error(errc::cannot_open, absolute_path(folder), text);
}

}  // namespace detail

/// Opens a model without reading its data.
///
/// @param path a .safetensors file; a .safetensors.index.json, whose shards lie beside it; or a folder with
///   model.safetensors, with model.safetensors.index.json, or with one other such file
/// @return what `mapped_file::open` and `parse_safetensors` return. For an index also: syntax, missing_value,
///   wrong_type, invalid_value (the index itself), tensor_not_found (index and shards name different
///   tensors). Of an artifact with packed codes: wrong_format
inline result<checkpoint> open_safetensors(const std::string& path) {
  if (is_folder(path)) {
    const auto file = detail::find_safetensors(path);
    return file ? open_safetensors(*file) : file.error();
  }
  const bool is_index = path.ends_with(detail::safetensors_index_suffix);
  auto model = is_index ? detail::open_safetensors_index(path) : detail::open_safetensors_file(path);
  if (model)
    if (auto unpacked = unpack_codes(*model); !unpacked) return unpacked.error();
  return model;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_SAFETENSORS_OPEN_HPP
