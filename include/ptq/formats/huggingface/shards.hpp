// SPDX-License-Identifier: Apache-2.0
/// @file shards.hpp Weights in several safetensors files and an index of them, as Hugging Face's libraries
/// save them.
#ifndef PTQ_FORMATS_HUGGINGFACE_SHARDS_HPP
#define PTQ_FORMATS_HUGGINGFACE_SHARDS_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/file/output_file.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/formats/checkpoint/tensor_declaration.hpp"
#include "ptq/formats/checkpoint/tensor_writer.hpp"
#include "ptq/formats/json.hpp"
#include "ptq/formats/safetensors/types.hpp"
#include "ptq/formats/safetensors/writer.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

/// In bytes of tensors; a larger tensor has a file of its own.
inline constexpr std::uint64_t largest_shard = 5'000'000'000;

using tensor_declarations = std::vector<tensor_declaration>;

namespace detail {

/// Zero where no file can hold the tensor: its writer says so.
inline std::uint64_t declared_bytes(const tensor_declaration& tensor) {
  const auto bytes = safetensors_size(tensor.type, tensor.shape);
  return bytes ? *bytes : 0;
}

inline std::string five_digits(std::size_t number) {
  std::string digits = std::to_string(number);
  if (digits.size() < 5) digits.insert(0, 5 - digits.size(), '0');
  return digits;
}

}  // namespace detail

/// By name, so that what belongs to a layer lies together as far as it fits.
inline std::vector<tensor_declarations> split_into_shards(tensor_declarations tensors,
                                                          std::uint64_t largest = largest_shard) {
  std::ranges::sort(tensors, {}, &tensor_declaration::name);
  std::vector<tensor_declarations> shards(1);
  std::uint64_t held = 0;
  for (tensor_declaration& tensor : tensors) {
    const std::uint64_t bytes = detail::declared_bytes(tensor);
    if (!shards.back().empty() && held + bytes > largest) {
      shards.emplace_back();
      held = 0;
    }
    held += bytes;
    shards.back().push_back(std::move(tensor));
  }
  return shards;
}

/// "model-00001-of-00002.safetensors"; "model.safetensors" of a single one.
inline std::string shard_name(std::size_t shard, std::size_t count) {
  if (count == 1) return "model.safetensors";
  return "model-" + detail::five_digits(shard + 1) + "-of-" + detail::five_digits(count) + ".safetensors";
}

inline constexpr const char* shard_index_name = "model.safetensors.index.json";

/// {"metadata": {"total_size": bytes}, "weight_map": {tensor: file}}
inline std::string shard_index_text(std::span<const tensor_declarations> shards) {
  nlohmann::json files = nlohmann::json::object();
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < shards.size(); ++i)
    for (const tensor_declaration& tensor : shards[i]) {
      files[tensor.name] = shard_name(i, shards.size());
      total += detail::declared_bytes(tensor);
    }
  return dump_json_lines({{"metadata", {{"total_size", total}}}, {"weight_map", std::move(files)}});
}

/// The files in the folder of `path`: shards, and their index if there are several. A container of
/// `artifact_layout`.
///
/// @return what `lay_out_safetensors` returns, cannot_write
inline result<tensor_writer> create_shards(const std::string& path, tensor_declarations tensors,
                                           const metadata_map& metadata,
                                           std::uint64_t largest = largest_shard) {
  const std::vector<tensor_declarations> shards = split_into_shards(std::move(tensors), largest);
  std::vector<output_file> files;
  tensor_places places;
  std::uint64_t begin = 0;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const std::string name = folder_of(path) + "/" + shard_name(i, shards.size());
    auto frame = lay_out_safetensors(absolute_path(name), shards[i], metadata);
    if (!frame) return frame.error();
    auto file = safetensors_writer::begin_file(name, *frame);
    if (!file) return file.error();
    files.push_back(*std::move(file));
    for (auto& [tensor, at] : frame->places) {
      at.begin += begin;
      if (!places.emplace(tensor, at).second)
        return error(errc::duplicate_key, absolute_path(name),
                     "tensor \"" + tensor + "\" is declared twice.");
    }
    begin += frame->size;
  }
  if (shards.size() > 1) {
    auto index = output_file::create(folder_of(path) + "/" + shard_index_name);
    if (!index) return index.error();
    if (auto written = index->write(shard_index_text(shards)); !written) return written.error();
    files.push_back(*std::move(index));
  }
  return tensor_writer(std::move(files), places);
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_HUGGINGFACE_SHARDS_HPP
