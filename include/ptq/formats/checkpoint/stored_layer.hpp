// SPDX-License-Identifier: Apache-2.0
/// @file stored_layer.hpp A layer of an artifact, and the tensors that it is stored as.
#ifndef PTQ_FORMATS_CHECKPOINT_STORED_LAYER_HPP
#define PTQ_FORMATS_CHECKPOINT_STORED_LAYER_HPP

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "ptq/error.hpp"
#include "ptq/formats/checkpoint/tensor_declaration.hpp"
#include "ptq/formats/float_pieces.hpp"
#include "ptq/formats/safetensors/types.hpp"
#include "ptq/formats/stored_codes.hpp"
#include "ptq/model/artifact_views.hpp"
#include "ptq/model/dtype_row.hpp"
#include "ptq/model/quantized_view.hpp"
#include "ptq/numeric/element_type.hpp"
#include "ptq/result.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1 {

/// What stands for the weight of a quantized layer.
enum class code_form : std::uint8_t {
  codes,   ///< row-major; packed into bytes where they have fewer than 8 bits
  floats,  ///< their values, in the type that the weight had
};

/// The tensors that a layer is stored as. What the layout does not want is not there.
struct layer_tensors {
  code_form form = code_form::codes;
  std::optional<tensor_declaration> weight;
  std::optional<tensor_declaration> scales;       ///< of type float32
  std::optional<tensor_declaration> input_scale;  ///< likewise
};

/// A layer of the artifact, resolved before anything is quantized.
struct stored_layer {
  std::string name{};
  std::string class_name{};
  std::string dtype{};
  tensor_shape shape{};
  element_type source = element_type::float32;  ///< of the weight before
  const dtype_row* codes = nullptr;             ///< null: the weight is left as it is
  granularity grain{};
  std::optional<artifact_activations> activations{};
  layer_tensors tensors{};  ///< as the layout has them

  std::string weight_name() const { return name + ".weight"; }
};

/// Whether codes are stored as bytes without a shape: those of fewer than 8 bits that files have no element
/// type for.
inline bool are_flat(const stored_layer& layer) {
  return !safetensors_place(layer.codes->stored);
}

/// Of what stands for the weight.
inline std::uint64_t weight_bytes(const stored_layer& layer) {
  const auto bytes = safetensors_size(layer.tensors.weight->type, layer.tensors.weight->shape);
  return bytes ? *bytes : 0;  // such a tensor no container takes
}

/// Calls f(offset in the stored tensor, bytes) for what stands for a part of the weight, in pieces.
///
/// @param part  of the layer's codes
/// @param first the row-major index of its first element in the weight
/// @param f     returns a `result<void>`; an error stops
template <class F>
result<void> for_each_piece(const stored_layer& layer, const quantized_view& part, std::size_t first, F&& f) {
  switch (layer.tensors.form) {
    case code_form::codes: {
      std::uint64_t at = first * layer.codes->code_size;
      return for_each_stored_piece(part, [&](std::span<const std::byte> piece) {
        return f(std::exchange(at, at + piece.size()), piece);
      });
    }
    case code_form::floats: {
      std::uint64_t at = first * size_of(layer.source);
      return for_each_float_piece(part, layer.source, [&](std::span<const std::byte> piece) {
        return f(std::exchange(at, at + piece.size()), piece);
      });
    }
  }
  PTQ_ASSERT(false);
  return {};
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_CHECKPOINT_STORED_LAYER_HPP
