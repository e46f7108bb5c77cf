// SPDX-License-Identifier: Apache-2.0
/// @file run.hpp The doors for firmware: floats that lie side by side and share one scale, into the caller's
/// memory. They give the bits of `quantize_by` and `dequantize`, and take a small part of their code: 38
/// bytes of a Cortex-M4F for int8 (see tests/embedded/budget.txt).
#ifndef PTQ_QUANTIZE_RUN_HPP
#define PTQ_QUANTIZE_RUN_HPP

#include <cstddef>
#include <cstdint>
#include <span>

#include "ptq/backend/concept.hpp"
#include "ptq/detail/platform.hpp"
#include "ptq/detail/strict_float.hpp"
#include "ptq/dtype/concept.hpp"
#include "ptq/dtype/decoder.hpp"
#include "ptq/fixed_point/half_even.hpp"
#include "ptq/fixed_point/power_of_two.hpp"
#include "ptq/fixed_point/rounding.hpp"
#include "ptq/kernels/lean.hpp"
#include "ptq/kernels/portable.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// Whether a scale is ordinary: told by its exponent alone, in few instructions.
constexpr bool is_ordinary_scale(const float& scale) noexcept {
  return (bits_of(scale) >> 23) - 67u < 120u;
}

}  // namespace detail

inline namespace PTQ_BUILD {

/// Quantizes values by one scale, as `quantize_by` does a tensor. Values beyond the range saturate; NaN
/// becomes the dtype's code for it.
///
/// @param scale from 2^-60, and below 2^60, as `scale_for` gives for what sensors and networks hold. Others
///              are a broken precondition (PTQ_ASSERT): `quantize_by` takes them
/// @param codes as many as there are values
template <dtype D, backend B>
constexpr void quantize_run(std::span<const float> values, const float& scale,
                            std::span<typename D::storage> codes) noexcept {
  PTQ_ASSERT(codes.size() == values.size());
  PTQ_ASSERT(detail::is_ordinary_scale(scale));
  constexpr arithmetic how = recipe_of<D, B>.how;
  const float factor = kernels::lean::factor_of<how>(scale);
  kernels::lean::encode_run<D, how>(values.data(), values.size(), factor, codes.data());
}

/// The same to int8 by a scale that is a power of two, in integers: the way without an FPU.
///
/// @tparam Rounding what becomes of ties: `half_even`, `half_away` or `half_up`
template <tie_rounding Rounding = half_even>
constexpr void quantize_run(std::span<const float> values, power_of_two scale,
                            std::span<std::int8_t> codes) noexcept {
  PTQ_ASSERT(codes.size() == values.size());
  for (std::size_t i = 0; i < values.size(); ++i) codes[i] = scale.encode<Rounding>(values[i]);
}

/// The same by a scale of 1, and without arithmetic: for fp8 as a way to store floats.
template <dtype D>
constexpr void quantize_run(std::span<const float> values, std::span<typename D::storage> codes) noexcept {
  PTQ_ASSERT(codes.size() == values.size());
  for (std::size_t i = 0; i < values.size(); ++i) codes[i] = D::encode(values[i]);
}

/// value = code * scale, rounded once, as `dequantize` does.
///
/// @tparam Decoder `decode_by_bits` or `decode_by_table`
/// @param scale    from 2^-60, and below 2^60 (PTQ_ASSERT)
/// @param values   as many as there are codes
template <dtype D, class Decoder = decode_by_bits>
constexpr void dequantize_run(std::span<const typename D::storage> codes, const float& scale,
                              std::span<float> values) noexcept {
  PTQ_ASSERT(values.size() == codes.size());
  PTQ_ASSERT(detail::is_ordinary_scale(scale));
  kernels::lean::decode_run<D, Decoder>(codes.data(), codes.size(), scale, values.data());
}

/// The same by a scale of 1, and without arithmetic.
template <dtype D, class Decoder = decode_by_bits>
constexpr void dequantize_run(std::span<const typename D::storage> codes, std::span<float> values) noexcept {
  PTQ_ASSERT(values.size() == codes.size());
  for (std::size_t i = 0; i < codes.size(); ++i) values[i] = Decoder::template decode<D>(codes[i]);
}

/// The largest magnitude of the values, 0 of none; infinity or NaN where there is one.
constexpr float amax_run(std::span<const float> values) noexcept {
  return detail::float_of(kernels::portable::amax_run<float>(values.data(), values.size(), 0));
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_QUANTIZE_RUN_HPP
