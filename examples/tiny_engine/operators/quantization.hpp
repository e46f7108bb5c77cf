// SPDX-License-Identifier: Apache-2.0
/// @file quantization.hpp QuantizeLinear and DequantizeLinear, on ptq's own kernels where they are symmetric.
#ifndef TINY_ENGINE_OPERATORS_QUANTIZATION_HPP
#define TINY_ENGINE_OPERATORS_QUANTIZATION_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>

#include "operator.hpp"
#include "ptq/core.hpp"
#include "ptq/model/dtype_row.hpp"
#include "ptq/model/kernel_row.hpp"

namespace tiny {

/// How the scales lie on a tensor, checked.
inline result<ptq::granularity> granularity_of(const call& c, const shape& s) {
  if (c.node.integer("block_size", 0) != 0) return unsupported("scales of blocks (block_size).");
  if (c.input(1) == nullptr || c.input(1)->type != element_type::float32)
    return unsupported("a scale that is not float32.");
  if (c.input(2) != nullptr && c.input(2)->size() != c.input(1)->size())
    return error(errc::size_mismatch, "", "scale and zero point have different sizes.");
  if (c.input(1)->size() == 1) return ptq::per_tensor();
  const auto axis = axis_of(c.node.integer("axis", 1), s.rank);
  if (!axis) return axis.error();
  if (c.input(1)->size() != s[*axis])
    return error(
        errc::size_mismatch, "",
        std::to_string(c.input(1)->size()) + " scales for an axis of " + std::to_string(s[*axis]) + ".");
  return ptq::per_channel(*axis);
}

inline bool is_symmetric(const tensor* zero_point) {
  return zero_point == nullptr || std::all_of(zero_point->bytes.begin(), zero_point->bytes.end(),
                                              [](std::byte b) { return b == std::byte{}; });
}

/// Calls f(i, channel) for each element.
template <class F>
void for_each_channel(const shape& s, ptq::granularity grain, F&& f) {
  const bool is_whole = !grain.is_per_channel();
  const std::size_t inner = is_whole ? 1 : extent_between(s, grain.axis + 1, s.rank);
  const std::size_t channels = is_whole ? 1 : s[grain.axis];
  for (std::size_t i = 0; i < s.size(); ++i) f(i, i / inner % channels);
}

inline result<tensor> encode(const call& c, ptq::granularity grain, element_type type,
                             const ptq::kernel_row& kernels) {
  const tensor& x = *c.input(0);
  tensor y(type, x.shape);
  const ptq::tensor_view<const float> values(x.floats().data(), x.shape);
  const auto done = ptq::quantize_by(values, {&kernels, {}}, c.input(1)->floats(), y.bytes, grain);
  return done ? result<tensor>(y) : error(done.code, "", "the tensor cannot be quantized.");
}

/// clamp(round(x / scale) + zero point)
template <class T>
tensor encode_shifted(const call& c, ptq::granularity grain, element_type type) {
  tensor y(type, c.input(0)->shape);
  const auto zero_points = c.input(2) != nullptr ? c.input(2)->as<T>() : std::span<const T>();
  for_each_channel(y.shape, grain, [&](std::size_t i, std::size_t channel) {
    const float zero = zero_points.empty() ? 0.0F : static_cast<float>(zero_points[channel]);
    const float code = std::nearbyint(c.input(0)->floats()[i] / c.input(1)->floats()[channel]) + zero;
    y.as<T>()[i] = static_cast<T>(std::clamp(code, static_cast<float>(std::numeric_limits<T>::min()),
                                             static_cast<float>(std::numeric_limits<T>::max())));
  });
  return y;
}

inline result<tensor> quantize_linear(const call& c) {
  if (auto floats = expect_floats(c, 1); !floats) return floats.error();
  const auto grain = granularity_of(c, c.input(0)->shape);
  if (!grain) return grain.error();
  const auto named = ptq::onnx_type(c.node.integer("output_dtype", ptq::onnx_number(element_type::uint8)));
  const element_type type = c.input(2) != nullptr ? c.input(2)->type : named;
  if (c.node.integer("saturate", 1) == 0) return unsupported("saturate = 0.");
  const auto* const kernels = ptq::find_kernel_row(ptq::name_of(type), ptq::arithmetic::divide);
  if (kernels != nullptr && is_symmetric(c.input(2))) return encode(c, *grain, type, *kernels);
  if (type == element_type::int8) return encode_shifted<std::int8_t>(c, *grain, type);
  if (type == element_type::uint8) return encode_shifted<std::uint8_t>(c, *grain, type);
  return unsupported(std::string("codes of type ") + ptq::onnx_word(type) + ".");
}

inline result<tensor> decode(const call& c, ptq::granularity grain, const ptq::dtype_row& dtype) {
  tensor y(c.input(0)->shape);
  const ptq::tensor_view<float> values(y.floats().data(), y.shape);
  const auto done = ptq::dequantize(dtype, c.input(0)->bytes, c.input(1)->floats(), grain, values);
  return done ? result<tensor>(y) : error(done.code, "", "the codes cannot be dequantized.");
}

/// (code - zero point) * scale
template <class T>
tensor decode_shifted(const call& c, ptq::granularity grain) {
  tensor y(c.input(0)->shape);
  const auto zero_points = c.input(2) != nullptr ? c.input(2)->as<T>() : std::span<const T>();
  for_each_channel(y.shape, grain, [&](std::size_t i, std::size_t channel) {
    const std::int64_t zero = zero_points.empty() ? 0 : zero_points[channel];
    y.floats()[i] = static_cast<float>(c.input(0)->as<T>()[i] - zero) * c.input(1)->floats()[channel];
  });
  return y;
}

inline result<tensor> dequantize_linear(const call& c) {
  const tensor& codes = *c.input(0);
  const auto grain = granularity_of(c, codes.shape);
  if (!grain) return grain.error();
  if (c.input(2) != nullptr && c.input(2)->type != codes.type)
    return unsupported("a zero point of another type than the codes.");
  const auto* const dtype = ptq::find_dtype_row(ptq::name_of(codes.type));
  if (dtype != nullptr && is_symmetric(c.input(2))) return decode(c, *grain, *dtype);
  if (codes.type == element_type::int8) return decode_shifted<std::int8_t>(c, *grain);
  if (codes.type == element_type::uint8) return decode_shifted<std::uint8_t>(c, *grain);
  if (codes.type == element_type::int32) return decode_shifted<std::int32_t>(c, *grain);
  return unsupported(std::string("codes of type ") + ptq::onnx_word(codes.type) + ".");
}

}  // namespace tiny

#endif  // TINY_ENGINE_OPERATORS_QUANTIZATION_HPP
