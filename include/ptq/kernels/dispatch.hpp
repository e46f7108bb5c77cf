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
#include "ptq/kernels/kernel_set.hpp"
#include "ptq/kernels/lean.hpp"
#include "ptq/kernels/portable.hpp"
#include "ptq/kernels/set_doors.hpp"
#include "ptq/tensor/element.hpp"
#include "ptq/tensor/panels.hpp"

namespace ptq::inline v0_1 {
namespace kernels {
inline namespace PTQ_BUILD {

/// What kernel sets call a dtype's codes by, if they have kernels for them.
template <dtype D>
struct set_codes;

#if PTQ_NATIVE

/// Calls f.operator()<Set>() with a kernel set and returns true; false where that is the portable one.
template <class F>
constexpr bool with_set(isa which, const F& f) {
  switch (which) {
#if PTQ_NATIVE_X86
    case isa::avx512:
      f.template operator()<kernel_set<isa::avx512>>();
      return true;
    case isa::avx2:
      f.template operator()<kernel_set<isa::avx2>>();
      return true;
#else
    case isa::neon:
      f.template operator()<kernel_set<isa::neon>>();
      return true;
#endif
    default:
      return false;
  }
}

template <>
struct set_codes<int8> {
  template <class Set, class... Arguments>
  static void encode(arithmetic how, Arguments... arguments) noexcept {
    Set::encode_int8(how, arguments...);
  }
  template <class Set>
  static constexpr auto decode = &Set::decode_int8;
};
template <>
struct set_codes<fp8_e4m3fn> {
  template <class Set, class... Arguments>
  static void encode(arithmetic how, Arguments... arguments) noexcept {
    Set::encode_e4m3fn(how, arguments...);
  }
  template <class Set>
  static constexpr auto decode = &Set::decode_e4m3fn;
};
template <>
struct set_codes<fp8_e5m2> {
  template <class Set, class... Arguments>
  static void encode(arithmetic how, Arguments... arguments) noexcept {
    Set::encode_e5m2(how, arguments...);
  }
  template <class Set>
  static constexpr auto decode = &Set::decode_e5m2;
};

/// Whether sets have kernels for codes D.
template <dtype D>
inline constexpr bool has_codes = requires { sizeof(set_codes<D>); };

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

/// Whether sets can convert elements T.
template <element T>
inline constexpr bool has_halves = PTQ_NATIVE && detail::is_half<T>;

/// Elements of any type and step as floats that lie side by side.
template <element T>
constexpr void widen(const T* values, std::ptrdiff_t step, std::size_t n, float* floats) noexcept {
  if constexpr (has_halves<T>)
    if (is_for_a_set(step) &&
        with_active_set([&]<class Set>() { Set::widen(element_traits<T>::type, values, n, floats); }))
      return;
  for (std::size_t i = 0; i < n; ++i)
    floats[i] = element_traits<T>::to_float(values[static_cast<std::ptrdiff_t>(i) * step]);
}

/// Floats as the nearest elements, `step` apart.
template <element T>
constexpr void narrow(const float* floats, std::size_t n, std::ptrdiff_t step, T* values) noexcept {
  if constexpr (has_halves<T>)
    if (is_for_a_set(step) &&
        with_active_set([&]<class Set>() { Set::narrow(element_traits<T>::type, floats, n, values); }))
      return;
  for (std::size_t i = 0; i < n; ++i)
    values[static_cast<std::ptrdiff_t>(i) * step] = element_traits<T>::from_float(floats[i]);
}

/// The largest magnitude as float bits, starting from `seen`; NaN and infinity win.
template <element T>
constexpr std::uint32_t amax_run(const T* values, std::size_t n, std::uint32_t seen) noexcept {
  if constexpr (std::same_as<T, float>) {
    std::uint32_t found = 0;
    if (is_for_a_set(1) && with_active_set([&]<class Set>() { found = Set::amax(values, n); }))
      return found > seen ? found : seen;
  } else if constexpr (has_halves<T>) {
    std::uint16_t found = 0;
    if (is_for_a_set(1) && with_active_set([&]<class Set>() { found = Set::amax_halves(values, n); })) {
      const std::uint32_t size = detail::bits_of(detail::plain_element<T>{found}.to_float());
      return size > seen ? size : seen;
    }
  }
  return portable::amax_run<T>(values, n, seen);
}

constexpr void amax_each(const float* values, std::size_t n, float* amax) noexcept {
  if (is_for_a_set(1) && with_active_set([&]<class Set>() { Set::amax_each(values, n, amax); })) return;
  portable::amax_each(values, n, amax);
}

template <element T>
constexpr void scales(float* amax, std::size_t n, const recipe& numbers) noexcept {
  if (is_for_a_set(1) &&
      with_active_set([&]<class Set>() { Set::scales(amax, n, numbers, element_traits<T>::type); }))
    return;
  portable::scales<T>(amax, n, numbers);
}

/// Whether a set may compute by all of these factors.
constexpr bool are_ordinary(const float* factors, std::size_t n) noexcept {
  for (std::size_t i = 0; i < n; ++i)
    if (!detail::is_ordinary(detail::bits_of(factors[i]))) return false;
  return true;
}

/// Reciprocals of scales, where the arithmetic needs them. Returns whether a set may compute by all factors.
template <arithmetic How>
constexpr bool invert(const float* scales, std::size_t n, float* inverses) noexcept {
  bool ordinary = false;
  if (is_for_a_set(1) &&
      with_active_set([&]<class Set>() { ordinary = Set::invert(How, scales, n, inverses); }))
    return ordinary;
  // Where there are sets, another thread may choose one before the codes are made.
  if (How == arithmetic::multiply_by_reciprocal || (PTQ_NATIVE && !std::is_constant_evaluated()))
    for (std::size_t i = 0; i < n; ++i)
      inverses[i] = factor_of<arithmetic::multiply_by_reciprocal>(scales[i]);
  return false;
}

/// Quotients rounded to T, for recipes that ask for it. They need no further scaling.
///
/// @param ordinary whether a set may compute by all of these factors
template <arithmetic How, element T>
constexpr void round_quotients(const float* values, std::size_t n, const factors& by, bool ordinary,
                               float* quotients) noexcept {
  if constexpr (has_halves<T>)
    if (ordinary && is_for_a_set(1) && with_active_set([&]<class Set>() {
          Set::round_quotients(element_traits<T>::type, How, values, n, by, quotients);
        }))
      return;
  portable::round_quotients<How, T>(values, n, by.of(How), by.each ? 1 : 0, quotients);
}

/// Codes of values.
///
/// @param ordinary whether a set may compute by all of these factors
template <dtype D, arithmetic How>
constexpr void encode_run(const float* values, std::size_t n, const factors& by, bool ordinary,
                          typename D::storage* codes, bool streams) noexcept {
  if constexpr (has_codes<D>)
    if (ordinary && is_for_a_set(1) && with_active_set([&]<class Set>() {
          set_codes<D>::template encode<Set>(How, values, n, by, codes, streams);
        }))
      return;
  if (by.each) {
    portable::encode_each<D, How>(values, n, by.of(How), codes);
    return;
  }
  if constexpr (PTQ_CORTEX_M_FPU) {
    if (are_ordinary(by.of(How), 1)) return lean::encode_run<D, How>(values, n, *by.of(How), codes);
  }
  portable::encode_run<D, How>(values, n, *by.of(How), codes);
}

/// The same of elements of another type: sets load halves by themselves.
template <dtype D, arithmetic How, element T>
  requires(!std::same_as<T, float>)
constexpr void encode_run(const T* values, std::size_t n, const factors& by, bool ordinary,
                          typename D::storage* codes, bool streams) noexcept {
  if constexpr (has_codes<D> && has_halves<T>)
    if (ordinary && is_for_a_set(1) && with_active_set([&]<class Set>() {
          set_codes<D>::template encode<Set>(How, element_traits<T>::type, values, n, by, codes, streams);
        }))
      return;
  constexpr std::size_t most = 256;
  float buffer[most];
  for (std::size_t first = 0; first < n; first += most) {
    const std::size_t size = n - first < most ? n - first : most;
    widen<T>(values + first, 1, size, static_cast<float*>(buffer));
    encode_run<D, How>(static_cast<const float*>(buffer), size, by.from(first), ordinary, codes + first,
                       streams);
  }
}

/// Makes what was streamed visible to other threads: once, when a task has written all.
constexpr void finish_streams(bool streams) noexcept {
  if (streams && is_for_a_set(1)) with_active_set([]<class Set>() { Set::finish_streams(); });
}

/// Values of codes by one scale.
template <dtype D>
constexpr void decode_run(const typename D::storage* codes, std::size_t n, const float& scale, float* values,
                          bool streams) noexcept {
  if constexpr (has_codes<D>)
    if (is_for_a_set(1) && are_ordinary(&scale, 1) && with_active_set([&]<class Set>() {
          (*set_codes<D>::template decode<Set>)(codes, n, &scale, false, values, streams);
        }))
      return;
  portable::decode_run<D>(codes, n, scale, values);
}

/// Values of codes by a scale each.
template <dtype D>
constexpr void decode_each(const typename D::storage* codes, std::size_t n, const float* scales,
                           float* values, bool streams, bool ordinary) noexcept {
  if constexpr (has_codes<D>)
    if (ordinary && is_for_a_set(1) && with_active_set([&]<class Set>() {
          (*set_codes<D>::template decode<Set>)(codes, n, scales, true, values, streams);
        }))
      return;
  portable::decode_each<D>(codes, n, scales, values);
}

}  // namespace PTQ_BUILD
}  // namespace kernels
}  // namespace ptq::inline v0_1

#endif  // PTQ_KERNELS_DISPATCH_HPP
