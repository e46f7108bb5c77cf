// SPDX-License-Identifier: Apache-2.0
/// @file folder.hpp Folders of Hugging Face's hub with weights as torch.save wrote them: pytorch_model.bin,
/// or several files and their index.
#ifndef PTQ_FORMATS_TORCH_FOLDER_HPP
#define PTQ_FORMATS_TORCH_FOLDER_HPP

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/formats/safetensors/open.hpp"
#include "ptq/formats/torch/open.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {
namespace detail {

inline constexpr std::string_view torch_index_suffix = ".bin.index.json";

/// The file of such a folder that stands for the model; empty where there is none, or safetensors files,
/// which hold the same.
inline std::string find_torch_file(const std::string& folder) {
  const std::vector<std::string> names = names_in(folder);
  for (const std::string& name : names)
    if (name.ends_with(safetensors_suffix) || name.ends_with(safetensors_index_suffix)) return {};
  for (const char* const usual : {"pytorch_model.bin", "pytorch_model.bin.index.json"})
    if (std::ranges::count(names, usual) > 0) return folder + "/" + usual;
  return {};
}

}  // namespace detail

/// Whether a folder, or an index, stands for files that torch.save wrote.
inline bool names_torch_files(const std::string& path) {
  return is_folder(path) ? !detail::find_torch_file(path).empty()
                         : path.ends_with(detail::torch_index_suffix);
}

namespace detail {

/// What an index names, as one checkpoint.
inline result<torch_checkpoint> open_torch_index(const std::string& path, std::string_view key) {
  const std::string where = absolute_path(path);
  const auto shards = read_safetensors_index(path);
  if (!shards) return shards.error();
  torch_checkpoint model;
  std::map<std::string, std::string> found;
  for (const auto& [name, tensors] : *shards) {
    auto shard = open_torch(folder_of(path) + "/" + name, key);
    if (!shard)
      return shard.error().code == errc::cannot_open
                 ? error(errc::cannot_open, where, "a shard cannot be opened: " + shard.error().what)
                 : shard.error();
    for (const stored_tensor& tensor : shard->file.tensors()) found.emplace(tensor.name, name);
    std::ranges::move(shard->notes, std::back_inserter(model.notes));
    if (auto added = model.file.add(std::move(shard->file)); !added) return added.error();
  }
  if (auto checked = check_shards(*shards, std::move(found), where); !checked) return checked.error();
  return model;
}

}  // namespace detail

/// Opens a file, an index of several, or a folder with either.
///
/// @return what `open_torch` returns; of an index what `open_safetensors` returns of one
inline result<torch_checkpoint> open_torch_files(const std::string& path, std::string_view key = {}) {
  const std::string file = is_folder(path) ? detail::find_torch_file(path) : path;
  const bool is_index = file.ends_with(detail::torch_index_suffix);
  return is_index ? detail::open_torch_index(file, key) : open_torch(file, key);
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_TORCH_FOLDER_HPP
