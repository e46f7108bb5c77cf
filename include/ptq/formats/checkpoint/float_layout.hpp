// SPDX-License-Identifier: Apache-2.0
/// @file float_layout.hpp The float form of a quantized checkpoint: each weight has the values of its codes,
/// in the element type and under the name that it had, and there are no scales.
#ifndef PTQ_FORMATS_CHECKPOINT_FLOAT_LAYOUT_HPP
#define PTQ_FORMATS_CHECKPOINT_FLOAT_LAYOUT_HPP

#include <span>

#include "ptq/formats/checkpoint/stored_layer.hpp"
#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/formats/checkpoint/tensor_declaration.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1 {

inline layer_tensors float_tensors_of(const stored_layer& layer) {
  layer_tensors tensors;
  tensors.form = code_form::floats;
  if (layer.codes != nullptr)
    tensors.weight = tensor_declaration{layer.weight_name(), layer.source, extents_of(layer.shape)};
  return tensors;
}

/// What the model says about itself. What an artifact says of its layers would not be true any more.
inline metadata_map float_metadata(const metadata_map& source, const plan&, std::span<const stored_layer>) {
  metadata_map metadata = source;
  const auto format = metadata.find("format");
  if (format != metadata.end() && format->second == "ptq") metadata.erase(format);
  for (const char* const own : {"ptq_version", "ptq_backend", "ptq_mode", "ptq_layers"}) metadata.erase(own);
  return metadata;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_CHECKPOINT_FLOAT_LAYOUT_HPP
