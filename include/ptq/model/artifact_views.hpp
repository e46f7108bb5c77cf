// SPDX-License-Identifier: Apache-2.0
/// @file artifact_views.hpp A quantized model as an engine gets it back: codes, scales and shapes, layer by
/// layer.
#ifndef PTQ_MODEL_ARTIFACT_VIEWS_HPP
#define PTQ_MODEL_ARTIFACT_VIEWS_HPP

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ptq/backend/recipe.hpp"
#include "ptq/detail/platform.hpp"
#include "ptq/error.hpp"
#include "ptq/model/dtype_row.hpp"
#include "ptq/numeric/element_type.hpp"
#include "ptq/policies.hpp"
#include "ptq/quantize/dequantize.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1 {

/// The codes and scales of a layer's weight: weight = code * scale.
struct artifact_weights {
  std::string dtype;
  tensor_shape shape;
  granularity grain;
  std::span<const std::byte> codes;             ///< row-major; packed where the dtype has fewer than 8 bits
  std::span<const float> scales;                ///< 1 per tensor, or one per index of the axis
  element_type source = element_type::float32;  ///< of the weight before

  /// The codes as what they are. D must be `dtype`.
  template <ptq::dtype D>
  std::span<const typename D::storage> codes_as() const noexcept {
    PTQ_ASSERT(dtype == D::name && codes.size() == shape.size() * sizeof(typename D::storage));
    return {reinterpret_cast<const typename D::storage*>(codes.data()), shape.size()};
  }
};

/// How a layer's input is quantized: code = encode(input / scale).
struct artifact_activations {
  std::string dtype;
  std::string algorithm;  ///< the calibrator that found amax
  float amax = 0;
  float scale = 0;
};

struct artifact_layer {
  std::string name;
  std::string class_name;
  std::optional<artifact_weights> weights;
  std::optional<artifact_activations> activations;
};

/// Views: they are valid as long as what they look into, for a file the open `checkpoint`.
struct artifact {
  std::string version;  ///< of the ptq that wrote it
  std::string backend;
  std::string mode;
  std::vector<artifact_layer> layers;  ///< those that are quantized, by name

  /// Null if there is no quantized layer of that name.
  const artifact_layer* find(std::string_view name) const noexcept {
    for (const artifact_layer& layer : layers)
      if (layer.name == name) return &layer;
    return nullptr;
  }
};

inline namespace PTQ_BUILD {

/// The dequantized weight, row-major, into the caller's memory.
///
/// @return unsupported if the policies lack the dtype; size_mismatch with the length wanted
template <class Policies = builtin>
status dequantize(const artifact_weights& weights, std::span<float> values) {
  const dtype_row* const dtype = find_dtype_row<Policies>(weights.dtype);
  if (dtype == nullptr) return {errc::unsupported, 0};
  const std::size_t size = weights.shape.size();
  if (values.size() != size || weights.codes.size() != dtype->stored_size(size))
    return {errc::size_mismatch, size};
  const tensor_view<float> target(values.data(), weights.shape);
  if (dtype->is_packed())
    return detail::dequantize_view<float>(target, weights.grain, detail::packed_decoder{dtype, weights.codes},
                                          size, weights.scales);
  return detail::dequantize_view<float>(
      target, weights.grain, detail::untyped_decoder{dtype, weights.codes.data()}, size, weights.scales);
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_MODEL_ARTIFACT_VIEWS_HPP
