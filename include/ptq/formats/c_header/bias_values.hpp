// SPDX-License-Identifier: Apache-2.0
/// @file bias_values.hpp The numbers of a bias, whatever floats it is of.
#ifndef PTQ_FORMATS_C_HEADER_BIAS_VALUES_HPP
#define PTQ_FORMATS_C_HEADER_BIAS_VALUES_HPP

#include <cstddef>
#include <vector>

#include "ptq/formats/onnx/code_types.hpp"
#include "ptq/model/any_floats.hpp"
#include "ptq/model/dtype_row.hpp"
#include "ptq/numeric/element_type.hpp"
#include "ptq/tensor/any_view.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1::detail {

/// Of a tensor of floats with one axis at most of more than one element; else none.
inline std::vector<double> bias_values(const any_view& bias) {
  if (!bias.has_floats() || bias.data == nullptr) return {};
  std::ptrdiff_t step = 1;
  std::size_t long_axes = 0;
  for (std::size_t i = 0; i < bias.shape.rank; ++i) {
    if (bias.shape[i] == 1) continue;
    step = bias.strides[i];
    ++long_axes;
  }
  if (long_axes > 1) return {};
  std::vector<float> floats(bias.size());
  widen(bias, 0, step, floats.size(), floats.data());
  return {floats.begin(), floats.end()};
}

/// Whether codes of an input are those that QuantizeLinear makes of int8.
inline bool is_int8_input(const dtype_row& dtype) {
  return dtype.stored == element_type::int8 && code_type_of(dtype).activations_reason.empty();
}

}  // namespace ptq::inline v0_1::detail

#endif  // PTQ_FORMATS_C_HEADER_BIAS_VALUES_HPP
