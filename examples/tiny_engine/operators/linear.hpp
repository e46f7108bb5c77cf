// SPDX-License-Identifier: Apache-2.0
/// @file linear.hpp Conv, Gemm and MatMul: in float, and in integers where both sides are int8 codes.
///
/// The integer form takes {x codes, x scale, w codes, w scales, bias}: int8 x int8 is summed in int32, which
/// is exact, then requantized to float: y = sum * (x scale * w scale of the output channel) + bias.
#ifndef TINY_ENGINE_OPERATORS_LINEAR_HPP
#define TINY_ENGINE_OPERATORS_LINEAR_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "operator.hpp"
#include "product.hpp"
#include "ptq/text/shape_text.hpp"
#include "window.hpp"

namespace tiny {

inline error size_error(const tensor& a, const tensor& b) {
  return {errc::size_mismatch, "",
          ptq::extents_text(a.shape) + " and " + ptq::extents_text(b.shape) + " do not go together."};
}

/// The operands of an integer layer.
struct int8_operands {
  const tensor *x, *w, *bias;
  float x_scale;
  std::span<const float> w_scales;

  explicit int8_operands(const call& c)
      : x(c.input(0)),
        w(c.input(2)),
        bias(c.input(4)),
        x_scale(c.input(1)->floats()[0]),
        w_scales(c.input(3)->floats()) {}

  float scale(std::size_t channel) const noexcept {
    return x_scale * w_scales[w_scales.size() == 1 ? 0 : channel];
  }
};

/// Adds bias[channel] to each of the `channels` rows of `length`.
inline void add_bias(std::span<float> y, const tensor* bias, std::size_t channels, std::size_t length) {
  if (bias == nullptr) return;
  for (std::size_t row = 0; row * length < y.size(); ++row)
    for (float& value : y.subspan(row * length, length)) value += bias->floats()[row % channels];
}

// Conv ------------------------------------------------------------------------------------------------------

/// The geometry of a convolution, checked.
struct convolution {
  window w;
  shape out;
  std::size_t samples, groups, in_channels, out_channels;  // channels of a group

  static result<convolution> of(const call& c, const tensor& x, const tensor& weight, const tensor* bias) {
    if (x.shape.rank < 3 || weight.shape.rank != x.shape.rank) return size_error(x, weight);
    const std::span<const std::size_t> kernel(weight.shape.extents.data() + 2, weight.shape.rank - 2);
    auto w = window::of(c, x.shape, kernel);
    if (!w) return w.error();
    const auto groups = static_cast<std::size_t>(std::max<std::int64_t>(c.node.integer("group", 1), 1));
    const std::size_t channels = weight.shape[0];
    if (channels % groups != 0 || x.shape[1] != weight.shape[1] * groups) return size_error(x, weight);
    if (bias != nullptr && (bias->type != element_type::float32 || bias->size() != channels))
      return size_error(weight, *bias);
    return convolution{
        *w, w->out_shape(x.shape, channels), x.shape[0], groups, weight.shape[1], channels / groups};
  }

  std::size_t products() const noexcept { return in_channels * w.taps(); }

  /// Calls f(image of the group, weights of the group, where its sums begin) for each sample and group.
  template <class T, class F>
  void for_each_group(std::span<const T> x, std::span<const T> weights, F&& f) const {
    const std::size_t area = w.image[0] * w.image[1];
    for (std::size_t i = 0; i < samples * groups; ++i)
      f(x.data() + i * in_channels * area, weights.data() + i % groups * out_channels * products(),
        i * out_channels * w.positions());
  }

