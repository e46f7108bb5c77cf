// SPDX-License-Identifier: Apache-2.0
/// @file fixed_point.hpp Conv, Gemm, MatMul, MaxPool and Relu in integers alone, as firmware computes them.
///
/// A layer takes {x codes, w codes, bias, multiplier, shift}, the last three one int32 a channel:
/// y = clamp(requantize(sum + bias, multiplier, shift)) to the range of `Out`, int8 codes or the last
/// layer's int32. No sum leaves int32: that is seen to when the graph is loaded.
#ifndef TINY_ENGINE_OPERATORS_FIXED_POINT_HPP
#define TINY_ENGINE_OPERATORS_FIXED_POINT_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "linear.hpp"
#include "operator.hpp"
#include "product.hpp"
#include "ptq/core.hpp"
#include "window.hpp"

namespace tiny {

template <class Integer>
inline constexpr element_type type_of_integer =
    std::is_same_v<Integer, std::int8_t> ? element_type::int8 : element_type::int32;

/// Sums to outputs; each channel has `length` sums in a row.
template <class Out>
void requantize_sums(const call& c, std::span<const std::int32_t> sums, std::size_t length,
                     std::span<Out> y) {
  const auto bias = c.input(2)->as<std::int32_t>();
  const auto multiplier = c.input(3)->as<std::int32_t>();
  const auto shift = c.input(4)->as<std::int32_t>();
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const std::size_t channel = i / length % bias.size();
    const std::int32_t value =
        ptq::requantize(sums[i] + bias[channel], {multiplier[channel], shift[channel]});
    y[i] = static_cast<Out>(
        std::clamp<std::int32_t>(value, std::numeric_limits<Out>::min(), std::numeric_limits<Out>::max()));
  }
}

/// What a file calls int8 may be something else.
inline result<void> expect_int8(const call& c, std::size_t count) {
  for (std::size_t slot = 0; slot < count; ++slot)
    if (c.input(slot)->type != element_type::int8)
      return unsupported("input " + std::to_string(slot) + " holds " + ptq::onnx_word(c.input(slot)->type) +
                         " instead of int8.");
  return {};
}

/// Codes stay what they are.
inline result<tensor> int8_codes(const call& c) {
  if (auto codes = expect_int8(c, 1); !codes) return codes.error();
  return *c.input(0);
}

template <class Out>
result<tensor> fixed_conv(const call& c) {
  if (auto codes = expect_int8(c, 2); !codes) return codes.error();
  const tensor& x = *c.input(0);
  const tensor& w = *c.input(1);
  const auto g = convolution::of(c, x, w, nullptr);
  if (!g) return g.error();
  tensor y(type_of_integer<Out>, g->out);
  requantize_sums<Out>(c, int8_sums(*g, x, w), g->w.positions(), y.as<Out>());
  return y;
}

template <class Out>
result<tensor> fixed_gemm(const call& c) {
  if (auto codes = expect_int8(c, 2); !codes) return codes.error();
  const tensor& x = *c.input(0);
  const tensor& w = *c.input(1);
  const auto s = gemm_sizes::of(c, x, w);
  if (!s) return s.error();
  std::vector<std::int8_t> made;
  tensor y(type_of_integer<Out>, {s->m, s->n});
  requantize_sums<Out>(c, int8_sums(x, oriented(w, c.node.integer("transB", 0) == 0, made), *s), 1,
                       y.as<Out>());
  return y;
}

template <class Out>
result<tensor> fixed_matmul(const call& c) {
  if (auto codes = expect_int8(c, 2); !codes) return codes.error();
  const tensor& x = *c.input(0);
  const tensor& w = *c.input(1);
  const auto s = matmul_sizes(x, w);
  if (!s) return s.error();
  std::vector<std::int8_t> made;
  shape out = x.shape;
  out.extents[out.rank - 1] = s->n;
  tensor y(type_of_integer<Out>, out);
  requantize_sums<Out>(c, int8_sums(x, oriented(w, true, made), *s), 1, y.as<Out>());
  return y;
}

template <class Integer>
result<tensor> fixed_relu(const call& c) {
  tensor y = *c.input(0);
  for (Integer& value : y.as<Integer>()) value = std::max<Integer>(value, 0);
  return y;
}

}  // namespace tiny

#endif  // TINY_ENGINE_OPERATORS_FIXED_POINT_HPP
