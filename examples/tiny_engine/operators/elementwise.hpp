// SPDX-License-Identifier: Apache-2.0
/// @file elementwise.hpp Add, Sub, Mul, Div, Relu, Gelu, Identity, Sum.
#ifndef TINY_ENGINE_OPERATORS_ELEMENTWISE_HPP
#define TINY_ENGINE_OPERATORS_ELEMENTWISE_HPP

#include <cmath>
#include <cstddef>
#include <string>

#include "operator.hpp"

namespace tiny {

template <class F>
result<tensor> combine(const call& c, F f) {
  if (auto floats = expect_floats(c, 2); !floats) return floats.error();
  const auto both = broadcast::of(c.input(0)->shape, c.input(1)->shape);
  if (!both) return both.error();
  tensor y(both->shape);
  float* out = y.floats().data();
  const float* const a = c.input(0)->floats().data();
  const float* const b = c.input(1)->floats().data();
  for_each_run(*both, [&](std::ptrdiff_t i, std::ptrdiff_t j, std::ptrdiff_t a_step, std::ptrdiff_t b_step,
                          std::ptrdiff_t count) {
    if (a_step == 1 && b_step == 1)
      for (std::ptrdiff_t k = 0; k < count; ++k) out[k] = f(a[i + k], b[j + k]);
    else if (a_step == 1 && b_step == 0)
      for (std::ptrdiff_t k = 0; k < count; ++k) out[k] = f(a[i + k], b[j]);
    else
      for (std::ptrdiff_t k = 0; k < count; ++k) out[k] = f(a[i + k * a_step], b[j + k * b_step]);
    out += count;
  });
  return y;
}

inline result<tensor> add(const call& c) {
  return combine(c, [](float a, float b) { return a + b; });
}
inline result<tensor> subtract(const call& c) {
  return combine(c, [](float a, float b) { return a - b; });
}
inline result<tensor> multiply(const call& c) {
  return combine(c, [](float a, float b) { return a * b; });
}
inline result<tensor> divide(const call& c) {
  return combine(c, [](float a, float b) { return a / b; });
}

template <class F>
result<tensor> each(const call& c, F f) {
  if (auto floats = expect_floats(c, 1); !floats) return floats.error();
  tensor y = *c.input(0);
  for (float& x : y.floats()) x = f(x);
  return y;
}

inline result<tensor> relu(const call& c) {
  return each(c, [](float x) { return x < 0 ? 0.0F : x; });  // NaN stays
}

inline result<tensor> gelu(const call& c) {
  if (const auto* a = c.node.find_attribute("approximate"); a != nullptr && a->text != "none")
    return unsupported("approximate = \"" + a->text + "\".");
  return each(c, [](float x) { return 0.5F * x * (1.0F + std::erf(x * 0.70710678F)); });  // x / sqrt(2)
}

inline result<tensor> identity(const call& c) {
  return *c.input(0);
}

/// The writer of artifacts sets layers apart with a sum of one.
inline result<tensor> sum(const call& c) {
  if (c.inputs.size() != 1) return unsupported("a sum of " + std::to_string(c.inputs.size()) + " tensors.");
  return identity(c);
}

}  // namespace tiny

#endif  // TINY_ENGINE_OPERATORS_ELEMENTWISE_HPP
