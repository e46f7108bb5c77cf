// SPDX-License-Identifier: Apache-2.0
/// @file platform.hpp The only place that asks which compiler, flags or machine this is.
///
/// - PTQ_ASSERT(condition): a broken precondition. Define it before the first include to use your own; the
///   default traps, so that firmware needs no <cassert>.
/// - PTQ_NATIVE: 1 where kernels of this machine's instruction sets are compiled beside the portable ones,
///   and chosen at run time; else 0. Define PTQ_PORTABLE to go without them. PTQ_NATIVE_X86 and
///   PTQ_NATIVE_NEON say which.
/// - PTQ_CORTEX_M_FPU, PTQ_CORTEX_M_MVE: 1 where the program is for a Cortex-M with an FPU of single
///   precision, or with vectors of floats (Helium): known when you compile, so nothing is chosen at run
///   time. PTQ_PORTABLE turns them off too.
/// - PTQ_SEPARATE_KERNELS: define it in every translation unit of a program, and PTQ_KERNEL_SOURCES before
///   the includes of exactly one, and that one alone compiles those kernels: the others compile faster.
/// - PTQ_BUILD: the inline namespace of every function that computes in floating point. It is named after
///   what changes machine code, so that translation units built with different flags never share a body.
///   PTQ_SET_BUILD: that of the kernels of instruction sets, whose bits no flag changes.
/// - PTQ_PRECISE_PUSH / PTQ_PRECISE_POP: around float arithmetic that decides a code or a scale.
/// - PTQ_TARGET_PUSH(features) / PTQ_TARGET_POP: around the kernels of an instruction set.
#ifndef PTQ_DETAIL_PLATFORM_HPP
#define PTQ_DETAIL_PLATFORM_HPP

#ifndef PTQ_ASSERT
#define PTQ_ASSERT(condition) ((condition) ? static_cast<void>(0) : __builtin_trap())
#endif

// Kernels of this machine. Not on Windows, where GCC does not align the stack for AVX.
#if !defined(PTQ_PORTABLE) && __STDC_HOSTED__ && defined(__GNUC__) && !defined(_WIN32)
#if defined(__x86_64__)
#define PTQ_NATIVE_X86 1
#elif defined(__aarch64__) && defined(__ARM_NEON) && !defined(__AARCH64EB__)
#define PTQ_NATIVE_NEON 1
#endif
#endif
#ifndef PTQ_NATIVE_X86
#define PTQ_NATIVE_X86 0
#endif
#ifndef PTQ_NATIVE_NEON
#define PTQ_NATIVE_NEON 0
#endif
// Not by the macros of a whole architecture: an FPU may be left out, or be switched off by a flag.
#if !defined(PTQ_PORTABLE) && defined(__ARM_ARCH_PROFILE) && defined(__ARM_FP)
#if __ARM_ARCH_PROFILE == 'M' && (__ARM_FP & 4)
#define PTQ_CORTEX_M_FPU 1
#if defined(__ARM_FEATURE_MVE)
#if __ARM_FEATURE_MVE & 2
#define PTQ_CORTEX_M_MVE 1
#endif
#endif
#endif
#endif
#ifndef PTQ_CORTEX_M_FPU
#define PTQ_CORTEX_M_FPU 0
#endif
#ifndef PTQ_CORTEX_M_MVE
#define PTQ_CORTEX_M_MVE 0
#endif
#define PTQ_NATIVE (PTQ_NATIVE_X86 || PTQ_NATIVE_NEON)
#if PTQ_NATIVE && defined(PTQ_SEPARATE_KERNELS)
#define PTQ_BUILD_KERNELS separate
#elif PTQ_NATIVE
#define PTQ_BUILD_KERNELS native
#else
#define PTQ_BUILD_KERNELS portable
#endif

// GCC sets the second macro for -freciprocal-math alone. clang has no macro for that flag; there the pragma
// below helps.
#if defined(__FAST_MATH__) || defined(__RECIPROCAL_MATH__)
#define PTQ_EXACT_DIVISION false
#define PTQ_BUILD_MATH fast_math
#else
#define PTQ_EXACT_DIVISION true
#define PTQ_BUILD_MATH exact_math
#endif

