// SPDX-License-Identifier: Apache-2.0
/// @file open.hpp Opens the checkpoints that torch.save writes, in both containers, without running anything.
#ifndef PTQ_FORMATS_TORCH_OPEN_HPP
#define PTQ_FORMATS_TORCH_OPEN_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/file/mapped_file.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats/checkpoint/checkpoint.hpp"
#include "ptq/formats/checkpoint/left_out.hpp"
#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/formats/torch/archive.hpp"
#include "ptq/formats/torch/container.hpp"
#include "ptq/formats/torch/legacy.hpp"
#include "ptq/formats/torch/metadata.hpp"
#include "ptq/formats/torch/state_dict.hpp"
#include "ptq/formats/torch/tensors.hpp"
#include "ptq/result.hpp"
#include "ptq/text/utf8.hpp"

namespace ptq::inline v0_1 {

/// How a file that torch.save wrote begins.
enum class torch_container_kind : unsigned char { none, zip, legacy };

inline torch_container_kind torch_container_of(std::span<const std::byte> file) noexcept {
  if (const auto first = first_zip_name(file)) {
    const bool is_npz = first->ends_with(".npy");
    return is_npz ? torch_container_kind::none : torch_container_kind::zip;
  }
  const detail::zip_bytes bytes(file);
  const bool is_pickle = bytes.holds(0, 2) && bytes.number(0, 1) == 0x80 && bytes.number(1, 1) <= 5;
  return is_pickle ? torch_container_kind::legacy : torch_container_kind::none;
}

/// A checkpoint, and what is worth knowing of how it was read.
struct torch_checkpoint {
  checkpoint file{torch_word};
  std::vector<std::string> notes;
};

namespace detail {

inline result<torch_container> read_torch_container(std::span<const std::byte> file,
                                                    const std::string& where) {
  switch (torch_container_of(file)) {
    case torch_container_kind::zip:
      return read_torch_archive(file, where);
    case torch_container_kind::legacy:
      return read_legacy_torch(file, where);
    case torch_container_kind::none:
      break;
  }
  return error(errc::wrong_format, where,
               "this is no checkpoint of PyTorch" + look_of_file(where, file) +
                   ". Save one with torch.save(model.state_dict(), path).");
}

/// The tensors of a state dict, in its order.
inline result<std::vector<stored_tensor>> read_torch_tensors(const torch_container& held,
                                                             const torch_state_dict& found,
                                                             const std::string& where) {
  constexpr std::size_t most = std::size_t{1} << 17;
  constexpr std::size_t longest_name = 4096;
  std::vector<stored_tensor> tensors;
  std::set<std::string_view> names;
  const auto items = held.graph.items_of(found.dict);
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    const std::string_view name = items[i].text();
    if (!items[i].is(pickle_kind::text) || !is_torch_tensor(held.graph, items[i + 1])) continue;
    if (tensors.size() == most)
      return error(errc::validation_overflow, where,
                   "there are more than " + std::to_string(most) +
                       " tensors. Save those of the model alone: torch.save(model.state_dict(), path).");
    const std::string place = where + ": tensor \"" + shortened(name) + "\"";
    if (name.empty() || name.size() > longest_name || find_invalid_utf8(name))
      return error(errc::wrong_format, place,
                   "its name is no text, or one of more than 4096 bytes. Save it under another one.");
    if (!names.insert(name).second)
      return error(errc::duplicate_key, place, "there are two of this name. Get the file again.");
    auto tensor = read_torch_tensor(held.graph, items[i + 1],
                                    [&](const torch_storage& storage) { return held.bytes_of(storage); });
    if (!tensor) return tensor.error().in(place);
    tensor->name = name;
    tensors.push_back(*std::move(tensor));
  }
  return tensors;
}

/// Tensors may share storages, and be wider than them. Nobody means to have very much more than there is in
/// the file.
inline result<void> check_expansion(std::span<const stored_tensor> tensors, std::size_t file_size,
                                    const std::string& where) {
  constexpr std::uint64_t most_times = 64;
  constexpr std::uint64_t always_allowed = std::uint64_t{64} << 20;
  const std::uint64_t most = (std::max)(always_allowed, most_times * file_size);
  std::uint64_t sum = 0;
  for (const stored_tensor& tensor : tensors) {
    sum += (std::min<std::uint64_t>)(tensor.bytes(), most + 1);
    if (sum > most)
      return error(errc::validation_overflow, where,
                   "the tensors up to \"" + tensor.name + "\" take more than " + std::to_string(most) +
                       " bytes, in a file of " + std::to_string(file_size) +
                       ": they are views of each other. Save copies: {k: v.clone() for k, v in d.items()}.");
  }
  return {};
}

inline std::vector<std::string> notes_of(const torch_state_dict& found) {
  std::vector<std::string> notes;
  if (!found.key.empty())
    notes.push_back("the weights are \"" + found.key +
                    "\" of the checkpoint; ptq.checkpoint.key names another." +
                    (found.others.empty() ? "" : " Others: " + found.others.text() + "."));
  else if (!found.others.empty())
    notes.push_back(
        "the weights are those of the checkpoint itself; ptq.checkpoint.key names a dict in it: " +
        found.others.text() + ".");
  if (!found.left_out.empty()) notes.push_back(left_out_note("checkpoint", found.left_out));
  return notes;
}

}  // namespace detail

/// Opens a checkpoint without reading its data: tensors look into the file.
///
/// @param key `ptq.checkpoint.key`; empty: by the rule of state_dict.hpp
/// @return what `mapped_file::open`, `read_torch_archive`, `read_legacy_torch`, `find_state_dict` and
///   `read_torch_tensor` return; duplicate_key; validation_overflow: far more tensors than file
inline result<torch_checkpoint> open_torch(const std::string& path, std::string_view key = {}) {
  auto file = mapped_file::open(path);
  if (!file) return file.error();
  const std::string where = absolute_path(path);
  const auto held = detail::read_torch_container(file->bytes(), where);
  if (!held) return held.error();
  const auto found = find_state_dict(held->graph, key);
  if (!found) return found.error().in(where);
  auto tensors = detail::read_torch_tensors(*held, *found, where);
  if (!tensors) return tensors.error();
  if (auto checked = detail::check_expansion(*tensors, file->bytes().size(), where); !checked)
    return checked.error();
  auto metadata = read_torch_metadata(held->metadata, where);
  if (!metadata) return metadata.error();
  torch_checkpoint made;
  made.notes = detail::notes_of(*found);
  if (auto added = made.file.add(*std::move(file), *std::move(tensors), *std::move(metadata)); !added)
    return added.error();
  return made;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_TORCH_OPEN_HPP
