// SPDX-License-Identifier: Apache-2.0
/// @file layout.hpp ptq's own artifact, and the float form, as safetensors files.
#ifndef PTQ_FORMATS_SAFETENSORS_LAYOUT_HPP
#define PTQ_FORMATS_SAFETENSORS_LAYOUT_HPP

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ptq/formats/checkpoint/artifact_layout.hpp"
#include "ptq/formats/checkpoint/float_layout.hpp"
#include "ptq/formats/checkpoint/stored_layer.hpp"
#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/formats/checkpoint/tensor_declaration.hpp"
#include "ptq/formats/checkpoint/tensor_writer.hpp"
#include "ptq/formats/safetensors/writer.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

namespace detail {

inline result<tensor_writer> create_safetensors(const std::string& path,
                                                std::vector<tensor_declaration> tensors,
                                                const metadata_map& metadata) {
  auto writer = safetensors_writer::create(path, std::move(tensors), metadata);
  if (!writer) return writer.error();
  return tensor_writer(*std::move(writer));
}

/// transformers does not open files that do not say whose tensors they hold.
inline metadata_map float_metadata_of_file(const metadata_map& source, const plan& backend_and_mode,
                                           std::span<const stored_layer> layers) {
  metadata_map metadata = float_metadata(source, backend_and_mode, layers);
  if (metadata != source) metadata.emplace("format", "pt");
  return metadata;
}

}  // namespace detail

/// `<layer>.weight` as codes of the original shape, `<layer>.weight_scale`, `<layer>.input_scale`, and what
/// its layers are in the metadata.
inline constexpr artifact_layout ptq_in_safetensors{ptq_tensors_of, ptq_metadata, detail::create_safetensors};

/// The float form.
inline constexpr artifact_layout floats_in_safetensors{float_tensors_of, detail::float_metadata_of_file,
                                                       detail::create_safetensors};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_SAFETENSORS_LAYOUT_HPP
