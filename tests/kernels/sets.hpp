// SPDX-License-Identifier: Apache-2.0
/// @file sets.hpp The kernel sets of this machine as test parameters, and their doors by type.
#ifndef PTQ_TESTS_KERNELS_SETS_HPP
#define PTQ_TESTS_KERNELS_SETS_HPP

#include <doctest/doctest.h>

#include <concepts>
#include <cstddef>
#include <string>

#include "ptq/dtypes.hpp"
#include "ptq/kernels/dispatch.hpp"
#include "ptq/kernels/isa.hpp"

#if PTQ_NATIVE

#if PTQ_NATIVE_X86
#define PTQ_KERNEL_SETS ptq::kernels::kernel_set<ptq::isa::avx2>, ptq::kernels::kernel_set<ptq::isa::avx512>
#else
#define PTQ_KERNEL_SETS ptq::kernels::kernel_set<ptq::isa::neon>
#endif

namespace test {

template <class Set>
constexpr ptq::isa isa_of = ptq::isa::portable;
template <ptq::isa Which>
inline constexpr ptq::isa isa_of<ptq::kernels::kernel_set<Which>> = Which;

/// Whether the machine has the set; says so where it has not.
template <class Set>
bool is_there() {
  if (ptq::is_available(isa_of<Set>)) return true;
  MESSAGE("not tested: this machine has no " << std::string(ptq::name_of(isa_of<Set>)));
  return false;
}

template <class Set, ptq::dtype D, class T>
void encode(ptq::arithmetic how, const T* values, std::size_t n, const ptq::kernels::factors& by,
            typename D::storage* codes, bool streams) {
  using ptq::kernels::set_codes;
  if constexpr (std::same_as<T, float>)
    set_codes<D>::template encode<Set>(how, values, n, by, codes, streams);
  else
    set_codes<D>::template encode<Set>(how, ptq::element_traits<T>::type, values, n, by, codes, streams);
}

template <class Set, ptq::dtype D>
void decode(const typename D::storage* codes, std::size_t n, const float* scales, bool each, float* values,
            bool streams) {
  (*ptq::kernels::set_codes<D>::template decode<Set>)(codes, n, scales, each, values, streams);
}

}  // namespace test

#endif  // PTQ_NATIVE
#endif  // PTQ_TESTS_KERNELS_SETS_HPP
