// SPDX-License-Identifier: Apache-2.0
/// @file raw_loops.hpp What one would write by hand instead of using the library: pointers, one loop, no
/// promises about flags, NaN or subnormal scales.
#ifndef PTQ_BENCHMARKS_SUPPORT_RAW_LOOPS_HPP
#define PTQ_BENCHMARKS_SUPPORT_RAW_LOOPS_HPP

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "ptq/dtypes.hpp"
#include "ptq/tensor/element.hpp"

namespace bench {

template <class T>
float raw_amax(const T* w, std::size_t n) {
  float largest = 0;
  for (std::size_t i = 0; i < n; ++i)
    largest = std::max(largest, std::fabs(ptq::element_traits<T>::to_float(w[i])));
  return largest;
}

/// A magic addition whose exponent follows the value rounds the mantissa; below the smallest normal it stays
/// fixed.
template <int MantissaBits, int Bias>
std::uint8_t raw_minifloat(float x, float limit) {
  const float size = std::min(std::fabs(x), limit);
  const std::uint32_t field = std::max(std::bit_cast<std::uint32_t>(size) >> 23, std::uint32_t{128 - Bias});
  const float magic = std::bit_cast<float>((field + 23 - MantissaBits) << 23);
  const std::uint32_t steps =
      std::bit_cast<std::uint32_t>(size + magic) - std::bit_cast<std::uint32_t>(magic);
  const std::uint32_t code = ((field - (128 - Bias)) << MantissaBits) + steps;
  return static_cast<std::uint8_t>(code | (std::bit_cast<std::uint32_t>(x) >> 31 << 7));
}

template <class D, class T>
void raw_encode(const T* w, std::size_t n, float scale, typename D::storage* codes) {
  for (std::size_t i = 0; i < n; ++i) {
    const float q = ptq::element_traits<T>::to_float(w[i]) / scale;
    if constexpr (std::is_same_v<D, ptq::int8>)
      codes[i] = static_cast<std::int8_t>(std::lrint(std::clamp(q, -128.0F, 127.0F)));
    else if constexpr (std::is_same_v<D, ptq::fp8_e4m3fn>)
      codes[i] = raw_minifloat<3, 7>(q, 448.0F);
    else if constexpr (std::is_same_v<D, ptq::fp8_e5m2>)
      codes[i] = raw_minifloat<2, 15>(q, 57344.0F);
    else
      codes[i] = w[i];  // native is never scaled
  }
}

template <class D>
void raw_decode(const typename D::storage* codes, std::size_t n, float scale, float* w) {
  for (std::size_t i = 0; i < n; ++i) w[i] = static_cast<float>(D::decode(codes[i])) * scale;
}

}  // namespace bench

#endif  // PTQ_BENCHMARKS_SUPPORT_RAW_LOOPS_HPP
