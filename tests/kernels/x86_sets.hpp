// SPDX-License-Identifier: Apache-2.0
/// @file x86_sets.hpp The kernel sets of x86-64 as test parameters.
#ifndef PTQ_TESTS_KERNELS_X86_SETS_HPP
#define PTQ_TESTS_KERNELS_X86_SETS_HPP

#include <doctest/doctest.h>

#include <string>

#include "ptq/kernels/isa.hpp"
#include "ptq/kernels/x86_avx2.hpp"
#include "ptq/kernels/x86_avx512.hpp"

#if PTQ_NATIVE_X86

#define PTQ_X86_SETS ptq::kernels::x86_avx2, ptq::kernels::x86_avx512

namespace test {

template <class Set>
constexpr ptq::isa isa_of = ptq::isa::avx2;
template <>
inline constexpr ptq::isa isa_of<ptq::kernels::x86_avx512> = ptq::isa::avx512;

/// Whether the machine has the set; says so where it has not.
template <class Set>
bool is_there() {
  if (ptq::is_available(isa_of<Set>)) return true;
  MESSAGE("not tested: this machine has no " << std::string(ptq::name_of(isa_of<Set>)));
  return false;
}

}  // namespace test

#endif  // PTQ_NATIVE_X86
#endif  // PTQ_TESTS_KERNELS_X86_SETS_HPP
