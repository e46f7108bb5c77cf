// SPDX-License-Identifier: Apache-2.0
/// @file cortex_m.hpp What a Cortex-M with an FPU does in one instruction where portable C++ needs many, and
/// vectors of floats where it has them (MVE, "Helium"). The same bits as the portable kernels.
///
/// Assembly, as flags let compilers replace divisions, and C++ has no word for a conversion that rounds. In
/// the default rounding mode of the FPU (FPSCR.RMode = 0), as all that divides; flush-to-zero changes
/// nothing.
#ifndef PTQ_KERNELS_CORTEX_M_HPP
#define PTQ_KERNELS_CORTEX_M_HPP

#include "ptq/detail/platform.hpp"

#if PTQ_CORTEX_M_FPU

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "ptq/backend/recipe.hpp"
#include "ptq/detail/strict_float.hpp"

#if PTQ_CORTEX_M_MVE
#include <arm_mve.h>
#endif

namespace ptq::inline v0_1 {
namespace kernels {
inline namespace PTQ_BUILD {
namespace cortex_m {

/// x / y and x * y, whatever the flags: some let clang take NaN and infinities for impossible.
[[gnu::always_inline]] inline float divide(const float& x, const float& y) noexcept {
  float quotient;
  __asm__("vdiv.f32 %0, %1, %2" : "=t"(quotient) : "t"(x), "t"(y));
  return quotient;
}
[[gnu::always_inline]] inline float multiply(const float& x, const float& y) noexcept {
  float product;
  __asm__("vmul.f32 %0, %1, %2" : "=t"(product) : "t"(x), "t"(y));
  return product;
}

template <arithmetic How>
[[gnu::always_inline]] inline float apply(const float& value, const float& factor) noexcept {
  return How == arithmetic::divide ? divide(value, factor) : multiply(value, factor);
}

/// The nearest integer, ties to even, clamped to [-128, 127]; NaN becomes 0. The conversion saturates by
/// itself, to what the next instruction clamps.
[[gnu::always_inline]] inline std::int8_t nearest_int8(const float& value) noexcept {
  float rounded;  // an integer in a register of the FPU
  std::int32_t code;
  __asm__("vcvtr.s32.f32 %0, %1" : "=t"(rounded) : "t"(value));
  __asm__("ssat %0, #8, %1" : "=r"(code) : "r"(detail::bits_of(rounded)) : "cc");
  return static_cast<std::int8_t>(code);
}

#if PTQ_CORTEX_M_MVE

/// Codes of values four at a time. There is no division of vectors; quotients are correctly rounded all the
/// same, by two steps of Newton's method: the first makes a neighbour of the quotient from the product with
/// the reciprocal, the second the quotient. Where the second step underflows, the quotient is far below 1/2,
/// and its code 0 whatever its last bit. What has no such steps is clamped before (infinities) or becomes 0
/// after (NaN, told by its bits). Source: Markstein, "Computation of elementary functions on the IBM RISC
/// System/6000 processor" (1990).
class vector_quotients {
 public:
  explicit vector_quotients(const float& scale) noexcept
      : minus_scale_(-scale),
        reciprocal_(divide(1.0F, scale)),
        lowest_(vdupq_n_f32(-128.0F * scale)),
        highest_(vdupq_n_f32(127.0F * scale)) {}

  [[gnu::always_inline]] int32x4_t nearest(float32x4_t values) const noexcept {
    // Beyond 127 scales, as they are rounded, the nearest integer is 127 or clamped to it.
    const float32x4_t clamped = vminnmq_f32(vmaxnmq_f32(values, lowest_), highest_);
    const float32x4_t product = vmulq_n_f32(clamped, reciprocal_);
    const float32x4_t near = step(product, clamped);
    const float32x4_t quotient = step(near, clamped);
    const int32x4_t size = vreinterpretq_s32_f32(vabsq_f32(values));
    const int32x4_t is_nan = vshrq_n_s32(vsubq_s32(vdupq_n_s32(detail::infinity_bits), size), 31);
    return vbicq_s32(vcvtnq_s32_f32(quotient), is_nan);
  }

 private:
  /// What the quotients fall short by, divided, is added.
  [[gnu::always_inline]] float32x4_t step(float32x4_t quotients, float32x4_t values) const noexcept {
    return vfmaq_n_f32(quotients, vfmaq_n_f32(values, quotients, minus_scale_), reciprocal_);
  }

  float minus_scale_;
  float reciprocal_;
  float32x4_t lowest_;
  float32x4_t highest_;
};

class vector_products {
 public:
  explicit vector_products(const float& factor) noexcept : factor_(factor) {}

  [[gnu::always_inline]] int32x4_t nearest(float32x4_t values) const noexcept {
    const int32x4_t integers = vcvtnq_s32_f32(vmulq_n_f32(values, factor_));
    return vmaxq_s32(vminq_s32(integers, vdupq_n_s32(127)), vdupq_n_s32(-128));
  }

 private:
  float factor_;
};

#endif

template <arithmetic How>
inline void encode_int8(const float* values, std::size_t n, const float& factor,
                        std::int8_t* codes) noexcept {
  std::size_t i = 0;
#if PTQ_CORTEX_M_MVE
  const std::conditional_t<How == arithmetic::divide, vector_quotients, vector_products> vectors(factor);
  for (; n - i >= 4; i += 4) vstrbq_s32(codes + i, vectors.nearest(vldrwq_f32(values + i)));
#endif
  for (; i < n; ++i) codes[i] = nearest_int8(apply<How>(values[i], factor));
}

}  // namespace cortex_m
}  // namespace PTQ_BUILD
}  // namespace kernels
}  // namespace ptq::inline v0_1

#endif  // PTQ_CORTEX_M_FPU
#endif  // PTQ_KERNELS_CORTEX_M_HPP