  /// Copies what each window sees: the value of (channel and tap, position) goes to their steps' sum. The
  /// padding stays 0.
  template <class T>
  void unfold(const T* image, std::vector<T>& seen, std::size_t product_step,
              std::size_t position_step) const {
    seen.assign(products() * w.positions(), T{});
    for (std::size_t channel = 0; channel < in_channels; ++channel)
      w.for_each_run([&](std::size_t tap, std::size_t position, std::size_t at, std::size_t count) {
        T* const to = seen.data() + (channel * w.taps() + tap) * product_step + position * position_step;
        const T* const from = image + channel * w.image[0] * w.image[1] + at;
        if (position_step == 1 && w.stride[1] == 1)
          std::copy_n(from, count, to);
        else
          for (std::size_t k = 0; k < count; ++k) to[k * position_step] = from[k * w.stride[1]];
      });
  }
};

inline result<tensor> conv(const call& c) {
  if (auto floats = expect_floats(c, 2); !floats) return floats.error();
  const auto g = convolution::of(c, *c.input(0), *c.input(1), c.input(2));
  if (!g) return g.error();
  tensor y(g->out);
  std::vector<float> seen;
  g->for_each_group(c.input(0)->floats(), c.input(1)->floats(),
                    [&](const float* image, const float* weights, std::size_t at) {
                      g->unfold(image, seen, g->w.positions(), 1);
                      matrix_product(weights, seen.data(), y.floats().data() + at, g->out_channels,
                                     g->products(), g->w.positions());
                    });
  add_bias(y.floats(), c.input(2), y.shape[1], g->w.positions());
  return y;
}

/// The sums of a convolution of int8 codes, in the order of its output.
inline std::vector<std::int32_t> int8_sums(const convolution& g, const tensor& x, const tensor& w) {
  std::vector<std::int32_t> sums(g.out.size());
  std::vector<std::int8_t> seen;
  g.for_each_group(x.as<std::int8_t>(), w.as<std::int8_t>(),
                   [&](const std::int8_t* image, const std::int8_t* weights, std::size_t at) {
                     g.unfold(image, seen, 1, g.products());
                     matrix_product(weights, seen.data(), sums.data() + at, g.out_channels, g.products(),
                                    g.w.positions());
                   });
  return sums;
}

inline result<tensor> int8_conv(const call& c) {
  const int8_operands o(c);
  const auto g = convolution::of(c, *o.x, *o.w, o.bias);
  if (!g) return g.error();
  tensor y(g->out);
  const std::vector<std::int32_t> sums = int8_sums(*g, *o.x, *o.w);
  for (std::size_t i = 0; i < sums.size(); ++i)
    y.floats()[i] = static_cast<float>(sums[i]) * o.scale(i / g->w.positions() % y.shape[1]);
  add_bias(y.floats(), o.bias, y.shape[1], g->w.positions());
  return y;
}

// Gemm ------------------------------------------------------------------------------------------------------

/// The matrix, or its transpose, which is kept in `made`.
template <class T>
const T* oriented(const tensor& t, bool is_transposed, std::vector<T>& made) {
  const auto values = t.as<T>();
  if (!is_transposed) return values.data();
  made.resize(values.size());
  transpose_matrix(values.data(), made.data(), t.shape[0], t.shape[1]);
  return made.data();
}

/// The sizes of [m, k] [k, n], checked.
struct gemm_sizes {
  std::size_t m, k, n;