#if defined(__AVX512F__)
#define PTQ_BUILD_MACHINE avx512
#elif defined(__FMA__) || defined(__AVX2__)
#define PTQ_BUILD_MACHINE avx2
#elif PTQ_CORTEX_M_MVE
#define PTQ_BUILD_MACHINE cortex_m_mve
#elif PTQ_CORTEX_M_FPU
#define PTQ_BUILD_MACHINE cortex_m_fpu
#else
#define PTQ_BUILD_MACHINE baseline
#endif

// As in exact_math_baseline_native. Macros are replaced before the second one joins them.
#define PTQ_JOINED(math, machine, kernels) math##_##machine##_##kernels
#define PTQ_JOIN(math, machine, kernels) PTQ_JOINED(math, machine, kernels)
#define PTQ_BUILD PTQ_JOIN(PTQ_BUILD_MATH, PTQ_BUILD_MACHINE, PTQ_BUILD_KERNELS)

#if defined(PTQ_KERNEL_SOURCES) && !defined(PTQ_SEPARATE_KERNELS)
#error "PTQ_KERNEL_SOURCES is for programs that define PTQ_SEPARATE_KERNELS everywhere"
#endif
#if defined(PTQ_SEPARATE_KERNELS)
#define PTQ_SET_BUILD separate
#else
#define PTQ_SET_BUILD PTQ_BUILD
#endif
#if defined(PTQ_SEPARATE_KERNELS) && !defined(PTQ_KERNEL_SOURCES)
#define PTQ_HAS_SET_BODIES 0
#else
#define PTQ_HAS_SET_BODIES 1
#endif

// float_control: clang on x86 since 14, on aarch64 since 16, on riscv since 19; bare-metal ARM ignores it
// with a warning.
#if defined(__clang__) &&                                                                           \
    (defined(__x86_64__) || defined(__i386__) || (defined(__aarch64__) && __clang_major__ >= 16) || \
     (defined(__riscv) && __clang_major__ >= 19))
#define PTQ_PRECISE_PUSH _Pragma("float_control(push)") _Pragma("float_control(precise, on)")
#define PTQ_PRECISE_POP _Pragma("float_control(pop)")
#elif defined(__GNUC__) && !defined(__clang__)
// GCC 12 with AVX-512 also warns of vector stores past an array of a handful of codes, which so few never
// reach.
#define PTQ_PRECISE_PUSH                                                                  \
  _Pragma("GCC push_options") _Pragma("GCC reset_options") _Pragma("GCC diagnostic push") \
      _Pragma("GCC diagnostic ignored \"-Wstringop-overflow\"")
#define PTQ_PRECISE_POP _Pragma("GCC diagnostic pop") _Pragma("GCC pop_options")
#else
#define PTQ_PRECISE_PUSH
#define PTQ_PRECISE_POP
#endif

// The functions between may use the instructions, whatever the flags. Lambdas do not get them.
#define PTQ_PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define PTQ_TARGET_PUSH(features) \
  PTQ_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define PTQ_TARGET_POP _Pragma("clang attribute pop")
#else
// GCC 12 warns of its own intrinsics: what they leave undefined, and constants in macros without
// optimisation.
#define PTQ_TARGET_PUSH(features)                                                             \
  _Pragma("GCC push_options") PTQ_PRAGMA(GCC target(features)) _Pragma("GCC diagnostic push") \
      _Pragma("GCC diagnostic ignored \"-Wmaybe-uninitialized\"")                             \
          _Pragma("GCC diagnostic ignored \"-Wuninitialized\"")                               \
              _Pragma("GCC diagnostic ignored \"-Wsign-conversion\"")
#define PTQ_TARGET_POP _Pragma("GCC diagnostic pop") _Pragma("GCC pop_options")
#endif

#endif  // PTQ_DETAIL_PLATFORM_HPP
