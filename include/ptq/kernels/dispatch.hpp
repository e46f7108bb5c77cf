// SPDX-License-Identifier: Apache-2.0
/// @file dispatch.hpp The kernels of this machine: those of the active instruction set where it has them for
/// the types at hand, else the portable ones. In constant expressions, and where PTQ_PORTABLE is defined,
/// always the portable ones. All give the same bits.
#ifndef PTQ_KERNELS_DISPATCH_HPP
#define PTQ_KERNELS_DISPATCH_HPP

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "ptq/backend/recipe.hpp"
#include "ptq/detail/platform.hpp"
#include "ptq/dtype/concept.hpp"
#include "ptq/kernels/isa.hpp"
#include "ptq/kernels/portable.hpp"
#include "ptq/tensor/element.hpp"
#include "ptq/tensor/panels.hpp"

#if PTQ_NATIVE_X86
#include "ptq/kernels/x86_avx2.hpp"
#include "ptq/kernels/x86_avx512.hpp"
#elif PTQ_NATIVE_NEON
#include "ptq/kernels/neon.hpp"
#endif

namespace ptq::inline v0_1 {
namespace kernels {
inline namespace PTQ_BUILD {

#if PTQ_NATIVE

/// Calls f.operator()<Set>() with a kernel set and returns true; false where that is the portable one.
template <class F>
constexpr bool with_set(isa which, const F& f) {
  switch (which) {
#if PTQ_NATIVE_X86
    case isa::avx512:
      f.template operator()<x86_avx512>();
      return true;
    case isa::avx2:
      f.template operator()<x86_avx2>();
      return true;
#else
    case isa::neon:
      f.template operator()<neon>();
      return true;
#endif
    default:
      return false;
  }
}

/// Whether sets have kernels for codes D.
template <dtype D>
inline constexpr bool has_codes =
#if PTQ_NATIVE_X86
    x86_avx512::has<D, float>;
#else
    neon::has<D, float>;
#endif

/// Whether a set takes a run: there is one, the elements lie side by side, and it is not the compiler that
/// computes.
template <class Step>
constexpr bool is_for_a_set(Step step) noexcept {
  return step == 1 && !std::is_constant_evaluated() && active_isa() != isa::portable;
}

#else

template <class F>
constexpr bool with_set(isa /*which*/, const F& /*f*/) {
  return false;
}
template <dtype D>
inline constexpr bool has_codes = false;
template <class Step>
constexpr bool is_for_a_set(Step /*step*/) noexcept {
  return false;
}

#endif

template <class F>
constexpr bool with_active_set(const F& f) {
  return with_set(active_isa(), f);
}

/// Whether sets can load elements T: floats and halves, at any address.
template <element T>
inline constexpr bool has_elements = PTQ_NATIVE && element_traits<T>::type != element_type::float64;

/// Elements of any type and step as floats that lie side by side.
template <element T>
constexpr void widen(const T* values, std::ptrdiff_t step, std::size_t n, float* floats) noexcept {
  if constexpr (has_elements<T>)
    if (is_for_a_set(step) &&
        with_active_set([&]<class Set>() { Set::template widen<T>(values, n, floats); }))
      return;
  for (std::size_t i = 0; i < n; ++i)
    floats[i] = element_traits<T>::to_float(values[static_cast<std::ptrdiff_t>(i) * step]);
}

/// Floats as the nearest elements, `step` apart.
template <element T>
constexpr void narrow(const float* floats, std::size_t n, std::ptrdiff_t step, T* values) noexcept {
  if constexpr (has_elements<T>)
    if (is_for_a_set(step) &&
        with_active_set([&]<class Set>() { Set::template narrow<T>(floats, n, values); }))
      return;
  for (std::size_t i = 0; i < n; ++i)
    values[static_cast<std::ptrdiff_t>(i) * step] = element_traits<T>::from_float(floats[i]);
}

template <element T>
constexpr std::uint32_t amax_run(const T* values, std::size_t n, std::uint32_t seen) noexcept {
  if constexpr (has_elements<T>)
    if (is_for_a_set(1) &&
        with_active_set([&]<class Set>() { seen = Set::template amax_run<T>(values, n, seen); }))
      return seen;
  return portable::amax_run<T>(values, n, seen);
}

template <element T>
constexpr void amax_each(const T* values, std::size_t n, float* amax) noexcept {
  if constexpr (has_elements<T>)
    if (is_for_a_set(1) && with_active_set([&]<class Set>() { Set::template amax_each<T>(values, n, amax); }))
      return;
  portable::amax_each<T>(values, n, amax);
}

template <element T>
constexpr void scales(float* amax, std::size_t n, const recipe& numbers) noexcept {
  if constexpr (has_elements<T>)
    if (is_for_a_set(1) && with_active_set([&]<class Set>() { Set::template scales<T>(amax, n, numbers); }))
      return;
  portable::scales<T>(amax, n, numbers);
}

/// What the arithmetic needs of each scale. Returns whether a set may compute by all of them.
template <arithmetic How>
constexpr bool factors(const float* scales, std::size_t n, float* factors) noexcept {
  bool ordinary = false;
  if (is_for_a_set(1) &&
      with_active_set([&]<class Set>() { ordinary = Set::template factors<How>(scales, n, factors); }))
    return ordinary;
  portable::factors<How>(scales, n, factors);
  return false;
}

/// Whether a set may compute by all of these factors.
constexpr bool are_ordinary(const float* factors, std::size_t n) noexcept {
  for (std::size_t i = 0; i < n; ++i)
    if (!detail::is_ordinary(detail::bits_of(factors[i]))) return false;
  return true;
}

/// Quotients rounded to T, for recipes that ask for it. They need no further scaling.
///
/// @param step 1 where there is a factor a value, 0 where there is one for all
template <arithmetic How, element T>
constexpr void round_quotients(const float* values, std::size_t n, const float* factors, std::size_t step,
                               float* quotients) noexcept {
  if constexpr (has_elements<T>)
    if (is_for_a_set(1) && are_ordinary(factors, step == 0 ? 1 : n) && with_active_set([&]<class Set>() {
          Set::template round_quotients<How, T>(values, n, factors, step, quotients);
        }))
      return;
  portable::round_quotients<How, T>(values, n, factors, step, quotients);
}

/// Calls f(values, count, index of the first) with elements as floats: all at once, or through a buffer.
template <element T, class F>
constexpr void for_each_block(const T* values, std::size_t n, const F& f) {
  if constexpr (std::same_as<T, float>) {
    f(values, n, std::size_t{0});
  } else {
    constexpr std::size_t most = 256;
    float buffer[most];
    for (std::size_t first = 0; first < n; first += most) {
      const std::size_t size = n - first < most ? n - first : most;
      widen<T>(values + first, 1, size, static_cast<float*>(buffer));
      f(static_cast<const float*>(buffer), size, first);
    }
  }
}

template <dtype D, arithmetic How, element T>
constexpr void encode_run(const T* values, std::size_t n, const float& factor, typename D::storage* codes,
                          bool streams) noexcept {
  if constexpr (has_codes<D>)
    if (is_for_a_set(1) && are_ordinary(&factor, 1) && with_active_set([&]<class Set>() {
          Set::template encode_run<D, How, false, T>(values, n, factor, codes, streams);
        }))
      return;
  for_each_block(values, n, [&](const float* block, std::size_t size, std::size_t first) {
    portable::encode_run<D, How>(block, size, factor, codes + first);
  });
}

template <dtype D, arithmetic How, element T>
constexpr void encode_each(const T* values, std::size_t n, const float* factors, typename D::storage* codes,
                           bool streams, bool ordinary) noexcept {
  if constexpr (has_codes<D>)
    if (ordinary && is_for_a_set(1) && with_active_set([&]<class Set>() {
          Set::template encode_each<D, How, false, T>(values, n, factors, codes, streams);
        }))
      return;
  for_each_block(values, n, [&](const float* block, std::size_t size, std::size_t first) {
    portable::encode_each<D, How>(block, size, factors + first, codes + first);
  });
}

/// Makes what was streamed visible to other threads: once, when a task has written all.
constexpr void finish_streams(bool streams) noexcept {
  if (streams && is_for_a_set(1)) with_active_set([]<class Set>() { Set::finish_streams(); });
}

template <dtype D>
constexpr void decode_run(const typename D::storage* codes, std::size_t n, const float& scale, float* values,
                          bool streams) noexcept {
  if constexpr (has_codes<D>)
    if (is_for_a_set(1) && are_ordinary(&scale, 1) &&
        with_active_set([&]<class Set>() { Set::template decode_run<D>(codes, n, scale, values, streams); }))
      return;
  portable::decode_run<D>(codes, n, scale, values);
}

template <dtype D>
constexpr void decode_each(const typename D::storage* codes, std::size_t n, const float* scales,
                           float* values, bool streams, bool ordinary) noexcept {
  if constexpr (has_codes<D>)
    if (is_for_a_set(1) && ordinary && with_active_set([&]<class Set>() {
          Set::template decode_each<D>(codes, n, scales, values, streams);
        }))
      return;
  portable::decode_each<D>(codes, n, scales, values);
}

}  // namespace PTQ_BUILD
}  // namespace kernels
}  // namespace ptq::inline v0_1

#endif  // PTQ_KERNELS_DISPATCH_HPP
