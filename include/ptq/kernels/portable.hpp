// SPDX-License-Identifier: Apache-2.0
/// @file portable.hpp The reference kernels: plain loops over contiguous floats, constexpr, the same bits
/// everywhere.
///
/// Two shapes: a run with one scale (`*_run`), and a run with one factor an element (`*_each`). A factor is
/// what the arithmetic needs: the scale to divide by, or its reciprocal to multiply by.
#ifndef PTQ_KERNELS_PORTABLE_HPP
#define PTQ_KERNELS_PORTABLE_HPP

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "ptq/backend/recipe.hpp"
#include "ptq/detail/platform.hpp"
#include "ptq/detail/strict_float.hpp"
#include "ptq/dtype/concept.hpp"
#include "ptq/kernels/cortex_m.hpp"
#include "ptq/tensor/element.hpp"

namespace ptq::inline v0_1 {
namespace kernels {
inline namespace PTQ_BUILD {

inline constexpr bool exact_division = PTQ_EXACT_DIVISION;

/// The scale to encode by, for an amax in a tensor of elements T. Where it underflows to 0 it is infinity:
/// then every code is that of 0.
template <element T>
constexpr float encoding_scale_of(const float& amax, const recipe& numbers) noexcept {
  if (numbers.divisor == 0) return 1;
  std::uint32_t scale =
      detail::magnitude(detail::divide(detail::bits_of(amax), detail::bits_of(numbers.divisor)));
  if constexpr (detail::is_half<T>) {
    if (numbers.halves != half_rounding::nothing)
      scale = detail::bits_of(
          element_traits<T>::to_float(element_traits<T>::from_float(detail::float_of(scale))));
  }
  const std::uint32_t floor = detail::bits_of(numbers.floor);
  if (scale < floor) scale = floor;  // magnitudes compare as integers
  return detail::float_of(scale == 0 ? detail::infinity_bits : scale);
}

PTQ_PRECISE_PUSH

/// The scale, or its reciprocal.
template <arithmetic How>
constexpr float factor_of(const float& scale) noexcept {
  if constexpr (How == arithmetic::divide)
    return scale;
  else
    return detail::float_of(detail::divide(detail::one_bits, detail::bits_of(scale)));
}

/// One quotient, correctly rounded whatever the flags.
template <arithmetic How>
constexpr float apply_strictly(const float& value, const float& factor) noexcept {
  const std::uint32_t x = detail::bits_of(value);
  const std::uint32_t f = detail::bits_of(factor);
  return detail::float_of(How == arithmetic::divide ? detail::divide(x, f) : detail::multiply(x, f));
}

/// One quotient by the hardware: for ordinary factors only, and division only where the compiler leaves it
/// alone.
template <arithmetic How>
constexpr float apply_directly(const float& value, const float& factor) noexcept {
  if constexpr (How == arithmetic::divide)
    return value / factor;
  else
    return value * factor;
}

/// Flush-to-zero changes subnormal quotients of ordinary factors only; a dtype of small range rounds those to
/// 0 anyway.
template <dtype D>
inline constexpr bool has_small_range = D::max_finite <= 0x1p32F;

/// Whether the hardware may do it. Not in constant expressions, where NaN and overflow are errors.
template <dtype D, arithmetic How>
constexpr bool can_apply_directly(const float& factor) noexcept {
  return has_small_range<D> && (How == arithmetic::multiply_by_reciprocal || exact_division) &&
         detail::is_ordinary(detail::bits_of(factor)) && !std::is_constant_evaluated();
}

/// Whether two codes are known to be one: storage that is no integer need not be comparable.
template <class Storage>
constexpr bool are_equal(const Storage& a, const Storage& b) noexcept {
  if constexpr (std::is_integral_v<Storage>)
    return a == b;
  else
    return false;
}

/// Whether quotients that the hardware may get a little wrong are worth a look: see `encode_guessed`.
template <dtype D, arithmetic How>
constexpr bool can_guess(const float* factors, std::size_t n) noexcept {
  if (!has_small_range<D> || !std::is_integral_v<typename D::storage> || exact_division ||
      How != arithmetic::divide || std::is_constant_evaluated())
    return false;
  for (std::size_t i = 0; i < n; ++i)
    if (!detail::is_ordinary(detail::bits_of(factors[i]))) return false;
  return true;
}

/// The codes of quotients that flags allow the compiler to get a little wrong: those of the neighbours on
/// both sides where they agree, as codes are in the order of values; else those of the exact quotients.
///
/// @param scale_at f(i): the scale of a value
template <dtype D, class ScaleAt>
constexpr void encode_guessed(const float* values, std::size_t n, const ScaleAt& scale_at,
                              typename D::storage* codes) noexcept {
  constexpr std::uint32_t doubt = 64;  // in the last place: far more than any approximation is off
  constexpr std::size_t most = 64;
  typename D::storage highest[most] = {};
  for (std::size_t first = 0; first < n; first += most) {
    const std::size_t size = n - first < most ? n - first : most;
    for (std::size_t k = 0; k < size; ++k) {
      const std::size_t i = first + k;
      const std::uint32_t guess = detail::bits_of(values[i] / scale_at(i));
      const std::uint32_t magnitude = detail::magnitude(guess);
      const std::uint32_t sign = detail::bits_of(values[i]) & detail::sign_bit;
      const bool is_number = magnitude < detail::infinity_bits - doubt;
      const std::uint32_t low = is_number && magnitude > doubt ? magnitude - doubt : 0u;
      const std::uint32_t high = is_number ? magnitude + doubt : detail::infinity_bits - 1;
      codes[i] = D::encode(detail::float_of(sign | low));
      highest[k] = D::encode(detail::float_of(sign | high));
    }
    for (std::size_t k = 0; k < size; ++k) {
      const std::size_t i = first + k;
      if (!are_equal(codes[i], highest[k]))
        codes[i] = D::encode(apply_strictly<arithmetic::divide>(values[i], scale_at(i)));
    }
  }
}

/// value * scale by the hardware, for ordinary scales only. Flags that let compilers take NaN and infinities
/// for impossible do so where they are multiplied.
inline float scale_up_directly(const float& value, const float& scale) noexcept {
#if PTQ_CORTEX_M_FPU
  return cortex_m::multiply(value, scale);
#else
  if (!exact_division && !detail::is_finite(detail::bits_of(value))) return value;
  return value * scale;
#endif
}

/// value * scale, rounded once.
template <dtype D>
constexpr float scale_up(const float& value, const float& scale) noexcept {
  if (detail::bits_of(scale) == detail::one_bits) return value;
  if (has_small_range<D> && detail::is_ordinary(detail::bits_of(scale)) && !std::is_constant_evaluated())
    return scale_up_directly(value, scale);
  return detail::float_of(detail::multiply(detail::bits_of(value), detail::bits_of(scale)));
}

struct portable {
  template <dtype D, arithmetic How>
  static constexpr void encode_run(const float* values, std::size_t n, const float& factor,
                                   typename D::storage* codes) noexcept {
    if (detail::bits_of(factor) == detail::one_bits) {
      for (std::size_t i = 0; i < n; ++i) codes[i] = D::encode(values[i]);
    } else if (can_apply_directly<D, How>(factor)) {
      for (std::size_t i = 0; i < n; ++i) codes[i] = D::encode(apply_directly<How>(values[i], factor));
    } else if (can_guess<D, How>(&factor, 1)) {
      encode_guessed<D>(values, n, [&](std::size_t) -> const float& { return factor; }, codes);
    } else {
      for (std::size_t i = 0; i < n; ++i) codes[i] = D::encode(apply_strictly<How>(values[i], factor));
    }
  }

  template <dtype D, arithmetic How>
  static constexpr void encode_each(const float* values, std::size_t n, const float* factors,
                                    typename D::storage* codes) noexcept {
    if (can_guess<D, How>(factors, n)) {
      encode_guessed<D>(values, n, [&](std::size_t i) -> const float& { return factors[i]; }, codes);
      return;
    }
    for (std::size_t i = 0; i < n; ++i)
      codes[i] =
          D::encode(can_apply_directly<D, How>(factors[i]) ? apply_directly<How>(values[i], factors[i])
                                                           : apply_strictly<How>(values[i], factors[i]));
  }

  /// Quotients rounded to T, for recipes that ask for it; factors `step` apart (0: one for all).
  template <arithmetic How, element T>
  static constexpr void round_quotients(const float* values, std::size_t n, const float* factors,
                                        std::size_t step, float* quotients) noexcept {
    for (std::size_t i = 0; i < n; ++i) {
      const float quotient = apply_strictly<How>(values[i], factors[i * step]);
      quotients[i] = element_traits<T>::to_float(element_traits<T>::from_float(quotient));
    }
  }

  template <dtype D>
  static constexpr void decode_run(const typename D::storage* codes, std::size_t n, const float& scale,
                                   float* values) noexcept {
    for (std::size_t i = 0; i < n; ++i) values[i] = scale_up<D>(D::decode(codes[i]), scale);
  }

  template <dtype D>
  static constexpr void decode_each(const typename D::storage* codes, std::size_t n, const float* scales,
                                    float* values) noexcept {
    for (std::size_t i = 0; i < n; ++i) values[i] = scale_up<D>(D::decode(codes[i]), scales[i]);
  }

  /// The largest magnitude as float bits, starting from `seen`. NaN and infinity win: a result of 0x7f800000
  /// or more says that the run holds one.
  template <element T>
  static constexpr std::uint32_t amax_run(const T* values, std::size_t n, std::uint32_t seen) noexcept {
    for (std::size_t i = 0; i < n; ++i) {
      const float value = element_traits<T>::to_float(values[i]);
      const std::uint32_t bits = detail::magnitude(detail::bits_of(value));
      seen = bits > seen ? bits : seen;
    }
    return seen;
  }

  /// The same for each value by itself.
  static constexpr void amax_each(const float* values, std::size_t n, float* amax) noexcept {
    for (std::size_t i = 0; i < n; ++i)
      amax[i] = detail::float_of(amax_run<float>(values + i, 1, detail::bits_of(amax[i])));
  }

  /// Turns the largest magnitudes, all finite, into scales to encode by.
  template <element T>
  static constexpr void scales(float* amax, std::size_t n, const recipe& numbers) noexcept {
    for (std::size_t i = 0; i < n; ++i) amax[i] = encoding_scale_of<T>(amax[i], numbers);
  }
};

PTQ_PRECISE_POP

}  // namespace PTQ_BUILD
}  // namespace kernels
}  // namespace ptq::inline v0_1

#endif  // PTQ_KERNELS_PORTABLE_HPP
