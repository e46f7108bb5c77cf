// SPDX-License-Identifier: Apache-2.0
/// @file layout.hpp ptq's own artifact: a safetensors file.
#ifndef PTQ_FORMATS_SAFETENSORS_LAYOUT_HPP
#define PTQ_FORMATS_SAFETENSORS_LAYOUT_HPP

#include <string>
#include <utility>
#include <vector>

#include "ptq/formats/checkpoint/artifact_layout.hpp"
#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/formats/checkpoint/tensor_declaration.hpp"
#include "ptq/formats/checkpoint/tensor_writer.hpp"
#include "ptq/formats/safetensors/writer.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

/// `<layer>.weight` as codes of the original shape, `<layer>.weight_scale`, `<layer>.input_scale`, and what
/// its layers are in the metadata.
inline constexpr artifact_layout ptq_in_safetensors{
    ptq_tensors_of, ptq_metadata,
    [](const std::string& path, std::vector<tensor_declaration> tensors,
       const metadata_map& metadata) -> result<tensor_writer> {
      auto writer = safetensors_writer::create(path, std::move(tensors), metadata);
      if (!writer) return writer.error();
      return tensor_writer(*std::move(writer));
    }};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_SAFETENSORS_LAYOUT_HPP
