// SPDX-License-Identifier: Apache-2.0
/// @file stored_layer.hpp A layer of an artifact, and the tensors that it is stored as.
#ifndef PTQ_FORMATS_CHECKPOINT_STORED_LAYER_HPP
#define PTQ_FORMATS_CHECKPOINT_STORED_LAYER_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

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
  codes,         ///< row-major; packed into bytes where they have fewer than 8 bits
  floats,        ///< their values, in the type that the weight had
  packed_int32,  ///< int8 of rank 2, counted from 128; four of a row to an int32, the first in its lowest
                 ///< byte
};

/// A tensor whose content the layout knows.
struct known_tensor {
  tensor_declaration declared;
  std::vector<std::byte> content;
};

inline known_tensor int64_constant(std::string name, const std::vector<std::size_t>& values) {
  known_tensor made{{std::move(name), element_type::int64, {values.size()}}, {}};
  for (std::uint64_t value : values)
    for (int i = 0; i < 8; ++i, value >>= 8) made.content.push_back(static_cast<std::byte>(value & 0xff));
  return made;
}

/// How many int32 a row of such codes takes.
constexpr std::size_t int32s_of_codes(std::size_t columns) noexcept {
  return columns / 4 + (columns % 4 != 0 ? 1 : 0);
}

/// The tensors that a layer is stored as. What the layout does not want is not there.
struct layer_tensors {
  code_form form = code_form::codes;
  std::optional<tensor_declaration> weight;
  std::optional<tensor_declaration> scales;       ///< of type float32
  std::optional<tensor_declaration> input_scale;  ///< likewise
  std::vector<known_tensor> constants{};
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

namespace detail {

/// Calls f(offset in the stored tensor, bytes) for int8 codes in `code_form::packed_int32`, some rows at a
/// time.
///
/// @param first the row-major index of the first of them
template <class F>
result<void> pack_into_int32(std::size_t columns, std::size_t first, std::span<const std::byte> codes,
                             F&& f) {
  const std::size_t stride = 4 * int32s_of_codes(columns);
  std::vector<std::byte> packed;
  while (!codes.empty()) {
    packed.clear();
    const std::uint64_t begin = std::uint64_t{first} / columns * stride + first % columns;
    while (!codes.empty() && packed.size() < codes_per_piece) {
      const std::size_t count = (std::min)({codes.size(), columns - first % columns, codes_per_piece});
      for (const std::byte code : codes.first(count)) packed.push_back(code ^ std::byte{0x80});
      codes = codes.subspan(count);
      first += count;
      if (first % columns == 0) packed.resize(packed.size() + stride - columns);
    }
    if (auto stored = f(begin, std::span<const std::byte>(packed)); !stored) return stored;
  }
  return {};
}

}  // namespace detail

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
    case code_form::packed_int32:
      return for_each_stored_piece(part, [&](std::span<const std::byte> piece) {
        return detail::pack_into_int32(layer.shape[1], std::exchange(first, first + piece.size()), piece, f);
      });
  }
  PTQ_ASSERT(false);
  return {};
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_CHECKPOINT_STORED_LAYER_HPP