  static result<gemm_sizes> of(const call& c, const tensor& a, const tensor& b) {
    if (a.shape.rank != 2 || b.shape.rank != 2) return size_error(a, b);
    const bool is_a_transposed = c.node.integer("transA", 0) != 0;
    const bool is_b_transposed = c.node.integer("transB", 0) != 0;
    const std::size_t k = a.shape[is_a_transposed ? 0 : 1];
    if (b.shape[is_b_transposed ? 1 : 0] != k) return size_error(a, b);
    return gemm_sizes{a.shape[is_a_transposed ? 1 : 0], k, b.shape[is_b_transposed ? 0 : 1]};
  }
};

/// y += beta * bias, which repeats along axes of extent 1.
inline result<void> add_broadcast(tensor& y, const tensor* bias, float beta) {
  if (bias == nullptr) return {};
  const auto both = broadcast::of(y.shape, bias->shape);
  if (!both) return both.error();
  if (both->shape != y.shape || bias->type != element_type::float32) return size_error(y, *bias);
  for_each_pair(*both, y.shape.rank, [&](std::ptrdiff_t i, std::ptrdiff_t j) {
    y.floats()[static_cast<std::size_t>(i)] += beta * bias->floats()[static_cast<std::size_t>(j)];
  });
  return {};
}

inline result<tensor> gemm(const call& c) {
  if (auto floats = expect_floats(c, 2); !floats) return floats.error();
  const auto s = gemm_sizes::of(c, *c.input(0), *c.input(1));
  if (!s) return s.error();
  std::vector<float> a_made;
  std::vector<float> b_made;
  const float* const a = oriented(*c.input(0), c.node.integer("transA", 0) != 0, a_made);
  const float* const b = oriented(*c.input(1), c.node.integer("transB", 0) != 0, b_made);
  tensor y({s->m, s->n});
  matrix_product(a, b, y.floats().data(), s->m, s->k, s->n);
  if (const float alpha = c.node.real("alpha", 1); alpha != 1)
    for (float& value : y.floats()) value *= alpha;
  if (auto added = add_broadcast(y, c.input(2), c.node.real("beta", 1)); !added) return added.error();
  return y;
}

/// The sums of x[m, k] w[n, k]^T.
inline std::vector<std::int32_t> int8_sums(const tensor& x, const std::int8_t* w, const gemm_sizes& s) {
  std::vector<std::int32_t> sums(s.m * s.n);
  matrix_product(x.as<std::int8_t>().data(), w, sums.data(), s.m, s.k, s.n);
  return sums;
}

/// y[m, n] = x[m, k] w[n, k]^T, requantized.
inline void int8_rows(const int8_operands& o, const std::int8_t* w, const gemm_sizes& s, std::span<float> y) {
  const std::vector<std::int32_t> sums = int8_sums(*o.x, w, s);
  for (std::size_t i = 0; i < sums.size(); ++i) y[i] = static_cast<float>(sums[i]) * o.scale(i % s.n);
}

inline result<tensor> int8_gemm(const call& c) {
  const int8_operands o(c);
  const auto s = gemm_sizes::of(c, *o.x, *o.w);
  if (!s) return s.error();
  std::vector<std::int8_t> made;
  const std::int8_t* const w = oriented(*o.w, c.node.integer("transB", 0) == 0, made);
  tensor y({s->m, s->n});
  int8_rows(o, w, *s, y.floats());
  if (auto added = add_broadcast(y, o.bias, 1); !added) return added.error();
  return y;
}

// MatMul ----------------------------------------------------------------------------------------------------

/// Stacks of matrices: all axes but the last two are broadcast.
inline result<tensor> matmul(const call& c) {
  if (auto floats = expect_floats(c, 2); !floats) return floats.error();
  const tensor& a = *c.input(0);
  const tensor& b = *c.input(1);
  if (a.shape.rank < 2 || b.shape.rank < 2) return unsupported("MatMul of vectors.");
  const std::size_t m = a.shape[a.shape.rank - 2];
  const std::size_t k = a.shape[a.shape.rank - 1];
  const std::size_t n = b.shape[b.shape.rank - 1];
  if (b.shape[b.shape.rank - 2] != k) return size_error(a, b);
  shape a_stack = a.shape;
  shape b_stack = b.shape;
  a_stack.rank -= 2;
  b_stack.rank -= 2;
  const auto stacks = broadcast::of(a_stack, b_stack);
  if (!stacks) return stacks.error();
  shape out = stacks->shape;
  out.extents[out.rank++] = m;
  out.extents[out.rank++] = n;
  tensor y(out);
  float* to = y.floats().data();
  for_each_pair(*stacks, stacks->shape.rank, [&](std::ptrdiff_t i, std::ptrdiff_t j) {
    matrix_product(a.floats().data() + static_cast<std::size_t>(i) * m * k,
                   b.floats().data() + static_cast<std::size_t>(j) * k * n, to, m, k, n);
    to += m * n;
  });
  return y;
}

/// Of a stack of matrices and one matrix, [k, n].
inline result<gemm_sizes> matmul_sizes(const tensor& x, const tensor& w) {
  const std::size_t rank = x.shape.rank;
  if (rank < 2 || x.shape[rank - 1] != w.shape[0]) return size_error(x, w);
  return gemm_sizes{x.size() / w.shape[0], w.shape[0], w.shape[1]};
}

inline result<tensor> int8_matmul(const call& c) {
  const int8_operands o(c);
  const auto s = matmul_sizes(*o.x, *o.w);
  if (!s) return s.error();
  std::vector<std::int8_t> made;
  const std::int8_t* const w = oriented(*o.w, true, made);
  shape out = o.x->shape;
  out.extents[out.rank - 1] = s->n;
  tensor y(out);
  int8_rows(o, w, *s, y.floats());
  return y;
}

}  // namespace tiny

#endif  // TINY_ENGINE_OPERATORS_LINEAR_HPP
