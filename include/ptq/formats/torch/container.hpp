// SPDX-License-Identifier: Apache-2.0
/// @file container.hpp What either container of PyTorch holds: a pickle, and the storages that it names.
#ifndef PTQ_FORMATS_TORCH_CONTAINER_HPP
#define PTQ_FORMATS_TORCH_CONTAINER_HPP

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "ptq/error.hpp"
#include "ptq/file/byte_order.hpp"
#include "ptq/formats/torch/pickle_value.hpp"
#include "ptq/formats/torch/tensors.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

/// It looks into the file.
struct torch_container {
  pickle_graph graph;
  std::map<std::string, std::span<const std::byte>, std::less<>> storages;  ///< by their keys
  std::string_view metadata;  ///< what the file says about itself, if ptq wrote it: JSON

  /// @return tensor_not_found; size_mismatch: the storage has another size than the pickle says
  result<std::span<const std::byte>> bytes_of(const torch_storage& storage) const {
    const auto found = storages.find(storage.key);
    const std::string name = "its storage \"" + std::string(storage.key) + "\"";
    if (found == storages.end())
      return error(errc::tensor_not_found, {}, name + " is not in the file. Get the file again.");
    const std::size_t size = found->second.size();
    if (size % storage.element_size() == 0 && size / storage.element_size() == storage.count)
      return found->second;
    return error(errc::size_mismatch, {},
                 name + " has " + std::to_string(size) + " bytes, where the pickle promises " +
                     std::to_string(storage.count) + " elements of " +
                     std::to_string(storage.element_size()) + " bytes. Get the file again.");
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_TORCH_CONTAINER_HPP
