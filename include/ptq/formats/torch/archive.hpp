// SPDX-License-Identifier: Apache-2.0
/// @file archive.hpp PyTorch's zip container (since 1.6): a folder with data.pkl, and a stored entry for each
/// storage, which is looked at where it lies.
#ifndef PTQ_FORMATS_TORCH_ARCHIVE_HPP
#define PTQ_FORMATS_TORCH_ARCHIVE_HPP

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/formats/torch/container.hpp"
#include "ptq/formats/torch/pickle.hpp"
#include "ptq/formats/zip.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

/// Of the entry that has what a file says about itself, `archive/ptq.json`: {text: text}. PyTorch does not
/// look at it.
inline constexpr std::string_view torch_metadata_name = "ptq.json";

namespace detail {

using torch_entries = std::map<std::string, std::span<const std::byte>, std::less<>>;

/// The entries of an archive, by their names.
inline result<torch_entries> read_torch_entries(std::span<const std::byte> file, const std::string& where) {
  const auto entries = read_zip(file, where);
  if (!entries) return entries.error();
  torch_entries found;
  for (const zip_entry& entry : *entries) {
    const std::string place = where + ": entry \"" + entry.name + "\"";
    if (entry.is_deflated)
      return error(errc::unsupported, place,
                   "it is deflated, where PyTorch stores. Load the file and save it with torch.save.");
    if (!found.emplace(entry.name, entry.packed).second)
      return error(errc::duplicate_key, place, "there are two of this name. Get the file again.");
  }
  return found;
}

/// "model/": the folder that holds data.pkl has any name.
inline result<std::string> find_torch_root(const torch_entries& entries, const std::string& where) {
  constexpr std::string_view pickle = "/data.pkl";
  std::vector<std::string> found;
  for (const auto& [name, bytes] : entries)
    if (name.ends_with(pickle) && name.find('/') == name.size() - pickle.size())
      found.push_back(name.substr(0, name.size() - pickle.size() + 1));
  if (found.size() == 1) return found.front();
  if (found.empty())
    return error(errc::wrong_format, where,
                 "this ZIP archive is no checkpoint of PyTorch: it has no <folder>/data.pkl. Save one with "
                 "torch.save(model.state_dict(), path).");
  return error(errc::wrong_format, where,
               "the ZIP archive has \"" + found[0] + "data.pkl\" and \"" + found[1] +
                   "data.pkl\", where checkpoints have one. Save it again with torch.save.");
}

/// What torch.jit.save writes has data.pkl, too: of classes that are in the file as code.
inline result<void> check_torch_entries(const torch_entries& entries, const std::string& root,
                                        const std::string& where) {
  if (entries.contains(root + "constants.pkl"))
    return error(errc::unsupported, where,
                 "this is a TorchScript archive, a program with its weights. Save the weights alone: "
                 "torch.save(torch.jit.load(path).state_dict(), other_path).");
  const auto order = entries.find(root + "byteorder");  // older versions are little-endian and have none
  if (order == entries.end() || zip_bytes(order->second).text(0, order->second.size()) == "little") return {};
  return error(errc::unsupported, where + ": entry \"" + order->first + "\"",
               "the numbers are not little-endian. Save the checkpoint on a machine where they are.");
}

}  // namespace detail

/// @param file must outlive what is returned
/// @param where names the file in errors
/// @return what `read_zip` and `read_pickle` return; wrong_format: no checkpoint; unsupported: TorchScript,
///   big-endian, deflated; duplicate_key
inline result<torch_container> read_torch_archive(std::span<const std::byte> file, const std::string& where) {
  const auto entries = detail::read_torch_entries(file, where);
  if (!entries) return entries.error();
  const auto root = detail::find_torch_root(*entries, where);
  if (!root) return root.error();
  if (auto checked = detail::check_torch_entries(*entries, *root, where); !checked) return checked.error();
  const auto pickle = entries->find(*root + "data.pkl");
  auto graph = read_pickle(pickle->second, where + ": " + pickle->first);
  if (!graph) return graph.error();
  torch_container made{*std::move(graph), {}, {}};
  if (const auto told = entries->find(*root + std::string(torch_metadata_name)); told != entries->end())
    made.metadata = detail::zip_bytes(told->second).text(0, told->second.size());
  const std::string prefix = *root + "data/";
  for (auto at = entries->lower_bound(prefix); at != entries->end() && at->first.starts_with(prefix); ++at)
    made.storages.emplace(at->first.substr(prefix.size()), at->second);
  return made;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_TORCH_ARCHIVE_HPP
