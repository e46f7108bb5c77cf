// SPDX-License-Identifier: Apache-2.0
/// @file quantized_view.hpp A quantized tensor as a view: codes in somebody's memory, and their scales.
#ifndef PTQ_MODEL_QUANTIZED_VIEW_HPP
#define PTQ_MODEL_QUANTIZED_VIEW_HPP

#include <cstddef>
#include <span>
#include <string_view>

#include "ptq/backend/recipe.hpp"
#include "ptq/detail/platform.hpp"
#include "ptq/dtype/concept.hpp"
#include "ptq/error.hpp"
#include "ptq/model/dtype_row.hpp"
#include "ptq/quantize/scales.hpp"
#include "ptq/tensor/contiguous.hpp"
#include "ptq/tensor/traits.hpp"
#include "ptq/tensor/view.hpp"
#include "ptq/tensor/walk.hpp"

namespace ptq::inline v0_1 {

/// value = code * scale. Non-owning.
struct quantized_view {
  const dtype_row* dtype = nullptr;
  tensor_shape shape;
  tensor_strides strides{};  ///< of the codes, in codes; nothing lies between them
  granularity grain;
  std::span<const std::byte> codes;  ///< `dtype->code_size` bytes each
  std::span<const float> scales;     ///< 1 per tensor, or one per index of the axis

  /// The codes as what they are, in their order in memory. D must be `dtype`.
  template <ptq::dtype D>
  std::span<const typename D::storage> codes_as() const noexcept {
    PTQ_ASSERT(std::string_view(dtype->name) == D::name &&
               codes.size() == size() * sizeof(typename D::storage));
    return {reinterpret_cast<const typename D::storage*>(codes.data()), size()};
  }

  std::size_t size() const noexcept { return shape.size(); }
  /// Of codes and scales.
  std::size_t bytes() const noexcept { return codes.size() + scales.size() * sizeof(float); }
};

inline namespace PTQ_BUILD {

/// The values, into any tensor of the same shape that lies in memory as the codes do.
///
/// @return size_mismatch for another shape; unsupported where the target is row-major and the codes are
///         column-major or the other way round; else as the other `dequantize`
template <adaptable_tensor Tensor>
status dequantize(const quantized_view& quantized, Tensor&& target) {
  const auto view = view_of(target);
  if (view.shape != quantized.shape) return {errc::size_mismatch, quantized.size()};
  if (dense_strides(view.shape, view.strides) != dense_strides(quantized.shape, quantized.strides))
    return {errc::unsupported, 0};
  return dequantize(*quantized.dtype, quantized.codes, quantized.scales, quantized.grain, target);
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_MODEL_QUANTIZED_VIEW_HPP
