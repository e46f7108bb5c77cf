// SPDX-License-Identifier: Apache-2.0
/// @file layout.hpp ptq's own artifact, and the float form, as PyTorch's zip container.
#ifndef PTQ_FORMATS_TORCH_LAYOUT_HPP
#define PTQ_FORMATS_TORCH_LAYOUT_HPP

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ptq/file/output_file.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats/checkpoint/artifact_layout.hpp"
#include "ptq/formats/checkpoint/float_layout.hpp"
#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/formats/checkpoint/tensor_declaration.hpp"
#include "ptq/formats/checkpoint/tensor_writer.hpp"
#include "ptq/formats/crc32.hpp"
#include "ptq/formats/json.hpp"
#include "ptq/formats/torch/archive_layout.hpp"
#include "ptq/result.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1 {

/// A state dict whose tensors are declared: their data come in any order, and their CRCs when all are there.
///
/// @return what `lay_out_torch_archive` returns; cannot_write
inline result<tensor_writer> create_torch_archive(const std::string& path,
                                                  std::vector<tensor_declaration> tensors,
                                                  const metadata_map& metadata) {
  const auto layout = lay_out_torch_archive(
      tensors, metadata.empty() ? std::string() : detail::dump_json(metadata), absolute_path(path));
  if (!layout) return layout.error();
  auto file = output_file::create(path);
  if (!file) return file.error();
  if (auto taken = file->resize(layout->size); !taken) return taken.error();
  for (const placed_text& piece : layout->pieces)
    if (auto written = file->write_at(piece.place, std::as_bytes(std::span(piece.text))); !written)
      return written.error();
  tensor_places places;
  std::vector<checksum_place> sums;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const zip_place& at = layout->places[i];
    places.emplace(tensors[i].name, tensor_place{at.data, at.size});
    sums.push_back({tensors[i].name, {at.crcs.begin(), at.crcs.end()}});
  }
  std::vector<output_file> files;
  files.push_back(*std::move(file));
  tensor_writer made(std::move(files), places);
  made.keep_checksums({[](std::span<const std::byte> bytes) { return crc32_of(bytes); }, crc32_joined},
                      std::move(sums));
  return made;
}

/// Tensors as `ptq_in_safetensors` has them.
inline constexpr artifact_layout ptq_in_torch{ptq_tensors_of, ptq_metadata, create_torch_archive};

/// Without quantized layers it is an ordinary checkpoint.
inline constexpr artifact_layout floats_in_torch{float_tensors_of, float_metadata, create_torch_archive};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_TORCH_LAYOUT_HPP
