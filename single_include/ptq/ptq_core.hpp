// SPDX-License-Identifier: Apache-2.0
// ptq 0.1.0: ptq/core.hpp and all that it needs, by single_include/amalgamate.py. Do not edit.

// ---- ptq/backend/recipe.hpp ----

/// @file recipe.hpp The numbers by which a backend quantizes a dtype. A backend is data; kernels never know
/// its name.
#ifndef PTQ_BACKEND_RECIPE_HPP
#define PTQ_BACKEND_RECIPE_HPP

#include <cstddef>

namespace ptq::inline v0_1 {

/// How many elements share a scale: the whole tensor, or each index of one axis.
struct granularity {
  enum class kind_type : unsigned char { per_tensor, per_channel };

  kind_type kind = kind_type::per_tensor;
  std::size_t axis = 0;  ///< meaningful per channel only

  constexpr bool is_per_channel() const noexcept { return kind == kind_type::per_channel; }
  friend constexpr bool operator==(const granularity&, const granularity&) = default;
};

constexpr granularity per_tensor() noexcept {
  return {};
}

constexpr granularity per_channel(std::size_t axis = 0) noexcept {
  return {granularity::kind_type::per_channel, axis};
}

/// How a value becomes a quotient before it is rounded to a code.
enum class arithmetic : unsigned char {
  divide,                  ///< value / scale
  multiply_by_reciprocal,  ///< value * (1 / scale)
};

/// What is rounded to the source's element type when that is a half or a bfloat16.
enum class half_rounding : unsigned char {
  nothing,             ///< float32 throughout
  scale,               ///< the scale
  scale_and_quotient,  ///< the scale, and each quotient before it is rounded to a code
};

/// scale = max(amax / divisor, floor), in float32 with one rounding an operation; code = encode(value
/// (arithmetic) scale). A scale that comes out as 0 becomes 1, and the codes are 0. With divisor 0 nothing is
/// scaled: the scale is always 1.
struct recipe {
  float divisor = 0;
  float floor = 0;
  arithmetic how = arithmetic::divide;
  granularity weights;  ///< the default for weights
  half_rounding halves = half_rounding::nothing;

  friend constexpr bool operator==(const recipe&, const recipe&) = default;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_BACKEND_RECIPE_HPP

// ---- ptq/dtype/concept.hpp ----

/// @file concept.hpp What a dtype offers.
#ifndef PTQ_DTYPE_CONCEPT_HPP
#define PTQ_DTYPE_CONCEPT_HPP

#include <concepts>
#include <type_traits>

namespace ptq::inline v0_1 {

/// A number format that tensors can be quantized to: an empty struct with
///
/// | member       | meaning                                                                            |
/// |--------------|------------------------------------------------------------------------------------|
/// | name         | the word in YAML files, artifacts and tables                                       |
/// | storage      | the trivial type of one code                                                       |
/// | is_integer   | true: evenly spaced codes (a step is 1); false: a floating-point format            |
/// | max_finite   | the largest value a code can have, a float                                         |
/// | lowest       | the smallest value a code can have (negative), a float                             |
/// | encode(x)    | the code nearest to x, ties to even, saturating; NaN has a defined code too        |
/// | decode(code) | the exact value of a code; constexpr, as the grid of a float of one byte is known   |
/// |              | when you compile                                                                   |
/// | bits         | (optional) how many low bits of the storage a code takes; of fewer than 8, files hold |
/// |              | several codes a byte                                                               |
template <class T>
concept dtype = std::is_empty_v<T> && std::is_trivially_copyable_v<typename T::storage> &&
                requires(float value, typename T::storage code) {
                  { T::name } -> std::convertible_to<const char*>;
                  { T::is_integer } -> std::convertible_to<bool>;
                  { T::max_finite } -> std::same_as<const float&>;
                  { T::lowest } -> std::same_as<const float&>;
                  { T::encode(value) } noexcept -> std::same_as<typename T::storage>;
                  { T::decode(code) } noexcept -> std::same_as<float>;
                };

/// The bits of a code: `bits` of the dtype, else all that its storage has.
template <dtype D>
constexpr int code_bits() noexcept {
  constexpr int all = 8 * static_cast<int>(sizeof(typename D::storage));
  if constexpr (requires { D::bits; }) {
    static_assert(D::bits >= 1 && D::bits <= all,
                  "a code takes 1 bit or more, and no more than its storage has");
    static_assert(D::bits >= 8 || all == 8, "codes of fewer than 8 bits have a storage of one byte");
    return D::bits;
  } else {
    return all;
  }
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_DTYPE_CONCEPT_HPP

// ---- ptq/detail/strict_float.hpp ----

/// @file strict_float.hpp IEEE-754 binary32 arithmetic on integers: the same bits under every compiler, flag,
/// rounding mode and flush-to-zero setting, at compile time and at run time. All results are rounded to
/// nearest, ties to even. A NaN result is always `nan_bits`: machines disagree about a NaN's sign and
/// payload.
#ifndef PTQ_DETAIL_STRICT_FLOAT_HPP
#define PTQ_DETAIL_STRICT_FLOAT_HPP

#include <bit>
#include <cstdint>

namespace ptq::inline v0_1::detail {

inline constexpr std::uint32_t sign_bit = 0x80000000u;
inline constexpr std::uint32_t infinity_bits = 0x7f800000u;
inline constexpr std::uint32_t nan_bits = 0x7fc00000u;
inline constexpr std::uint32_t one_bits = 0x3f800000u;

/// By reference, like every function here and elsewhere that looks for NaN or infinity: under -ffast-math,
/// clang marks floats that are passed by value as neither, and may drop the test.
constexpr std::uint32_t bits_of(const float& x) noexcept {
  return std::bit_cast<std::uint32_t>(x);
}
constexpr float float_of(std::uint32_t bits) noexcept {
  return std::bit_cast<float>(bits);
}
constexpr std::uint32_t magnitude(std::uint32_t bits) noexcept {
  return bits & ~sign_bit;
}
constexpr bool is_finite(std::uint32_t bits) noexcept {
  return magnitude(bits) < infinity_bits;
}
constexpr bool is_nan(std::uint32_t bits) noexcept {
  return magnitude(bits) > infinity_bits;
}

/// True for 2^-60 .. 2^60. A factor in this range times any float gives a subnormal only where every dtype
/// rounds to 0, so flush-to-zero cannot change a code and hardware arithmetic is as good as integers.
constexpr bool is_ordinary(std::uint32_t bits) noexcept {
  return bits - 0x21800000u <= 0x3c000000u;
}

/// value / 2^shift, rounded to nearest even. Any shift >= 0; values are below 2^63.
constexpr std::uint64_t shift_right_rounded(std::uint64_t value, int shift) noexcept {
  if (shift <= 0) return value;
  if (shift > 63) return 0;  // less than half a unit
  const std::uint64_t quotient = value >> shift;
  const std::uint64_t rest = value & ((std::uint64_t{1} << shift) - 1);
  const std::uint64_t half = std::uint64_t{1} << (shift - 1);
  return quotient + ((rest > half || (rest == half && (quotient & 1u) != 0)) ? 1u : 0u);
}

/// significand * 2^exponent as the bits of the nearest float; overflow gives infinity. `significand` is not 0
/// and below 2^63.
constexpr std::uint32_t pack(std::uint64_t significand, int exponent) noexcept {
  const int width = 64 - std::countl_zero(significand);
  const int leading = exponent + width - 1;  // the power of two of the leading bit
  if (leading > 127) return infinity_bits;
  if (leading < -126) {  // subnormal: the last place is 2^-149
    const int left = exponent + 149;
    if (left >= 0) return static_cast<std::uint32_t>(significand << left);
    return static_cast<std::uint32_t>(shift_right_rounded(significand, -left));
  }
  const std::uint64_t rounded =
      width <= 24 ? significand << (24 - width) : shift_right_rounded(significand, width - 24);
  // The hidden bit adds 1 to the exponent field; so does a carry out of the significand, which may reach
  // infinity.
  return (static_cast<std::uint32_t>(leading + 126) << 23) + static_cast<std::uint32_t>(rounded);
}

/// A finite magnitude other than 0 as significand * 2^exponent.
struct unpacked {
  std::uint32_t significand;
  int exponent;
};

constexpr unpacked unpack(std::uint32_t magnitude_bits) noexcept {
  const std::uint32_t field = magnitude_bits >> 23;
  const std::uint32_t fraction = magnitude_bits & 0x7fffffu;
  if (field == 0) return {fraction, -149};
  return {fraction | 0x800000u, static_cast<int>(field) - 150};
}

/// The bits of x / y.
constexpr std::uint32_t divide(std::uint32_t x, std::uint32_t y) noexcept {
  const std::uint32_t sign = (x ^ y) & sign_bit;
  x = magnitude(x);
  y = magnitude(y);
  if (is_nan(x) || is_nan(y) || (x == 0 && y == 0) || (x == infinity_bits && y == infinity_bits))
    return nan_bits;
  if (x == infinity_bits || y == 0) return sign | infinity_bits;
  if (y == infinity_bits || x == 0) return sign;
  const unpacked a = unpack(x);
  const unpacked b = unpack(y);
  // With the numerator's leading bit at 2^62 the quotient has at least 39 bits: 24, a guard and a sticky bit
  // to spare.
  const int lift = std::countl_zero(std::uint64_t{a.significand}) - 1;
  const std::uint64_t numerator = std::uint64_t{a.significand} << lift;
  const std::uint64_t quotient = numerator / b.significand;
  const std::uint64_t sticky = numerator % b.significand != 0 ? 1u : 0u;
  return sign | pack(quotient | sticky, a.exponent - lift - b.exponent);
}

/// The bits of x * y.
constexpr std::uint32_t multiply(std::uint32_t x, std::uint32_t y) noexcept {
  const std::uint32_t sign = (x ^ y) & sign_bit;
  x = magnitude(x);
  y = magnitude(y);
  if (is_nan(x) || is_nan(y)) return nan_bits;
  if (x == infinity_bits || y == infinity_bits) return x == 0 || y == 0 ? nan_bits : (sign | infinity_bits);
  if (x == 0 || y == 0) return sign;
  const unpacked a = unpack(x);
  const unpacked b = unpack(y);
  return sign | pack(std::uint64_t{a.significand} * b.significand, a.exponent + b.exponent);
}

/// The bits of the float nearest to a double.
constexpr std::uint32_t narrow(std::uint64_t double_bits) noexcept {
  const std::uint32_t sign = static_cast<std::uint32_t>(double_bits >> 32) & sign_bit;
  const std::uint64_t field = (double_bits >> 52) & 0x7ffu;
  const std::uint64_t fraction = double_bits & 0xfffffffffffffu;
  if (field == 0x7ffu) return fraction != 0 ? nan_bits : (sign | infinity_bits);
  if (field == 0) return sign;  // below 2^-1022: 0 as a float
  return sign | pack(fraction | 0x10000000000000u, static_cast<int>(field) - 1075);
}

/// The bits of a float as a double, exact.
constexpr std::uint64_t widen(std::uint32_t bits) noexcept {
  const std::uint64_t sign = std::uint64_t{bits & sign_bit} << 32;
  const std::uint32_t size = magnitude(bits);
  if (is_nan(size)) return 0x7ff8000000000000u;
  if (size == infinity_bits) return sign | 0x7ff0000000000000u;
  if (size == 0) return sign;
  const unpacked a = unpack(size);
  const int up = std::countl_zero(a.significand) - 8;  // places to the hidden bit; 0 unless subnormal
  const std::uint64_t significand = std::uint64_t{a.significand} << (29 + up);
  return sign | ((static_cast<std::uint64_t>(a.exponent - up + 1022 + 23) << 52) + significand);
}

}  // namespace ptq::inline v0_1::detail

#endif  // PTQ_DETAIL_STRICT_FLOAT_HPP

// ---- ptq/dtype/int8.hpp ----

/// @file int8.hpp Two's complement 8-bit integers, -128 to 127.
#ifndef PTQ_DTYPE_INT8_HPP
#define PTQ_DTYPE_INT8_HPP

#include <cstdint>

namespace ptq::inline v0_1 {

struct int8 {
  static constexpr const char* name = "int8";
  using storage = std::int8_t;
  static constexpr bool is_integer = true;
  static constexpr float max_finite = 127.0F;
  static constexpr float lowest = -128.0F;

  /// The nearest integer, ties to even, clamped to [-128, 127]. NaN becomes 0, infinities the ends of the
  /// range.
  static constexpr storage encode(const float& value) noexcept {
    // No branches on the data: codes of trained weights are unpredictable.
    const std::uint32_t bits = detail::bits_of(value);
    // The exponent above that of 1/2 and the fraction, or more than that of 128. Less than 1/2 wraps around
    // to where infinity would be beyond, as NaN is.
    const std::uint32_t above_half = (bits << 1) - (126u << 24);
    const bool is_zero = above_half > (255u << 24) - (126u << 24);
    const std::uint32_t limited = above_half < (8u << 24) ? above_half : 8u << 24;
    // In units of 2^-24: exact from 1/2 to 128.
    const std::uint32_t significand = (limited << 7) | 0x80000000u;
    const std::uint32_t fixed = significand >> (8u - (limited >> 24));
    const std::uint32_t odd = (fixed >> 24) & 1u;
    const std::uint32_t rounded = (fixed + 0x7fffffu + odd) >> 24;
    const bool is_negative = (bits >> 31) != 0;
    const std::uint32_t code = is_negative ? 0u - rounded : rounded < 127u ? rounded : 127u;
    return static_cast<storage>(is_zero ? 0u : code);
  }

  static constexpr float decode(storage code) noexcept { return static_cast<float>(code); }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_DTYPE_INT8_HPP

// ---- ptq/dtype/native.hpp ----

/// @file native.hpp The dtype that leaves a tensor as it is.
#ifndef PTQ_DTYPE_NATIVE_HPP
#define PTQ_DTYPE_NATIVE_HPP

#include <limits>

namespace ptq::inline v0_1 {

/// In a specification: the layer keeps its original precision. As a policy class: codes are the values
/// themselves and every scale is 1.
struct native {
  static constexpr const char* name = "native";
  using storage = float;
  static constexpr bool is_integer = false;
  static constexpr float max_finite = (std::numeric_limits<float>::max)();
  static constexpr float lowest = std::numeric_limits<float>::lowest();

  static constexpr storage encode(float value) noexcept { return value; }
  static constexpr float decode(storage code) noexcept { return code; }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_DTYPE_NATIVE_HPP

// ---- ptq/backend/concept.hpp ----

/// @file concept.hpp What a backend offers.
#ifndef PTQ_BACKEND_CONCEPT_HPP
#define PTQ_BACKEND_CONCEPT_HPP

#include <concepts>
#include <type_traits>

namespace ptq::inline v0_1 {

/// A named numeric profile: an empty struct with
///
/// | member      | meaning                                                        |
/// |-------------|----------------------------------------------------------------|
/// | name        | the word in YAML files, artifacts and tables                   |
/// | mode        | the one `quantize.mode` that goes with it                      |
/// | activations | whether it quantizes activations too                           |
/// | numbers<D>  | a `recipe` for every dtype D (`native` is never asked for)     |
/// | other_names | (optional) an array of further words that YAML files may use   |
template <class T>
concept backend = std::is_empty_v<T> && requires {
  { T::name } -> std::convertible_to<const char*>;
  { T::mode } -> std::convertible_to<const char*>;
  { T::activations } -> std::convertible_to<bool>;
  { T::template numbers<int8> } -> std::convertible_to<recipe>;
};

/// The recipe of a dtype under a backend; `native` is never scaled.
template <dtype D, backend B>
inline constexpr recipe recipe_of = B::template numbers<D>;
template <backend B>
inline constexpr recipe recipe_of<native, B> = recipe{};

}  // namespace ptq::inline v0_1

#endif  // PTQ_BACKEND_CONCEPT_HPP

// ---- ptq/backend/modelopt.hpp ----

/// @file modelopt.hpp The numbers that ModelOpt 0.47 packs and exports, static.
#ifndef PTQ_BACKEND_MODELOPT_HPP
#define PTQ_BACKEND_MODELOPT_HPP

namespace ptq::inline v0_1 {

/// scale = amax / largest finite, codes by division (as ONNX QuantizeLinear computes too). Integer weights
/// have one scale per output channel, floating ones one per tensor; of half tensors scale and quotient are
/// rounded to their type.
struct modelopt {
  static constexpr const char* name = "modelopt";
  static constexpr const char* other_names[] = {"modelopt.pytorch", "modelopt.onnx"};
  static constexpr const char* mode = "static_ptq";
  static constexpr bool activations = true;

  template <dtype D>
  static constexpr recipe numbers =
      recipe{D::max_finite, 0, arithmetic::divide, D::is_integer ? per_channel() : per_tensor(),
             half_rounding::scale_and_quotient};
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_BACKEND_MODELOPT_HPP

// ---- ptq/backend/torchao.hpp ----

/// @file torchao.hpp The numbers of TorchAO 0.18, weight-only.
#ifndef PTQ_BACKEND_TORCHAO_HPP
#define PTQ_BACKEND_TORCHAO_HPP

namespace ptq::inline v0_1 {

/// Integers: scale = max(amax / half the span of codes, 2^-23) (127.5 for int8), codes by the reciprocal of
/// the scale. Floats: scale = amax / largest finite, codes by division. One scale per output channel; of half
/// weights the scale is rounded to the weight's type.
struct torchao {
  static constexpr const char* name = "torchao";
  static constexpr const char* mode = "weight_only_ptq";
  static constexpr bool activations = false;

  template <dtype D>
  static constexpr recipe numbers =
      D::is_integer ? recipe{(D::max_finite - D::lowest) / 2, 0x1p-23F, arithmetic::multiply_by_reciprocal,
                             per_channel(), half_rounding::scale}
                    : recipe{D::max_finite, 0, arithmetic::divide, per_channel(), half_rounding::scale};
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_BACKEND_TORCHAO_HPP

// ---- ptq/detail/type_list.hpp ----

/// @file type_list.hpp A list of types, and a loop over it. The built-in policies and a user's own are such
/// lists.
#ifndef PTQ_DETAIL_TYPE_LIST_HPP
#define PTQ_DETAIL_TYPE_LIST_HPP

#include <cstddef>

namespace ptq::inline v0_1 {

/// An ordered list of policy classes, for instance `ptq::list<ptq::int8, my_int4>`.
template <class... Types>
struct list {
  static constexpr std::size_t size = sizeof...(Types);
};

namespace detail {

template <class T>
struct type_tag {
  using type = T;
};

/// Calls f(type_tag<T>{}) for each type of the list, in order.
template <class... Types, class F>
constexpr void for_each_type(list<Types...>, F&& f) {
  (f(type_tag<Types>{}), ...);
}

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_DETAIL_TYPE_LIST_HPP

// ---- ptq/backends.hpp ----

/// @file backends.hpp The built-in backends. A new one is a file in backend/ and a line here.
#ifndef PTQ_BACKENDS_HPP
#define PTQ_BACKENDS_HPP

namespace ptq::inline v0_1 {

using backends = list<torchao,  //
                      modelopt>;

}  // namespace ptq::inline v0_1

#endif  // PTQ_BACKENDS_HPP

// ---- ptq/detail/platform.hpp ----

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

// ---- ptq/calibration/grid.hpp ----

/// @file grid.hpp The magnitudes that codes can stand for, as a value: all that a calibrator learns of a
/// dtype.
#ifndef PTQ_CALIBRATION_GRID_HPP
#define PTQ_CALIBRATION_GRID_HPP

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ptq::inline v0_1 {

/// Levels from 0 up to the largest, which comes to lie on the threshold that a calibrator tries.
class grid {
 public:
  static constexpr int fraction_bits = 38;
  static constexpr std::uint64_t one = std::uint64_t{1} << fraction_bits;

  /// 0, 1, ... count - 1: an integer dtype.
  constexpr explicit grid(std::size_t count) noexcept : count_(count) { PTQ_ASSERT(count >= 2); }

  /// Any finite levels, ascending from one >= 0 to one > 0. The caller keeps the storage.
  constexpr explicit grid(std::span<const float> levels) noexcept
      : levels_(levels.data()), count_(levels.size()) {
    PTQ_ASSERT(count_ >= 2);
  }

  constexpr std::size_t size() const noexcept { return count_; }
  constexpr bool is_even() const noexcept { return levels_ == nullptr; }

  /// Level k as a share of the largest, in units of 1 / one, rounded down.
  constexpr std::uint64_t share(std::size_t k) const noexcept {
    if (is_even()) return (std::uint64_t{k} << fraction_bits) / (count_ - 1);
    if (detail::bits_of(levels_[k]) == 0) return 0;
    const detail::unpacked level = detail::unpack(detail::bits_of(levels_[k]));
    const detail::unpacked largest = detail::unpack(detail::bits_of(levels_[count_ - 1]));
    // 24 + 38 bits: a level whose significand is the longer one has the smaller exponent.
    const int shift = fraction_bits + level.exponent - largest.exponent;
    if (shift < 0) return 0;  // of 24 bits at most, half of it is below the significand of a normal number
    return (std::uint64_t{level.significand} << shift) / largest.significand;
  }

 private:
  const float* levels_ = nullptr;
  std::size_t count_ = 0;
};

namespace detail {

template <dtype D>
struct level_list {
  std::array<float, 256> levels{};
  std::size_t count = 0;

  constexpr level_list() noexcept {
    for (unsigned code = 0; code < 256; ++code)
      insert(D::decode(std::bit_cast<typename D::storage>(static_cast<std::uint8_t>(code))));
  }

 private:
  constexpr void insert(float level) noexcept {
    const std::uint32_t bits = bits_of(level);
    if (bits >= infinity_bits) return;  // negative, infinite or NaN
    std::size_t at = count;
    while (at > 0 && bits_of(levels[at - 1]) >= bits) --at;
    if (at < count && bits_of(levels[at]) == bits) return;
    for (std::size_t i = count++; i > at; --i) levels[i] = levels[i - 1];
    levels[at] = level;
  }
};

template <dtype D>
inline constexpr level_list<D> levels_of{};

}  // namespace detail

/// The grid of a dtype. A format wider than a byte has more levels than a histogram has bins, so how they lie
/// does not matter.
template <dtype D>
constexpr grid grid_of() noexcept {
  if constexpr (D::is_integer)
    return grid(static_cast<std::size_t>(D::max_finite) + 1);
  else if constexpr (sizeof(typename D::storage) == 1)
    return grid(std::span<const float>(detail::levels_of<D>.levels.data(), detail::levels_of<D>.count));
  else
    return grid(std::size_t{1} << 16);
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_CALIBRATION_GRID_HPP

// ---- ptq/calibration/range.hpp ----

/// @file range.hpp What calibration yields: the largest magnitude to represent, free of any dtype.
#ifndef PTQ_CALIBRATION_RANGE_HPP
#define PTQ_CALIBRATION_RANGE_HPP

namespace ptq::inline v0_1 {

/// Why a range is what it is.
enum class range_reason : unsigned char {
  found,       ///< the calibrator's own answer
  no_data,     ///< nothing was seen; amax is 0
  all_zero,    ///< only zeros were seen; amax is 0
  degenerate,  ///< the data cannot support a search, so amax is the absolute maximum
};

/// In words; empty where the answer is the calibrator's own.
constexpr const char* text_of(range_reason reason) noexcept {
  switch (reason) {
    case range_reason::found:
      break;
    case range_reason::no_data:
      return "no values were seen";
    case range_reason::all_zero:
      return "only zeros were seen";
    case range_reason::degenerate:
      return "the values do not support a search, so the largest one is kept";
  }
  return "";
}

struct range {
  float amax = 0;
  range_reason reason = range_reason::no_data;

  friend constexpr bool operator==(const range&, const range&) = default;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_CALIBRATION_RANGE_HPP

// ---- ptq/calibration/histogram.hpp ----

/// @file histogram.hpp Counts of magnitudes in equal bins over [0, 2^exponent), in fixed storage.
#ifndef PTQ_CALIBRATION_HISTOGRAM_HPP
#define PTQ_CALIBRATION_HISTOGRAM_HPP

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ptq::inline v0_1 {

/// The smallest e with magnitude < 2^e, for the bits of a finite magnitude; -149, below every float, for 0.
constexpr int exponent_above(std::uint32_t magnitude_bits) noexcept {
  const detail::unpacked value = detail::unpack(magnitude_bits);
  return value.exponent + static_cast<int>(std::bit_width(value.significand));
}

namespace detail {

/// Where bin i ends up when the range has doubled that often.
template <std::size_t Bins>
constexpr std::size_t merged_bin(std::size_t i, int doublings) noexcept {
  constexpr int bits = std::countr_zero(Bins);
  return doublings < bits ? i >> doublings : 0;
}

template <std::size_t Bins, class Counts>
constexpr void merge_bins(Counts&& counts, int doublings) noexcept {
  for (std::size_t i = 0; i < Bins; ++i) {
    const auto moving = counts[i];
    counts[i] = 0;
    counts[merged_bin<Bins>(i, doublings)] += moving;
  }
}

}  // namespace detail

/// Bin i counts the magnitudes in [i, i + 1) x 2^exponent / Bins. The range grows by doubling, which merges
/// neighbouring bins and is exact: what is counted does not depend on the order or the grouping of the
/// values.
template <std::size_t Bins>
struct histogram {
  static_assert(std::has_single_bit(Bins) && Bins <= (std::size_t{1} << 24),
                "a power of two, so that bins can be merged in pairs");

  std::array<std::uint64_t, Bins> counts{};
  int exponent = exponent_above(0);

  /// Makes room for magnitudes below 2^wanted.
  constexpr void grow(int wanted) noexcept {
    if (wanted <= exponent) return;
    const int doublings = wanted - exponent;
    exponent = wanted;
    detail::merge_bins<Bins>(counts, doublings);
  }

  /// Counts the magnitudes of values, all of them below 2^exponent.
  constexpr void add(std::span<const float> values) noexcept {
    for (const float value : values) ++counts[bin_of(detail::magnitude(detail::bits_of(value)))];
  }

  constexpr void merge(const histogram& other) noexcept {
    grow(other.exponent);
    const int doublings = exponent - other.exponent;
    for (std::size_t i = 0; i < Bins; ++i) counts[detail::merged_bin<Bins>(i, doublings)] += other.counts[i];
  }

  /// The bins up to the last one that is not empty.
  constexpr std::span<const std::uint64_t> in_use() const noexcept {
    std::size_t used = Bins;
    while (used > 0 && counts[used - 1] == 0) --used;
    return std::span<const std::uint64_t>(counts).first(used);
  }

  /// How many values lie in the bins from `first` on.
  constexpr std::uint64_t count_from(std::size_t first) const noexcept {
    std::uint64_t sum = 0;
    for (std::size_t i = first; i < Bins; ++i) sum += counts[i];
    return sum;
  }

  /// The bin of a magnitude below 2^exponent.
  constexpr std::size_t bin_of(std::uint32_t magnitude_bits) const noexcept {
    const detail::unpacked value = detail::unpack(magnitude_bits);
    const int shift = exponent - bits - value.exponent;  // places of the significand below a bin
    if (shift < 0)
      return static_cast<std::size_t>(value.significand) << -shift;  // near the smallest subnormal
    return shift < 32 ? value.significand >> shift : 0;
  }

  /// The first bin that holds nothing below a magnitude, for magnitudes below 2^exponent.
  constexpr std::size_t first_bin_above(std::uint32_t magnitude_bits) const noexcept {
    const std::size_t bin = bin_of(magnitude_bits);
    return bin + (edge_bits(2 * bin) < magnitude_bits ? 1u : 0u);
  }

  /// A place in the range as the bits of a float, given in half bins from 0.
  constexpr std::uint32_t edge_bits(std::size_t half_bins) const noexcept {
    return half_bins == 0 ? 0 : detail::pack(half_bins, exponent - 1 - bits);
  }

  friend constexpr bool operator==(const histogram&, const histogram&) = default;

 private:
  static constexpr int bits = std::countr_zero(Bins);
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_CALIBRATION_HISTOGRAM_HPP

// ---- ptq/kernels/binning.hpp ----

/// @file binning.hpp What the kernels of histograms share: bins are found by vectors and counted in tables.
///
/// A magnitude times a power of two is exact, or smaller than 1 where it is subnormal; so no flag and no mode
/// of the machine changes a bin.
#ifndef PTQ_KERNELS_BINNING_HPP
#define PTQ_KERNELS_BINNING_HPP

#if PTQ_NATIVE

#include <cstddef>
#include <cstdint>

namespace ptq::inline v0_1 {
namespace kernels {
inline namespace PTQ_SET_BUILD {

/// How many values a kernel looks at before it counts some: blocks are multiples of it.
inline constexpr std::size_t bins_at_once = 32;

/// Counts in four tables, one behind the other, so that equal values in a row wait less for each other's
/// sums.
struct count_tables {
  std::uint32_t* counts;
  std::size_t bins;  ///< of a table
};

/// Bins to count, a multiple of `bins_at_once`.
struct bin_list {
  const std::uint16_t* bins = nullptr;
  std::size_t size = 0;
};

/// What a kernel found of a block.
struct binned_block {
  std::uint32_t amax;  ///< float bits; 0x7f800000 or more where a value is NaN or infinity
  std::size_t size;    ///< of the list of bins, filled up with 0 to a multiple of `bins_at_once`
  std::size_t zeros;   ///< how many values lie in bin 0, if the kernel knows
};

[[gnu::always_inline]] inline void count_some(const std::uint16_t* bins, count_tables tables) noexcept {
  std::uint32_t* const first = tables.counts;
  std::uint32_t* const second = first + tables.bins;
  std::uint32_t* const third = second + tables.bins;
  std::uint32_t* const fourth = third + tables.bins;
  for (std::size_t i = 0; i < bins_at_once; i += 4) {
    ++first[bins[i]];
    ++second[bins[i + 1]];
    ++third[bins[i + 2]];
    ++fourth[bins[i + 3]];
  }
}

}  // namespace PTQ_SET_BUILD
}  // namespace kernels
}  // namespace ptq::inline v0_1

#endif  // PTQ_NATIVE
#endif  // PTQ_KERNELS_BINNING_HPP

// ---- ptq/kernels/isa.hpp ----

/// @file isa.hpp Which instruction set the kernels use: the best that the machine has, found once. Tests and
/// programs can force another.
#ifndef PTQ_KERNELS_ISA_HPP
#define PTQ_KERNELS_ISA_HPP

namespace ptq::inline v0_1 {

enum class isa : unsigned char {
  portable,  ///< plain C++, the same on every machine
  avx2,      ///< x86-64 with AVX2, FMA and F16C
  avx512,    ///< x86-64 with AVX-512 F, BW, VL and DQ
  neon,      ///< AArch64
};

inline constexpr isa all_isas[] = {isa::portable, isa::avx2, isa::avx512, isa::neon};

constexpr const char* name_of(isa set) noexcept {
  constexpr const char* names[] = {"portable", "avx2", "avx512", "neon"};
  return names[static_cast<unsigned char>(set)];
}

/// The instruction set of a name; null if it is the name of none.
constexpr const isa* find_isa(const char* name) noexcept {
  for (const isa& set : all_isas) {
    const char* a = name;
    const char* b = name_of(set);
    while (*a != '\0' && *a == *b) {
      ++a;
      ++b;
    }
    if (*a == *b) return &set;
  }
  return nullptr;
}

namespace detail {

inline constexpr unsigned char isa_unknown = 0xff;

/// One for all translation units, whatever their flags. Not a std::atomic, which is no header of firmware.
inline constinit unsigned char chosen_isa = isa_unknown;

}  // namespace detail

inline namespace PTQ_BUILD {

/// Whether the machine has the instruction set, and this build its kernels.
inline bool is_available(isa set) noexcept {
#if PTQ_NATIVE_X86
  __builtin_cpu_init();
  const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  // clang before 19 cannot be asked for F16C: bit 29 of ecx.
  // NOLINTBEGIN(misc-const-correctness): assembly writes them
  unsigned leaf = 1;
  unsigned features = 0;
  // NOLINTEND(misc-const-correctness)
  // volatile: else g++ asks ahead in each call of a kernel, which may take longer than all the rest (a
  // hypervisor answers).
  __asm__ volatile("cpuid" : "+a"(leaf), "=c"(features) : : "ebx", "edx");
  const bool has_f16c = (features & (1u << 29)) != 0;
  if (set == isa::avx2) return has_avx2 && has_f16c;
  if (set == isa::avx512) {
    return has_avx2 && has_f16c && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  }
#elif PTQ_NATIVE_NEON
  if (set == isa::neon) return true;
#endif
  return set == isa::portable;
}

/// The best that is available.
inline isa best_isa() noexcept {
  if (is_available(isa::avx512)) return isa::avx512;
  if (is_available(isa::avx2)) return isa::avx2;
  return is_available(isa::neon) ? isa::neon : isa::portable;
}

/// All kernels use this one from now on. It must be available.
inline void force_isa(isa set) noexcept {
  PTQ_ASSERT(is_available(set));
  __atomic_store_n(&detail::chosen_isa, static_cast<unsigned char>(set), __ATOMIC_RELAXED);
}

/// All kernels use the best from now on, as they do at the start of the program.
inline void choose_best_isa() noexcept {
  force_isa(best_isa());
}

}  // namespace PTQ_BUILD

#if PTQ_NATIVE
namespace detail {
inline namespace PTQ_BUILD {

/// The best, where none is chosen: another thread may have forced one meanwhile. No kernel shall contain
/// this.
[[gnu::noinline, gnu::cold]] inline isa choose_first_isa() noexcept {
  const isa best = best_isa();
  unsigned char chosen = isa_unknown;
  const bool is_first = __atomic_compare_exchange_n(&chosen_isa, &chosen, static_cast<unsigned char>(best),
                                                    false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  return is_first ? best : static_cast<isa>(chosen);
}

}  // namespace PTQ_BUILD
}  // namespace detail
#endif

inline namespace PTQ_BUILD {

/// The one that kernels use.
inline isa active_isa() noexcept {
#if PTQ_NATIVE
  const unsigned char chosen = __atomic_load_n(&detail::chosen_isa, __ATOMIC_RELAXED);
  return chosen != detail::isa_unknown ? static_cast<isa>(chosen) : detail::choose_first_isa();
#else
  return isa::portable;
#endif
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_KERNELS_ISA_HPP

// ---- ptq/numeric/element_type.hpp ----

/// @file element_type.hpp The element types that tensors may have, in memory, in files and in graphs: the one
/// run-time enum of them. Each format has a table of its own words or numbers for them.
#ifndef PTQ_NUMERIC_ELEMENT_TYPE_HPP
#define PTQ_NUMERIC_ELEMENT_TYPE_HPP

#include <cstddef>

namespace ptq::inline v0_1 {

enum class element_type : unsigned char {
  unknown,  ///< nothing tells it
  other,    ///< none of those below
  boolean,  ///< one byte, 0 or 1
  uint2,
  int2,
  uint4,
  int4,
  uint8,
  int8,
  uint16,
  int16,
  uint32,
  int32,
  uint64,
  int64,
  fp4_e2m1,
  fp6_e2m3,
  fp6_e3m2,
  fp8_e4m3fn,
  fp8_e4m3fnuz,
  fp8_e5m2,
  fp8_e5m2fnuz,
  fp8_e8m0,
  float16,
  bfloat16,
  float32,
  float64,
  complex64,
  complex128,
  string,  ///< of no fixed size
};

/// What the bits of an element mean: the type codes of DLPack, but for floats of 8 bits and fewer, which have
/// a code each there.
enum class element_kind : unsigned char { none, boolean, unsigned_integer, integer, floating, complex, text };

namespace detail {

struct element_type_row {
  const char* name;
  unsigned char bits;
  element_kind kind;
};

inline constexpr element_type_row element_types[] = {
    {"unknown", 0, element_kind::none},         {"other", 0, element_kind::none},
    {"bool", 8, element_kind::boolean},         {"uint2", 2, element_kind::unsigned_integer},
    {"int2", 2, element_kind::integer},         {"uint4", 4, element_kind::unsigned_integer},
    {"int4", 4, element_kind::integer},         {"uint8", 8, element_kind::unsigned_integer},
    {"int8", 8, element_kind::integer},         {"uint16", 16, element_kind::unsigned_integer},
    {"int16", 16, element_kind::integer},       {"uint32", 32, element_kind::unsigned_integer},
    {"int32", 32, element_kind::integer},       {"uint64", 64, element_kind::unsigned_integer},
    {"int64", 64, element_kind::integer},       {"fp4_e2m1", 4, element_kind::floating},
    {"fp6_e2m3", 6, element_kind::floating},    {"fp6_e3m2", 6, element_kind::floating},
    {"fp8_e4m3fn", 8, element_kind::floating},  {"fp8_e4m3fnuz", 8, element_kind::floating},
    {"fp8_e5m2", 8, element_kind::floating},    {"fp8_e5m2fnuz", 8, element_kind::floating},
    {"fp8_e8m0", 8, element_kind::floating},    {"float16", 16, element_kind::floating},
    {"bfloat16", 16, element_kind::floating},   {"float32", 32, element_kind::floating},
    {"float64", 64, element_kind::floating},    {"complex64", 64, element_kind::complex},
    {"complex128", 128, element_kind::complex}, {"string", 0, element_kind::text},
};

/// A value behind the last is a type of a later version of some format: as `other`.
constexpr const element_type_row& row_of(element_type type) noexcept {
  const auto place = static_cast<std::size_t>(type);
  return element_types[place < sizeof element_types / sizeof element_types[0]
                           ? place
                           : static_cast<std::size_t>(element_type::other)];
}

}  // namespace detail

/// NumPy's name, or the dtype's: "float32", "bool", "fp8_e4m3fn".
constexpr const char* name_of(element_type type) noexcept {
  return detail::row_of(type).name;
}

constexpr element_kind kind_of(element_type type) noexcept {
  return detail::row_of(type).kind;
}

/// Of one element; 0 where there is no fixed size. Fewer than 8 are packed in files.
constexpr std::size_t bits_of(element_type type) noexcept {
  return detail::row_of(type).bits;
}

/// The bytes of one element of 8 bits or more.
constexpr std::size_t size_of(element_type type) noexcept {
  return bits_of(type) / 8;
}

/// Whether elements of the type can be quantized, and calibrated with: floats of 16, 32 and 64 bits.
constexpr bool is_float(element_type type) noexcept {
  return kind_of(type) == element_kind::floating && bits_of(type) >= 16;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_NUMERIC_ELEMENT_TYPE_HPP

// ---- ptq/kernels/kernel_set.hpp ----

/// @file kernel_set.hpp The kernels that an instruction set has: what they are called by. Nothing here needs
/// the intrinsics' header; where PTQ_SEPARATE_KERNELS is defined, one translation unit of the program has the
/// bodies (see `platform.hpp`).
#ifndef PTQ_KERNELS_KERNEL_SET_HPP
#define PTQ_KERNELS_KERNEL_SET_HPP

#include <cstddef>
#include <cstdint>

namespace ptq::inline v0_1 {
namespace kernels {

/// What quotients are computed with.
struct factors {
  const float* scales;    ///< to divide by
  const float* inverses;  ///< their reciprocals, correctly rounded, to multiply by
  bool each;              ///< one an element; else one for all

  /// The factor itself.
  constexpr const float* of(arithmetic how) const noexcept {
    return how == arithmetic::divide ? scales : inverses;
  }
  constexpr factors from(std::size_t i) const noexcept {
    return each ? factors{scales + i, inverses + i, true} : *this;
  }
};

inline namespace PTQ_SET_BUILD {

#if PTQ_NATIVE

/// Kernels over contiguous values, at any address where it says `void`. Factors and scales of codes are
/// ordinary (2^-60 to 2^60). `streams` is for what is larger than the caches: codes and values go past them,
/// and finish_streams() is to be called when all are written.
template <isa Which>
struct kernel_set {
  /// The largest magnitude as float bits; NaN and infinity win.
  static std::uint32_t amax(const float* values, std::size_t n) noexcept;

  /// The same of float16 or bfloat16, as their bits.
  static std::uint16_t amax_halves(const void* values, std::size_t n) noexcept;

  /// amax[i] becomes the larger of amax[i] and |values[i]|, by their bits.
  static void amax_each(const float* values, std::size_t n, float* amax) noexcept;

  /// The same for rows of 1 to 63 values side by side: amax[r] of row r.
  static void amax_rows(const float* values, std::size_t rows, std::size_t columns, float* amax) noexcept;

  /// Turns amax (finite, not negative) into the scales to encode by.
  ///
  /// @param source the elements' type: scales of halves may be rounded
  static void scales(float* amax_then_scales, std::size_t n, const recipe& numbers,
                     element_type source) noexcept;

  /// Reciprocals of scales, and whether all factors are ordinary.
  static bool invert(arithmetic how, const float* scales, std::size_t n, float* inverses) noexcept;

  /// out[r * columns + c] = factors[r], for 1 to 63 columns. Writes up to 64 floats beyond the last.
  static void repeat(const float* factors, std::size_t rows, std::size_t columns, float* out) noexcept;

  static void encode_int8(arithmetic how, const float* values, std::size_t n, const factors& by, void* codes,
                          bool streams) noexcept;
  static void encode_e4m3fn(arithmetic how, const float* values, std::size_t n, const factors& by,
                            void* codes, bool streams) noexcept;
  static void encode_e5m2(arithmetic how, const float* values, std::size_t n, const factors& by, void* codes,
                          bool streams) noexcept;

  /// The same of float16 or bfloat16.
  static void encode_int8(arithmetic how, element_type type, const void* halves, std::size_t n,
                          const factors& by, void* codes, bool streams) noexcept;
  static void encode_e4m3fn(arithmetic how, element_type type, const void* halves, std::size_t n,
                            const factors& by, void* codes, bool streams) noexcept;
  static void encode_e5m2(arithmetic how, element_type type, const void* halves, std::size_t n,
                          const factors& by, void* codes, bool streams) noexcept;

  /// @param each whether there is a scale an element, else one for all
  static void decode_int8(const void* codes, std::size_t n, const float* scales, bool each, float* values,
                          bool streams) noexcept;
  static void decode_e4m3fn(const void* codes, std::size_t n, const float* scales, bool each, float* values,
                            bool streams) noexcept;
  static void decode_e5m2(const void* codes, std::size_t n, const float* scales, bool each, float* values,
                          bool streams) noexcept;

  /// Makes what was streamed visible to other threads. It takes as long as some rows: once at the end.
  static void finish_streams() noexcept;

  /// float16 or bfloat16 as floats, and floats as the nearest of those.
  static void widen(element_type type, const void* values, std::size_t n, float* floats) noexcept;
  static void narrow(element_type type, const float* floats, std::size_t n, void* values) noexcept;

  /// Quotients rounded to float16 or bfloat16.
  static void round_quotients(element_type type, arithmetic how, const float* values, std::size_t n,
                              const factors& by, float* quotients) noexcept;

  /// bins = trunc(|value| x factor) of `n` values, a multiple of `bins_at_once`, with room for as many more.
  /// Counts `before` on the way. Without meaning where a bin is beyond 2^15 - 1.
  ///
  /// @param skips_zeros leaves them out of the list, if the set can
  static binned_block bin(bool skips_zeros, const float* values, std::size_t n, float factor,
                          std::uint16_t* bins, bin_list before, count_tables tables) noexcept;

  /// Adds to sums those of (x - y)^2, x^2, y^2 and x * y, and to max_abs the largest |x - y|. All are finite.
  static void add_errors(const float* x, const float* y, std::size_t n, double (&sums)[4],
                         double& max_abs) noexcept;
};

/// Its bodies, by the instruction set's own headers.
template <isa Which>
struct set_of;
template <isa Which>
binned_block bin_values(bool skips_zeros, const float* values, std::size_t n, float factor,
                        std::uint16_t* bins, bin_list before, count_tables tables) noexcept;

#endif  // PTQ_NATIVE

}  // namespace PTQ_SET_BUILD
}  // namespace kernels
}  // namespace ptq::inline v0_1

#endif  // PTQ_KERNELS_KERNEL_SET_HPP

// ---- ptq/kernels/cortex_m.hpp ----

/// @file cortex_m.hpp What a Cortex-M with an FPU does in one instruction where portable C++ needs many, and
/// vectors of floats where it has them (MVE, "Helium"). The same bits as the portable kernels.
///
/// Assembly, as flags let compilers replace divisions, and C++ has no word for a conversion that rounds. In
/// the default rounding mode of the FPU (FPSCR.RMode = 0), as all that divides; flush-to-zero changes
/// nothing.
#ifndef PTQ_KERNELS_CORTEX_M_HPP
#define PTQ_KERNELS_CORTEX_M_HPP

#if PTQ_CORTEX_M_FPU

#include <cstddef>
#include <cstdint>
#include <type_traits>

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

// ---- ptq/numeric/overflow.hpp ----

/// @file overflow.hpp What a minifloat makes of values beyond its largest finite one.
///
/// | input              | saturate          | propagate                              |
/// |--------------------|-------------------|----------------------------------------|
/// | finite, too large  | +-largest finite  | +-infinity if the format has it, else NaN |
/// | +-infinity         | +-largest finite  | +-infinity if the format has it, else NaN |
/// | NaN                | NaN               | NaN                                    |
///
/// saturate is what ONNX's Cast and QuantizeLinear do by default; propagate is what ml_dtypes does.
#ifndef PTQ_NUMERIC_OVERFLOW_HPP
#define PTQ_NUMERIC_OVERFLOW_HPP

namespace ptq::inline v0_1 {

struct saturate {
  static constexpr bool saturates = true;
};

struct propagate {
  static constexpr bool saturates = false;
};

template <class T>
concept overflow_policy = requires {
  { T::saturates };
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_NUMERIC_OVERFLOW_HPP

// ---- ptq/numeric/minifloat.hpp ----

/// @file minifloat.hpp One codec for every small binary float: integers only, constexpr, round to nearest
/// even.
#ifndef PTQ_NUMERIC_MINIFLOAT_HPP
#define PTQ_NUMERIC_MINIFLOAT_HPP

#include <bit>
#include <cstdint>
#include <type_traits>

namespace ptq::inline v0_1 {

/// The shape of a format: 1 sign bit, then exponent and mantissa bits. The exponent bias is 2^(exponent_bits
/// - 1) - 1. Without infinities only the code with all bits set is NaN (OCP's "fn" formats).
struct minifloat_format {
  int exponent_bits;
  int mantissa_bits;
  bool has_infinity;

  constexpr int bias() const noexcept { return (1 << (exponent_bits - 1)) - 1; }
  constexpr int bits() const noexcept { return 1 + exponent_bits + mantissa_bits; }
};

/// Encodes binary32 bit patterns to codes of a format, and decodes them. NaN has one code, and all codes of
/// NaN decode to one bit pattern, both without a sign: machines disagree about the sign of a computed NaN.
/// Source of the two 8-bit formats: OCP 8-bit Floating Point Specification 1.0; of the others: IEEE 754-2019
/// (binary16) and bfloat16 as the upper half of binary32.
template <minifloat_format Format>
struct minifloat {
  using storage = std::conditional_t<(Format.bits() <= 8), std::uint8_t, std::uint16_t>;

  static constexpr int mantissa_bits = Format.mantissa_bits;
  static constexpr std::uint32_t sign_code = 1u << (Format.bits() - 1);
  static constexpr std::uint32_t nan_code = sign_code - 1;
  static constexpr std::uint32_t infinity_code = ((1u << Format.exponent_bits) - 1u)
                                                 << mantissa_bits;  // if any
  static constexpr std::uint32_t max_code = (Format.has_infinity ? infinity_code : nan_code) - 1;

  template <overflow_policy Overflow = saturate>
  static constexpr storage encode(std::uint32_t float_bits) noexcept {
    const std::uint32_t value = detail::magnitude(float_bits);
    std::uint32_t code = 0;
    if (value <= max_bits) {
      code = rounded(value);
    } else {
      if (value > detail::infinity_bits) return static_cast<storage>(nan_code);
      code = max_code;
      if constexpr (!Overflow::saturates)
        if (rounded(value) > max_code) code = Format.has_infinity ? infinity_code : nan_code;
    }
    if (value != float_bits) code |= sign_code;
    return static_cast<storage>(code);
  }

  /// The binary32 bit pattern of a code.
  static constexpr std::uint32_t decode(storage stored) noexcept {
    const std::uint32_t code = stored;
    const std::uint32_t sign = (code & sign_code) != 0 ? detail::sign_bit : 0u;
    const std::uint32_t value = code & (sign_code - 1);
    if (Format.has_infinity ? value > infinity_code : value == nan_code) return detail::nan_bits;
    if (Format.has_infinity && value == infinity_code) return sign | detail::infinity_bits;
    if (value < first_normal_code) return sign | decode_subnormal(value);
    return sign | ((value << drop) + rebias);
  }

 private:
  static constexpr int drop = 23 - mantissa_bits;  // mantissa bits that a float has beyond the format's
  static constexpr std::uint32_t rebias = static_cast<std::uint32_t>(127 - Format.bias()) << 23;
  static constexpr std::uint32_t max_bits = (max_code << drop) + rebias;  // of the largest number
  static constexpr std::uint32_t first_normal_code = 1u << mantissa_bits;
  static constexpr std::uint32_t first_normal_field =
      128u - static_cast<std::uint32_t>(Format.bias());  // the float's exponent field of the smallest normal

  /// The code nearest to a magnitude up to infinity, as if exponents had no end.
  static constexpr std::uint32_t rounded(std::uint32_t value) noexcept {
    const std::uint32_t field = value >> 23;
    if (field >= first_normal_field) return round_bits(value - rebias, drop);
    // Subnormal: the hidden bit is seen, and the significand moves down. The float may be subnormal too,
    // which has no hidden bit; where it is moved out of sight, no matter.
    const bool has_hidden_bit = first_normal_field > 31 || field != 0;
    const std::uint32_t significand = (value & 0x7fffffu) | (has_hidden_bit ? 0x800000u : 0u);
    const std::uint32_t shift = drop + first_normal_field - field - (has_hidden_bit ? 0u : 1u);
    return round_bits(significand, shift < 31 ? shift : 31);  // by 31: far less than half a unit
  }

  /// value / 2^shift, to nearest even, for values below 2^31 and shifts from 1 to 31.
  static constexpr std::uint32_t round_bits(std::uint32_t value, std::uint32_t shift) noexcept {
    const std::uint32_t odd = (value >> shift) & 1u;
    return (value + (1u << (shift - 1)) - 1u + odd) >> shift;
  }

  static constexpr std::uint32_t decode_subnormal(std::uint32_t value) noexcept {
    if constexpr (Format.bias() == 127) return value << drop;  // subnormal as a float too
    if (value == 0) return 0;
    const int up = std::countl_zero(value) - (31 - mantissa_bits);  // places to the hidden bit
    return ((value << up) << drop) + rebias - (static_cast<std::uint32_t>(up) << 23);
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_NUMERIC_MINIFLOAT_HPP

// ---- ptq/numeric/bfloat16.hpp ----

/// @file bfloat16.hpp The bfloat16 storage type: 16 bits and a conversion either way.
#ifndef PTQ_NUMERIC_BFLOAT16_HPP
#define PTQ_NUMERIC_BFLOAT16_HPP

#include <cstdint>

namespace ptq::inline v0_1 {

/// A bfloat16 number as its bit pattern. Made for storage: it converts, and computes nothing.
struct [[gnu::may_alias]] bfloat16 {
  std::uint16_t bits = 0;

  using codec = minifloat<minifloat_format{8, 7, true}>;

  static constexpr bfloat16 from_float(const float& x) noexcept {
    return {codec::encode<propagate>(detail::bits_of(x))};
  }
  constexpr float to_float() const noexcept { return detail::float_of(codec::decode(bits)); }
  friend constexpr bool operator==(const bfloat16&, const bfloat16&) = default;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_NUMERIC_BFLOAT16_HPP

// ---- ptq/numeric/half.hpp ----

/// @file half.hpp The binary16 storage type: 16 bits and a conversion either way.
#ifndef PTQ_NUMERIC_HALF_HPP
#define PTQ_NUMERIC_HALF_HPP

#include <cstdint>

namespace ptq::inline v0_1 {

/// A binary16 number as its bit pattern. Made for storage: it converts, and computes nothing.
struct [[gnu::may_alias]] half {
  std::uint16_t bits = 0;

  using codec = minifloat<minifloat_format{5, 10, true}>;

  static constexpr half from_float(const float& x) noexcept {
    return {codec::encode<propagate>(detail::bits_of(x))};
  }
  constexpr float to_float() const noexcept { return detail::float_of(codec::decode(bits)); }
  friend constexpr bool operator==(const half&, const half&) = default;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_NUMERIC_HALF_HPP

// ---- ptq/tensor/element.hpp ----

/// @file element.hpp What the elements of tensors are in C++, and the customisation point for a user's own
/// half type.
#ifndef PTQ_TENSOR_ELEMENT_HPP
#define PTQ_TENSOR_ELEMENT_HPP

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace ptq::inline v0_1 {

/// Specialise it for an own element type that has the layout of one of these floats:
///   type           its layout: float16, bfloat16, float32 or float64
///   to_float(x)    the value as float32
///   from_float(x)  the nearest value, ties to even
template <class T>
struct element_traits;

template <>
struct element_traits<float> {
  static constexpr element_type type = element_type::float32;
  static constexpr float to_float(const float& x) noexcept { return x; }
  static constexpr float from_float(const float& x) noexcept { return x; }
};

/// float64 is rounded to float32 before anything else.
template <>
struct element_traits<double> {
  static constexpr element_type type = element_type::float64;
  static constexpr float to_float(const double& x) noexcept {
    return detail::float_of(detail::narrow(std::bit_cast<std::uint64_t>(x)));
  }
  static constexpr double from_float(const float& x) noexcept {
    return std::bit_cast<double>(detail::widen(detail::bits_of(x)));
  }
};

template <>
struct element_traits<half> {
  static constexpr element_type type = element_type::float16;
  static constexpr float to_float(half x) noexcept { return x.to_float(); }
  static constexpr half from_float(const float& x) noexcept { return half::from_float(x); }
};

template <>
struct element_traits<bfloat16> {
  static constexpr element_type type = element_type::bfloat16;
  static constexpr float to_float(bfloat16 x) noexcept { return x.to_float(); }
  static constexpr bfloat16 from_float(const float& x) noexcept { return bfloat16::from_float(x); }
};

template <class T>
concept element = requires(T value, float x) {
  { element_traits<T>::type } -> std::convertible_to<element_type>;
  { element_traits<T>::to_float(value) } -> std::same_as<float>;
  { element_traits<T>::from_float(x) } -> std::same_as<T>;
} && is_float(element_traits<T>::type) && sizeof(T) == size_of(element_traits<T>::type);

namespace detail {

template <element T>
inline constexpr bool is_half = sizeof(T) == 2;

/// The type of this library that has the layout of T; float for float64, which is rounded to it.
template <element T>
using plain_element = std::conditional_t<
    element_traits<T>::type == element_type::float16, half,
    std::conditional_t<element_traits<T>::type == element_type::bfloat16, bfloat16, float>>;

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_TENSOR_ELEMENT_HPP

// ---- ptq/kernels/portable.hpp ----

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

// ---- ptq/kernels/lean.hpp ----

/// @file lean.hpp The kernels that take the least flash and time: for a run of contiguous floats with one
/// ordinary factor (2^-60 to 2^60), where the arithmetic of the hardware is as good as integers. The same
/// bits as the portable kernels, which stand in for them in constant expressions and where flags spoil
/// divisions.
#ifndef PTQ_KERNELS_LEAN_HPP
#define PTQ_KERNELS_LEAN_HPP

#include <concepts>
#include <cstddef>
#include <type_traits>

namespace ptq::inline v0_1 {
namespace kernels {
inline namespace PTQ_BUILD {

PTQ_PRECISE_PUSH

struct lean {
  /// Whether the hardware divides exactly: on a Cortex-M it is told to, whatever the flags.
  static constexpr bool divides = exact_division || PTQ_CORTEX_M_FPU;

  /// Whether there is more to say than what `portable` does.
  template <dtype D, arithmetic How>
  static constexpr bool has_codes = has_small_range<D> && (How != arithmetic::divide || divides);

  /// The scale, or its reciprocal.
  template <arithmetic How>
  static constexpr float factor_of(const float& scale) noexcept {
    if constexpr (How == arithmetic::divide) return scale;
#if PTQ_CORTEX_M_FPU
    else if (!std::is_constant_evaluated())
      return cortex_m::divide(1.0F, scale);
#endif
    else if constexpr (exact_division)
      return 1.0F / scale;
    else
      return kernels::factor_of<How>(scale);
  }

  template <dtype D, arithmetic How>
  static constexpr void encode_run(const float* values, std::size_t n, const float& factor,
                                   typename D::storage* codes) noexcept {
    if constexpr (!has_codes<D, How>) {
      portable::encode_run<D, How>(values, n, factor, codes);
    } else {
      if (std::is_constant_evaluated()) return portable::encode_run<D, How>(values, n, factor, codes);
#if PTQ_CORTEX_M_FPU
      if constexpr (std::same_as<D, int8>)
        cortex_m::encode_int8<How>(values, n, factor, codes);
      else
        for (std::size_t i = 0; i < n; ++i) codes[i] = D::encode(cortex_m::apply<How>(values[i], factor));
#else
      for (std::size_t i = 0; i < n; ++i) codes[i] = D::encode(apply_directly<How>(values[i], factor));
#endif
    }
  }

  template <dtype D, class Decoder>
  static constexpr void decode_run(const typename D::storage* codes, std::size_t n, const float& scale,
                                   float* values) noexcept {
    if constexpr (has_small_range<D>) {
      if (!std::is_constant_evaluated()) {
        for (std::size_t i = 0; i < n; ++i)
          values[i] = scale_up_directly(Decoder::template decode<D>(codes[i]), scale);
        return;
      }
    }
    for (std::size_t i = 0; i < n; ++i) values[i] = scale_up<D>(Decoder::template decode<D>(codes[i]), scale);
  }
};

PTQ_PRECISE_POP

}  // namespace PTQ_BUILD
}  // namespace kernels
}  // namespace ptq::inline v0_1

#endif  // PTQ_KERNELS_LEAN_HPP

// ---- ptq/dtype/stored_type.hpp ----

/// @file stored_type.hpp What the codes of a dtype are in files.
#ifndef PTQ_DTYPE_STORED_TYPE_HPP
#define PTQ_DTYPE_STORED_TYPE_HPP

#include <concepts>
#include <cstdint>
#include <type_traits>

namespace ptq::inline v0_1 {
namespace detail {

template <class Storage>
constexpr element_type stored_type_by_storage() noexcept {
  if constexpr (std::same_as<Storage, bool>) return element_type::boolean;
  if constexpr (std::same_as<Storage, std::uint8_t>) return element_type::uint8;
  if constexpr (std::same_as<Storage, std::int8_t>) return element_type::int8;
  if constexpr (std::same_as<Storage, std::uint16_t>) return element_type::uint16;
  if constexpr (std::same_as<Storage, std::int16_t>) return element_type::int16;
  if constexpr (std::same_as<Storage, std::uint32_t>) return element_type::uint32;
  if constexpr (std::same_as<Storage, std::int32_t>) return element_type::int32;
  if constexpr (std::same_as<Storage, half>) return element_type::float16;
  if constexpr (std::same_as<Storage, bfloat16>) return element_type::bfloat16;
  if constexpr (std::same_as<Storage, float>) return element_type::float32;
  return element_type::unknown;
}

/// Only integers of a bit width have a type that is told by it.
template <dtype D>
constexpr element_type stored_type_by_bits() noexcept {
  constexpr bool is_signed = std::is_signed_v<typename D::storage>;
  if (!D::is_integer) return element_type::unknown;
  if (code_bits<D>() == 4) return is_signed ? element_type::int4 : element_type::uint4;
  if (code_bits<D>() == 2) return is_signed ? element_type::int2 : element_type::uint2;
  return element_type::unknown;
}

}  // namespace detail

/// The element type of a dtype's codes; unknown where there is none. Specialise it for an own dtype whose
/// storage does not tell.
template <dtype D>
inline constexpr element_type stored_type_of =
    code_bits<D>() < 8 ? detail::stored_type_by_bits<D>()
                       : detail::stored_type_by_storage<typename D::storage>();

}  // namespace ptq::inline v0_1

#endif  // PTQ_DTYPE_STORED_TYPE_HPP

// ---- ptq/dtype/fp8_e4m3fn.hpp ----

/// @file fp8_e4m3fn.hpp 8-bit floats with 4 exponent and 3 mantissa bits: no infinities, and NaN only where
/// all bits are set.
#ifndef PTQ_DTYPE_FP8_E4M3FN_HPP
#define PTQ_DTYPE_FP8_E4M3FN_HPP

#include <cstdint>

namespace ptq::inline v0_1 {

/// Source: OCP 8-bit Floating Point Specification 1.0, E4M3.
struct fp8_e4m3fn {
  static constexpr const char* name = "fp8_e4m3fn";
  using codec = minifloat<minifloat_format{4, 3, false}>;
  using storage = codec::storage;
  static constexpr bool is_integer = false;
  static constexpr float max_finite = 448.0F;
  static constexpr float lowest = -max_finite;

  static constexpr storage encode(const float& value) noexcept {
    return codec::encode<saturate>(detail::bits_of(value));
  }
  static constexpr float decode(storage code) noexcept { return detail::float_of(codec::decode(code)); }
};

template <>
inline constexpr element_type stored_type_of<fp8_e4m3fn> = element_type::fp8_e4m3fn;

}  // namespace ptq::inline v0_1

#endif  // PTQ_DTYPE_FP8_E4M3FN_HPP

// ---- ptq/dtype/fp8_e5m2.hpp ----

/// @file fp8_e5m2.hpp 8-bit floats with 5 exponent and 2 mantissa bits: infinities and NaN as in IEEE
/// formats.
#ifndef PTQ_DTYPE_FP8_E5M2_HPP
#define PTQ_DTYPE_FP8_E5M2_HPP

#include <cstdint>

namespace ptq::inline v0_1 {

/// Source: OCP 8-bit Floating Point Specification 1.0, E5M2.
struct fp8_e5m2 {
  static constexpr const char* name = "fp8_e5m2";
  using codec = minifloat<minifloat_format{5, 2, true}>;
  using storage = codec::storage;
  static constexpr bool is_integer = false;
  static constexpr float max_finite = 57344.0F;
  static constexpr float lowest = -max_finite;

  static constexpr storage encode(const float& value) noexcept {
    return codec::encode<saturate>(detail::bits_of(value));
  }
  static constexpr float decode(storage code) noexcept { return detail::float_of(codec::decode(code)); }
};

template <>
inline constexpr element_type stored_type_of<fp8_e5m2> = element_type::fp8_e5m2;

}  // namespace ptq::inline v0_1

#endif  // PTQ_DTYPE_FP8_E5M2_HPP

// ---- ptq/kernels/fp8_rounding.hpp ----

/// @file fp8_rounding.hpp How sets round floats to the formats of 8 bits: one kernel for both, by these
/// numbers.
///
/// A magnitude plus a power of two so large that the sum has only the format's bits below it is rounded by
/// the addition. Below the smallest normal number the power stays the same.
#ifndef PTQ_KERNELS_FP8_ROUNDING_HPP
#define PTQ_KERNELS_FP8_ROUNDING_HPP

#include <cstdint>

namespace ptq::inline v0_1 {
namespace kernels {

struct fp8_rounding {
  float limit;                 ///< the largest number
  std::uint32_t first_normal;  ///< the smallest normal number, as float bits
  std::uint32_t drop;          ///< mantissa bits that a float has beyond the format's
  /// The power of two, by that of the magnitude. It makes the low 7 bits of the sum, plus its exponent, the
  /// code; whole powers, as ties look at the last bit.
  float up;
  std::uint8_t nan_code;
};

template <dtype D>
constexpr fp8_rounding make_fp8_rounding() noexcept {
  constexpr int mantissa_bits = D::codec::mantissa_bits;
  constexpr int drop = 23 - mantissa_bits;
  constexpr std::uint32_t first_normal_field = 129u - (1u << (6 - mantissa_bits));
  constexpr std::uint32_t offset = (0u - ((first_normal_field + drop) << mantissa_bits)) & 0x7fu;
  return {D::max_finite, first_normal_field << 23, drop,
          static_cast<float>((1u << drop) + (offset >> mantissa_bits)), D::codec::nan_code};
}

template <dtype D>
inline constexpr fp8_rounding fp8_rounding_of = make_fp8_rounding<D>();

}  // namespace kernels
}  // namespace ptq::inline v0_1

#endif  // PTQ_KERNELS_FP8_ROUNDING_HPP

// ---- ptq/kernels/x86_avx2.hpp ----

/// @file x86_avx2.hpp The kernels with AVX2, FMA and F16C: the same bits as the portable ones.
///
/// Compilers replace float operations as flags allow them to, and assume that there are no NaN. So here
/// floats are multiplied, fused and converted, and nothing else: what is compared, clamped or looked at are
/// their bits.
#ifndef PTQ_KERNELS_X86_AVX2_HPP
#define PTQ_KERNELS_X86_AVX2_HPP

#if PTQ_NATIVE_X86

#include <immintrin.h>

#include <bit>
#include <cstddef>
#include <cstdint>

PTQ_PRECISE_PUSH
PTQ_TARGET_PUSH("avx2,fma,f16c")

namespace ptq::inline v0_1 {
namespace kernels {
inline namespace PTQ_SET_BUILD {
namespace avx2 {

inline constexpr std::size_t lanes = 8;
inline constexpr std::size_t block = 32;    // codes of one store
inline constexpr std::size_t ahead = 2048;  // bytes

[[gnu::always_inline]] inline __m256i all(std::uint32_t bits) noexcept {
  return _mm256_set1_epi32(static_cast<int>(bits));
}
[[gnu::always_inline]] inline __m256i all_words(std::uint16_t bits) noexcept {
  return _mm256_set1_epi16(static_cast<short>(bits));
}
[[gnu::always_inline]] inline __m256 floats(__m256i bits) noexcept {
  return _mm256_castsi256_ps(bits);
}
[[gnu::always_inline]] inline __m256i bits(__m256 x) noexcept {
  return _mm256_castps_si256(x);
}
[[gnu::always_inline]] inline __m256i load_bits(const void* from) noexcept {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}
[[gnu::always_inline]] inline __m128i load_half_vector(const void* from) noexcept {
  return _mm_loadu_si128(static_cast<const __m128i*>(from));
}
/// All bits of the lanes below n.
[[gnu::always_inline]] inline __m256i first_lanes(std::size_t n) noexcept {
  const __m256i number = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n < lanes ? n : lanes)), number);
}
[[gnu::always_inline]] inline __m256i magnitudes(__m256 x) noexcept {
  return _mm256_and_si256(bits(x), all(~detail::sign_bit));
}
/// All bits of the lanes that hold NaN.
[[gnu::always_inline]] inline __m256i nan_in(__m256 x) noexcept {
  return _mm256_cmpgt_epi32(magnitudes(x), all(detail::infinity_bits));
}
[[gnu::always_inline]] inline bool is_any(__m256i mask) noexcept {
  return _mm256_testz_si256(mask, mask) == 0;
}
[[gnu::always_inline]] inline void prefetch(const void* at) noexcept {
  _mm_prefetch(static_cast<const char*>(at) + ahead, _MM_HINT_T0);
}
[[gnu::always_inline]] inline void copy(void* to, const void* from, std::size_t n) noexcept {
  __builtin_memcpy(to, from, n);
}

/// x / y by an instruction that no flag replaces.
[[gnu::always_inline]] inline __m256 hardware_quotient(__m256 x, __m256 y) noexcept {
  __m256 result;  // NOLINT(cppcoreguidelines-init-variables): written by the assembly
  __asm__("vdivps {%2, %1, %0|%0, %1, %2}" : "=x"(result) : "x"(x), "x"(y));
  return result;
}

/// The first n floats; 0 beyond.
[[gnu::always_inline]] inline __m256 load_first(const float* from, std::size_t n) noexcept {
  return floats(_mm256_maskload_epi32(reinterpret_cast<const int*>(from), first_lanes(n)));
}
[[gnu::always_inline]] inline void store_first(float* to, std::size_t n, __m256i value) noexcept {
  _mm256_maskstore_epi32(reinterpret_cast<int*>(to), first_lanes(n), value);
}

/// Elements of a type as floats. NaN stays some NaN.
template <element_type Type>
struct source;

template <>
struct source<element_type::float32> {
  static constexpr std::size_t size = sizeof(float);
  [[gnu::always_inline]] static __m256 load(const unsigned char* from) noexcept {
    return floats(load_bits(from));
  }
  [[gnu::always_inline]] static __m256 load(const unsigned char* from, std::size_t n) noexcept {
    return floats(_mm256_maskload_epi32(reinterpret_cast<const int*>(from), first_lanes(n)));
  }
};

/// The first n of 8 numbers of 16 bits; 0 beyond.
[[gnu::always_inline]] inline __m128i load_first_halves(const unsigned char* from, std::size_t n) noexcept {
  if (n >= lanes) return load_half_vector(from);
  std::uint16_t buffer[lanes] = {};
  copy(buffer, from, n * sizeof(std::uint16_t));
  return load_half_vector(buffer);
}

template <>
struct source<element_type::float16> {
  using stored = half;
  static constexpr std::size_t size = sizeof(std::uint16_t);
  [[gnu::always_inline]] static __m256 load(const unsigned char* from) noexcept {
    return _mm256_cvtph_ps(load_half_vector(from));
  }
  [[gnu::always_inline]] static __m256 load(const unsigned char* from, std::size_t n) noexcept {
    return _mm256_cvtph_ps(load_first_halves(from, n));
  }
  [[gnu::always_inline]] static __m128i narrowed(__m256 x) noexcept {
    return _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT);
  }
  [[gnu::always_inline]] static __m256 rounded(__m256 x) noexcept { return _mm256_cvtph_ps(narrowed(x)); }
};

template <>
struct source<element_type::bfloat16> {
  using stored = bfloat16;
  static constexpr std::size_t size = sizeof(std::uint16_t);
  [[gnu::always_inline]] static __m256 widened(__m128i x) noexcept {
    return floats(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16));
  }
  [[gnu::always_inline]] static __m256 load(const unsigned char* from) noexcept {
    return widened(load_half_vector(from));
  }
  [[gnu::always_inline]] static __m256 load(const unsigned char* from, std::size_t n) noexcept {
    return widened(load_first_halves(from, n));
  }
  /// The upper halves of these bits are the nearest bfloat16, but for NaN.
  [[gnu::always_inline]] static __m256i carried(__m256 x) noexcept {
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits(x), 16), all(1));
    return _mm256_add_epi32(_mm256_add_epi32(bits(x), all(0x7fff)), odd);
  }
  [[gnu::always_inline]] static __m128i narrowed(__m256 x) noexcept {
    const __m256i upper = _mm256_srli_epi32(carried(x), 16);
    return _mm_packus_epi32(_mm256_castsi256_si128(upper), _mm256_extracti128_si256(upper, 1));
  }
  [[gnu::always_inline]] static __m256 rounded(__m256 x) noexcept {
    return floats(_mm256_and_si256(carried(x), all(0xffff0000u)));
  }
};

/// As the portable kernels have it: NaN of a half type is one pattern.
[[gnu::always_inline]] inline __m256 with_one_nan(__m256 x) noexcept {
  return floats(_mm256_blendv_epi8(bits(x), all(detail::nan_bits), nan_in(x)));
}

/// What a vector of quotients is computed with.
struct factor {
  __m256 scale;
  __m256 inverse;
};

/// One ordinary factor for all.
struct one_factor {
  factor same;
  [[gnu::always_inline]] explicit one_factor(const factors& by) noexcept
      : same{_mm256_set1_ps(*by.scales), _mm256_set1_ps(*by.inverses)} {}
  [[gnu::always_inline]] factor at(std::size_t) const noexcept { return same; }
  [[gnu::always_inline]] factor first_at(std::size_t, std::size_t) const noexcept { return same; }
};

/// An ordinary factor an element.
struct each_factor {
  const float* scales;
  const float* inverses;
  [[gnu::always_inline]] explicit each_factor(const factors& by) noexcept
      : scales(by.scales), inverses(by.inverses) {}
  [[gnu::always_inline]] factor at(std::size_t i) const noexcept {
    return {_mm256_loadu_ps(scales + i), _mm256_loadu_ps(inverses + i)};
  }
  /// The first n, and 1 behind them.
  [[gnu::always_inline]] factor first_at(std::size_t i, std::size_t n) const noexcept {
    const __m256i wanted = first_lanes(n);
    const __m256i one = all(detail::one_bits);
    return {floats(_mm256_blendv_epi8(one, bits(load_first(scales + i, n)), wanted)),
            floats(_mm256_blendv_epi8(one, bits(load_first(inverses + i, n)), wanted))};
  }
};

/// The quotient, correctly rounded, of values that a dtype does not round to 0 or saturate. The division is
/// Markstein's: the residual of a product by the reciprocal corrects it.
template <arithmetic How>
[[gnu::always_inline]] inline __m256 quotient(__m256 x, const factor& by) noexcept {
  const __m256 product = x * by.inverse;
  if constexpr (How == arithmetic::multiply_by_reciprocal) return product;
  const __m256 residual = _mm256_fmsub_ps(product, by.scale, x);
  return _mm256_fnmadd_ps(residual, by.inverse, product);
}

/// Four vectors of 8 codes each as 32 bytes.
[[gnu::always_inline]] inline __m256i packed(__m256i low, __m256i high) noexcept {
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  return _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order);
}

/// Makes 32 codes of four vectors.
struct int8_encoder {
  template <arithmetic How>
  [[gnu::always_inline]] static __m256i rounded(__m256 x, const factor& by) noexcept {
    return _mm256_cvtps_epi32(quotient<How>(x, by));
  }

  /// The lowest integer stands for what is none: NaN is 0, the rest is saturated.
  [[gnu::always_inline]] static __m256i mended(__m256 x, __m256i code) noexcept {
    const __m256i end = _mm256_xor_si256(_mm256_srai_epi32(bits(x), 31), all(0x7fffffffu));
    return _mm256_blendv_epi8(code, _mm256_andnot_si256(nan_in(x), end),
                              _mm256_cmpeq_epi32(code, all(detail::sign_bit)));
  }

  template <arithmetic How>
  [[gnu::always_inline]] __m256i encode(__m256 x0, __m256 x1, __m256 x2, __m256 x3, const factor& f0,
                                        const factor& f1, const factor& f2, const factor& f3) const noexcept {
    const __m256i c0 = rounded<How>(x0, f0);
    const __m256i c1 = rounded<How>(x1, f1);
    const __m256i c2 = rounded<How>(x2, f2);
    const __m256i c3 = rounded<How>(x3, f3);
    const __m256i low = _mm256_packs_epi32(c0, c1);
    const __m256i high = _mm256_packs_epi32(c2, c3);
    if (is_any(_mm256_cmpeq_epi16(_mm256_min_epi16(low, high), all_words(0x8000)))) [[unlikely]] {
      return packed(_mm256_packs_epi32(mended(x0, c0), mended(x1, c1)),
                    _mm256_packs_epi32(mended(x2, c2), mended(x3, c3)));
    }
    return packed(low, high);
  }
};

/// The same for the formats of 8 bits: see `fp8_rounding`.
struct fp8_encoder {
  __m256 limit;
  __m256i first_normal;
  __m256i drop;
  __m256 up;
  __m256i nan_code;

  [[gnu::always_inline]] explicit fp8_encoder(const fp8_rounding& by) noexcept
      : limit(_mm256_set1_ps(by.limit)),
        first_normal(all(by.first_normal)),
        drop(all(by.drop)),
        up(_mm256_set1_ps(by.up)),
        nan_code(all(by.nan_code * 0x01010101u)) {}

  /// Codes without their signs. NaN becomes some number.
  template <arithmetic How>
  [[gnu::always_inline]] __m256i rounded(__m256i size, const factor& by) const noexcept {
    __m256 value = floats(size);
    if constexpr (How == arithmetic::divide) {
      value = floats(_mm256_min_epi32(size, bits(by.scale * limit)));
      value = quotient<How>(value, by);
    } else {
      value = floats(_mm256_min_epi32(bits(quotient<How>(value, by)), bits(limit)));
    }
    const __m256i normal = _mm256_max_epi32(bits(value), first_normal);
    const __m256i power = _mm256_and_si256(normal, all(detail::infinity_bits));
    const __m256i sum = bits(_mm256_fmadd_ps(floats(power), up, value));
    return _mm256_and_si256(_mm256_add_epi32(sum, _mm256_srlv_epi32(sum, drop)), all(0x7f));
  }

  /// Signs of four vectors, where their codes will be: saturation to integers keeps them.
  [[gnu::always_inline]] static __m256i signs(__m256 x0, __m256 x1, __m256 x2, __m256 x3) noexcept {
    const __m256i packs =
        packed(_mm256_packs_epi32(bits(x0), bits(x1)), _mm256_packs_epi32(bits(x2), bits(x3)));
    return _mm256_and_si256(packs, all(0x80808080u));
  }

  template <arithmetic How>
  [[gnu::always_inline]] __m256i encode(__m256 x0, __m256 x1, __m256 x2, __m256 x3, const factor& f0,
                                        const factor& f1, const factor& f2, const factor& f3) const noexcept {
    const __m256i a0 = magnitudes(x0);
    const __m256i a1 = magnitudes(x1);
    const __m256i a2 = magnitudes(x2);
    const __m256i a3 = magnitudes(x3);
    const __m256i low = _mm256_packs_epi32(rounded<How>(a0, f0), rounded<How>(a1, f1));
    const __m256i high = _mm256_packs_epi32(rounded<How>(a2, f2), rounded<How>(a3, f3));
    const __m256i codes = _mm256_or_si256(packed(low, high), signs(x0, x1, x2, x3));
    const __m256i largest = _mm256_max_epi32(_mm256_max_epi32(a0, a1), _mm256_max_epi32(a2, a3));
    if (is_any(_mm256_cmpgt_epi32(largest, all(detail::infinity_bits)))) [[unlikely]] {
      const __m256i nan =
          packed(_mm256_packs_epi32(nan_in(x0), nan_in(x1)), _mm256_packs_epi32(nan_in(x2), nan_in(x3)));
      return _mm256_blendv_epi8(codes, nan_code, nan);
    }
    return codes;
  }
};

/// How many of n are left for the vector number `vector` of a block.
[[gnu::always_inline]] inline std::size_t left_for(std::size_t vector, std::size_t n) noexcept {
  return n > vector * lanes ? n - vector * lanes : 0;
}

/// Up to 31 codes.
template <element_type Type, arithmetic How, class Encoder, class Factors>
[[gnu::noinline]] inline void encode_some(const unsigned char* x, std::size_t n, const Factors& by,
                                          std::size_t at, const Encoder& encoder,
                                          unsigned char* codes) noexcept {
  using from = source<Type>;
  constexpr std::size_t size = lanes * from::size;
  alignas(32) unsigned char buffer[block];
  const std::size_t n1 = left_for(1, n);
  const std::size_t n2 = left_for(2, n);
  const std::size_t n3 = left_for(3, n);
  const __m256i found = encoder.template encode<How>(
      from::load(x, n), from::load(x + size, n1), from::load(x + 2 * size, n2), from::load(x + 3 * size, n3),
      by.first_at(at, n), by.first_at(at + lanes, n1), by.first_at(at + 2 * lanes, n2),
      by.first_at(at + 3 * lanes, n3));
  _mm256_store_si256(reinterpret_cast<__m256i*>(buffer), found);
  copy(codes, buffer, n);
}

[[gnu::always_inline]] inline void store(bool streams, void* to, __m256i value) noexcept {
  if (streams)
    _mm256_stream_si256(static_cast<__m256i*>(to), value);
  else
    _mm256_storeu_si256(static_cast<__m256i*>(to), value);
}

template <element_type Type, arithmetic How, class Encoder, class Factors>
inline void encode(const unsigned char* values, std::size_t n, const Factors& by, const Encoder& encoder,
                   unsigned char* codes, bool streams) noexcept {
  using from = source<Type>;
  constexpr std::size_t size = lanes * from::size;
  std::size_t i = 0;
  if (streams) {
    const std::size_t head = (0 - std::bit_cast<std::uintptr_t>(codes)) % block;
    i = head < n ? head : n;
    if (i != 0) encode_some<Type, How>(values, i, by, 0, encoder, codes);
  }
  const unsigned char* x = values + i * from::size;
  for (; i + block <= n; i += block, x += 4 * size) {
    for (std::size_t line = 0; line < 4 * size; line += 64) prefetch(x + line);
    store(streams, codes + i,
          encoder.template encode<How>(from::load(x), from::load(x + size), from::load(x + 2 * size),
                                       from::load(x + 3 * size), by.at(i), by.at(i + lanes),
                                       by.at(i + 2 * lanes), by.at(i + 3 * lanes)));
  }
  if (i < n) encode_some<Type, How>(x, n - i, by, i, encoder, codes + i);
}

/// 16 codes as floats, up to a power of two.
struct decoded {
  __m256 low;
  __m256 high;
};

template <dtype D>
struct decoder;

template <>
struct decoder<int8> {
  static constexpr float power = 1;
  [[gnu::always_inline]] static decoded decode(__m128i codes) noexcept {
    return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(codes)),
            _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_unpackhi_epi64(codes, codes)))};
  }
};

/// Through binary16, which has the mantissa bits of all and the exponents of some. All codes of NaN are one.
[[gnu::always_inline]] inline decoded decode_halves(__m256i halves, __m256i nan) noexcept {
  const __m256i numbers = _mm256_blendv_epi8(halves, all_words(0x7e00), nan);
  return {_mm256_cvtph_ps(_mm256_castsi256_si128(numbers)),
          _mm256_cvtph_ps(_mm256_extracti128_si256(numbers, 1))};
}

template <>
struct decoder<fp8_e4m3fn> {
  static constexpr float power = 256;
  [[gnu::always_inline]] static decoded decode(__m128i codes) noexcept {
    const __m256i shifted = _mm256_slli_epi16(_mm256_cvtepi8_epi16(codes), 7);
    const __m256i negative = _mm256_or_si256(shifted, all_words(0xc000));
    return decode_halves(_mm256_and_si256(shifted, all_words(0xbfff)),
                         _mm256_cmpeq_epi16(negative, all_words(0xff80)));
  }
};

template <>
struct decoder<fp8_e5m2> {
  static constexpr float power = 1;
  [[gnu::always_inline]] static decoded decode(__m128i codes) noexcept {
    const __m256i halves = _mm256_slli_epi16(_mm256_cvtepu8_epi16(codes), 8);
    const __m256i size = _mm256_and_si256(halves, all_words(0x7fff));
    return decode_halves(halves, _mm256_cmpgt_epi16(size, all_words(0x7c00)));
  }
};

/// Scales times the decoder's power.
template <dtype D>
struct one_scale {
  __m256 same;
  [[gnu::always_inline]] explicit one_scale(const float* scale) noexcept
      : same(_mm256_set1_ps(*scale * decoder<D>::power)) {}
  [[gnu::always_inline]] __m256 at(std::size_t) const noexcept { return same; }
  [[gnu::always_inline]] const one_scale& first_of(std::size_t, std::size_t, float*) const noexcept {
    return *this;
  }
};

template <dtype D>
struct each_scale {
  const float* values;
  [[gnu::always_inline]] explicit each_scale(const float* scales) noexcept : values(scales) {}
  [[gnu::always_inline]] __m256 at(std::size_t i) const noexcept {
    const __m256 scales = _mm256_loadu_ps(values + i);
    if constexpr (decoder<D>::power == 1) return scales;
    return scales * _mm256_set1_ps(decoder<D>::power);
  }
  [[gnu::always_inline]] each_scale first_of(std::size_t at, std::size_t n, float* buffer) const noexcept {
    for (std::size_t i = 0; i < 2 * lanes; ++i) buffer[i] = 1;
    copy(buffer, values + at, n * sizeof(float));
    return each_scale(buffer);
  }
};

template <dtype D, class Scales>
[[gnu::always_inline]] inline void decode_block(const void* codes, const Scales& scales, std::size_t at,
                                                float* values, bool streams) noexcept {
  const decoded found = decoder<D>::decode(load_half_vector(codes));
  store(streams, values, bits(found.low * scales.at(at)));
  store(streams, values + lanes, bits(found.high * scales.at(at + lanes)));
}

/// Up to 15 values, through buffers.
template <dtype D, class Scales>
[[gnu::noinline]] inline void decode_some(const unsigned char* codes, std::size_t n, const Scales& scales,
                                          std::size_t at, float* values) noexcept {
  alignas(32) unsigned char code_buffer[2 * lanes] = {};
  alignas(32) float scale_buffer[2 * lanes];
  alignas(32) float value_buffer[2 * lanes];
  copy(code_buffer, codes, n);
  decode_block<D>(code_buffer, scales.first_of(at, n, static_cast<float*>(scale_buffer)), 0,
                  static_cast<float*>(value_buffer), false);
  copy(values, value_buffer, n * sizeof(float));
}

template <dtype D, class Scales>
inline void decode(const unsigned char* codes, std::size_t n, const Scales& scales, float* values,
                   bool streams) noexcept {
  constexpr std::size_t step = 2 * lanes;
  std::size_t i = 0;
  if (streams) {
    const std::size_t head = (0 - std::bit_cast<std::uintptr_t>(values)) / sizeof(float) % lanes;
    i = head < n ? head : n;
    if (i != 0) decode_some<D>(codes, i, scales, 0, values);
  }
  for (; i + step <= n; i += step) {
    prefetch(codes + i);
    decode_block<D>(codes + i, scales, i, values + i, streams);
  }
  if (i < n) decode_some<D>(codes + i, n - i, scales, i, values + i);
}

[[gnu::always_inline]] inline std::uint32_t largest_of(__m256i x) noexcept {
  const __m128i four = _mm_max_epu32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
  const __m128i two = _mm_max_epu32(four, _mm_unpackhi_epi64(four, four));
  return static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm_max_epu32(two, _mm_shuffle_epi32(two, 1))));
}

/// The largest of the magnitudes of 16 half numbers a vector: as numbers they have the order of integers.
[[gnu::always_inline]] inline std::uint16_t amax_of_halves(const unsigned char* x, std::size_t n) noexcept {
  const __m256i size = all_words(0x7fff);
  __m256i a = _mm256_setzero_si256();
  __m256i b = a;
  std::size_t i = 0;
  for (; i + 32 <= n; i += 32, x += 64) {
    prefetch(x);
    a = _mm256_max_epu16(a, _mm256_and_si256(load_bits(x), size));
    b = _mm256_max_epu16(b, _mm256_and_si256(load_bits(x + 32), size));
  }
  alignas(32) std::uint16_t rest[32] = {};
  copy(rest, x, (n - i) * sizeof(std::uint16_t));
  a = _mm256_max_epu16(a, _mm256_and_si256(load_bits(rest), size));
  b = _mm256_max_epu16(b, _mm256_and_si256(load_bits(rest + 16), size));
  const __m256i words = _mm256_max_epu16(a, b);
  const __m256i pairs = _mm256_max_epu16(words, _mm256_srli_epi32(words, 16));
  return static_cast<std::uint16_t>(largest_of(_mm256_and_si256(pairs, all(0xffffu))));
}

[[gnu::always_inline]] inline std::uint32_t amax_of_floats(const float* x, std::size_t n) noexcept {
  __m256i a = _mm256_setzero_si256();
  __m256i b = a;
  __m256i c = a;
  __m256i d = a;
  std::size_t i = 0;
  for (; i + block <= n; i += block, x += block) {
    prefetch(x);
    prefetch(x + 2 * lanes);
    a = _mm256_max_epu32(a, magnitudes(_mm256_loadu_ps(x)));
    b = _mm256_max_epu32(b, magnitudes(_mm256_loadu_ps(x + lanes)));
    c = _mm256_max_epu32(c, magnitudes(_mm256_loadu_ps(x + 2 * lanes)));
    d = _mm256_max_epu32(d, magnitudes(_mm256_loadu_ps(x + 3 * lanes)));
  }
  for (; i < n; i += lanes, x += lanes) a = _mm256_max_epu32(a, magnitudes(load_first(x, n - i)));
  return largest_of(_mm256_max_epu32(_mm256_max_epu32(a, b), _mm256_max_epu32(c, d)));
}

/// The magnitudes of a row of 1 or more values, the larger of those that share a lane.
[[gnu::always_inline]] inline __m256i row_amax(const float* x, std::size_t columns) noexcept {
  if (columns < lanes) return magnitudes(load_first(x, columns));
  // The last vector ends with the row, and may have some values of the one before again.
  __m256i seen = magnitudes(_mm256_loadu_ps(x + (columns - lanes)));
  for (std::size_t i = 0; i + lanes < columns; i += lanes)
    seen = _mm256_max_epu32(seen, magnitudes(_mm256_loadu_ps(x + i)));
  return seen;
}

/// Four rows, one in each place of four.
[[gnu::always_inline]] inline __m256i four_rows_amax(const float* x, std::size_t columns) noexcept {
  const __m256i a = row_amax(x, columns);
  const __m256i b = row_amax(x + columns, columns);
  const __m256i c = row_amax(x + 2 * columns, columns);
  const __m256i d = row_amax(x + 3 * columns, columns);
  const __m256i ab = _mm256_max_epu32(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
  const __m256i cd = _mm256_max_epu32(_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
  return _mm256_max_epu32(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
}

inline void amax_of_rows(const float* x, std::size_t rows, std::size_t columns, float* amax) noexcept {
  std::size_t r = 0;
  for (; r + lanes <= rows; r += lanes, x += lanes * columns) {
    for (std::size_t line = 0; line < lanes * columns; line += 2 * lanes) prefetch(x + line);
    const __m256i a = four_rows_amax(x, columns);
    const __m256i b = four_rows_amax(x + 4 * columns, columns);
    const __m256i found =
        _mm256_max_epu32(_mm256_permute2x128_si256(a, b, 0x20), _mm256_permute2x128_si256(a, b, 0x31));
    store(false, amax + r, _mm256_max_epu32(found, load_bits(amax + r)));
  }
  for (; r < rows; ++r, x += columns) {
    const std::uint32_t found = largest_of(row_amax(x, columns));
    if (found > detail::bits_of(amax[r])) amax[r] = detail::float_of(found);
  }
}

/// All bits of the lanes that hold numbers from 2^-60 to 2^60.
[[gnu::always_inline]] inline __m256i ordinary_in(__m256i x) noexcept {
  const __m256i above = _mm256_sub_epi32(x, all(0x21800000u));
  return _mm256_cmpeq_epi32(_mm256_min_epu32(above, all(0x3c000000u)), above);
}

/// numerators / denominators by integers, in the lanes of the mask.
inline __m256i divided_strictly(__m256i quotients, __m256i numerators, __m256i denominators,
                                __m256i mask) noexcept {
  alignas(32) std::uint32_t x[lanes];
  alignas(32) std::uint32_t y[lanes];
  alignas(32) std::uint32_t q[lanes];
  alignas(32) std::uint32_t wanted[lanes];
  store(false, x, numerators);
  store(false, y, denominators);
  store(false, q, quotients);
  store(false, wanted, mask);
  for (std::size_t i = 0; i < lanes; ++i)
    if (wanted[i] != 0) q[i] = detail::divide(x[i], y[i]);
  return load_bits(q);
}

/// numerators / denominators of the first n lanes.
[[gnu::always_inline]] inline __m256i divided(__m256i x, __m256i y, std::size_t n) noexcept {
  const __m256i quotients = bits(hardware_quotient(floats(x), floats(y)));
  const __m256i sure =
      _mm256_and_si256(ordinary_in(quotients), _mm256_and_si256(ordinary_in(x), ordinary_in(y)));
  const __m256i rest = _mm256_andnot_si256(sure, first_lanes(n));
  if (is_any(rest)) [[unlikely]]
    return divided_strictly(quotients, x, y, rest);
  return quotients;
}

/// The scale of a half type as one of its numbers; float32 is left as it is.
[[gnu::always_inline]] inline __m256i rounded_scale(element_type type, __m256i scale) noexcept {
  if (type == element_type::float16)
    return bits(with_one_nan(source<element_type::float16>::rounded(floats(scale))));
  if (type == element_type::bfloat16)
    return bits(with_one_nan(source<element_type::bfloat16>::rounded(floats(scale))));
  return scale;
}

/// As the nearest numbers of a half type.
template <element_type Type>
[[gnu::always_inline]] inline __m128i narrowed(__m256 x) noexcept {
  using to = source<Type>;
  const __m256i nan = nan_in(x);
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(nan), _mm256_extracti128_si256(nan, 1));
  return _mm_blendv_epi8(to::narrowed(x), _mm_set1_epi16(to::stored::codec::nan_code), words);
}

}  // namespace avx2

/// What `kernel_set<isa::avx2>` calls.
struct x86_avx2 {
  static std::uint32_t amax(const float* values, std::size_t n) noexcept {
    return avx2::amax_of_floats(values, n);
  }

  static std::uint16_t amax_halves(const void* values, std::size_t n) noexcept {
    return avx2::amax_of_halves(static_cast<const unsigned char*>(values), n);
  }

  static void amax_each(const float* values, std::size_t n, float* amax) noexcept {
    std::size_t i = 0;
    for (; i + avx2::lanes <= n; i += avx2::lanes) {
      avx2::prefetch(values + i);
      const __m256i size = avx2::magnitudes(_mm256_loadu_ps(values + i));
      avx2::store(false, amax + i, _mm256_max_epu32(size, avx2::load_bits(amax + i)));
    }
    if (i == n) return;
    const __m256i size = avx2::magnitudes(avx2::load_first(values + i, n - i));
    const __m256i seen = avx2::bits(avx2::load_first(amax + i, n - i));
    avx2::store_first(amax + i, n - i, _mm256_max_epu32(size, seen));
  }

  static void amax_rows(const float* values, std::size_t rows, std::size_t columns, float* amax) noexcept {
    avx2::amax_of_rows(values, rows, columns, amax);
  }

  static void scales(float* amax, std::size_t n, const recipe& numbers, element_type rounded) noexcept {
    const __m256i divisor = avx2::all(detail::bits_of(numbers.divisor));
    for (std::size_t i = 0; i < n; i += avx2::lanes) {
      __m256i scale = avx2::all(detail::one_bits);
      if (detail::magnitude(detail::bits_of(numbers.divisor)) != 0) {
        scale = avx2::divided(avx2::bits(avx2::load_first(amax + i, n - i)), divisor, n - i);
        scale = avx2::rounded_scale(rounded, scale);
        scale = _mm256_and_si256(scale, avx2::all(~detail::sign_bit));
        scale = _mm256_max_epu32(scale, avx2::all(detail::bits_of(numbers.floor)));
        const __m256i zero = _mm256_cmpeq_epi32(scale, _mm256_setzero_si256());
        scale = _mm256_blendv_epi8(scale, avx2::all(detail::infinity_bits), zero);
      }
      avx2::store_first(amax + i, n - i, scale);
    }
  }

  static bool invert(arithmetic how, const float* scales, std::size_t n, float* inverses) noexcept {
    const __m256i one = avx2::all(detail::one_bits);
    bool ordinary = true;
    for (std::size_t i = 0; i < n; i += avx2::lanes) {
      const __m256i mask = avx2::first_lanes(n - i);
      const __m256i scale = avx2::bits(avx2::load_first(scales + i, n - i));
      const __m256i inverse = avx2::divided(one, scale, n - i);
      const __m256i factor = how == arithmetic::divide ? scale : inverse;
      ordinary = ordinary && !avx2::is_any(_mm256_andnot_si256(avx2::ordinary_in(factor), mask));
      avx2::store_first(inverses + i, n - i, inverse);
    }
    return ordinary;
  }

  static void repeat(const float* factors, std::size_t rows, std::size_t columns, float* out) noexcept {
    for (std::size_t r = 0; r < rows; ++r, out += columns) {
      const __m256 factor = _mm256_set1_ps(factors[r]);
      for (std::size_t c = 0; c < columns; c += avx2::lanes) _mm256_storeu_ps(out + c, factor);
    }
  }

  template <element_type Type, arithmetic How>
  static void encode_int8(const unsigned char* values, std::size_t n, const factors& by, unsigned char* codes,
                          bool streams) noexcept {
    encode<Type, How>(values, n, by, avx2::int8_encoder{}, codes, streams);
  }
  template <element_type Type, arithmetic How>
  static void encode_fp8(const fp8_rounding& format, const unsigned char* values, std::size_t n,
                         const factors& by, unsigned char* codes, bool streams) noexcept {
    encode<Type, How>(values, n, by, avx2::fp8_encoder(format), codes, streams);
  }

  template <dtype D>
  static void decode(const unsigned char* codes, std::size_t n, const float* scales, bool each, float* values,
                     bool streams) noexcept {
    if (each)
      avx2::decode<D>(codes, n, avx2::each_scale<D>(scales), values, streams);
    else
      avx2::decode<D>(codes, n, avx2::one_scale<D>(scales), values, streams);
  }

  static void finish_streams() noexcept { _mm_sfence(); }

  template <element_type Type>
  static void widen(const unsigned char* values, std::size_t n, float* floats) noexcept {
    using from = avx2::source<Type>;
    std::size_t i = 0;
    for (; i + avx2::lanes <= n; i += avx2::lanes, values += 2 * avx2::lanes)
      _mm256_storeu_ps(floats + i, avx2::with_one_nan(from::load(values)));
    if (i == n) return;
    avx2::store_first(floats + i, n - i, avx2::bits(avx2::with_one_nan(from::load(values, n - i))));
  }

  template <element_type Type>
  static void narrow(const float* floats, std::size_t n, unsigned char* values) noexcept {
    std::size_t i = 0;
    for (; i + avx2::lanes <= n; i += avx2::lanes, values += 2 * avx2::lanes)
      _mm_storeu_si128(reinterpret_cast<__m128i*>(values), avx2::narrowed<Type>(_mm256_loadu_ps(floats + i)));
    if (i == n) return;
    const __m128i last = avx2::narrowed<Type>(avx2::load_first(floats + i, n - i));
    avx2::copy(values, &last, (n - i) * sizeof(std::uint16_t));
  }

  template <element_type Type, arithmetic How>
  static void round_quotients(const float* values, std::size_t n, const factors& by,
                              float* quotients) noexcept {
    if (by.each)
      round_quotients<Type, How>(values, n, avx2::each_factor(by), quotients);
    else
      round_quotients<Type, How>(values, n, avx2::one_factor(by), quotients);
  }

  static void add_errors(const float* x, const float* y, std::size_t n, double (&sums)[4],
                         double& max_abs) noexcept {
    __m256d errors = _mm256_setzero_pd();
    __m256d xs = errors;
    __m256d ys = errors;
    __m256d products = errors;
    __m256d largest = errors;
    constexpr std::size_t step = 4;
    for (std::size_t i = 0; i < n; i += step) {
      const __m256d a = first_doubles(x + i, n - i);
      const __m256d b = first_doubles(y + i, n - i);
      const __m256d error = _mm256_sub_pd(a, b);
      errors = _mm256_fmadd_pd(error, error, errors);
      xs = _mm256_fmadd_pd(a, a, xs);
      ys = _mm256_fmadd_pd(b, b, ys);
      products = _mm256_fmadd_pd(a, b, products);
      largest = _mm256_max_pd(largest, _mm256_andnot_pd(_mm256_set1_pd(-0.0), error));
    }
    sums[0] += sum_of(errors);
    sums[1] += sum_of(xs);
    sums[2] += sum_of(ys);
    sums[3] += sum_of(products);
    alignas(32) double found[step];
    _mm256_store_pd(found, largest);
    for (const double error : found) max_abs = error > max_abs ? error : max_abs;
  }

 private:
  /// The first n of 4 values.
  static __m256d first_doubles(const float* from, std::size_t n) noexcept {
    return _mm256_cvtps_pd(_mm256_castps256_ps128(avx2::load_first(from, n < 4 ? n : 4)));
  }

  static double sum_of(__m256d x) noexcept {
    alignas(32) double terms[4];
    _mm256_store_pd(terms, x);
    return (terms[0] + terms[1]) + (terms[2] + terms[3]);
  }

  template <element_type Type, arithmetic How, class Encoder>
  static void encode(const unsigned char* values, std::size_t n, const factors& by, const Encoder& encoder,
                     unsigned char* codes, bool streams) noexcept {
    if (by.each)
      avx2::encode<Type, How>(values, n, avx2::each_factor(by), encoder, codes, streams);
    else
      avx2::encode<Type, How>(values, n, avx2::one_factor(by), encoder, codes, streams);
  }

  template <element_type Type, arithmetic How, class Factors>
  static void round_quotients(const float* values, std::size_t n, const Factors& by,
                              float* quotients) noexcept {
    const __m256 beyond_halves = _mm256_set1_ps(0x1p60F);  // where quotients end: nothing is to overflow
    for (std::size_t i = 0; i < n; i += avx2::lanes) {
      const __m256 x = avx2::load_first(values + i, n - i);
      const avx2::factor factor = by.first_at(i, n - i);
      // NOLINTNEXTLINE(misc-const-correctness): depends on the arithmetic
      __m256i size = avx2::magnitudes(x);
      if constexpr (How == arithmetic::divide)
        size = _mm256_min_epi32(size, avx2::bits(_mm256_mul_ps(factor.scale, beyond_halves)));
      const __m256 rounded = avx2::source<Type>::rounded(avx2::quotient<How>(avx2::floats(size), factor));
      const __m256i sign = _mm256_and_si256(avx2::bits(x), avx2::all(detail::sign_bit));
      const __m256i found = _mm256_or_si256(avx2::magnitudes(rounded), sign);
      avx2::store_first(quotients + i, n - i, _mm256_blendv_epi8(found, avx2::bits(x), avx2::nan_in(x)));
    }
  }
};

template <>
struct set_of<isa::avx2> {
  using type = x86_avx2;
};

}  // namespace PTQ_SET_BUILD
}  // namespace kernels
}  // namespace ptq::inline v0_1

PTQ_TARGET_POP
PTQ_PRECISE_POP

#endif  // PTQ_NATIVE_X86
#endif  // PTQ_KERNELS_X86_AVX2_HPP

// ---- ptq/kernels/x86_avx512.hpp ----

/// @file x86_avx512.hpp The kernels with AVX-512 F, BW, VL and DQ: the same bits as the portable ones.
///
/// Compilers replace plain float intrinsics as flags allow them to, and assume that there are no NaN. What
/// names its rounding (`_round_`) they leave alone; it is also the same in every rounding mode.
#ifndef PTQ_KERNELS_X86_AVX512_HPP
#define PTQ_KERNELS_X86_AVX512_HPP

#if PTQ_NATIVE_X86

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

PTQ_PRECISE_PUSH
PTQ_TARGET_PUSH("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")

namespace ptq::inline v0_1 {
namespace kernels {
inline namespace PTQ_SET_BUILD {
namespace avx512 {

inline constexpr int to_nearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
inline constexpr std::size_t lanes = 16;
inline constexpr std::size_t block = 64;    // codes of one store
inline constexpr std::size_t ahead = 2048;  // bytes
inline constexpr std::size_t long_run =
    1024;                                 // elements from which on it pays to begin at a line of the cache
inline constexpr int nan_classes = 0x81;  // of vfpclassps: quiet, signalling
inline constexpr int smaller_magnitude = 0x2;  // of vrangeps: with the sign of the first; a NaN loses
inline constexpr int larger_magnitude = 0x3;

[[gnu::always_inline]] inline __m512i all(std::uint32_t bits) noexcept {
  return _mm512_set1_epi32(static_cast<int>(bits));
}
[[gnu::always_inline]] inline __m512 all_floats(std::uint32_t bits) noexcept {
  return _mm512_castsi512_ps(all(bits));
}
[[gnu::always_inline]] inline __mmask16 first_lanes(std::size_t n) noexcept {
  return static_cast<__mmask16>(n >= lanes ? 0xffffu : (1u << n) - 1);
}
/// What a block has left for its vector number `vector`.
[[gnu::always_inline]] inline __mmask16 lanes_of(std::uint64_t mask, int vector) noexcept {
  return static_cast<__mmask16>(mask >> (16 * vector));
}
[[gnu::always_inline]] inline std::uint64_t first_of_block(std::size_t n) noexcept {
  return n >= block ? ~std::uint64_t{0} : (std::uint64_t{1} << n) - 1;
}
[[gnu::always_inline]] inline __mmask16 nan_in(__m512 x) noexcept {
  return _mm512_fpclass_ps_mask(x, nan_classes);
}
[[gnu::always_inline]] inline __m512i magnitudes(__m512 x) noexcept {
  return _mm512_and_si512(_mm512_castps_si512(x), all(~detail::sign_bit));
}
/// How many elements lie before the first at a line of the cache; 0 where elements lie across lines.
[[gnu::always_inline]] inline std::size_t before_line(const void* at, std::size_t size) noexcept {
  const std::size_t bytes = (0 - reinterpret_cast<std::uintptr_t>(at)) % 64;
  return bytes % size == 0 ? bytes / size : 0;
}
[[gnu::always_inline]] inline void prefetch(const void* at) noexcept {
  _mm_prefetch(static_cast<const char*>(at) + ahead, _MM_HINT_T0);
}

/// Elements of a type as floats. NaN stays some NaN.
template <element_type Type>
struct source;

template <>
struct source<element_type::float32> {
  static constexpr std::size_t size = sizeof(float);
  [[gnu::always_inline]] static __m512 load(const unsigned char* from) noexcept {
    return _mm512_loadu_ps(from);
  }
  [[gnu::always_inline]] static __m512 load(const unsigned char* from, __mmask16 mask) noexcept {
    return _mm512_maskz_loadu_ps(mask, from);
  }
};

template <>
struct source<element_type::float16> {
  using stored = half;
  static constexpr std::size_t size = sizeof(std::uint16_t);
  [[gnu::always_inline]] static __m512 widened(__m256i x) noexcept {
    return _mm512_cvt_roundph_ps(x, _MM_FROUND_NO_EXC);
  }
  [[gnu::always_inline]] static __m512 load(const unsigned char* from) noexcept {
    return widened(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  [[gnu::always_inline]] static __m512 load(const unsigned char* from, __mmask16 mask) noexcept {
    return widened(_mm256_maskz_loadu_epi16(mask, from));
  }
  [[gnu::always_inline]] static __m256i narrowed(__m512 x) noexcept {
    return _mm512_cvt_roundps_ph(x, to_nearest);
  }
  [[gnu::always_inline]] static __m512 rounded(__m512 x) noexcept { return widened(narrowed(x)); }
};

template <>
struct source<element_type::bfloat16> {
  using stored = bfloat16;
  static constexpr std::size_t size = sizeof(std::uint16_t);
  [[gnu::always_inline]] static __m512 widened(__m256i x) noexcept {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
  }
  [[gnu::always_inline]] static __m512 load(const unsigned char* from) noexcept {
    return widened(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  [[gnu::always_inline]] static __m512 load(const unsigned char* from, __mmask16 mask) noexcept {
    return widened(_mm256_maskz_loadu_epi16(mask, from));
  }
  /// The upper halves of these bits are the nearest bfloat16, but for NaN.
  [[gnu::always_inline]] static __m512i carried(__m512 x) noexcept {
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), all(1));
    return _mm512_add_epi32(_mm512_add_epi32(bits, all(0x7fff)), odd);
  }
  [[gnu::always_inline]] static __m256i narrowed(__m512 x) noexcept {
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(carried(x), 16));
  }
  [[gnu::always_inline]] static __m512 rounded(__m512 x) noexcept {
    return _mm512_castsi512_ps(_mm512_and_si512(carried(x), all(0xffff0000u)));
  }
};

/// As the portable kernels have it: NaN of a half type is one pattern.
[[gnu::always_inline]] inline __m512 with_one_nan(__m512 x) noexcept {
  return _mm512_mask_mov_ps(x, nan_in(x), all_floats(detail::nan_bits));
}

/// What a vector of quotients is computed with.
struct factor {
  __m512 scale;
  __m512 inverse;
};

/// One ordinary factor for all.
struct one_factor {
  factor same;
  [[gnu::always_inline]] explicit one_factor(const factors& by) noexcept
      : same{_mm512_set1_ps(*by.scales), _mm512_set1_ps(*by.inverses)} {}
  [[gnu::always_inline]] factor at(std::size_t) const noexcept { return same; }
  [[gnu::always_inline]] factor at(std::size_t, __mmask16) const noexcept { return same; }
};

/// An ordinary factor an element.
struct each_factor {
  const float* scales;
  const float* inverses;
  [[gnu::always_inline]] explicit each_factor(const factors& by) noexcept
      : scales(by.scales), inverses(by.inverses) {}
  [[gnu::always_inline]] factor at(std::size_t i) const noexcept {
    return {_mm512_loadu_ps(scales + i), _mm512_loadu_ps(inverses + i)};
  }
  [[gnu::always_inline]] factor at(std::size_t i, __mmask16 mask) const noexcept {
    const __m512 one = all_floats(detail::one_bits);
    return {_mm512_mask_loadu_ps(one, mask, scales + i), _mm512_mask_loadu_ps(one, mask, inverses + i)};
  }
};

/// The quotient, correctly rounded, of values that a dtype does not round to 0 or saturate; also the sign of
/// zeros is right. The division is Markstein's: the residual of a product by the reciprocal corrects it.
template <arithmetic How>
[[gnu::always_inline]] inline __m512 quotient(__m512 x, const factor& by) noexcept {
  const __m512 product = _mm512_mul_round_ps(x, by.inverse, to_nearest);
  if constexpr (How == arithmetic::multiply_by_reciprocal) return product;
  const __m512 residual = _mm512_fmsub_round_ps(product, by.scale, x, to_nearest);
  return _mm512_fnmadd_round_ps(residual, by.inverse, product, to_nearest);
}

/// 64 codes of four vectors of values each in [-128, 127], or beyond and saturated.
[[gnu::always_inline]] inline __m512i packed(__m512i low, __m512i high) noexcept {
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  return _mm512_permutexvar_epi32(order, _mm512_packs_epi16(low, high));
}

/// Makes 64 codes of values, of which those without a factor are 0.
struct int8_encoder {
  template <arithmetic How>
  [[gnu::always_inline]] static __m512i rounded(__m512 x, const factor& by) noexcept {
    return _mm512_cvt_roundps_epi32(quotient<How>(x, by), to_nearest);
  }

  /// The lowest integer stands for what is none: NaN is 0, the rest is saturated.
  [[gnu::always_inline]] static __m512i mended(__m512 x, __m512i code) noexcept {
    const __m512i sign = _mm512_srai_epi32(_mm512_castps_si512(x), 31);
    const __m512i end = _mm512_xor_si512(sign, all(0x7fffffffu));
    const auto numbers = static_cast<__mmask16>(~nan_in(x));
    return _mm512_mask_mov_epi32(code, _mm512_cmpeq_epi32_mask(code, all(detail::sign_bit)),
                                 _mm512_maskz_mov_epi32(numbers, end));
  }

  template <arithmetic How>
  [[gnu::always_inline]] __m512i encode(__m512 x0, __m512 x1, __m512 x2, __m512 x3, const factor& f0,
                                        const factor& f1, const factor& f2, const factor& f3) const noexcept {
    const __m512i c0 = rounded<How>(x0, f0);
    const __m512i c1 = rounded<How>(x1, f1);
    const __m512i c2 = rounded<How>(x2, f2);
    const __m512i c3 = rounded<How>(x3, f3);
    const __m512i low = _mm512_packs_epi32(c0, c1);
    const __m512i high = _mm512_packs_epi32(c2, c3);
    const __m512i lowest = _mm512_min_epi16(low, high);
    if (_mm512_cmpeq_epi16_mask(lowest, _mm512_set1_epi16(-0x8000)) != 0) [[unlikely]] {
      return packed(_mm512_packs_epi32(mended(x0, c0), mended(x1, c1)),
                    _mm512_packs_epi32(mended(x2, c2), mended(x3, c3)));
    }
    return packed(low, high);
  }
};

/// The same for the formats of 8 bits: see `fp8_rounding`.
struct fp8_encoder {
  __m512 limit;
  __m512 first_normal;
  __m512i drop;
  __m512 up;
  __m512i nan_code;

  [[gnu::always_inline]] explicit fp8_encoder(const fp8_rounding& by) noexcept
      : limit(_mm512_set1_ps(by.limit)),
        first_normal(all_floats(by.first_normal)),
        drop(all(by.drop)),
        up(_mm512_set1_ps(by.up)),
        nan_code(_mm512_set1_epi8(static_cast<char>(by.nan_code))) {}

  /// Codes as integers in [-128, 127]. NaN becomes some number.
  template <arithmetic How>
  [[gnu::always_inline]] __m512i rounded(__m512 x, const factor& by) const noexcept {
    __m512 value = x;
    if constexpr (How == arithmetic::divide) {
      value = _mm512_range_ps(x, _mm512_mul_round_ps(by.scale, limit, to_nearest), smaller_magnitude);
      value = quotient<How>(value, by);
    } else {
      value = _mm512_range_ps(quotient<How>(value, by), limit, smaller_magnitude);
    }
    const __m512 normal = _mm512_range_ps(value, first_normal, larger_magnitude);
    const __m512 power = _mm512_and_ps(normal, all_floats(0xff800000u));
    const __m512i sum = _mm512_castps_si512(_mm512_fmadd_round_ps(power, up, value, to_nearest));
    const __m512i code = _mm512_add_epi32(sum, _mm512_srlv_epi32(sum, drop));
    constexpr int select = 0xca;  // bits of the second where the first has them, else of the third
    return _mm512_ternarylogic_epi32(all(0x7f), code, _mm512_srai_epi32(sum, 24), select);
  }

  template <arithmetic How>
  [[gnu::always_inline]] __m512i encode(__m512 x0, __m512 x1, __m512 x2, __m512 x3, const factor& f0,
                                        const factor& f1, const factor& f2, const factor& f3) const noexcept {
    const __m512i low = _mm512_packs_epi32(rounded<How>(x0, f0), rounded<How>(x1, f1));
    const __m512i high = _mm512_packs_epi32(rounded<How>(x2, f2), rounded<How>(x3, f3));
    const __m512i codes = packed(low, high);
    // A NaN makes the sum one.
    const __m512 sum = _mm512_add_round_ps(_mm512_add_round_ps(x0, x1, to_nearest),
                                           _mm512_add_round_ps(x2, x3, to_nearest), to_nearest);
    if (nan_in(sum) != 0) [[unlikely]] {
      const std::uint64_t nan = std::uint64_t{nan_in(x0)} | (std::uint64_t{nan_in(x1)} << 16) |
                                (std::uint64_t{nan_in(x2)} << 32) | (std::uint64_t{nan_in(x3)} << 48);
      return _mm512_mask_mov_epi8(codes, nan, nan_code);
    }
    return codes;
  }
};

/// Up to 64 codes.
template <element_type Type, arithmetic How, class Encoder, class Factors>
[[gnu::noinline]] inline void encode_some(const unsigned char* x, std::size_t n, const Factors& by,
                                          std::size_t at, const Encoder& encoder,
                                          unsigned char* codes) noexcept {
  using from = source<Type>;
  constexpr std::size_t size = lanes * from::size;
  const std::uint64_t mask = first_of_block(n);
  const __mmask16 m0 = lanes_of(mask, 0);
  const __mmask16 m1 = lanes_of(mask, 1);
  const __mmask16 m2 = lanes_of(mask, 2);
  const __mmask16 m3 = lanes_of(mask, 3);
  const __m512i found = encoder.template encode<How>(
      from::load(x, m0), from::load(x + size, m1), from::load(x + 2 * size, m2), from::load(x + 3 * size, m3),
      by.at(at, m0), by.at(at + lanes, m1), by.at(at + 2 * lanes, m2), by.at(at + 3 * lanes, m3));
  _mm512_mask_storeu_epi8(codes, mask, found);
}

[[gnu::always_inline]] inline void store(bool streams, void* to, __m512i value) noexcept {
  if (streams)
    _mm512_stream_si512(static_cast<__m512i*>(to), value);
  else
    _mm512_storeu_si512(to, value);
}

template <element_type Type, arithmetic How, class Encoder, class Factors>
inline void encode(const unsigned char* values, std::size_t n, const Factors& by, const Encoder& encoder,
                   unsigned char* codes, bool streams) noexcept {
  using from = source<Type>;
  constexpr std::size_t size = lanes * from::size;
  const std::size_t head = streams         ? before_line(codes, 1)
                           : n >= long_run ? before_line(values, from::size)
                                           : 0;
  std::size_t i = head < n ? head : n;
  if (i != 0) encode_some<Type, How>(values, i, by, 0, encoder, codes);
  const unsigned char* x = values + i * from::size;
  for (; i + block <= n; i += block, x += 4 * size) {
    for (std::size_t line = 0; line < 4 * size; line += 64) prefetch(x + line);
    store(streams, codes + i,
          encoder.template encode<How>(from::load(x), from::load(x + size), from::load(x + 2 * size),
                                       from::load(x + 3 * size), by.at(i), by.at(i + lanes),
                                       by.at(i + 2 * lanes), by.at(i + 3 * lanes)));
  }
  if (i < n) encode_some<Type, How>(x, n - i, by, i, encoder, codes + i);
}

/// 32 codes as floats, up to a power of two.
struct decoded {
  __m512 low;
  __m512 high;
};

/// `decode` is for numbers; `decode_any` is for NaN, too, of which all codes are one.
template <dtype D>
struct decoder;

template <>
struct decoder<int8> {
  static constexpr float power = 1;
  [[gnu::always_inline]] static __m512 widened(__m128i codes) noexcept {
    return _mm512_cvt_roundepi32_ps(_mm512_cvtepi8_epi32(codes), to_nearest);
  }
  [[gnu::always_inline]] static bool has_nan(const unsigned char* /*codes*/) noexcept { return false; }
  /// Two loads: to cut one in two takes longer.
  [[gnu::always_inline]] static decoded decode(const unsigned char* codes) noexcept {
    return {widened(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes))),
            widened(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes + lanes)))};
  }
  [[gnu::always_inline]] static decoded decode_any(__m256i codes) noexcept {
    return {widened(_mm256_castsi256_si128(codes)), widened(_mm256_extracti128_si256(codes, 1))};
  }
};

/// Through binary16, which has the mantissa bits of all and the exponents of some.
[[gnu::always_inline]] inline decoded decode_halves(__m512i halves) noexcept {
  return {source<element_type::float16>::widened(_mm512_castsi512_si256(halves)),
          source<element_type::float16>::widened(_mm512_extracti64x4_epi64(halves, 1))};
}
[[gnu::always_inline]] inline decoded decode_halves(__m512i halves, __mmask32 nan) noexcept {
  return decode_halves(_mm512_mask_mov_epi16(halves, nan, _mm512_set1_epi16(0x7e00)));
}

template <>
struct decoder<fp8_e4m3fn> {
  static constexpr float power = 256;
  [[gnu::always_inline]] static __m512i halves(__m256i codes) noexcept {
    const __m512i shifted = _mm512_slli_epi16(_mm512_cvtepi8_epi16(codes), 7);
    return _mm512_and_si512(shifted, _mm512_set1_epi16(static_cast<short>(0xbfff)));
  }
  /// Of 64 codes.
  [[gnu::always_inline]] static bool has_nan(const unsigned char* codes) noexcept {
    const __m512i negative = _mm512_or_si512(_mm512_loadu_si512(codes), all(0x80808080u));
    return _mm512_cmpeq_epi8_mask(negative, all(0xffffffffu)) != 0;
  }
  [[gnu::always_inline]] static decoded decode(const unsigned char* codes) noexcept {
    return decode_halves(halves(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes))));
  }
  [[gnu::always_inline]] static decoded decode_any(__m256i codes) noexcept {
    const __m512i found = halves(codes);
    const __m512i negative = _mm512_or_si512(found, all(0xc000c000u));
    return decode_halves(found,
                         _mm512_cmpeq_epi16_mask(negative, _mm512_set1_epi16(static_cast<short>(0xff80))));
  }
};

template <>
struct decoder<fp8_e5m2> {
  static constexpr float power = 1;
  [[gnu::always_inline]] static __m512i halves(__m256i codes) noexcept {
    return _mm512_slli_epi16(_mm512_cvtepu8_epi16(codes), 8);
  }
  [[gnu::always_inline]] static bool has_nan(const unsigned char* codes) noexcept {
    const __m512i size = _mm512_and_si512(_mm512_loadu_si512(codes), all(0x7f7f7f7fu));
    return _mm512_cmpgt_epi8_mask(size, all(0x7c7c7c7cu)) != 0;
  }
  [[gnu::always_inline]] static decoded decode(const unsigned char* codes) noexcept {
    return decode_halves(halves(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes))));
  }
  [[gnu::always_inline]] static decoded decode_any(__m256i codes) noexcept {
    const __m512i found = halves(codes);
    const __m512i size = _mm512_and_si512(found, all(0x7fff7fffu));
    return decode_halves(found, _mm512_cmpgt_epi16_mask(size, _mm512_set1_epi16(0x7c00)));
  }
};

/// Scales times the decoder's power.
template <dtype D>
struct one_scale {
  __m512 same;
  [[gnu::always_inline]] explicit one_scale(const float* scale) noexcept
      : same(_mm512_set1_ps(*scale * decoder<D>::power)) {}
  [[gnu::always_inline]] __m512 at(std::size_t) const noexcept { return same; }
  [[gnu::always_inline]] __m512 at(std::size_t, __mmask16) const noexcept { return same; }
};

template <dtype D>
struct each_scale {
  const float* values;
  [[gnu::always_inline]] explicit each_scale(const float* scales) noexcept : values(scales) {}
  [[gnu::always_inline]] __m512 at(std::size_t i) const noexcept {
    return raised(_mm512_loadu_ps(values + i));
  }
  [[gnu::always_inline]] __m512 at(std::size_t i, __mmask16 mask) const noexcept {
    return raised(_mm512_maskz_loadu_ps(mask, values + i));
  }
  [[gnu::always_inline]] static __m512 raised(__m512 scales) noexcept {
    if constexpr (decoder<D>::power == 1) return scales;
    return _mm512_mul_round_ps(scales, _mm512_set1_ps(decoder<D>::power), to_nearest);
  }
};

/// Up to 32 values.
template <dtype D, class Scales>
[[gnu::noinline]] inline void decode_some(const unsigned char* codes, std::size_t n, const Scales& scales,
                                          std::size_t at, float* values) noexcept {
  const auto mask = static_cast<__mmask32>(first_of_block(n));
  const __mmask16 m0 = lanes_of(mask, 0);
  const __mmask16 m1 = lanes_of(mask, 1);
  const decoded found = decoder<D>::decode_any(_mm256_maskz_loadu_epi8(mask, codes));
  _mm512_mask_storeu_ps(values, m0, _mm512_mul_round_ps(found.low, scales.at(at, m0), to_nearest));
  _mm512_mask_storeu_ps(values + lanes, m1,
                        _mm512_mul_round_ps(found.high, scales.at(at + lanes, m1), to_nearest));
}

[[gnu::always_inline]] inline void store_scaled(bool streams, float* to, __m512 values,
                                                __m512 scales) noexcept {
  store(streams, to, _mm512_castps_si512(_mm512_mul_round_ps(values, scales, to_nearest)));
}

template <dtype D, class Scales>
inline void decode(const unsigned char* codes, std::size_t n, const Scales& scales, float* values,
                   bool streams) noexcept {
  constexpr std::size_t half = 2 * lanes;
  std::size_t i = 0;
  if (streams || n >= long_run) {
    const std::size_t head = before_line(values, sizeof(float));
    i = head < n ? head : n;
    if (i != 0) decode_some<D>(codes, i, scales, 0, values);
  }
  for (; i + block <= n; i += block) {
    prefetch(codes + i);
    if (decoder<D>::has_nan(codes + i)) [[unlikely]] {
      decode_some<D>(codes + i, half, scales, i, values + i);
      decode_some<D>(codes + i + half, half, scales, i + half, values + i + half);
      continue;
    }
    const decoded first = decoder<D>::decode(codes + i);
    const decoded second = decoder<D>::decode(codes + i + half);
    store_scaled(streams, values + i, first.low, scales.at(i));
    store_scaled(streams, values + i + lanes, first.high, scales.at(i + lanes));
    store_scaled(streams, values + i + half, second.low, scales.at(i + half));
    store_scaled(streams, values + i + half + lanes, second.high, scales.at(i + half + lanes));
  }
  for (; i < n; i += half) decode_some<D>(codes + i, n - i, scales, i, values + i);
}

/// The largest of the magnitudes of 32 half numbers a vector: as numbers they have the order of integers.
[[gnu::always_inline]] inline std::uint16_t amax_of_halves(const unsigned char* x, std::size_t n) noexcept {
  const __m512i size = _mm512_set1_epi16(0x7fff);
  __m512i a = _mm512_setzero_si512();
  __m512i b = a;
  std::size_t i = 0;
  for (; i + 64 <= n; i += 64, x += 128) {
    prefetch(x);
    prefetch(x + 64);
    a = _mm512_max_epu16(a, _mm512_and_si512(_mm512_loadu_si512(x), size));
    b = _mm512_max_epu16(b, _mm512_and_si512(_mm512_loadu_si512(x + 64), size));
  }
  const std::uint64_t rest = first_of_block(n - i);
  const auto low = static_cast<__mmask32>(rest);
  const auto high = static_cast<__mmask32>(rest >> 32);
  a = _mm512_max_epu16(a, _mm512_and_si512(_mm512_maskz_loadu_epi16(low, x), size));
  b = _mm512_max_epu16(b, _mm512_and_si512(_mm512_maskz_loadu_epi16(high, x + 64), size));
  const __m512i words = _mm512_max_epu16(a, b);
  const __m512i pairs = _mm512_max_epu16(words, _mm512_srli_epi32(words, 16));
  return static_cast<std::uint16_t>(_mm512_reduce_max_epu32(_mm512_and_si512(pairs, all(0xffffu))));
}

[[gnu::always_inline]] inline std::uint32_t amax_of_floats(const float* x, std::size_t n) noexcept {
  std::size_t i = n >= long_run ? before_line(x, sizeof(float)) : 0;
  __m512i a = magnitudes(_mm512_maskz_loadu_ps(first_lanes(i), x));
  __m512i b = _mm512_setzero_si512();
  __m512i c = b;
  __m512i d = b;
  x += i;
  for (; i + block <= n; i += block, x += block) {
    for (std::size_t line = 0; line < block; line += lanes) prefetch(x + line);
    a = _mm512_max_epu32(a, magnitudes(_mm512_loadu_ps(x)));
    b = _mm512_max_epu32(b, magnitudes(_mm512_loadu_ps(x + lanes)));
    c = _mm512_max_epu32(c, magnitudes(_mm512_loadu_ps(x + 2 * lanes)));
    d = _mm512_max_epu32(d, magnitudes(_mm512_loadu_ps(x + 3 * lanes)));
  }
  for (; i < n; i += lanes, x += lanes)
    a = _mm512_max_epu32(a, magnitudes(_mm512_maskz_loadu_ps(first_lanes(n - i), x)));
  return _mm512_reduce_max_epu32(_mm512_max_epu32(_mm512_max_epu32(a, b), _mm512_max_epu32(c, d)));
}

/// The magnitudes of a row, the larger of those that share a lane.
///
/// @param vectors known when it is inlined, as for all here
/// @param rest    lanes of the last of them
[[gnu::always_inline]] inline __m512i row_amax(const float* x, std::size_t vectors, __mmask16 rest) noexcept {
  __m512i seen = magnitudes(_mm512_maskz_loadu_ps(rest, x + (vectors - 1) * lanes));
  prefetch(x);
  for (std::size_t i = 0; i + 1 < vectors; ++i) {
    prefetch(x + (i + 1) * lanes);
    seen = _mm512_max_epu32(seen, magnitudes(_mm512_loadu_ps(x + i * lanes)));
  }
  return seen;
}

/// Four rows, one in each place of four.
[[gnu::always_inline]] inline __m512i four_rows_amax(const float* x, std::size_t columns, std::size_t vectors,
                                                     __mmask16 rest) noexcept {
  const __m512i a = row_amax(x, vectors, rest);
  const __m512i b = row_amax(x + columns, vectors, rest);
  const __m512i c = row_amax(x + 2 * columns, vectors, rest);
  const __m512i d = row_amax(x + 3 * columns, vectors, rest);
  const __m512i ab = _mm512_max_epu32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
  const __m512i cd = _mm512_max_epu32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
  return _mm512_max_epu32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
}

/// Halves the quarters of both: what they have is in the order of rows.
[[gnu::always_inline]] inline __m512i larger_quarters(__m512i a, __m512i b) noexcept {
  return _mm512_max_epu32(_mm512_shuffle_i32x4(a, b, 0x88), _mm512_shuffle_i32x4(a, b, 0xdd));
}

/// Rows of 1 to 4 vectors, the last of which may be short.
[[gnu::always_inline]] inline void amax_of_rows(const float* x, std::size_t rows, std::size_t columns,
                                                std::size_t vectors, float* amax) noexcept {
  const __mmask16 rest = first_lanes(columns - (vectors - 1) * lanes);
  std::size_t r = 0;
  for (; r + lanes <= rows; r += lanes, x += lanes * columns) {
    const __m512i a = four_rows_amax(x, columns, vectors, rest);
    const __m512i b = four_rows_amax(x + 4 * columns, columns, vectors, rest);
    const __m512i c = four_rows_amax(x + 8 * columns, columns, vectors, rest);
    const __m512i d = four_rows_amax(x + 12 * columns, columns, vectors, rest);
    const __m512i found = larger_quarters(larger_quarters(a, b), larger_quarters(c, d));
    _mm512_storeu_si512(amax + r, _mm512_max_epu32(found, _mm512_loadu_si512(amax + r)));
  }
  for (; r < rows; ++r, x += columns) {
    const std::uint32_t found = _mm512_reduce_max_epu32(row_amax(x, vectors, rest));
    if (found > detail::bits_of(amax[r])) amax[r] = detail::float_of(found);
  }
}

/// Which lanes hold numbers from 2^-60 to 2^60.
[[gnu::always_inline]] inline __mmask16 ordinary_in(__m512i bits) noexcept {
  return _mm512_cmple_epu32_mask(_mm512_sub_epi32(bits, all(0x21800000u)), all(0x3c000000u));
}

/// numerators / denominators by integers, in the lanes of the mask.
inline __m512i divided_strictly(__m512i quotients, __m512i numerators, __m512i denominators,
                                __mmask16 mask) noexcept {
  alignas(64) std::uint32_t x[lanes];
  alignas(64) std::uint32_t y[lanes];
  alignas(64) std::uint32_t q[lanes];
  _mm512_store_si512(x, numerators);
  _mm512_store_si512(y, denominators);
  _mm512_store_si512(q, quotients);
  for (std::size_t i = 0; i < lanes; ++i)
    if ((mask >> i & 1) != 0) q[i] = detail::divide(x[i], y[i]);
  return _mm512_load_si512(q);
}

/// numerators / denominators: by the hardware where no flag can touch it.
[[gnu::always_inline]] inline __m512i divided(__m512i x, __m512i y, __mmask16 mask) noexcept {
  const __m512i quotients =
      _mm512_castps_si512(_mm512_div_round_ps(_mm512_castsi512_ps(x), _mm512_castsi512_ps(y), to_nearest));
  const auto sure = static_cast<__mmask16>(ordinary_in(x) & ordinary_in(y) & ordinary_in(quotients));
  const auto rest = static_cast<__mmask16>(mask & ~sure);
  if (rest != 0) [[unlikely]]
    return divided_strictly(quotients, x, y, rest);
  return quotients;
}

/// The scale of a half type as one of its numbers; float32 is left as it is.
[[gnu::always_inline]] inline __m512i rounded_scale(element_type type, __m512i scale) noexcept {
  const __m512 x = _mm512_castsi512_ps(scale);
  if (type == element_type::float16)
    return _mm512_castps_si512(with_one_nan(source<element_type::float16>::rounded(x)));
  if (type == element_type::bfloat16)
    return _mm512_castps_si512(with_one_nan(source<element_type::bfloat16>::rounded(x)));
  return scale;
}

}  // namespace avx512

/// What `kernel_set<isa::avx512>` calls.
struct x86_avx512 {
  static std::uint32_t amax(const float* values, std::size_t n) noexcept {
    return avx512::amax_of_floats(values, n);
  }

  static std::uint16_t amax_halves(const void* values, std::size_t n) noexcept {
    return avx512::amax_of_halves(static_cast<const unsigned char*>(values), n);
  }

  static void amax_each(const float* values, std::size_t n, float* amax) noexcept {
    for (std::size_t i = 0; i < n; i += avx512::lanes) {
      const __mmask16 mask = avx512::first_lanes(n - i);
      avx512::prefetch(values + i);
      const __m512i size = avx512::magnitudes(_mm512_maskz_loadu_ps(mask, values + i));
      _mm512_mask_storeu_epi32(amax + i, mask,
                               _mm512_max_epu32(size, _mm512_maskz_loadu_epi32(mask, amax + i)));
    }
  }

  static void amax_rows(const float* values, std::size_t rows, std::size_t columns, float* amax) noexcept {
    if (columns <= avx512::lanes) return avx512::amax_of_rows(values, rows, columns, 1, amax);
    if (columns <= 2 * avx512::lanes) return avx512::amax_of_rows(values, rows, columns, 2, amax);
    if (columns <= 3 * avx512::lanes) return avx512::amax_of_rows(values, rows, columns, 3, amax);
    avx512::amax_of_rows(values, rows, columns, 4, amax);
  }

  static void scales(float* amax, std::size_t n, const recipe& numbers, element_type rounded) noexcept {
    const __m512i divisor = avx512::all(detail::bits_of(numbers.divisor));
    for (std::size_t i = 0; i < n; i += avx512::lanes) {
      const __mmask16 mask = avx512::first_lanes(n - i);
      __m512i scale = avx512::all(detail::one_bits);
      if (detail::magnitude(detail::bits_of(numbers.divisor)) != 0) {
        scale = avx512::divided(_mm512_maskz_loadu_epi32(mask, amax + i), divisor, mask);
        scale = avx512::rounded_scale(rounded, scale);
        scale = _mm512_and_si512(scale, avx512::all(~detail::sign_bit));
        scale = _mm512_max_epu32(scale, avx512::all(detail::bits_of(numbers.floor)));
        scale = _mm512_mask_mov_epi32(scale, _mm512_testn_epi32_mask(scale, scale),
                                      avx512::all(detail::infinity_bits));
      }
      _mm512_mask_storeu_epi32(amax + i, mask, scale);
    }
  }

  static bool invert(arithmetic how, const float* scales, std::size_t n, float* inverses) noexcept {
    const __m512i one = avx512::all(detail::one_bits);
    bool ordinary = true;
    for (std::size_t i = 0; i < n; i += avx512::lanes) {
      const __mmask16 mask = avx512::first_lanes(n - i);
      const __m512i scale = _mm512_mask_loadu_epi32(one, mask, scales + i);
      const __m512i inverse = avx512::divided(one, scale, mask);
      const __m512i factor = how == arithmetic::divide ? scale : inverse;
      ordinary = ordinary && avx512::ordinary_in(factor) == 0xffff;
      _mm512_mask_storeu_epi32(inverses + i, mask, inverse);
    }
    return ordinary;
  }

  static void repeat(const float* factors, std::size_t rows, std::size_t columns, float* out) noexcept {
    for (std::size_t r = 0; r < rows; ++r, out += columns) {
      const __m512 factor = _mm512_set1_ps(factors[r]);
      for (std::size_t c = 0; c < columns; c += avx512::lanes) _mm512_storeu_ps(out + c, factor);
    }
  }

  template <element_type Type, arithmetic How>
  static void encode_int8(const unsigned char* values, std::size_t n, const factors& by, unsigned char* codes,
                          bool streams) noexcept {
    encode<Type, How>(values, n, by, avx512::int8_encoder{}, codes, streams);
  }
  template <element_type Type, arithmetic How>
  static void encode_fp8(const fp8_rounding& format, const unsigned char* values, std::size_t n,
                         const factors& by, unsigned char* codes, bool streams) noexcept {
    encode<Type, How>(values, n, by, avx512::fp8_encoder(format), codes, streams);
  }

  template <dtype D>
  static void decode(const unsigned char* codes, std::size_t n, const float* scales, bool each, float* values,
                     bool streams) noexcept {
    if (each)
      avx512::decode<D>(codes, n, avx512::each_scale<D>(scales), values, streams);
    else
      avx512::decode<D>(codes, n, avx512::one_scale<D>(scales), values, streams);
  }

  static void finish_streams() noexcept { _mm_sfence(); }

  template <element_type Type>
  static void widen(const unsigned char* values, std::size_t n, float* floats) noexcept {
    std::size_t i = 0;
    for (; i + avx512::lanes <= n; i += avx512::lanes, values += 2 * avx512::lanes) {
      avx512::prefetch(values);
      _mm512_storeu_ps(floats + i, avx512::with_one_nan(avx512::source<Type>::load(values)));
    }
    if (i == n) return;
    const __mmask16 mask = avx512::first_lanes(n - i);
    _mm512_mask_storeu_ps(floats + i, mask, avx512::with_one_nan(avx512::source<Type>::load(values, mask)));
  }

  template <element_type Type>
  static void narrow(const float* floats, std::size_t n, unsigned char* values) noexcept {
    using to = avx512::source<Type>;
    const __m256i nan = _mm256_set1_epi16(to::stored::codec::nan_code);
    for (std::size_t i = 0; i < n; i += avx512::lanes) {
      const __mmask16 mask = avx512::first_lanes(n - i);
      const __m512 x = _mm512_maskz_loadu_ps(mask, floats + i);
      _mm256_mask_storeu_epi16(values + i * sizeof(std::uint16_t), mask,
                               _mm256_mask_mov_epi16(to::narrowed(x), avx512::nan_in(x), nan));
    }
  }

  template <element_type Type, arithmetic How>
  static void round_quotients(const float* values, std::size_t n, const factors& by,
                              float* quotients) noexcept {
    if (by.each)
      round_quotients<Type, How>(values, n, avx512::each_factor(by), quotients);
    else
      round_quotients<Type, How>(values, n, avx512::one_factor(by), quotients);
  }

  static void add_errors(const float* x, const float* y, std::size_t n, double (&sums)[4],
                         double& max_abs) noexcept {
    __m512d errors = _mm512_setzero_pd();
    __m512d xs = errors;
    __m512d ys = errors;
    __m512d products = errors;
    __m512d largest = errors;
    constexpr std::size_t step = 8;
    for (std::size_t i = 0; i < n; i += step) {
      const auto mask = static_cast<__mmask8>(avx512::first_lanes(n - i));
      const __m512d a = _mm512_cvtps_pd(_mm256_maskz_loadu_ps(mask, x + i));
      const __m512d b = _mm512_cvtps_pd(_mm256_maskz_loadu_ps(mask, y + i));
      const __m512d error = _mm512_sub_pd(a, b);
      errors = _mm512_fmadd_pd(error, error, errors);
      xs = _mm512_fmadd_pd(a, a, xs);
      ys = _mm512_fmadd_pd(b, b, ys);
      products = _mm512_fmadd_pd(a, b, products);
      largest = _mm512_max_pd(largest, _mm512_abs_pd(error));
    }
    sums[0] += _mm512_reduce_add_pd(errors);
    sums[1] += _mm512_reduce_add_pd(xs);
    sums[2] += _mm512_reduce_add_pd(ys);
    sums[3] += _mm512_reduce_add_pd(products);
    const double found = _mm512_reduce_max_pd(largest);
    max_abs = found > max_abs ? found : max_abs;
  }

 private:
  template <element_type Type, arithmetic How, class Encoder>
  static void encode(const unsigned char* values, std::size_t n, const factors& by, const Encoder& encoder,
                     unsigned char* codes, bool streams) noexcept {
    if (by.each)
      avx512::encode<Type, How>(values, n, avx512::each_factor(by), encoder, codes, streams);
    else
      avx512::encode<Type, How>(values, n, avx512::one_factor(by), encoder, codes, streams);
  }

  template <element_type Type, arithmetic How, class Factors>
  static void round_quotients(const float* values, std::size_t n, const Factors& by,
                              float* quotients) noexcept {
    constexpr float beyond_halves = 0x1p60F;  // where quotients end: nothing is to overflow on the way
    for (std::size_t i = 0; i < n; i += avx512::lanes) {
      const __mmask16 mask = avx512::first_lanes(n - i);
      const __m512 x = _mm512_maskz_loadu_ps(mask, values + i);
      const avx512::factor factor = by.at(i, mask);
      // NOLINTNEXTLINE(misc-const-correctness): depends on the arithmetic
      __m512 limited = x;
      if constexpr (How == arithmetic::divide)
        limited = _mm512_range_ps(
            x, _mm512_mul_round_ps(factor.scale, _mm512_set1_ps(beyond_halves), avx512::to_nearest),
            avx512::smaller_magnitude);
      const __m512 rounded = avx512::source<Type>::rounded(avx512::quotient<How>(limited, factor));
      _mm512_mask_storeu_ps(quotients + i, mask, _mm512_mask_mov_ps(rounded, avx512::nan_in(x), x));
    }
  }
};

template <>
struct set_of<isa::avx512> {
  using type = x86_avx512;
};

}  // namespace PTQ_SET_BUILD
}  // namespace kernels
}  // namespace ptq::inline v0_1

PTQ_TARGET_POP
PTQ_PRECISE_POP

#endif  // PTQ_NATIVE_X86
#endif  // PTQ_KERNELS_X86_AVX512_HPP

// ---- ptq/kernels/x86_histogram.hpp ----

/// @file x86_histogram.hpp The bins of magnitudes by AVX-512 and AVX2: they find the bins of one block while
/// they count those of the block before, because the one work is of vectors and the other of addresses.
#ifndef PTQ_KERNELS_X86_HISTOGRAM_HPP
#define PTQ_KERNELS_X86_HISTOGRAM_HPP

#if PTQ_NATIVE_X86

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace ptq::inline v0_1 {
namespace kernels {
inline namespace PTQ_SET_BUILD {

/// Reads ahead of itself, by half a page: the counting hides the way to the memory.
[[gnu::always_inline]] inline void fetch_ahead(const float* values) noexcept {
  constexpr int ahead = 2048;  // bytes
  const char* const at = reinterpret_cast<const char*>(values) + ahead;
  _mm_prefetch(at, _MM_HINT_T0);
  _mm_prefetch(at + 64, _MM_HINT_T0);
}

PTQ_TARGET_PUSH("avx512f,avx512bw,avx512vl,avx512dq")

template <bool SkipsZeros>
class avx512_bins {
 public:
  [[gnu::always_inline]] avx512_bins(float factor, std::uint16_t* bins) noexcept
      : factors_(_mm512_set1_ps(factor)), largest_(_mm512_setzero_si512()), bins_(bins), end_(bins) {}

  [[gnu::always_inline]] void bin(const float* values) noexcept {
    const __m512i low = bin_half(values);
    const __m512i high = bin_half(values + bins_at_once / 2);
    if constexpr (SkipsZeros) {
      add_some(low);
      add_some(high);
    } else {
      const __m512i mixed = _mm512_packus_epi32(low, high);  // their order does not matter
      zeros_ += static_cast<std::size_t>(__builtin_popcount(_mm512_testn_epi16_mask(mixed, mixed)));
      _mm512_storeu_si512(end_, mixed);
      end_ += bins_at_once;
    }
  }

  [[gnu::always_inline]] binned_block finish(std::size_t n) noexcept {
    const auto size = static_cast<std::size_t>(end_ - bins_);
    if constexpr (SkipsZeros) _mm512_storeu_si512(end_, _mm512_setzero_si512());
    return {_mm512_reduce_max_epu32(largest_), (size + bins_at_once - 1) / bins_at_once * bins_at_once,
            SkipsZeros ? n - size : zeros_};
  }

 private:
  [[gnu::always_inline]] __m512i bin_half(const float* values) noexcept {
    const __m512i x = _mm512_and_si512(_mm512_set1_epi32(0x7fffffff), _mm512_loadu_si512(values));
    largest_ = _mm512_max_epu32(largest_, x);
    return _mm512_cvttps_epi32(_mm512_mul_ps(_mm512_castsi512_ps(x), factors_));
  }

  [[gnu::always_inline]] void add_some(__m512i bins) noexcept {
    const __mmask16 some = _mm512_test_epi32_mask(bins, bins);
    const __m256i narrow = _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(some, bins));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(end_), narrow);
    end_ += __builtin_popcount(some);
  }

  __m512 factors_;
  __m512i largest_;
  std::uint16_t* bins_;
  std::uint16_t* end_;
  std::size_t zeros_ = 0;
};

/// bins = trunc(|value| x factor) of `n` values, a multiple of `bins_at_once`, with room for as many more.
/// Counts `before` on the way. Without meaning where a bin is beyond 2^15 - 1.
template <bool SkipsZeros>
binned_block bin_avx512(const float* values, std::size_t n, float factor,
                        std::uint16_t* bins,  // NOLINT(readability-non-const-parameter): the bins go there
                        bin_list before, count_tables tables) noexcept {
  avx512_bins<SkipsZeros> found(factor, bins);
  const std::size_t shared = n < before.size ? n : before.size;
  for (std::size_t i = 0; i < shared; i += bins_at_once) {
    fetch_ahead(values + i);
    found.bin(values + i);
    count_some(before.bins + i, tables);
  }
  for (std::size_t i = shared; i < n; i += bins_at_once) found.bin(values + i);
  for (std::size_t i = shared; i < before.size; i += bins_at_once) count_some(before.bins + i, tables);
  return found.finish(n);
}

PTQ_TARGET_POP
PTQ_TARGET_PUSH("avx2")

class avx2_bins {
 public:
  [[gnu::always_inline]] avx2_bins(float factor, std::uint16_t* bins) noexcept
      : factors_(_mm256_set1_ps(factor)), largest_(_mm256_setzero_si256()), bins_(bins), end_(bins) {}

  [[gnu::always_inline]] void bin(const float* values) noexcept {
    bin_half(values);
    bin_half(values + bins_at_once / 2);
  }

  [[gnu::always_inline]] binned_block finish() noexcept {
    alignas(32) std::uint32_t lanes[8];
    _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), largest_);
    std::uint32_t amax = 0;
    for (const std::uint32_t lane : lanes) amax = lane > amax ? lane : amax;
    return {amax, static_cast<std::size_t>(end_ - bins_), 0};
  }

 private:
  [[gnu::always_inline]] void bin_half(const float* values) noexcept {
    const auto* const at = reinterpret_cast<const __m256i*>(values);
    const __m256i low = bin_quarter(_mm256_loadu_si256(at));
    const __m256i high = bin_quarter(_mm256_loadu_si256(at + 1));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(end_), _mm256_packus_epi32(low, high));
    end_ += bins_at_once / 2;
  }

  [[gnu::always_inline]] __m256i bin_quarter(__m256i values) noexcept {
    const __m256i x = _mm256_and_si256(_mm256_set1_epi32(0x7fffffff), values);
    largest_ = _mm256_max_epu32(largest_, x);
    return _mm256_cvttps_epi32(_mm256_mul_ps(_mm256_castsi256_ps(x), factors_));
  }

  __m256 factors_;
  __m256i largest_;
  std::uint16_t* bins_;
  std::uint16_t* end_;
};

/// As `bin_avx512`, which skips no zeros.
inline binned_block bin_avx2(const float* values, std::size_t n, float factor, std::uint16_t* bins,
                             bin_list before, count_tables tables) noexcept {
  avx2_bins found(factor, bins);
  const std::size_t shared = n < before.size ? n : before.size;
  for (std::size_t i = 0; i < shared; i += bins_at_once) {
    fetch_ahead(values + i);
    found.bin(values + i);
    count_some(before.bins + i, tables);
  }
  for (std::size_t i = shared; i < n; i += bins_at_once) found.bin(values + i);
  for (std::size_t i = shared; i < before.size; i += bins_at_once) count_some(before.bins + i, tables);
  return found.finish();
}

PTQ_TARGET_POP

template <>
inline binned_block bin_values<isa::avx512>(bool skips_zeros, const float* values, std::size_t n,
                                            float factor, std::uint16_t* bins, bin_list before,
                                            count_tables tables) noexcept {
  return skips_zeros ? bin_avx512<true>(values, n, factor, bins, before, tables)
                     : bin_avx512<false>(values, n, factor, bins, before, tables);
}
template <>
inline binned_block bin_values<isa::avx2>(bool /*skips_zeros*/, const float* values, std::size_t n,
                                          float factor, std::uint16_t* bins, bin_list before,
                                          count_tables tables) noexcept {
  return bin_avx2(values, n, factor, bins, before, tables);
}

}  // namespace PTQ_SET_BUILD
}  // namespace kernels
}  // namespace ptq::inline v0_1

#endif  // PTQ_NATIVE_X86

#endif  // PTQ_KERNELS_X86_HISTOGRAM_HPP

// ---- ptq/kernels/neon.hpp ----

/// @file neon.hpp The kernels with NEON (Advanced SIMD), which every AArch64 has: the same bits as the
/// portable ones.
///
/// Compilers replace float operations as flags allow them to, and assume that there are no NaN. So here
/// floats are multiplied, fused and converted, and nothing else: what is compared, clamped or looked at are
/// their bits. Flush-to-zero changes none of them; the alternative half format (FPCR.AHP) would.
#ifndef PTQ_KERNELS_NEON_HPP
#define PTQ_KERNELS_NEON_HPP

#if PTQ_NATIVE_NEON

#include <arm_neon.h>

#include <concepts>
#include <cstddef>
#include <cstdint>

PTQ_PRECISE_PUSH

namespace ptq::inline v0_1 {
namespace kernels {
inline namespace PTQ_SET_BUILD {
namespace simd {

inline constexpr std::size_t lanes = 4;
inline constexpr std::size_t block = 16;  // codes of one store

[[gnu::always_inline]] inline uint32x4_t all(std::uint32_t bits) noexcept {
  return vdupq_n_u32(bits);
}
[[gnu::always_inline]] inline float32x4_t floats(uint32x4_t bits) noexcept {
  return vreinterpretq_f32_u32(bits);
}
[[gnu::always_inline]] inline uint32x4_t bits(float32x4_t x) noexcept {
  return vreinterpretq_u32_f32(x);
}
[[gnu::always_inline]] inline const unsigned char* bytes(const void* from) noexcept {
  return static_cast<const unsigned char*>(from);
}
/// 16 bytes of any alignment.
[[gnu::always_inline]] inline uint32x4_t load_bits(const void* from) noexcept {
  return vreinterpretq_u32_u8(vld1q_u8(bytes(from)));
}
[[gnu::always_inline]] inline uint16x4_t load_words(const void* from) noexcept {
  return vreinterpret_u16_u8(vld1_u8(bytes(from)));
}
[[gnu::always_inline]] inline uint16x8_t load_eight_words(const void* from) noexcept {
  return vreinterpretq_u16_u8(vld1q_u8(bytes(from)));
}
[[gnu::always_inline]] inline void store(void* to, uint32x4_t value) noexcept {
  vst1q_u8(static_cast<unsigned char*>(to), vreinterpretq_u8_u32(value));
}
[[gnu::always_inline]] inline void copy(void* to, const void* from, std::size_t n) noexcept {
  __builtin_memcpy(to, from, n);
}
[[gnu::always_inline]] inline void store_first(float* to, std::size_t n, uint32x4_t value) noexcept {
  if (n >= lanes)
    store(to, value);
  else
    copy(to, &value, n * sizeof(float));
}
[[gnu::always_inline]] inline uint32x4_t magnitudes(float32x4_t x) noexcept {
  return vandq_u32(bits(x), all(~detail::sign_bit));
}
/// All bits of the lanes that hold NaN.
[[gnu::always_inline]] inline uint32x4_t nan_in(float32x4_t x) noexcept {
  return vcgtq_u32(magnitudes(x), all(detail::infinity_bits));
}

/// x / y by an instruction that no flag replaces.
[[gnu::always_inline]] inline float32x4_t hardware_quotient(float32x4_t x, float32x4_t y) noexcept {
  float32x4_t result;  // NOLINT(cppcoreguidelines-init-variables): written by the assembly
  __asm__("fdiv %0.4s, %1.4s, %2.4s" : "=w"(result) : "w"(x), "w"(y));
  return result;
}

/// Elements of a type as floats. NaN stays some NaN.
template <element_type Type>
struct source;

template <>
struct source<element_type::float32> {
  using stored = float;
  [[gnu::always_inline]] static float32x4_t load(const unsigned char* from) noexcept {
    return floats(load_bits(from));
  }
};

template <>
struct source<element_type::float16> {
  using stored = half;
  [[gnu::always_inline]] static float32x4_t widened(uint16x4_t x) noexcept {
    return vcvt_f32_f16(vreinterpret_f16_u16(x));
  }
  [[gnu::always_inline]] static uint16x4_t narrowed(float32x4_t x) noexcept {
    return vreinterpret_u16_f16(vcvt_f16_f32(x));
  }
  [[gnu::always_inline]] static float32x4_t load(const unsigned char* from) noexcept {
    return widened(load_words(from));
  }
};

template <>
struct source<element_type::bfloat16> {
  using stored = bfloat16;
  [[gnu::always_inline]] static float32x4_t widened(uint16x4_t x) noexcept {
    return floats(vshll_n_u16(x, 16));
  }
  /// To nearest even, but for NaN.
  [[gnu::always_inline]] static uint16x4_t narrowed(float32x4_t x) noexcept {
    const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits(x), 16), all(1));
    return vshrn_n_u32(vaddq_u32(vaddq_u32(bits(x), all(0x7fff)), odd), 16);
  }
  [[gnu::always_inline]] static float32x4_t load(const unsigned char* from) noexcept {
    return widened(load_words(from));
  }
};

/// As the portable kernels have it: NaN of a half type is one pattern.
template <element_type Type>
[[gnu::always_inline]] inline float32x4_t exact(float32x4_t x) noexcept {
  if constexpr (Type == element_type::float32) return x;
  return floats(vbslq_u32(nan_in(x), all(detail::nan_bits), bits(x)));
}

/// The first n of 4 elements; 0 beyond.
template <element_type Type>
[[gnu::always_inline]] inline float32x4_t load_first(const unsigned char* from, std::size_t n) noexcept {
  constexpr std::size_t size = sizeof(typename source<Type>::stored);
  if (n >= lanes) return source<Type>::load(from);
  unsigned char buffer[lanes * size] = {};
  copy(buffer, from, n * size);
  return source<Type>::load(buffer);
}
[[gnu::always_inline]] inline float32x4_t load_first(const float* from, std::size_t n) noexcept {
  return load_first<element_type::float32>(bytes(from), n);
}

/// Calls f(index of the first, count) for every 4 of n elements, and for the rest.
template <class F>
[[gnu::always_inline]] inline void in_vectors(std::size_t n, const F& f) noexcept {
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) f(i, lanes);
  if (i < n) f(i, n - i);
}

/// What a vector of quotients is computed with.
struct factor {
  float32x4_t scale;
  float32x4_t inverse;
};

/// One ordinary factor for all.
struct one_factor {
  factor same;
  [[gnu::always_inline]] explicit one_factor(const factors& by) noexcept
      : same{vdupq_n_f32(*by.scales), vdupq_n_f32(*by.inverses)} {}
  [[gnu::always_inline]] factor at(std::size_t) const noexcept { return same; }
  [[gnu::always_inline]] one_factor first_of(std::size_t, std::size_t, float*) const noexcept {
    return *this;
  }
};

/// An ordinary factor an element.
struct each_factor {
  const float* scales;
  const float* inverses;
  [[gnu::always_inline]] explicit each_factor(const factors& by) noexcept
      : scales(by.scales), inverses(by.inverses) {}
  [[gnu::always_inline]] factor at(std::size_t i) const noexcept {
    return {vld1q_f32(scales + i), vld1q_f32(inverses + i)};
  }
  /// Some of them, in a buffer of two blocks, with 1 behind them.
  [[gnu::always_inline]] each_factor first_of(std::size_t at, std::size_t n, float* buffer) const noexcept {
    for (std::size_t i = 0; i < 2 * block; ++i) buffer[i] = 1;
    copy(buffer, scales + at, n * sizeof(float));
    copy(buffer + block, inverses + at, n * sizeof(float));
    return each_factor({buffer, buffer + block, true});
  }
};

/// The quotient, correctly rounded, of values that a dtype does not round to 0 or saturate; NaN of NaN. The
/// division is Markstein's: the residual of a product by the reciprocal corrects it. Of products beyond
/// 2^60, which may be infinite, it is that of 2^60, so that the sum is no less and keeps its sign.
template <arithmetic How>
[[gnu::always_inline]] inline float32x4_t quotient(float32x4_t x, const factor& by) noexcept {
  const float32x4_t product = vmulq_f32(x, by.inverse);
  if constexpr (How == arithmetic::multiply_by_reciprocal) return product;
  constexpr std::uint32_t most = 0x5d800000u;
  const int32x4_t below = vminq_s32(vreinterpretq_s32_f32(product), vdupq_n_s32(most));
  const float32x4_t guess = floats(vminq_u32(vreinterpretq_u32_s32(below), all(detail::sign_bit | most)));
  const float32x4_t residual = vfmsq_f32(x, guess, by.scale);
  return vfmaq_f32(guess, residual, by.inverse);
}

/// Four vectors of numbers.
struct sixteen {
  float32x4_t a, b, c, d;
};

/// The low bytes of four vectors.
[[gnu::always_inline]] inline uint8x16_t low_bytes(uint32x4_t a, uint32x4_t b, uint32x4_t c,
                                                   uint32x4_t d) noexcept {
  const uint16x8_t ab = vuzp1q_u16(vreinterpretq_u16_u32(a), vreinterpretq_u16_u32(b));
  const uint16x8_t cd = vuzp1q_u16(vreinterpretq_u16_u32(c), vreinterpretq_u16_u32(d));
  return vuzp1q_u8(vreinterpretq_u8_u16(ab), vreinterpretq_u8_u16(cd));
}

/// The high bytes of four vectors.
[[gnu::always_inline]] inline uint8x16_t high_bytes(const sixteen& x) noexcept {
  const uint16x8_t ab = vuzp2q_u16(vreinterpretq_u16_f32(x.a), vreinterpretq_u16_f32(x.b));
  const uint16x8_t cd = vuzp2q_u16(vreinterpretq_u16_f32(x.c), vreinterpretq_u16_f32(x.d));
  return vuzp2q_u8(vreinterpretq_u8_u16(ab), vreinterpretq_u8_u16(cd));
}

/// Conversion to integers saturates, and makes 0 of NaN; so does the way from 32 to 8 bits.
struct int8_encoder {
  [[gnu::always_inline]] static uint8x16_t encode(const sixteen& /*values*/,
                                                  const sixteen& quotients) noexcept {
    const int16x8_t low =
        vqmovn_high_s32(vqmovn_s32(vcvtnq_s32_f32(quotients.a)), vcvtnq_s32_f32(quotients.b));
    const int16x8_t high =
        vqmovn_high_s32(vqmovn_s32(vcvtnq_s32_f32(quotients.c)), vcvtnq_s32_f32(quotients.d));
    return vreinterpretq_u8_s8(vqmovn_high_s16(vqmovn_s16(low), high));
  }
};

/// The formats of 8 bits: see `fp8_rounding`.
struct fp8_encoder {
  uint32x4_t limit;
  uint32x4_t first_normal;
  float32x4_t up;
  int32x4_t drop;  // as places to the left
  uint8x16_t nan;

  [[gnu::always_inline]] explicit fp8_encoder(const fp8_rounding& by) noexcept
      : limit(all(detail::bits_of(by.limit))),
        first_normal(all(by.first_normal)),
        up(vdupq_n_f32(by.up)),
        drop(vdupq_n_s32(-static_cast<std::int32_t>(by.drop))),
        nan(vdupq_n_u8(by.nan_code)) {}

  /// Codes in the low 7 bits, without their signs. NaN becomes the largest number.
  [[gnu::always_inline]] uint32x4_t rounded(uint32x4_t size) const noexcept {
    const uint32x4_t value = vminq_u32(size, limit);
    const uint32x4_t power = vandq_u32(vmaxq_u32(value, first_normal), all(detail::infinity_bits));
    const uint32x4_t sum = bits(vfmaq_f32(floats(value), floats(power), up));
    return vaddq_u32(sum, vshlq_u32(sum, drop));
  }

  [[gnu::always_inline]] uint8x16_t encode(const sixteen& values, const sixteen& quotients) const noexcept {
    const uint32x4_t a = magnitudes(quotients.a);
    const uint32x4_t b = magnitudes(quotients.b);
    const uint32x4_t c = magnitudes(quotients.c);
    const uint32x4_t d = magnitudes(quotients.d);
    const uint8x16_t sizes = low_bytes(rounded(a), rounded(b), rounded(c), rounded(d));
    const uint8x16_t codes = vbslq_u8(vdupq_n_u8(0x80), high_bytes(values), sizes);
    const uint32x4_t infinity = all(detail::infinity_bits);
    return vbslq_u8(low_bytes(vcgtq_u32(a, infinity), vcgtq_u32(b, infinity), vcgtq_u32(c, infinity),
                              vcgtq_u32(d, infinity)),
                    nan, codes);
  }
};

/// 16 codes of 16 floats.
template <arithmetic How, class Encoder, class Factors>
[[gnu::always_inline]] inline uint8x16_t encode_block(const unsigned char* x, const Encoder& encoder,
                                                      const Factors& factors, std::size_t at) noexcept {
  using from = source<element_type::float32>;
  const sixteen values{from::load(x), from::load(x + 16), from::load(x + 32), from::load(x + 48)};
  const sixteen quotients{quotient<How>(values.a, factors.at(at)),
                          quotient<How>(values.b, factors.at(at + lanes)),
                          quotient<How>(values.c, factors.at(at + 2 * lanes)),
                          quotient<How>(values.d, factors.at(at + 3 * lanes))};
  return encoder.encode(values, quotients);
}

/// Codes of floats of any alignment. One body for all formats of 8 bits.
template <arithmetic How, class Encoder, class Factors>
[[gnu::noinline]] inline void encode(const unsigned char* values, std::size_t n, const Encoder& encoder_of,
                                     const Factors& factors_of, unsigned char* codes) noexcept {
  const Encoder encoder = encoder_of;  // in registers: codes might lie anywhere
  const Factors factors = factors_of;
  std::size_t i = 0;
  for (; i + block <= n; i += block)
    vst1q_u8(codes + i, encode_block<How>(values + i * sizeof(float), encoder, factors, i));
  if (i == n) return;
  alignas(16) unsigned char value_buffer[block * sizeof(float)] = {};
  alignas(16) float factor_buffer[2 * block];
  alignas(16) unsigned char code_buffer[block];
  copy(value_buffer, values + i * sizeof(float), (n - i) * sizeof(float));
  encode<How>(static_cast<const unsigned char*>(value_buffer), block, encoder,
              factors.first_of(i, n - i, static_cast<float*>(factor_buffer)),
              static_cast<unsigned char*>(code_buffer));
  copy(codes + i, code_buffer, n - i);
}

/// 16 codes as floats.
struct int8_decoder {
  [[gnu::always_inline]] static sixteen decode(int8x16_t codes) noexcept {
    const int16x8_t low = vmovl_s8(vget_low_s8(codes));
    const int16x8_t high = vmovl_high_s8(codes);
    return {vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_high_s16(low)),
            vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), vcvtq_f32_s32(vmovl_high_s16(high))};
  }
};

/// Through binary16, which has the mantissa bits of all and the exponents of some, up to a power of two. All
/// codes of NaN are one.
struct fp8_decoder {
  int16x8_t up;        // places to the left
  uint16x8_t kept;     // less the second sign that comes of widening, where there is room for it
  uint16x8_t largest;  // magnitude that is a number, or infinity

  [[gnu::always_inline]] float16x8_t halves(int16x8_t codes) const noexcept {
    const uint16x8_t numbers = vandq_u16(vreinterpretq_u16_s16(vshlq_s16(codes, up)), kept);
    const uint16x8_t nan = vcgtq_u16(vandq_u16(numbers, vdupq_n_u16(0x7fff)), largest);
    return vreinterpretq_f16_u16(vbslq_u16(nan, vdupq_n_u16(0x7e00), numbers));
  }
  [[gnu::always_inline]] sixteen decode(int8x16_t codes) const noexcept {
    const float16x8_t low = halves(vmovl_s8(vget_low_s8(codes)));
    const float16x8_t high = halves(vmovl_high_s8(codes));
    return {vcvt_f32_f16(vget_low_f16(low)), vcvt_high_f32_f16(low), vcvt_f32_f16(vget_low_f16(high)),
            vcvt_high_f32_f16(high)};
  }
};

template <dtype D>
[[gnu::always_inline]] inline auto make_decoder() noexcept {
  if constexpr (std::same_as<D, int8>)
    return int8_decoder();
  else if constexpr (std::same_as<D, fp8_e4m3fn>)
    return fp8_decoder{vdupq_n_s16(7), vdupq_n_u16(0xbfff), vdupq_n_u16(0x3f00)};
  else
    return fp8_decoder{vdupq_n_s16(8), vdupq_n_u16(0xffff), vdupq_n_u16(0x7c00)};
}

/// What the decoder's numbers are to be multiplied by.
template <dtype D>
inline constexpr float power = std::same_as<D, fp8_e4m3fn> ? 256.0F : 1.0F;

/// A scale times the decoder's power.
struct one_scale {
  float32x4_t same;
  [[gnu::always_inline]] float32x4_t at(std::size_t) const noexcept { return same; }
  [[gnu::always_inline]] one_scale first_of(std::size_t, std::size_t, float*) const noexcept { return *this; }
};

/// A scale a code.
struct each_scale {
  const float* scales;
  float32x4_t power;
  [[gnu::always_inline]] float32x4_t at(std::size_t i) const noexcept {
    return vmulq_f32(vld1q_f32(scales + i), power);
  }
  [[gnu::always_inline]] each_scale first_of(std::size_t at, std::size_t n, float* buffer) const noexcept {
    for (std::size_t i = 0; i < block; ++i) buffer[i] = 1;
    copy(buffer, scales + at, n * sizeof(float));
    return {buffer, power};
  }
};

template <class Decoder, class Scales>
[[gnu::noinline]] inline void decode(const unsigned char* codes, std::size_t n, const Decoder& decoder_of,
                                     const Scales& scales_of, float* values) noexcept {
  const Decoder decoder = decoder_of;  // in registers, as above
  const Scales scales = scales_of;
  std::size_t i = 0;
  for (; i + block <= n; i += block) {
    const sixteen found = decoder.decode(vreinterpretq_s8_u8(vld1q_u8(codes + i)));
    vst1q_f32(values + i, vmulq_f32(found.a, scales.at(i)));
    vst1q_f32(values + i + lanes, vmulq_f32(found.b, scales.at(i + lanes)));
    vst1q_f32(values + i + 2 * lanes, vmulq_f32(found.c, scales.at(i + 2 * lanes)));
    vst1q_f32(values + i + 3 * lanes, vmulq_f32(found.d, scales.at(i + 3 * lanes)));
  }
  if (i == n) return;
  alignas(16) unsigned char code_buffer[block] = {};
  alignas(16) float scale_buffer[block];
  alignas(16) float value_buffer[block];
  copy(code_buffer, codes + i, n - i);
  decode(static_cast<const unsigned char*>(code_buffer), block, decoder,
         scales.first_of(i, n - i, static_cast<float*>(scale_buffer)), static_cast<float*>(value_buffer));
  copy(values + i, value_buffer, (n - i) * sizeof(float));
}

/// The largest of the magnitudes of 8 half numbers a vector: as numbers they have the order of integers.
[[gnu::always_inline]] inline std::uint16_t amax_of_halves(const unsigned char* x, std::size_t n) noexcept {
  const uint16x8_t size = vdupq_n_u16(0x7fff);
  uint16x8_t a = vdupq_n_u16(0);
  uint16x8_t b = a;
  std::size_t i = 0;
  for (; i + 16 <= n; i += 16, x += 32) {
    a = vmaxq_u16(a, vandq_u16(load_eight_words(x), size));
    b = vmaxq_u16(b, vandq_u16(load_eight_words(x + 16), size));
  }
  alignas(16) unsigned char rest[32] = {};
  copy(rest, x, (n - i) * sizeof(std::uint16_t));
  a = vmaxq_u16(a, vandq_u16(load_eight_words(rest), size));
  b = vmaxq_u16(b, vandq_u16(load_eight_words(rest + 16), size));
  return vmaxvq_u16(vmaxq_u16(a, b));
}

[[gnu::always_inline]] inline std::uint32_t amax_of_floats(const unsigned char* x, std::size_t n) noexcept {
  using from = source<element_type::float32>;
  uint32x4_t a = all(0);
  uint32x4_t b = a;
  uint32x4_t c = a;
  uint32x4_t d = a;
  std::size_t i = 0;
  for (; i + 16 <= n; i += 16, x += 64) {
    a = vmaxq_u32(a, magnitudes(from::load(x)));
    b = vmaxq_u32(b, magnitudes(from::load(x + 16)));
    c = vmaxq_u32(c, magnitudes(from::load(x + 32)));
    d = vmaxq_u32(d, magnitudes(from::load(x + 48)));
  }
  for (; i < n; i += lanes, x += 16)
    a = vmaxq_u32(a, magnitudes(load_first<element_type::float32>(x, n - i)));
  return vmaxvq_u32(vmaxq_u32(vmaxq_u32(a, b), vmaxq_u32(c, d)));
}

/// The magnitudes of a row of 1 or more values, the larger of those that share a lane.
[[gnu::always_inline]] inline uint32x4_t row_amax(const float* x, std::size_t columns) noexcept {
  if (columns < lanes) return magnitudes(load_first(x, columns));
  // The last vector ends with the row, and may have some values of the one before again.
  uint32x4_t seen = magnitudes(vld1q_f32(x + (columns - lanes)));
  for (std::size_t i = 0; i + lanes < columns; i += lanes)
    seen = vmaxq_u32(seen, magnitudes(vld1q_f32(x + i)));
  return seen;
}

inline void amax_of_rows(const float* x, std::size_t rows, std::size_t columns, float* amax) noexcept {
  std::size_t r = 0;
  for (; r + lanes <= rows; r += lanes, x += lanes * columns) {
    const uint32x4_t ab = vpmaxq_u32(row_amax(x, columns), row_amax(x + columns, columns));
    const uint32x4_t cd = vpmaxq_u32(row_amax(x + 2 * columns, columns), row_amax(x + 3 * columns, columns));
    store(amax + r, vmaxq_u32(vpmaxq_u32(ab, cd), load_bits(amax + r)));
  }
  for (; r < rows; ++r, x += columns) {
    const std::uint32_t found = vmaxvq_u32(row_amax(x, columns));
    if (found > detail::bits_of(amax[r])) amax[r] = detail::float_of(found);
  }
}

/// All bits of the lanes that hold numbers from 2^-60 to 2^60.
[[gnu::always_inline]] inline uint32x4_t ordinary_in(uint32x4_t x) noexcept {
  return vcleq_u32(vsubq_u32(x, all(0x21800000u)), all(0x3c000000u));
}

/// Whether the first n lanes of a mask are set.
[[gnu::always_inline]] inline bool are_set(uint32x4_t mask, std::size_t n) noexcept {
  const std::uint32_t numbers[lanes] = {0, 1, 2, 3};
  const auto count = static_cast<std::uint32_t>(n < lanes ? n : lanes);
  return vminvq_u32(vorrq_u32(mask, vcgeq_u32(vld1q_u32(numbers), all(count)))) != 0;
}

/// numerators / denominators by integers, in the first n lanes.
inline uint32x4_t divided_strictly(uint32x4_t numerators, uint32x4_t denominators, std::size_t n) noexcept {
  std::uint32_t x[lanes];
  std::uint32_t y[lanes];
  vst1q_u32(x, numerators);
  vst1q_u32(y, denominators);
  for (std::size_t i = 0; i < lanes && i < n; ++i) x[i] = detail::divide(x[i], y[i]);
  return vld1q_u32(x);
}

/// numerators / denominators of the first n lanes.
[[gnu::always_inline]] inline uint32x4_t divided(uint32x4_t x, uint32x4_t y, std::size_t n) noexcept {
  const uint32x4_t quotients = bits(hardware_quotient(floats(x), floats(y)));
  const uint32x4_t sure = vandq_u32(ordinary_in(quotients), vandq_u32(ordinary_in(x), ordinary_in(y)));
  if (!are_set(sure, n)) [[unlikely]]
    return divided_strictly(x, y, n);
  return quotients;
}

/// Rounded to a half type and back; NaN stays some NaN.
template <element_type Type>
[[gnu::always_inline]] inline float32x4_t rounded(float32x4_t x) noexcept {
  if constexpr (Type == element_type::float32)
    return x;
  else
    return source<Type>::widened(source<Type>::narrowed(x));
}

/// The scale of a half type as one of its numbers; float32 is left as it is.
[[gnu::always_inline]] inline uint32x4_t rounded_scale(element_type type, uint32x4_t scale) noexcept {
  if (type == element_type::float16)
    return bits(exact<element_type::float16>(rounded<element_type::float16>(floats(scale))));
  if (type == element_type::bfloat16)
    return bits(exact<element_type::bfloat16>(rounded<element_type::bfloat16>(floats(scale))));
  return scale;
}

/// Sums of errors of two values at a time.
struct error_sums {
  float64x2_t errors = vdupq_n_f64(0);
  float64x2_t xs = errors;
  float64x2_t ys = errors;
  float64x2_t products = errors;
  float64x2_t largest = errors;

  [[gnu::always_inline]] void add(float64x2_t x, float64x2_t y) noexcept {
    const float64x2_t error = vsubq_f64(x, y);
    errors = vfmaq_f64(errors, error, error);
    xs = vfmaq_f64(xs, x, x);
    ys = vfmaq_f64(ys, y, y);
    products = vfmaq_f64(products, x, y);
    largest = vmaxq_f64(largest, vabsq_f64(error));
  }
};

}  // namespace simd

/// What `kernel_set<isa::neon>` calls. Nothing is streamed here.
struct neon {
  static std::uint32_t amax(const float* values, std::size_t n) noexcept {
    return simd::amax_of_floats(simd::bytes(values), n);
  }

  static std::uint16_t amax_halves(const void* values, std::size_t n) noexcept {
    return simd::amax_of_halves(simd::bytes(values), n);
  }

  static void amax_each(const float* values, std::size_t n, float* amax) noexcept {
    simd::in_vectors(n, [&](std::size_t i, std::size_t count) __attribute__((always_inline)) {
      const uint32x4_t size = simd::magnitudes(simd::load_first(values + i, count));
      const uint32x4_t seen = simd::bits(simd::load_first(amax + i, count));
      simd::store_first(amax + i, count, vmaxq_u32(size, seen));
    });
  }

  static void amax_rows(const float* values, std::size_t rows, std::size_t columns, float* amax) noexcept {
    simd::amax_of_rows(values, rows, columns, amax);
  }

  static void scales(float* amax, std::size_t n, const recipe& numbers, element_type rounded) noexcept {
    const uint32x4_t divisor = simd::all(detail::bits_of(numbers.divisor));
    simd::in_vectors(n, [&](std::size_t i, std::size_t count) __attribute__((always_inline)) {
      uint32x4_t scale = simd::all(detail::one_bits);
      if (detail::magnitude(detail::bits_of(numbers.divisor)) != 0) {
        scale = simd::divided(simd::bits(simd::load_first(amax + i, count)), divisor, count);
        scale = simd::rounded_scale(rounded, scale);
        scale = vandq_u32(scale, simd::all(~detail::sign_bit));
        scale = vmaxq_u32(scale, simd::all(detail::bits_of(numbers.floor)));
        scale = vbslq_u32(vceqq_u32(scale, simd::all(0)), simd::all(detail::infinity_bits), scale);
      }
      simd::store_first(amax + i, count, scale);
    });
  }

  static bool invert(arithmetic how, const float* scales, std::size_t n, float* inverses) noexcept {
    bool ordinary = true;
    simd::in_vectors(n, [&](std::size_t i, std::size_t count) __attribute__((always_inline)) {
      const uint32x4_t scale = simd::bits(simd::load_first(scales + i, count));
      const uint32x4_t inverse = simd::divided(simd::all(detail::one_bits), scale, count);
      const uint32x4_t factor = how == arithmetic::divide ? scale : inverse;
      ordinary = ordinary && simd::are_set(simd::ordinary_in(factor), count);
      simd::store_first(inverses + i, count, inverse);
    });
    return ordinary;
  }

  static void repeat(const float* factors, std::size_t rows, std::size_t columns, float* out) noexcept {
    for (std::size_t r = 0; r < rows; ++r, out += columns) {
      const float32x4_t factor = vdupq_n_f32(factors[r]);
      for (std::size_t c = 0; c < columns; c += simd::lanes) vst1q_f32(out + c, factor);
    }
  }

  template <element_type Type, arithmetic How>
  static void encode_int8(const unsigned char* values, std::size_t n, const factors& by, unsigned char* codes,
                          bool /*streams*/) noexcept {
    encode<Type, How>(values, n, simd::int8_encoder{}, by, codes);
  }
  template <element_type Type, arithmetic How>
  static void encode_fp8(const fp8_rounding& format, const unsigned char* values, std::size_t n,
                         const factors& by, unsigned char* codes, bool /*streams*/) noexcept {
    encode<Type, How>(values, n, simd::fp8_encoder(format), by, codes);
  }

  template <dtype D>
  static void decode(const unsigned char* codes, std::size_t n, const float* scales, bool each, float* values,
                     bool /*streams*/) noexcept {
    const float32x4_t power = vdupq_n_f32(simd::power<D>);
    if (each)
      simd::decode(codes, n, simd::make_decoder<D>(), simd::each_scale{scales, power}, values);
    else
      simd::decode(codes, n, simd::make_decoder<D>(), simd::one_scale{vmulq_f32(vdupq_n_f32(*scales), power)},
                   values);
  }

  static void finish_streams() noexcept {}

  template <element_type Type>
  static void widen(const unsigned char* values, std::size_t n, float* floats) noexcept {
    simd::in_vectors(n, [&](std::size_t i, std::size_t count) __attribute__((always_inline)) {
      const float32x4_t x = simd::load_first<Type>(values + i * sizeof(std::uint16_t), count);
      simd::store_first(floats + i, count, simd::bits(simd::exact<Type>(x)));
    });
  }

  template <element_type Type>
  static void narrow(const float* floats, std::size_t n, unsigned char* values) noexcept {
    using to = simd::source<Type>;
    const uint16x4_t nan = vdup_n_u16(to::stored::codec::nan_code);
    simd::in_vectors(n, [&](std::size_t i, std::size_t count) __attribute__((always_inline)) {
      const float32x4_t x = simd::load_first(floats + i, count);
      const uint16x4_t found = vbsl_u16(vmovn_u32(simd::nan_in(x)), nan, to::narrowed(x));
      simd::copy(values + i * sizeof(std::uint16_t), &found, count * sizeof(std::uint16_t));
    });
  }

  template <element_type Type, arithmetic How>
  static void round_quotients(const float* values, std::size_t n, const factors& by,
                              float* quotients) noexcept {
    simd::factor factor = simd::one_factor(by).same;
    simd::in_vectors(n, [&](std::size_t i, std::size_t count) __attribute__((always_inline)) {
      if (by.each)
        factor = {simd::load_first(by.scales + i, count), simd::load_first(by.inverses + i, count)};
      const float32x4_t x = simd::load_first(values + i, count);
      const float32x4_t found = simd::rounded<Type>(simd::quotient<How>(x, factor));
      const uint32x4_t with_sign = vbslq_u32(simd::all(detail::sign_bit), simd::bits(x), simd::bits(found));
      simd::store_first(quotients + i, count, vbslq_u32(simd::nan_in(x), simd::bits(x), with_sign));
    });
  }

  static void add_errors(const float* x, const float* y, std::size_t n, double (&sums)[4],
                         double& max_abs) noexcept {
    simd::error_sums low;
    simd::error_sums high;
    simd::in_vectors(n, [&](std::size_t i, std::size_t count) __attribute__((always_inline)) {
      const float32x4_t a = simd::load_first(x + i, count);
      const float32x4_t b = simd::load_first(y + i, count);
      low.add(vcvt_f64_f32(vget_low_f32(a)), vcvt_f64_f32(vget_low_f32(b)));
      high.add(vcvt_high_f64_f32(a), vcvt_high_f64_f32(b));
    });
    sums[0] += vaddvq_f64(vaddq_f64(low.errors, high.errors));
    sums[1] += vaddvq_f64(vaddq_f64(low.xs, high.xs));
    sums[2] += vaddvq_f64(vaddq_f64(low.ys, high.ys));
    sums[3] += vaddvq_f64(vaddq_f64(low.products, high.products));
    const double largest = vmaxvq_f64(vmaxq_f64(low.largest, high.largest));
    if (largest > max_abs) max_abs = largest;
  }

 private:
  static constexpr std::size_t at_once = 256;

  /// Halves go through a buffer.
  template <element_type Type, arithmetic How, class Encoder>
  static void encode(const unsigned char* values, std::size_t n, const Encoder& encoder, const factors& by,
                     unsigned char* codes) noexcept {
    if constexpr (Type == element_type::float32) {
      if (by.each)
        simd::encode<How>(values, n, encoder, simd::each_factor(by), codes);
      else
        simd::encode<How>(values, n, encoder, simd::one_factor(by), codes);
    } else {
      float buffer[at_once];
      for (std::size_t first = 0; first < n; first += at_once) {
        const std::size_t size = n - first < at_once ? n - first : at_once;
        widen<Type>(values + first * sizeof(std::uint16_t), size, static_cast<float*>(buffer));
        encode<element_type::float32, How>(simd::bytes(buffer), size, encoder, by.from(first), codes + first);
      }
    }
  }
};

template <>
struct set_of<isa::neon> {
  using type = neon;
};

}  // namespace PTQ_SET_BUILD
}  // namespace kernels
}  // namespace ptq::inline v0_1

PTQ_PRECISE_POP

#endif  // PTQ_NATIVE_NEON
#endif  // PTQ_KERNELS_NEON_HPP

// ---- ptq/kernels/neon_histogram.hpp ----

/// @file neon_histogram.hpp The bins of magnitudes by NEON: those of one block are found while those of the
/// block before are counted, because the one work is of vectors and the other of addresses.
#ifndef PTQ_KERNELS_NEON_HISTOGRAM_HPP
#define PTQ_KERNELS_NEON_HISTOGRAM_HPP

#if PTQ_NATIVE_NEON

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

namespace ptq::inline v0_1 {
namespace kernels {
inline namespace PTQ_SET_BUILD {

class neon_bins {
 public:
  neon_bins(float factor, std::uint16_t* bins) noexcept
      : factors_(vdupq_n_f32(factor)), largest_(vdupq_n_u32(0)), bins_(bins), end_(bins) {}

  [[gnu::always_inline]] void bin(const float* values) noexcept {
    for (std::size_t i = 0; i < bins_at_once; i += 8, end_ += 8)
      vst1q_u16(end_, vmovn_high_u32(vmovn_u32(bin_four(values + i)), bin_four(values + i + 4)));
  }

  binned_block finish() const noexcept {
    return {vmaxvq_u32(largest_), static_cast<std::size_t>(end_ - bins_), 0};
  }

 private:
  [[gnu::always_inline]] uint32x4_t bin_four(const float* values) noexcept {
    const uint32x4_t x = vandq_u32(vreinterpretq_u32_f32(vld1q_f32(values)), vdupq_n_u32(0x7fffffffu));
    largest_ = vmaxq_u32(largest_, x);
    return vcvtq_u32_f32(vmulq_f32(vreinterpretq_f32_u32(x), factors_));
  }

  float32x4_t factors_;
  uint32x4_t largest_;
  std::uint16_t* bins_;
  std::uint16_t* end_;
};

template <>
inline binned_block bin_values<isa::neon>(bool /*skips_zeros*/, const float* values, std::size_t n,
                                          float factor, std::uint16_t* bins, bin_list before,
                                          count_tables tables) noexcept {
  neon_bins found(factor, bins);
  const std::size_t shared = n < before.size ? n : before.size;
  for (std::size_t i = 0; i < shared; i += bins_at_once) {
    found.bin(values + i);
    count_some(before.bins + i, tables);
  }
  for (std::size_t i = shared; i < n; i += bins_at_once) found.bin(values + i);
  for (std::size_t i = shared; i < before.size; i += bins_at_once) count_some(before.bins + i, tables);
  return found.finish();
}

}  // namespace PTQ_SET_BUILD
}  // namespace kernels
}  // namespace ptq::inline v0_1

#endif  // PTQ_NATIVE_NEON
#endif  // PTQ_KERNELS_NEON_HISTOGRAM_HPP

// ---- ptq/kernels/set_doors.hpp ----

/// @file set_doors.hpp The bodies of `kernel_set`: what is known at run time only is chosen here, once for
/// all instruction sets.
#ifndef PTQ_KERNELS_SET_DOORS_HPP
#define PTQ_KERNELS_SET_DOORS_HPP

#if PTQ_NATIVE

#include <cstddef>
#include <cstdint>

#if PTQ_HAS_SET_BODIES && PTQ_NATIVE_X86
#elif PTQ_HAS_SET_BODIES && PTQ_NATIVE_NEON
#endif

namespace ptq::inline v0_1 {
namespace kernels {
inline namespace PTQ_SET_BUILD {

#if PTQ_HAS_SET_BODIES

namespace doors {

inline unsigned char* bytes(void* memory) noexcept {
  return static_cast<unsigned char*>(memory);
}
inline const unsigned char* bytes(const void* memory) noexcept {
  return static_cast<const unsigned char*>(memory);
}

template <class Set, element_type Type>
void encode_int8(arithmetic how, const void* values, std::size_t n, const factors& by, void* codes,
                 bool streams) noexcept {
  if (how == arithmetic::divide)
    Set::template encode_int8<Type, arithmetic::divide>(bytes(values), n, by, bytes(codes), streams);
  else
    Set::template encode_int8<Type, arithmetic::multiply_by_reciprocal>(bytes(values), n, by, bytes(codes),
                                                                        streams);
}

template <class Set, element_type Type>
void encode_fp8(const fp8_rounding& format, arithmetic how, const void* values, std::size_t n,
                const factors& by, void* codes, bool streams) noexcept {
  if (how == arithmetic::divide)
    Set::template encode_fp8<Type, arithmetic::divide>(format, bytes(values), n, by, bytes(codes), streams);
  else
    Set::template encode_fp8<Type, arithmetic::multiply_by_reciprocal>(format, bytes(values), n, by,
                                                                       bytes(codes), streams);
}

/// Calls f.operator()<Type>() with a half type.
template <class F>
void with_half(element_type type, const F& f) noexcept {
  if (type == element_type::float16)
    f.template operator()<element_type::float16>();
  else
    f.template operator()<element_type::bfloat16>();
}

}  // namespace doors

template <isa Which>
std::uint32_t kernel_set<Which>::amax(const float* values, std::size_t n) noexcept {
  return set_of<Which>::type::amax(values, n);
}
template <isa Which>
std::uint16_t kernel_set<Which>::amax_halves(const void* values, std::size_t n) noexcept {
  return set_of<Which>::type::amax_halves(values, n);
}
template <isa Which>
void kernel_set<Which>::amax_each(const float* values, std::size_t n, float* amax) noexcept {
  set_of<Which>::type::amax_each(values, n, amax);
}
template <isa Which>
void kernel_set<Which>::amax_rows(const float* values, std::size_t rows, std::size_t columns,
                                  float* amax) noexcept {
  set_of<Which>::type::amax_rows(values, rows, columns, amax);
}

template <isa Which>
void kernel_set<Which>::scales(float* amax_then_scales, std::size_t n, const recipe& numbers,
                               element_type source) noexcept {
  const bool rounds = numbers.halves != half_rounding::nothing;
  set_of<Which>::type::scales(amax_then_scales, n, numbers, rounds ? source : element_type::float32);
}
template <isa Which>
bool kernel_set<Which>::invert(arithmetic how, const float* scales, std::size_t n, float* inverses) noexcept {
  return set_of<Which>::type::invert(how, scales, n, inverses);
}
template <isa Which>
void kernel_set<Which>::repeat(const float* factors, std::size_t rows, std::size_t columns,
                               float* out) noexcept {
  set_of<Which>::type::repeat(factors, rows, columns, out);
}

template <isa Which>
void kernel_set<Which>::encode_int8(arithmetic how, const float* values, std::size_t n, const factors& by,
                                    void* codes, bool streams) noexcept {
  doors::encode_int8<typename set_of<Which>::type, element_type::float32>(how, values, n, by, codes, streams);
}
template <isa Which>
void kernel_set<Which>::encode_int8(arithmetic how, element_type type, const void* halves, std::size_t n,
                                    const factors& by, void* codes, bool streams) noexcept {
  doors::with_half(type, [&]<element_type Type>() {
    doors::encode_int8<typename set_of<Which>::type, Type>(how, halves, n, by, codes, streams);
  });
}
template <isa Which>
void kernel_set<Which>::encode_e4m3fn(arithmetic how, const float* values, std::size_t n, const factors& by,
                                      void* codes, bool streams) noexcept {
  doors::encode_fp8<typename set_of<Which>::type, element_type::float32>(fp8_rounding_of<fp8_e4m3fn>, how,
                                                                         values, n, by, codes, streams);
}
template <isa Which>
void kernel_set<Which>::encode_e4m3fn(arithmetic how, element_type type, const void* halves, std::size_t n,
                                      const factors& by, void* codes, bool streams) noexcept {
  doors::with_half(type, [&]<element_type Type>() {
    doors::encode_fp8<typename set_of<Which>::type, Type>(fp8_rounding_of<fp8_e4m3fn>, how, halves, n, by,
                                                          codes, streams);
  });
}
template <isa Which>
void kernel_set<Which>::encode_e5m2(arithmetic how, const float* values, std::size_t n, const factors& by,
                                    void* codes, bool streams) noexcept {
  doors::encode_fp8<typename set_of<Which>::type, element_type::float32>(fp8_rounding_of<fp8_e5m2>, how,
                                                                         values, n, by, codes, streams);
}
template <isa Which>
void kernel_set<Which>::encode_e5m2(arithmetic how, element_type type, const void* halves, std::size_t n,
                                    const factors& by, void* codes, bool streams) noexcept {
  doors::with_half(type, [&]<element_type Type>() {
    doors::encode_fp8<typename set_of<Which>::type, Type>(fp8_rounding_of<fp8_e5m2>, how, halves, n, by,
                                                          codes, streams);
  });
}

template <isa Which>
void kernel_set<Which>::decode_int8(const void* codes, std::size_t n, const float* scales, bool each,
                                    float* values, bool streams) noexcept {
  set_of<Which>::type::template decode<int8>(doors::bytes(codes), n, scales, each, values, streams);
}
template <isa Which>
void kernel_set<Which>::decode_e4m3fn(const void* codes, std::size_t n, const float* scales, bool each,
                                      float* values, bool streams) noexcept {
  set_of<Which>::type::template decode<fp8_e4m3fn>(doors::bytes(codes), n, scales, each, values, streams);
}
template <isa Which>
void kernel_set<Which>::decode_e5m2(const void* codes, std::size_t n, const float* scales, bool each,
                                    float* values, bool streams) noexcept {
  set_of<Which>::type::template decode<fp8_e5m2>(doors::bytes(codes), n, scales, each, values, streams);
}

template <isa Which>
void kernel_set<Which>::finish_streams() noexcept {
  set_of<Which>::type::finish_streams();
}

template <isa Which>
void kernel_set<Which>::widen(element_type type, const void* values, std::size_t n, float* floats) noexcept {
  doors::with_half(type, [&]<element_type Type>() {
    set_of<Which>::type::template widen<Type>(doors::bytes(values), n, floats);
  });
}
template <isa Which>
void kernel_set<Which>::narrow(element_type type, const float* floats, std::size_t n, void* values) noexcept {
  doors::with_half(type, [&]<element_type Type>() {
    set_of<Which>::type::template narrow<Type>(floats, n, doors::bytes(values));
  });
}
template <isa Which>
void kernel_set<Which>::round_quotients(element_type type, arithmetic how, const float* values, std::size_t n,
                                        const factors& by, float* quotients) noexcept {
  using set = typename set_of<Which>::type;
  doors::with_half(type, [&]<element_type Type>() {
    if (how == arithmetic::divide)
      set::template round_quotients<Type, arithmetic::divide>(values, n, by, quotients);
    else
      set::template round_quotients<Type, arithmetic::multiply_by_reciprocal>(values, n, by, quotients);
  });
}

template <isa Which>
void kernel_set<Which>::add_errors(const float* x, const float* y, std::size_t n, double (&sums)[4],
                                   double& max_abs) noexcept {
  set_of<Which>::type::add_errors(x, y, n, sums, max_abs);
}

template <isa Which>
binned_block kernel_set<Which>::bin(bool skips_zeros, const float* values, std::size_t n, float factor,
                                    std::uint16_t* bins, bin_list before, count_tables tables) noexcept {
  return bin_values<Which>(skips_zeros, values, n, factor, bins, before, tables);
}

#endif  // PTQ_HAS_SET_BODIES

// One translation unit has them for all.
#if defined(PTQ_KERNEL_SOURCES)
#define PTQ_SHARED_SET(which) template struct kernel_set<which>
#elif defined(PTQ_SEPARATE_KERNELS)
#define PTQ_SHARED_SET(which) extern template struct kernel_set<which>
#else
#define PTQ_SHARED_SET(which) static_assert(true)
#endif

#if PTQ_NATIVE_X86
PTQ_SHARED_SET(isa::avx2);
PTQ_SHARED_SET(isa::avx512);
#else
PTQ_SHARED_SET(isa::neon);
#endif
#undef PTQ_SHARED_SET

}  // namespace PTQ_SET_BUILD
}  // namespace kernels
}  // namespace ptq::inline v0_1

#endif  // PTQ_NATIVE
#endif  // PTQ_KERNELS_SET_DOORS_HPP

// ---- ptq/tensor/view.hpp ----

/// @file view.hpp A tensor as a pointer, a shape and signed strides.
#ifndef PTQ_TENSOR_VIEW_HPP
#define PTQ_TENSOR_VIEW_HPP

#include <array>
#include <cstddef>
#include <initializer_list>
#include <span>
#include <type_traits>

namespace ptq::inline v0_1 {

inline constexpr std::size_t max_rank = 8;

/// The extents of a tensor, outermost first. Rank 0 is a scalar: one element. Of more than `max_rank` axes
/// only their number is kept: there is no element then, and what takes tensors answers wrong_rank.
struct tensor_shape {
  std::array<std::size_t, max_rank> extents{};
  std::size_t rank = 0;

  constexpr tensor_shape() = default;
  constexpr tensor_shape(std::initializer_list<std::size_t> list) noexcept
      : tensor_shape(std::span<const std::size_t>(list.begin(), list.size())) {}
  constexpr explicit tensor_shape(std::span<const std::size_t> list) noexcept : rank(list.size()) {
    if (rank > max_rank) return;
    for (std::size_t i = 0; i < rank; ++i) extents[i] = list[i];
  }

  constexpr std::size_t operator[](std::size_t axis) const noexcept { return extents[axis]; }

  /// The number of axes that have an entry in `extents`.
  constexpr std::size_t axes() const noexcept { return rank < max_rank ? rank : max_rank; }

  /// The number of elements.
  constexpr std::size_t size() const noexcept {
    std::size_t product = 1;
    for (std::size_t i = 0; i < axes(); ++i) product *= extents[i];
    return product;
  }

  friend constexpr bool operator==(const tensor_shape&, const tensor_shape&) = default;
};

/// Distances between neighbours along each axis, in elements.
using tensor_strides = std::array<std::ptrdiff_t, max_rank>;

// Steps are multiplied without a sign: the other extents of a tensor without elements may be anything.
constexpr tensor_strides row_major(const tensor_shape& shape) noexcept {
  tensor_strides strides{};
  std::size_t step = 1;
  for (std::size_t i = shape.axes(); i-- > 0;) {
    strides[i] = static_cast<std::ptrdiff_t>(step);
    step *= shape[i];
  }
  return strides;
}

constexpr tensor_strides column_major(const tensor_shape& shape) noexcept {
  tensor_strides strides{};
  std::size_t step = 1;
  for (std::size_t i = 0; i < shape.axes(); ++i) {
    strides[i] = static_cast<std::ptrdiff_t>(step);
    step *= shape[i];
  }
  return strides;
}

/// The distance of an element, given by its row-major index, from the one whose indices are all 0.
constexpr std::ptrdiff_t offset_of(std::size_t at, const tensor_shape& shape,
                                   const tensor_strides& strides) noexcept {
  std::ptrdiff_t offset = 0;
  for (std::size_t axis = shape.axes(); axis-- > 0;) {
    offset += static_cast<std::ptrdiff_t>(at % shape[axis]) * strides[axis];
    at /= shape[axis];
  }
  return offset;
}

/// Non-owning. `data` points at the element whose indices are all 0, also where strides are negative.
template <class T>
struct tensor_view {
  using element_type = T;
  using value_type = std::remove_cv_t<T>;

  T* data = nullptr;
  tensor_shape shape;
  tensor_strides strides{};

  constexpr tensor_view() = default;
  /// Row-major and without gaps.
  constexpr tensor_view(T* first, const tensor_shape& extents) noexcept
      : data(first), shape(extents), strides(row_major(extents)) {}
  constexpr tensor_view(T* first, const tensor_shape& extents, const tensor_strides& steps) noexcept
      : data(first), shape(extents), strides(steps) {}

  constexpr std::size_t rank() const noexcept { return shape.rank; }
  constexpr std::size_t size() const noexcept { return shape.size(); }

  /// The same elements, read-only.
  // NOLINTNEXTLINE(google-explicit-constructor): as std::span
  constexpr operator tensor_view<const T>() const noexcept
    requires(!std::is_const_v<T>)
  {
    return {data, shape, strides};
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_TENSOR_VIEW_HPP

// ---- ptq/tensor/walk.hpp ----

/// @file walk.hpp A strided tensor as few long runs, in memory order.
#ifndef PTQ_TENSOR_WALK_HPP
#define PTQ_TENSOR_WALK_HPP

#include <array>
#include <cstddef>

namespace ptq::inline v0_1 {
namespace detail {

constexpr std::ptrdiff_t distance(std::ptrdiff_t stride) noexcept {
  return stride < 0 ? -stride : stride;
}

}  // namespace detail

/// Strides of a dense tensor of the same shape whose axes lie in memory in the order of `strides`. Codes are
/// stored so: a column-major source gives column-major codes.
constexpr tensor_strides dense_strides(const tensor_shape& shape, const tensor_strides& strides) noexcept {
  std::array<std::size_t, max_rank>
      order{};  // axes, outermost first; those of extent 1 have no place in memory
  std::size_t placed = 0;
  for (std::size_t i = 0; i < shape.axes(); ++i) {
    if (shape[i] == 1) continue;
    std::size_t at = placed++;
    for (; at > 0 && detail::distance(strides[order[at - 1]]) < detail::distance(strides[i]); --at)
      order[at] = order[at - 1];
    order[at] = i;
  }
  tensor_strides dense = row_major(shape);  // the answer for axes of extent 1
  std::size_t step = 1;
  for (std::size_t k = placed; k-- > 0;) {
    dense[order[k]] = static_cast<std::ptrdiff_t>(step);
    step *= shape[order[k]];
  }
  return dense;
}

/// The axes of a tensor from outermost to innermost in memory: extents of 1 dropped, neighbours that continue
/// each other merged, the channel axis kept apart. The innermost axis is the run.
struct walk {
  struct axis {
    std::size_t extent = 1;
    std::ptrdiff_t stride = 1;  // in the source
    std::ptrdiff_t dense = 1;   // among the codes
    bool is_channel = false;
  };

  std::array<axis, max_rank> axes{};
  std::size_t rank = 0;
  bool is_empty = false;
  std::ptrdiff_t first_source = 0;  // where it begins: 0, but for parts
  std::size_t first_dense = 0;
  std::size_t first_channel = 0;

  constexpr walk(const tensor_shape& shape, const tensor_strides& strides, granularity grain) noexcept {
    const tensor_strides dense = dense_strides(shape, strides);
    for (std::size_t i = 0; i < shape.axes(); ++i) is_empty = is_empty || shape[i] == 0;
    for (std::size_t i = 0; i < shape.axes() && !is_empty; ++i) {
      if (shape[i] > 1) insert({shape[i], strides[i], dense[i], grain.is_per_channel() && grain.axis == i});
    }
    merge();
    if (rank == 0) rank = 1;  // one element
  }

  constexpr const axis& run() const noexcept { return axes[rank - 1]; }

  /// How many channels it has: 1 where they are not told apart, 0 where there is no element.
  constexpr std::size_t channels() const noexcept {
    if (is_empty) return 0;
    for (std::size_t k = 0; k < rank; ++k)
      if (axes[k].is_channel) return axes[k].extent;
    return 1;
  }

  /// The number of elements.
  constexpr std::size_t size() const noexcept {
    std::size_t product = is_empty ? 0 : 1;
    for (std::size_t k = 0; k < rank; ++k) product *= axes[k].extent;
    return product;
  }

  /// Some indices of one axis: the same elements, codes and channels as in the whole.
  constexpr walk part(std::size_t at, std::size_t first, std::size_t count) const noexcept {
    walk cut = *this;
    axis& a = cut.axes[at];
    cut.first_source += a.stride * static_cast<std::ptrdiff_t>(first);
    cut.first_dense += static_cast<std::size_t>(a.dense) * first;
    if (a.is_channel) cut.first_channel += first;
    a.extent = count;
    return cut;
  }

 private:
  constexpr void insert(const axis& a) noexcept {
    std::size_t at = rank++;
    while (at > 0 && axes[at - 1].dense < a.dense) {
      axes[at] = axes[at - 1];
      --at;
    }
    axes[at] = a;
  }

  constexpr void merge() noexcept {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < rank; ++i) {
      const axis& inner = axes[i];
      if (kept > 0 && continues(axes[kept - 1], inner)) {
        axes[kept - 1].extent *= inner.extent;
        axes[kept - 1].stride = inner.stride;
        axes[kept - 1].dense = inner.dense;
      } else {
        axes[kept++] = inner;
      }
    }
    rank = kept;
  }

  static constexpr bool continues(const axis& outer, const axis& inner) noexcept {
    return !outer.is_channel && !inner.is_channel &&
           outer.stride == inner.stride * static_cast<std::ptrdiff_t>(inner.extent);
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_TENSOR_WALK_HPP

// ---- ptq/tensor/panels.hpp ----

/// @file panels.hpp A strided tensor as panels, and cut into slices of them.
#ifndef PTQ_TENSOR_PANELS_HPP
#define PTQ_TENSOR_PANELS_HPP

#include <array>
#include <cstddef>

namespace ptq::inline v0_1 {

/// Who shares a scale within a panel.
enum class scaling : unsigned char { one, per_row, per_column };

/// The two innermost axes of a tensor in memory, the inner one being the columns: what kernels work on.
struct panel {
  std::size_t rows = 1;
  std::size_t columns = 1;
  std::ptrdiff_t begin = 0;  ///< of the first element in the source, as all steps here in elements
  std::ptrdiff_t row_step = 0;
  std::ptrdiff_t step = 1;
  std::size_t code = 0;  ///< the place of the first code; columns lie side by side
  std::size_t code_row_step = 0;
  scaling by = scaling::one;
  std::size_t scale = 0;  ///< the place of the first scale

  constexpr std::ptrdiff_t row(std::size_t r) const noexcept {
    return begin + static_cast<std::ptrdiff_t>(r) * row_step;
  }
  constexpr std::size_t code_row(std::size_t r) const noexcept { return code + r * code_row_step; }

  /// The place of an element's scale.
  constexpr std::size_t scale_of(std::size_t r, std::size_t c) const noexcept {
    return scale + (by == scaling::per_row ? r : by == scaling::per_column ? c : 0);
  }

  /// Some of its rows and columns.
  constexpr panel part(std::size_t r, std::size_t row_count, std::size_t c,
                       std::size_t column_count) const noexcept {
    panel cut = *this;
    cut.rows = row_count;
    cut.columns = column_count;
    cut.begin = row(r) + static_cast<std::ptrdiff_t>(c) * step;
    cut.code = code_row(r) + c;
    cut.scale = scale_of(r, c);
    return cut;
  }
  constexpr panel rows_from(std::size_t r, std::size_t count) const noexcept {
    return part(r, count, 0, columns);
  }

  /// The same with the codes alone, or the elements alone, in a buffer of their own.
  constexpr panel with_codes_apart() const noexcept {
    panel apart = *this;
    apart.code = 0;
    apart.code_row_step = columns;
    return apart;
  }
  constexpr panel with_elements_apart() const noexcept {
    panel apart = *this;
    apart.begin = 0;
    apart.row_step = static_cast<std::ptrdiff_t>(columns);
    apart.step = 1;
    return apart;
  }

  /// Whether the whole panel is one run, in the source and among the codes.
  constexpr bool is_run() const noexcept {
    return rows == 1 ||
           (step == 1 && row_step == static_cast<std::ptrdiff_t>(columns) && code_row_step == columns);
  }
};

/// The panels of a tensor, for a range-based loop. The walk must live as long.
class panels {
 public:
  constexpr explicit panels(const walk& path) noexcept : path_(&path) {}
  panels(walk&&) = delete;

  class iterator {
   public:
    constexpr explicit iterator(const walk& path) noexcept : path_(&path), left_(path.is_empty ? 0 : 1) {
      const walk::axis& columns = path.run();
      panel_.columns = columns.extent;
      panel_.step = columns.stride;
      if (columns.is_channel) panel_.by = scaling::per_column;
      if (path.rank > 1) {
        const walk::axis& rows = path.axes[path.rank - 2];
        panel_.rows = rows.extent;
        panel_.row_step = rows.stride;
        panel_.code_row_step = static_cast<std::size_t>(rows.dense);
        if (rows.is_channel) panel_.by = scaling::per_row;
      }
      panel_.begin = path.first_source;
      panel_.code = path.first_dense;
      panel_.scale = path.first_channel;
      for (std::size_t k = 0; k + 2 < path.rank; ++k) left_ *= path.axes[k].extent;
    }

    constexpr const panel& operator*() const noexcept { return panel_; }
    constexpr bool operator!=(std::nullptr_t) const noexcept { return left_ != 0; }

    constexpr iterator& operator++() noexcept {
      if (--left_ == 0) return *this;
      for (std::size_t k = path_->rank - 2; k-- > 0;) {
        const walk::axis& a = path_->axes[k];
        const bool goes_on = ++index_[k] < a.extent;
        // To the next index of this axis, or back to its first.
        const std::size_t steps = goes_on ? 1 : a.extent - 1;
        const std::ptrdiff_t sign = goes_on ? 1 : -1;
        panel_.begin += sign * a.stride * static_cast<std::ptrdiff_t>(steps);
        panel_.code += static_cast<std::size_t>(sign * a.dense) * steps;
        if (a.is_channel) panel_.scale += static_cast<std::size_t>(sign) * steps;
        if (goes_on) break;
        index_[k] = 0;
      }
      return *this;
    }

   private:
    const walk* path_;
    panel panel_;
    std::array<std::size_t, max_rank> index_{};
    std::size_t left_;
  };

  constexpr iterator begin() const noexcept { return iterator(*path_); }
  static constexpr std::nullptr_t end() noexcept { return nullptr; }

 private:
  const walk* path_;
};

/// The parts of a panel that have at most so many elements, for a range-based loop. The panel must live as
/// long.
class tiles {
 public:
  constexpr tiles(const panel& whole, std::size_t most) noexcept
      : whole_(&whole), columns_(whole.columns < most ? whole.columns : most), rows_(most / columns_) {}
  tiles(panel&&, std::size_t) = delete;

  class iterator {
   public:
    constexpr explicit iterator(const tiles& all) noexcept : all_(&all) {}

    constexpr panel operator*() const noexcept {
      const panel& p = *all_->whole_;
      const std::size_t rows = p.rows - row_;
      const std::size_t columns = p.columns - column_;
      return p.part(row_, rows < all_->rows_ ? rows : all_->rows_, column_,
                    columns < all_->columns_ ? columns : all_->columns_);
    }
    constexpr bool operator!=(std::nullptr_t) const noexcept { return row_ < all_->whole_->rows; }
    constexpr iterator& operator++() noexcept {
      column_ += all_->columns_;
      if (column_ >= all_->whole_->columns) {
        column_ = 0;
        row_ += all_->rows_;
      }
      return *this;
    }

   private:
    const tiles* all_;
    std::size_t row_ = 0;
    std::size_t column_ = 0;
  };

  constexpr iterator begin() const noexcept { return iterator(*this); }
  static constexpr std::nullptr_t end() noexcept { return nullptr; }

 private:
  const panel* whole_;
  std::size_t columns_;
  std::size_t rows_;
};

/// Where a tensor may be cut.
enum class cut : unsigned char {
  anywhere,
  between_scales,  ///< so that no two slices share a scale, where they have several
};

/// A tensor cut along one axis: that of the channels, or the outermost that is long enough.
class slices {
 public:
  /// @param size elements of a slice, more or less
  constexpr slices(const walk& whole, std::size_t size, cut where) noexcept : whole_(whole) {
    if (whole.is_empty) return;  // then the product of the other extents may be anything
    std::size_t elements = 1;
    for (std::size_t k = 0; k < whole.rank; ++k) {
      elements *= whole.axes[k].extent;
      if (is_better(k, where)) axis_ = k;
    }
    const std::size_t extent = whole.axes[axis_].extent;
    const std::size_t wanted = size / (elements / extent) + 1;
    const std::size_t least = axis_ + 1 == whole.rank ? shortest_run : 1;
    step_ = wanted < least ? least : wanted;
    count_ = (extent + step_ - 1) / step_;
  }

  constexpr std::size_t count() const noexcept { return count_; }

  constexpr walk operator[](std::size_t i) const noexcept {
    const std::size_t first = i * step_;
    const std::size_t left = whole_.axes[axis_].extent - first;
    return whole_.part(axis_, first, left < step_ ? left : step_);
  }

 private:
  static constexpr std::size_t shortest_run = 1024;
  static constexpr std::size_t long_enough = 16;

  constexpr bool is_better(std::size_t k, cut where) const noexcept {
    const walk::axis& now = whole_.axes[axis_];
    const walk::axis& other = whole_.axes[k];
    if (where == cut::between_scales && (now.is_channel || other.is_channel)) return other.is_channel;
    return now.extent < long_enough && other.extent > now.extent;
  }

  walk whole_;
  std::size_t axis_ = 0;
  std::size_t step_ = 1;
  std::size_t count_ = 0;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_TENSOR_PANELS_HPP

// ---- ptq/kernels/dispatch.hpp ----

/// @file dispatch.hpp The kernels of this machine: those of the active instruction set where it has them for
/// the types at hand, else the portable ones. In constant expressions, and where PTQ_PORTABLE is defined,
/// always the portable ones. All give the same bits.
#ifndef PTQ_KERNELS_DISPATCH_HPP
#define PTQ_KERNELS_DISPATCH_HPP

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

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

// ---- ptq/kernels/panel_kernels.hpp ----

/// @file panel_kernels.hpp The kernels over panels: amax, encode, decode.
#ifndef PTQ_KERNELS_PANEL_KERNELS_HPP
#define PTQ_KERNELS_PANEL_KERNELS_HPP

#include <concepts>
#include <cstddef>
#include <cstdint>

namespace ptq::inline v0_1 {
namespace kernels {
inline namespace PTQ_BUILD {

/// How many factors are prepared at once, and how many elements go through a buffer.
inline constexpr std::size_t block_size = PTQ_NATIVE ? 2048 : 256;

/// Rows shorter than this are taken together, with a factor an element.
inline constexpr std::size_t short_row = 64;

/// Whether there are rows for a set to take together.
constexpr bool has_short_rows(const panel& p) noexcept {
  return p.by == scaling::per_row && p.rows > 1 && p.columns < short_row && p.is_run() &&
         is_for_a_set(p.step);
}

/// The same where the columns have scales of their own: factors then come again row by row.
constexpr bool has_few_columns(const panel& p) noexcept {
  return p.by == scaling::per_column && p.rows > 1 && p.columns < short_row && p.is_run() &&
         is_for_a_set(p.step);
}

/// Factors of short rows as one factor an element. Sets write up to a row more.
struct repeated_factors {
  float each[block_size + short_row];

  const float* of(const float* factors, std::size_t rows, std::size_t columns) noexcept {
    const auto repeat = [&]<class Set>() { Set::repeat(factors, rows, columns, static_cast<float*>(each)); };
    if (with_active_set(repeat)) return static_cast<const float*>(each);
    // Another thread has chosen the portable set meanwhile.
    for (std::size_t i = 0; i < rows * columns; ++i) each[i] = factors[i / columns];
    return static_cast<const float*>(each);
  }
};

/// Calls f(const float* source, const panel&) with the elements of a panel as floats that lie side by side in
/// each row: as they are, or a tile at a time through a buffer on the stack.
template <element T, class F>
constexpr void as_floats(const T* source, const panel& p, const F& f) {
  if constexpr (std::same_as<T, float>) {
    if (p.step == 1) {
      f(source, p);
      return;
    }
  }
  float buffer[block_size];
  for (const panel& tile : tiles(p, block_size)) {
    for (std::size_t r = 0; r < tile.rows; ++r)
      widen<T>(source + tile.row(r), tile.step, tile.columns, buffer + r * tile.columns);
    f(static_cast<const float*>(buffer), tile.with_elements_apart());
  }
}

/// Raises the largest magnitudes that were found so far (as floats) to those of a panel of floats that lie
/// side by side in each row. NaN and infinity win.
///
/// @param source the element whose indices are all 0
/// @param found  one for each scale of the tensor
constexpr void amax(const float* source, const panel& p, float* found) noexcept {
  found += p.scale;
  if (has_short_rows(p) &&
      with_active_set([&]<class Set>() { Set::amax_rows(source + p.begin, p.rows, p.columns, found); }))
    return;
  if (has_few_columns(p)) {
    float seen[block_size] = {};
    const std::size_t at_once = block_size / p.columns * p.columns;
    const std::size_t all = p.rows * p.columns;
    for (std::size_t i = 0; i < all; i += at_once)
      amax_each(source + p.begin + i, all - i < at_once ? all - i : at_once, static_cast<float*>(seen));
    for (std::size_t i = 0; i < at_once; i += p.columns)
      amax_each(static_cast<const float*>(seen) + i, p.columns, found);
    return;
  }
  for (std::size_t r = 0; r < p.rows; ++r) {
    if (p.by == scaling::per_column) {
      amax_each(source + p.row(r), p.columns, found);
    } else {
      float& seen = found[p.by == scaling::per_row ? r : 0];
      seen = detail::float_of(amax_run<float>(source + p.row(r), p.columns, detail::bits_of(seen)));
    }
  }
}

/// The same for elements of any type and step.
template <element T>
constexpr void amax_of(const T* source, const panel& p, float* found) noexcept {
  as_floats<T>(source, p, [&](const float* floats, const panel& part) { amax(floats, part, found); });
}

/// Writes the codes of short rows: many at once, with a factor an element.
template <dtype D, arithmetic How, element T>
void encode_short_rows(const T* source, const panel& p, const float* scales, typename D::storage* codes,
                       bool streams) noexcept {
  float inverses[block_size];
  repeated_factors repeated_scales;
  repeated_factors repeated_inverses;
  const std::size_t at_once = block_size / p.columns;
  for (std::size_t r = 0; r < p.rows; r += at_once) {
    const std::size_t rows = p.rows - r < at_once ? p.rows - r : at_once;
    const T* const values = source + p.row(r);
    if (invert<How>(scales + r, rows, static_cast<float*>(inverses))) {
      const float* const each = repeated_inverses.of(static_cast<const float*>(inverses), rows, p.columns);
      const bool divides = How == arithmetic::divide;
      const factors by{divides ? repeated_scales.of(scales + r, rows, p.columns) : each, each, true};
      encode_run<D, How>(values, rows * p.columns, by, true, codes + p.code_row(r), streams);
    } else {  // rows of zeros, most of the time: they are not to slow down the others
      for (std::size_t k = 0; k < rows; ++k) {
        const factors by{scales + r + k, inverses + k, false};
        encode_run<D, How>(values + k * p.columns, p.columns, by, are_ordinary(by.of(How), 1),
                           codes + p.code_row(r + k), streams);
      }
    }
  }
}

/// Writes the codes of rows of few columns: many at once. False, and nothing is done, where a factor is not
/// ordinary.
template <dtype D, arithmetic How, element T>
bool encode_few_columns(const T* source, const panel& p, const float* scales, typename D::storage* codes,
                        bool streams) noexcept {
  float each_scale[block_size];
  float each_inverse[block_size];
  if (!invert<How>(scales, p.columns, static_cast<float*>(each_inverse))) return false;
  const std::size_t at_once = block_size / p.columns * p.columns;
  const std::size_t all = p.rows * p.columns;
  for (std::size_t i = 0; i < at_once; ++i) {
    each_scale[i] = scales[i % p.columns];
    each_inverse[i] = each_inverse[i % p.columns];
  }
  const factors by{each_scale, each_inverse, true};
  for (std::size_t i = 0; i < all; i += at_once)
    encode_run<D, How>(source + p.begin + i, all - i < at_once ? all - i : at_once, by, true,
                       codes + p.code + i, streams);
  return true;
}

/// Writes the codes of a panel of elements that lie side by side in each row: floats, or halves.
///
/// @param scales  to encode by, one for each scale of the tensor
/// @param codes   of the whole tensor
/// @param streams whether the codes are too many to stay in the cache
template <dtype D, arithmetic How, element T>
constexpr void encode(const T* source, const panel& p, const float* scales, typename D::storage* codes,
                      bool streams) noexcept {
  scales += p.scale;
  if constexpr (has_codes<D>)
    if (has_short_rows(p)) return encode_short_rows<D, How>(source, p, scales, codes, streams);
  if constexpr (has_codes<D>)
    if (has_few_columns(p) && encode_few_columns<D, How>(source, p, scales, codes, streams)) return;
  const bool per_row = p.by == scaling::per_row;
  const bool per_column = p.by == scaling::per_column;
  float inverses[block_size];
  // Factors are prepared in blocks: of all rows, or of some columns for all rows.
  const std::size_t count = per_row ? p.rows : per_column ? p.columns : 1;
  for (std::size_t first = 0; first < count; first += block_size) {
    const std::size_t n = count - first < block_size ? count - first : block_size;
    const bool all_ordinary = invert<How>(scales + first, n, static_cast<float*>(inverses));
    const std::size_t begin = per_row ? first : 0;
    const std::size_t end = per_row ? first + n : p.rows;
    for (std::size_t r = begin; r < end; ++r) {
      const std::size_t own = per_row ? r - begin : 0;
      const factors by{scales + first + own, static_cast<const float*>(inverses) + own, per_column};
      const std::size_t column = per_column ? first : 0;
      encode_run<D, How>(source + p.row(r) + column, per_column ? n : p.columns, by,
                         all_ordinary || (per_row && are_ordinary(by.of(How), 1)),
                         codes + p.code_row(r) + column, streams);
    }
  }
}

/// Rounds the quotients of a panel of floats to T, into a buffer.
template <arithmetic How, element T>
constexpr void round_panel(const float* source, const panel& p, const float* scales,
                           float* quotients) noexcept {
  float inverses[block_size];
  const bool each = p.by == scaling::per_column;
  for (std::size_t r = 0; r < p.rows; ++r) {
    const float* const own = scales + p.scale_of(r, 0);
    const bool ordinary = invert<How>(own, each ? p.columns : 1, static_cast<float*>(inverses));
    round_quotients<How, T>(source + p.row(r), p.columns, {own, static_cast<const float*>(inverses), each},
                            ordinary, quotients + r * p.columns);
  }
}

/// Writes the codes of a panel of floats whose quotients are rounded to T, a half type, before they are
/// rounded to codes. The panel has at most `block_size` elements.
///
/// @param encode f(floats, panel, scales): `encode` above
template <element T, class Encode>
constexpr void encode_rounded(const float* source, const panel& p, arithmetic how, const float* scales,
                              const Encode& encode) {
  float quotients[block_size];
  if (how == arithmetic::divide)
    round_panel<arithmetic::divide, T>(source, p, scales, static_cast<float*>(quotients));
  else
    round_panel<arithmetic::multiply_by_reciprocal, T>(source, p, scales, static_cast<float*>(quotients));
  panel unscaled = p.with_elements_apart();
  unscaled.by = scaling::one;
  unscaled.scale = 0;
  const float one = 1;
  encode(static_cast<const float*>(quotients), unscaled, &one);
}

/// Reads codes of a dtype known at compile time. A decoder reads `n` codes from a place on: `run` by one
/// scale, `each` by one scale a code, and `ordinary` tells whether `are_ordinary` holds for those.
template <dtype D>
struct typed_decoder {
  const typename D::storage* codes;

  constexpr void run(std::size_t at, std::size_t n, const float& scale, float* values,
                     bool streams) const noexcept {
    decode_run<D>(codes + at, n, scale, values, streams);
  }
  constexpr void each(std::size_t at, std::size_t n, const float* scales, float* values, bool streams,
                      bool ordinary) const noexcept {
    decode_each<D>(codes + at, n, scales, values, streams, ordinary);
  }
};

/// Decodes part of a row into the target: as it is where floats lie side by side, else through a buffer,
/// which is to stay in the cache.
///
/// @param decode f(first, n, values, streams)
template <element T, class Decode>
constexpr void decode_row(T* target, std::ptrdiff_t step, std::size_t n, bool streams, const Decode& decode) {
  if constexpr (std::same_as<T, float>) {
    if (step == 1) {
      decode(0, n, target, streams);
      return;
    }
  }
  float buffer[block_size];
  for (std::size_t first = 0; first < n; first += block_size) {
    const std::size_t size = n - first < block_size ? n - first : block_size;
    decode(first, size, static_cast<float*>(buffer), false);
    narrow<T>(static_cast<const float*>(buffer), size, step,
              target + static_cast<std::ptrdiff_t>(first) * step);
  }
}

/// Writes the values of a panel.
///
/// @param target the element whose indices are all 0
/// @param scales to decode by, one for each scale of the tensor
template <element T, class Decoder>
constexpr void decode(T* target, const panel& p, const float* scales, const Decoder& decoder, bool streams) {
  scales += p.scale;
  const bool each = p.by == scaling::per_column;
  const bool ordinary = each && are_ordinary(scales, p.columns);
  if constexpr (PTQ_NATIVE) {
    if (has_short_rows(p)) {
      repeated_factors repeated;
      const std::size_t at_once = block_size / p.columns;
      for (std::size_t r = 0; r < p.rows; r += at_once) {
        const std::size_t rows = p.rows - r < at_once ? p.rows - r : at_once;
        const float* const own = repeated.of(scales + r, rows, p.columns);
        const bool all = are_ordinary(scales + r, rows);
        decode_row<T>(target + p.row(r), p.step, rows * p.columns, streams,
                      [&](std::size_t first, std::size_t n, float* values, bool past_cache) {
                        decoder.each(p.code_row(r) + first, n, own + first, values, past_cache, all);
                      });
      }
      return;
    }
  }
  for (std::size_t r = 0; r < p.rows; ++r)
    decode_row<T>(target + p.row(r), p.step, p.columns, streams,
                  [&](std::size_t first, std::size_t n, float* values, bool past_cache) {
                    const std::size_t at = p.code_row(r) + first;
                    if (each)
                      decoder.each(at, n, scales + first, values, past_cache, ordinary);
                    else
                      decoder.run(at, n, scales[p.by == scaling::per_row ? r : 0], values, past_cache);
                  });
}

}  // namespace PTQ_BUILD
}  // namespace kernels
}  // namespace ptq::inline v0_1

#endif  // PTQ_KERNELS_PANEL_KERNELS_HPP

// ---- ptq/calibration/collector.hpp ----

/// @file collector.hpp Takes in a tensor in one pass over the memory, where this machine has kernels for it.
#ifndef PTQ_CALIBRATION_COLLECTOR_HPP
#define PTQ_CALIBRATION_COLLECTOR_HPP

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

namespace ptq::inline v0_1::detail {
inline namespace PTQ_BUILD {

#if PTQ_NATIVE

/// The smallest range whose bins come from a multiplication by a normal power of two.
template <std::size_t Bins>
inline constexpr int smallest_ordinary_range = std::countr_zero(Bins) - 126;

/// Counts beside the statistics, which stay untouched until the last value is known to be finite: in tables,
/// or, of few values, in a list of their bins. Needs 16 bytes of stack a bin, and 18 KiB.
template <std::size_t Bins>
class collector {
 public:
  /// The most values of one tensor: a table counts every fourth.
  static constexpr std::size_t most_values = std::size_t{1} << 32;

  /// Whether this machine has the kernels, the tables fit a stack, and the bins the kernels' numbers.
  static bool is_available() noexcept { return Bins >= 4 && Bins <= 8192 && active_isa() != isa::portable; }

  /// False where the bins of a range are too narrow to be found by a multiplication with a normal number.
  static constexpr bool is_ordinary(int exponent) noexcept { return exponent >= smallest; }

  /// @param exponent where the range begins
  /// @param size     how many values there will be
  collector(int exponent, std::size_t size) noexcept
      : exponent_(exponent > smallest ? exponent : smallest),
        is_listed_(size <= most_listed),
        set_(active_isa()),
        skips_zeros_(is_listed_) {
    if (!is_listed_) tables_ = {};
  }

  /// False where one of the values is NaN or infinity: then there is no more to be done with the collector.
  bool take(const float* values, std::size_t n) noexcept {
    while (n > 0) {
      const bool is_direct = waiting_ == 0 && n >= at_once;
      std::size_t size = is_direct ? n / at_once * at_once : n;
      const std::size_t most = is_direct ? block : rest_.size() - waiting_;
      if (size > most) size = most;
      if (is_direct ? !take_block(values, size) : !keep(values, size)) return false;
      values += size;
      n -= size;
    }
    return true;
  }

  /// After the last values. False as `take`.
  bool close() noexcept {
    for (; waiting_ % at_once != 0; --zeros_) rest_[waiting_++] = 0;
    return take_block(rest_.data(), waiting_);
  }

  /// The bits of the largest magnitude.
  std::uint32_t amax() const noexcept { return amax_; }

  /// Adds what was taken to the counts of a histogram that has grown to hold it, of an ordinary range.
  void finish(std::array<std::uint64_t, Bins>& counts) noexcept {
    counts[0] += zeros_;
    if (is_listed_) {
      for (const std::uint16_t& bin : std::span(list_).first(listed_)) ++counts[bin];
    } else {
      bin(nullptr, 0);
      for (std::size_t i = 0; i < tables_.size(); ++i) counts[i % Bins] += tables_[i];
    }
  }

 private:
  static constexpr int smallest = std::countr_zero(Bins) - 126;
  static constexpr std::size_t at_once = kernels::bins_at_once;
  static constexpr std::size_t block = 1024;
  static constexpr std::size_t most_waiting = 256;
  static constexpr std::size_t most_listed = 8192;

  /// Values for which a block is too long wait for others.
  bool keep(const float* values, std::size_t n) noexcept {
    for (std::size_t i = 0; i < n; ++i) rest_[waiting_ + i] = values[i];
    waiting_ += n;
    if (waiting_ < rest_.size()) return true;
    waiting_ = 0;
    return take_block(rest_.data(), rest_.size());
  }

  bool take_block(const float* values, std::size_t n) noexcept {
    kernels::binned_block found = bin(values, n);
    if (found.amax > amax_) {
      if (!is_finite(found.amax)) return false;
      amax_ = found.amax;
      if (exponent_above(amax_) > exponent_) {
        grow(exponent_above(amax_));
        found = bin(values, n);
      }
    }
    zeros_ += n - found.size;
    skips_zeros_ = found.zeros > n / 8;
    if (is_listed_) {
      listed_ += found.size;
    } else {
      pending_ = {place(), found.size};
      is_second_ = !is_second_;
    }
    return true;
  }

  /// Where the next bins go.
  std::uint16_t* place() noexcept {
    return list_.data() + (is_listed_ ? listed_ : is_second_ ? block + at_once : 0);
  }

  /// Counts what is pending.
  kernels::binned_block bin(const float* values, std::size_t n) noexcept {
    const float factor = float_of(static_cast<std::uint32_t>(127 + std::countr_zero(Bins) - exponent_) << 23);
    const kernels::bin_list before = pending_;
    pending_ = {};
    kernels::binned_block found{};
    kernels::with_set(set_, [&]<class Set>() {
      found = Set::bin(skips_zeros_, values, n, factor, place(), before, {tables_.data(), Bins});
    });
    return found;
  }

  void grow(int wanted) noexcept {
    const int doublings = wanted - exponent_;
    exponent_ = wanted;
    for (std::uint16_t& bin : std::span(list_).first(listed_))
      bin = static_cast<std::uint16_t>(merged_bin<Bins>(bin, doublings));
    if (is_listed_) return;
    for (std::size_t first = 0; first < tables_.size(); first += Bins)
      merge_bins<Bins>(std::span(tables_).subspan(first), doublings);
  }

  std::array<std::uint32_t, 4 * Bins> tables_;  // NOLINT(*-member-init): where there is no list
  std::array<float, most_waiting> rest_;        // NOLINT(*-member-init): written before read
  std::array<std::uint16_t, most_listed + 2 * at_once> list_;  // NOLINT(*-member-init): written before read
  std::size_t waiting_ = 0;                                    ///< values in the rest
  std::size_t listed_ = 0;
  kernels::bin_list pending_;
  bool is_second_ = false;   ///< of two blocks of bins: one is counted while the other is found
  std::uint64_t zeros_ = 0;  ///< that are in no list, less those in a list that were not in the data
  std::uint32_t amax_ = 0;
  int exponent_;
  bool is_listed_;
  isa set_;
  bool skips_zeros_;  ///< as activations are full of them, and equal values wait for each other
};

/// False where a value is not finite, or the range is not ordinary: then nothing was taken in.
template <std::size_t Bins, element T>
bool collect_by_kernels(tensor_view<const T> source, const walk& path, float& absmax,
                        histogram<Bins>& magnitudes) noexcept {
  collector<Bins> taken(magnitudes.exponent, source.size());
  bool is_finite = true;
  for (const panel& p : panels(path))
    kernels::as_floats<T>(source.data, p, [&](const float* floats, const panel& part) {
      for (std::size_t r = 0; r < part.rows; ++r)
        is_finite = is_finite && taken.take(floats + part.row(r), part.columns);
    });
  if (!is_finite || !taken.close()) return false;
  const std::uint32_t largest = taken.amax() > bits_of(absmax) ? taken.amax() : bits_of(absmax);
  if (!collector<Bins>::is_ordinary(exponent_above(largest))) return false;
  absmax = float_of(largest);
  magnitudes.grow(exponent_above(largest));
  taken.finish(magnitudes.counts);
  return true;
}

#endif

/// Takes a tensor in, if the machine has kernels for that, and all is well. Else false, and nothing was taken
/// in.
template <std::size_t Bins, element T>
constexpr bool collect_in_one_pass([[maybe_unused]] tensor_view<const T> source,
                                   [[maybe_unused]] const walk& path, [[maybe_unused]] float& absmax,
                                   [[maybe_unused]] histogram<Bins>& magnitudes) noexcept {
#if PTQ_NATIVE
  if (!std::is_constant_evaluated() && collector<Bins>::is_available() &&
      source.size() <= collector<Bins>::most_values)
    return collect_by_kernels<Bins, T>(source, path, absmax, magnitudes);
#endif
  return false;
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1::detail

#endif  // PTQ_CALIBRATION_COLLECTOR_HPP

// ---- ptq/error.hpp ----

/// @file error.hpp What can go wrong, as a code and a place. The core returns `status`; hosted code adds
/// words (result.hpp).
#ifndef PTQ_ERROR_HPP
#define PTQ_ERROR_HPP

#include <cstddef>

namespace ptq::inline v0_1 {

/// Every way in which a call into ptq can fail.
enum class errc : unsigned char {
  ok = 0,

  // tensors
  wrong_rank,         ///< the tensor's rank is not the one asked for, or above `max_rank`; `at` is that rank
  axis_out_of_range,  ///< `status::at` is the axis
  size_mismatch,      ///< a buffer has another length than the shape says; `at` is the length wanted
  not_finite,         ///< NaN or infinity in the data; `at` is its row-major index
  no_data,            ///< nothing was seen, so there is no range
  stopped,            ///< the sink asked to stop

  // specification
  syntax,  ///< the text is not YAML or JSON
  unknown_key,
  unknown_word,  ///< a word that is not among the allowed ones
  wrong_type,
  missing_value,
  invalid_value,
  wrong_pair,  ///< backend and mode do not belong together
  duplicate_key,
  unsupported,  ///< valid, but not something ptq can do

  // files
  cannot_open,
  cannot_read,
  cannot_write,
  in_use,  ///< another run writes there
  wrong_format,
  wrong_model,  ///< statistics that were collected with another model

  // safetensors: the reference reader's names
  header_too_small,
  header_too_large,
  invalid_header_length,
  invalid_header,
  invalid_header_deserialization,
  invalid_offset,
  validation_overflow,
  misaligned_slice,
  tensor_invalid_info,
  metadata_incomplete_buffer,
  tensor_not_found,
};

/// The outcome of a core call: a code, and where it happened (an index, an axis or a length, as the code
/// says). Trivial and constexpr, so firmware can return it in two registers. Converts to true when all went
/// well.
struct [[nodiscard]] status {
  errc code = errc::ok;
  std::size_t at = 0;

  constexpr explicit operator bool() const noexcept { return code == errc::ok; }
  friend constexpr bool operator==(const status&, const status&) = default;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_ERROR_HPP

// ---- ptq/quantize/scales.hpp ----

/// @file scales.hpp How many scales a tensor has, what they are, and what refuses to be quantized.
#ifndef PTQ_QUANTIZE_SCALES_HPP
#define PTQ_QUANTIZE_SCALES_HPP

#include <cstddef>
#include <span>

namespace ptq::inline v0_1 {

/// The number of scales that a tensor of this shape has: 1 per tensor, else the extent of the axis (0 if it
/// has none).
constexpr std::size_t scale_count(const tensor_shape& shape, granularity grain) noexcept {
  if (!grain.is_per_channel()) return 1;
  return grain.axis < shape.axes() ? shape[grain.axis] : 0;
}

namespace detail {
inline namespace PTQ_BUILD {

/// Whether the tensor can be viewed, the axis exists, and the buffers have the lengths that the shape asks
/// for.
constexpr status check_sizes(const tensor_shape& shape, granularity grain, std::size_t scales,
                             std::size_t codes) noexcept {
  if (shape.rank > max_rank) return {errc::wrong_rank, shape.rank};
  if (grain.is_per_channel() && grain.axis >= shape.rank) return {errc::axis_out_of_range, grain.axis};
  if (const std::size_t wanted = scale_count(shape, grain); scales != wanted)
    return {errc::size_mismatch, wanted};
  if (codes != shape.size()) return {errc::size_mismatch, shape.size()};
  return {};
}

/// Raises the largest magnitudes, one a scale, to those of a tensor (NaN or infinity where it holds one).
template <element T>
constexpr void find_amax(tensor_view<const T> source, const walk& path, std::span<float> amax) noexcept {
  for (const panel& p : panels(path)) kernels::amax_of<T>(source.data, p, amax.data());
}

/// The row-major index of the first NaN or infinity.
template <element T>
constexpr std::size_t find_not_finite(tensor_view<const T> source) noexcept {
  const std::size_t size = source.size();
  for (std::size_t at = 0; at < size; ++at) {
    const T& value = source.data[offset_of(at, source.shape, source.strides)];
    if (!is_finite(bits_of(element_traits<T>::to_float(value)))) return at;
  }
  return size;
}

constexpr bool are_finite(std::span<const float> amax) noexcept {
  return is_finite(kernels::amax_run<float>(amax.data(), amax.size(), 0));
}

/// The scale to decode by: 1 instead of infinity.
constexpr float decoding_scale_of(const float& scale) noexcept {
  return bits_of(scale) == infinity_bits ? float_of(one_bits) : scale;
}
constexpr void make_decoding_scales(std::span<float> scales) noexcept {
  for (float& scale : scales) scale = decoding_scale_of(scale);
}

template <element T>
constexpr float scale_of(const float& amax, const recipe& numbers) noexcept {
  return decoding_scale_of(kernels::encoding_scale_of<T>(amax, numbers));
}

}  // namespace PTQ_BUILD
}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_QUANTIZE_SCALES_HPP

// ---- ptq/tensor/traits.hpp ----

/// @file traits.hpp The customisation point: how any tensor type becomes a `tensor_view`.
#ifndef PTQ_TENSOR_TRAITS_HPP
#define PTQ_TENSOR_TRAITS_HPP

#include <array>
#include <cstddef>
#include <span>
#include <type_traits>

namespace ptq::inline v0_1 {

/// Specialise it for an own tensor type, or include the adaptor of the library it comes from:
///
///   template <>
///   struct ptq::tensor_traits<my_tensor> {
///     static auto view(auto& t) { return ptq::tensor_view{t.data(), {t.rows(), t.cols()}}; }
///   };
///
/// `view(t)` takes a const or a mutable tensor and returns a `tensor_view` of its elements. Nothing else is
/// asked. A type that does not own its elements may say so with `static constexpr bool is_view = true`: its
/// temporaries are then accepted where a view outlives the call. A type between whose elements nothing lies,
/// in row- or column-major order, may say so with `static constexpr bool is_contiguous = true`: codes and
/// scales may then lie in it (`contiguous`).
template <class T>
struct tensor_traits;

namespace detail {

template <class T>
inline constexpr bool is_tensor_view = false;
template <class T>
inline constexpr bool is_tensor_view<tensor_view<T>> = true;

/// False for T: include the adaptor of T's library, or specialise ptq::tensor_traits<T>.
template <class T> concept has_tensor_traits = requires { sizeof(tensor_traits<T>); };

/// True for T: it is a lazy expression, which has no elements in memory. Adaptors mark those by a member of
/// this name.
template <class T> concept evaluate_it_first = requires { typename tensor_traits<T>::evaluate_it_first; };

template <class T> concept is_view = requires { requires tensor_traits<T>::is_view; };

}  // namespace detail

/// A type with an adaptor. Lazy expressions have none: evaluate them first.
template <class T>
concept adaptable_tensor =
    detail::has_tensor_traits<std::remove_cvref_t<T>> &&
    (!detail::evaluate_it_first<std::remove_cvref_t<T>>) && requires(T& tensor) {
      tensor_traits<std::remove_cvref_t<T>>::view(tensor);
      requires detail::is_tensor_view<decltype(tensor_traits<std::remove_cvref_t<T>>::view(tensor))>;
      requires element<typename decltype(tensor_traits<std::remove_cvref_t<T>>::view(tensor))::value_type>;
    };

/// A tensor whose elements outlive it if it is a temporary: T is what a forwarding reference deduces.
template <class T>
concept named_tensor_or_view =
    adaptable_tensor<T> && (std::is_lvalue_reference_v<T> || detail::is_view<std::remove_cvref_t<T>>);

/// The view of any adaptable tensor. Of temporaries only those are taken that do not own their elements.
template <named_tensor_or_view T>
constexpr auto view_of(T&& tensor) noexcept {
  return tensor_traits<std::remove_cvref_t<T>>::view(tensor);
}

template <class T>
struct tensor_traits<tensor_view<T>> {
  static constexpr bool is_view = true;
  static constexpr tensor_view<T> view(const tensor_view<T>& t) noexcept { return t; }
};

template <class T, std::size_t Extent>
struct tensor_traits<std::span<T, Extent>> {
  static constexpr bool is_view = true;
  static constexpr tensor_view<T> view(const std::span<T, Extent>& t) noexcept {
    return {t.data(), {t.size()}};
  }
};

namespace detail {

/// What is inside of arrays in arrays: the extents, and the first element.
template <class T>
struct nested_array {
  static constexpr std::size_t rank = 0;
  static constexpr void append_extents(tensor_shape&) noexcept {}
  static constexpr auto* first(auto* t) noexcept { return t; }
};

template <class T, std::size_t Extent>
struct nested_array<T[Extent]> {
  static constexpr std::size_t rank = nested_array<T>::rank + 1;
  static constexpr void append_extents(tensor_shape& shape) noexcept {
    shape.extents[shape.rank++] = Extent;
    nested_array<T>::append_extents(shape);
  }
  static constexpr auto* first(auto* t) noexcept { return nested_array<T>::first(&(*t)[0]); }
};

template <class T, std::size_t Extent>
struct nested_array<std::array<T, Extent>> {
  static constexpr std::size_t rank = nested_array<T>::rank + 1;
  static constexpr void append_extents(tensor_shape& shape) noexcept {
    shape.extents[shape.rank++] = Extent;
    nested_array<T>::append_extents(shape);
  }
  static constexpr auto* first(auto* t) noexcept { return nested_array<T>::first(t->data()); }
};

/// Arrays of any rank. (In constant expressions only rank 1: a pointer may not leave its innermost array
/// there.)
template <class Array>
struct array_traits {
  static constexpr bool is_contiguous = true;

  static constexpr auto view(auto& t) noexcept {
    static_assert(nested_array<Array>::rank <= max_rank, "ptq::max_rank is the most that a view can have");
    tensor_shape shape;
    nested_array<Array>::append_extents(shape);
    auto* first = nested_array<Array>::first(&t);
    return tensor_view<std::remove_pointer_t<decltype(first)>>{first, shape};
  }
};

}  // namespace detail

template <class T, std::size_t Extent>
struct tensor_traits<T[Extent]> : detail::array_traits<T[Extent]> {};

template <class T, std::size_t Extent>
struct tensor_traits<std::array<T, Extent>> : detail::array_traits<std::array<T, Extent>> {};

}  // namespace ptq::inline v0_1

#endif  // PTQ_TENSOR_TRAITS_HPP

// ---- ptq/calibration/statistics.hpp ----

/// @file statistics.hpp All that is kept of a tensor while calibrating. Every calibrator answers from it, so
/// one pass over the data serves them all.
#ifndef PTQ_CALIBRATION_STATISTICS_HPP
#define PTQ_CALIBRATION_STATISTICS_HPP

#include <cstddef>
#include <cstdint>
#include <span>

namespace ptq::inline v0_1 {

/// Fixed storage of 8 bytes a bin. Equal values give equal statistics, whatever the batches, their order, or
/// the parts that were merged.
template <std::size_t Bins = 4096>
struct statistics {
  float absmax = 0;
  std::uint64_t count = 0;
  histogram<Bins> magnitudes;

  /// Takes in a tensor. wrong_rank with a rank above `max_rank`, not_finite with the row-major index of a NaN
  /// or infinity: then nothing was taken in.
  template <adaptable_tensor Tensor>
  constexpr status collect(const Tensor& tensor) noexcept {
    const auto view = view_of(tensor);
    using value_type = typename decltype(view)::value_type;
    const tensor_view<const value_type> source = view;
    if (source.rank() > max_rank) return {errc::wrong_rank, source.rank()};
    const walk path(source.shape, source.strides, per_tensor());
    if (detail::collect_in_one_pass<Bins, value_type>(source, path, absmax, magnitudes)) {
      count += source.size();
      return {};
    }
    float largest = 0;
    detail::find_amax<value_type>(source, path, std::span<float>(&largest, 1));
    if (!detail::is_finite(detail::bits_of(largest)))
      return {errc::not_finite, detail::find_not_finite<value_type>(source)};
    raise(largest);
    count += source.size();
    for (const panel& p : panels(path)) add<value_type>(source.data, p);
    return {};
  }

  constexpr void merge(const statistics& other) noexcept {
    raise(other.absmax);
    count += other.count;
    magnitudes.merge(other.magnitudes);
  }

  /// The range that clips nothing. Where nothing but zeros was seen, the reason says so.
  constexpr range whole(range_reason reason = range_reason::found) const noexcept {
    if (count == 0) return {0, range_reason::no_data};
    if (detail::bits_of(absmax) == 0) return {0, range_reason::all_zero};
    return {absmax, reason};
  }

  /// The range that ends at a place in the histogram, given in half bins, but not beyond the largest value.
  constexpr range up_to(std::size_t half_bins) const noexcept {
    const std::uint32_t end = magnitudes.edge_bits(half_bins);
    return {end < detail::bits_of(absmax) ? detail::float_of(end) : absmax, range_reason::found};
  }

  /// How many values are larger than `amax`, up to the width of a bin.
  constexpr std::uint64_t count_above(const float& amax) const noexcept {
    const std::uint32_t bits = detail::bits_of(amax);
    return bits >= detail::bits_of(absmax) ? 0 : magnitudes.count_from(magnitudes.first_bin_above(bits));
  }

  /// False where the parts cannot have been collected together: for statistics that come from a file. Also
  /// false above 2^50 values, where the searches are no longer exact.
  constexpr bool is_consistent() const noexcept {
    const std::uint32_t largest = detail::bits_of(absmax);
    if (!detail::is_finite(largest) || detail::magnitude(largest) != largest) return false;
    if (magnitudes.exponent != exponent_above(largest)) return false;
    std::uint64_t sum = 0;
    for (const std::uint64_t bin : magnitudes.counts) {
      if (bin > most_values) return false;
      sum += bin;
    }
    const std::size_t used = count == 0 ? 0 : magnitudes.bin_of(largest) + 1;
    return sum == count && count <= most_values && magnitudes.in_use().size() == used &&
           (count != 0 || largest == 0);
  }

  friend constexpr bool operator==(const statistics& a, const statistics& b) noexcept {
    return detail::bits_of(a.absmax) == detail::bits_of(b.absmax) && a.count == b.count &&
           a.magnitudes == b.magnitudes;
  }

 private:
  template <element T>
  constexpr void add(const T* source, const panel& p) noexcept {
    for (std::size_t r = 0; r < p.rows; ++r)
      for (std::size_t c = 0; c < p.columns; ++c) {
        const float value =
            element_traits<T>::to_float(source[p.row(r) + static_cast<std::ptrdiff_t>(c) * p.step]);
        magnitudes.add({&value, 1});
      }
  }

  static constexpr std::uint64_t most_values = std::uint64_t{1} << 50;

  constexpr void raise(float largest) noexcept {
    if (detail::bits_of(largest) > detail::bits_of(absmax)) absmax = largest;
    magnitudes.grow(exponent_above(detail::bits_of(absmax)));
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_CALIBRATION_STATISTICS_HPP

// ---- ptq/calibration/concept.hpp ----

/// @file concept.hpp What a calibrator offers.
#ifndef PTQ_CALIBRATION_CONCEPT_HPP
#define PTQ_CALIBRATION_CONCEPT_HPP

#include <concepts>

namespace ptq::inline v0_1 {

/// A question to the statistics of a tensor: which range should codes represent? It never sees the batches,
/// so its answer cannot depend on them. It knows no dtype: the levels that codes stand for are a value.
///
/// | member              | meaning                                                             |
/// |---------------------|---------------------------------------------------------------------|
/// | name                | the word in YAML files, artifacts and tables                        |
/// | range(seen, levels) | the answer for what was seen, if it is to be represented on a grid  |
///
/// Optional: `is_tao_word`, true where `quantize.algorithm` may name it (TAO knows minmax and entropy); all
/// others are for `ptq.calibration.algorithm`.
template <class T>
concept calibrator =
    std::default_initializable<T> && requires(const T ask, const statistics<>& seen, const grid& levels) {
      { T::name } -> std::convertible_to<const char*>;
      { ask.range(seen, levels) } noexcept -> std::same_as<range>;
    };

}  // namespace ptq::inline v0_1

#endif  // PTQ_CALIBRATION_CONCEPT_HPP

// ---- ptq/calibration/cuts.hpp ----

/// @file cuts.hpp Where the bins of a histogram part into the levels of a grid, for any threshold.
#ifndef PTQ_CALIBRATION_CUTS_HPP
#define PTQ_CALIBRATION_CUTS_HPP

#include <array>
#include <cstddef>
#include <cstdint>

namespace ptq::inline v0_1::detail {

/// How a bin finds its level.
enum class grouping : unsigned char {
  equal_widths,  ///< as many groups as levels, all of the same width; a bin counts by its lower edge
  nearest,       ///< the level nearest to the centre of the bin, the upper one where two are as near
};

/// Cut g is the first bin of level g. It lies at a fixed share of the threshold.
template <std::size_t MaxLevels>
class level_cuts {
 public:
  constexpr level_cuts(const grid& levels, grouping how) noexcept
      : size_(levels.size()), round_up_(how == grouping::equal_widths ? half_bin * 2 - 1 : half_bin - 1) {
    PTQ_ASSERT(size_ <= MaxLevels);
    for (std::size_t g = 1; g < size_; ++g)
      shares_[g] =
          how == grouping::equal_widths ? g * grid::one / size_ : (levels.share(g - 1) + levels.share(g)) / 2;
  }

  constexpr std::size_t size() const noexcept { return size_; }

  /// @param half_bins the threshold, from the lower edge of bin 0, in half bins: below 2^25
  constexpr std::size_t first_bin(std::size_t g, std::size_t half_bins) const noexcept {
    return static_cast<std::size_t>((shares_[g] * half_bins + round_up_) / (half_bin * 2));
  }

 private:
  static constexpr std::uint64_t half_bin = grid::one;

  std::array<std::uint64_t, MaxLevels> shares_{};
  std::size_t size_;
  std::uint64_t round_up_;  ///< to the next lower edge, or to the next centre and from there down to its bin
};

}  // namespace ptq::inline v0_1::detail

#endif  // PTQ_CALIBRATION_CUTS_HPP

// ---- ptq/detail/uint128.hpp ----

/// @file uint128.hpp 128-bit sums and products on every machine: 32-bit targets have no __int128.
#ifndef PTQ_DETAIL_UINT128_HPP
#define PTQ_DETAIL_UINT128_HPP

#include <compare>
#include <cstdint>

namespace ptq::inline v0_1::detail {

/// Unsigned and modulo 2^128, so that a sum may pass through "negative" values on its way.
struct uint128 {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  constexpr uint128& operator+=(uint128 other) noexcept {
    low += other.low;
    high += other.high + (low < other.low ? 1u : 0u);
    return *this;
  }
  constexpr uint128& operator-=(uint128 other) noexcept {
    high -= other.high + (low < other.low ? 1u : 0u);
    low -= other.low;
    return *this;
  }
  friend constexpr uint128 operator+(uint128 a, uint128 b) noexcept { return a += b; }
  friend constexpr uint128 operator-(uint128 a, uint128 b) noexcept { return a -= b; }

  friend constexpr bool operator==(const uint128&, const uint128&) = default;
  friend constexpr std::strong_ordering operator<=>(const uint128&, const uint128&) = default;
};

/// a * b, exact, by products of 32-bit halves.
constexpr uint128 multiply_halves(std::uint64_t a, std::uint64_t b) noexcept {
  constexpr std::uint64_t half = 0xffffffffu;
  const std::uint64_t low = (a & half) * (b & half);
  const std::uint64_t left = (a >> 32) * (b & half) + (low >> 32);
  const std::uint64_t right = (a & half) * (b >> 32) + (left & half);
  return {(a >> 32) * (b >> 32) + (left >> 32) + (right >> 32), (right << 32) | (low & half)};
}

/// a * b, exact.
constexpr uint128 multiply_wide(std::uint64_t a, std::uint64_t b) noexcept {
#ifdef __SIZEOF_INT128__
  __extension__ using native = unsigned __int128;
  const native product = static_cast<native>(a) * b;
  return {static_cast<std::uint64_t>(product >> 64), static_cast<std::uint64_t>(product)};
#else
  return multiply_halves(a, b);
#endif
}

/// a * b / 2^64, rounded down.
constexpr std::uint64_t multiply_high(std::uint64_t a, std::uint64_t b) noexcept {
  return multiply_wide(a, b).high;
}

}  // namespace ptq::inline v0_1::detail

#endif  // PTQ_DETAIL_UINT128_HPP

// ---- ptq/calibration/log2.hpp ----

/// @file log2.hpp Binary logarithms of integers in fixed point: the same bits on every machine, without libm.
#ifndef PTQ_CALIBRATION_LOG2_HPP
#define PTQ_CALIBRATION_LOG2_HPP

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace ptq::inline v0_1::detail {

inline constexpr int log2_fraction_bits = 48;

/// log2(e) / 2, in units of 2^-64.
inline constexpr std::uint64_t half_log2_e = 0xb8aa3b295c17f0bcu;

/// The numbers 128 / 128 to 255 / 128: what is left of any other is a factor below 1 + 2^-7.
struct log2_cells {
  struct cell {
    std::uint64_t reciprocal;  ///< of 128 .. 255, in units of 2^-64, rounded down
    std::uint64_t logarithm;   ///< log2(cell / 128) in units of 2^-63
  };
  std::array<cell, 128> cells{};

  /// Logarithms as a running sum of log2(n / (n - 1)).
  constexpr log2_cells() noexcept {
    std::uint64_t sum = 0;
    for (std::size_t n = 128; n < 256; ++n) {
      if (n > 128) sum += log2_of_step(2 * std::uint64_t{n} - 1);
      cells[n - 128] = {~std::uint64_t{0} / n, sum};
    }
  }

 private:
  /// log2((odd + 1) / (odd - 1)) by the series of artanh(1 / odd).
  static constexpr std::uint64_t log2_of_step(std::uint64_t odd) noexcept {
    std::uint64_t sum = 0;
    std::uint64_t power = ~std::uint64_t{0} / odd;
    for (std::uint64_t k = 1; power != 0; k += 2) {
      sum += power / k;
      power /= odd * odd;
    }
    return multiply_high(sum, half_log2_e) * 2;
  }
};

inline constexpr log2_cells log2_table;

/// log2(1 + r) in units of 2^-63, for r below 2^-7 in units of 2^-64: r - r^2 / 2 + ... - r^6 / 6 and the
/// base. What is left off is below 2^-51.
constexpr std::uint64_t log2_of_one_plus(std::uint64_t r) noexcept {
  constexpr std::uint64_t one = ~std::uint64_t{0};
  std::uint64_t sum = one / 5 - multiply_high(r, one / 6);
  sum = one / 4 - multiply_high(r, sum);
  sum = one / 3 - multiply_high(r, sum);
  sum = one / 2 - multiply_high(r, sum);
  sum = one - multiply_high(r, sum);
  return multiply_high(multiply_high(r, sum), half_log2_e);
}

/// log2(x) in units of 2^-48, for x >= 1. Exact for powers of two; elsewhere the error is below one unit.
constexpr std::uint64_t log2_fixed(std::uint64_t x) noexcept {
  const int zeros = std::countl_zero(x);
  const std::uint64_t scaled = x << zeros;
  const log2_cells::cell& cell = log2_table.cells[static_cast<std::size_t>(scaled >> 56) - 128];
  const std::uint64_t rest = scaled << 8;  // of the number beyond its cell
  std::uint64_t fraction = cell.logarithm;
  if (rest != 0) fraction += log2_of_one_plus(multiply_high(rest, cell.reciprocal));  // 0 for all below 256
  constexpr int drop = 63 - log2_fraction_bits;
  return (static_cast<std::uint64_t>(63 - zeros) << log2_fraction_bits) +
         ((fraction + (1u << (drop - 1))) >> drop);
}

}  // namespace ptq::inline v0_1::detail

#endif  // PTQ_CALIBRATION_LOG2_HPP

// ---- ptq/calibration/entropy.hpp ----

/// @file entropy.hpp The range whose quantized histogram diverges least from the original one.
#ifndef PTQ_CALIBRATION_ENTROPY_HPP
#define PTQ_CALIBRATION_ENTROPY_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ptq::inline v0_1 {
namespace detail {

/// The search for the candidate with the smallest Kullback-Leibler divergence. A candidate keeps the first
/// `kept` bins. Its reference P is their counts, the last one increased by all that lies beyond; its
/// approximation Q spreads the counts of each level evenly over those of the level's bins that are not empty.
/// With N the sum of all counts and K that of the kept ones,
///
///   N x divergence(P || Q) = sum of P log P - sum of P log Q - N log N + N log K.
///
/// The third term is the same for all and left out. The first two are taken level by level, from sums over
/// prefixes of the bins. Everything is an integer: counts times 2^48 log2.
///
/// No level lowers the divergence, since sum of P log P >= sum of P x log of their mean. So a sum that is
/// beyond the least divergence so far need not be ended: nine of ten levels are never looked at. Logarithms
/// are rounded, hence the margin; the choice is that of the whole sums, to the bit.
///
/// A level of the same bins comes up again and again, under other thresholds as other levels; so each bin
/// keeps the logarithm of the last one that began at it.
///
/// Method: S. Migacz, "8-bit inference with TensorRT", 2017, in the form of NVIDIA ModelOpt's histogram
/// calibrator, whose choice this is on every histogram for which that one is defined.
template <std::size_t MaxBins, std::size_t MaxLevels>
class entropy_search {
 public:
  /// At least two bins, the last one not empty.
  constexpr entropy_search(std::span<const std::uint64_t> counts, const grid& levels) noexcept
      : counts_(counts), cuts_(levels, levels.is_even() ? grouping::equal_widths : grouping::nearest) {
    static_assert(MaxBins < (1u << 16), "an edge keeps numbers of bins in 16 bits");
    PTQ_ASSERT(counts.size() >= 2 && counts.size() <= MaxBins);
    for (std::size_t bin = 0; bin < counts.size(); ++bin) {
      const edge& from = edges_[bin];
      edge& to = edges_[bin + 1];
      to.reference = from.reference + x_log2_x(count_of(bin));
      to.below = from.below + count_of(bin);
      to.not_empty = static_cast<std::uint16_t>(from.not_empty + (count_of(bin) != 0 ? 1 : 0));
    }
  }

  /// The number of bins that the best candidate keeps, at least `first`. Candidates whose divergences differ
  /// by no more than 1e-12 are tied, and of those the largest wins.
  constexpr std::size_t find_kept(std::size_t first) noexcept {
    std::size_t best = counts_.size();
    for (const std::size_t stride : {128u, 1u})  // a few candidates of all sizes make the others' sums short
      for (std::size_t kept = candidate(first); kept <= counts_.size(); kept = candidate(kept + stride))
        if (is_least(kept)) best = kept;
    return best;
  }

 private:
  /// What a sum may be off by, in units times N: less than 3 for the levels, and less than 4 for the rest.
  static constexpr std::uint64_t margin = 8;

  /// The lower edge of a bin.
  struct edge {
    uint128 reference;            ///< sum of count x log2(count) of all bins below
    std::uint64_t below = 0;      ///< counts of all bins below
    std::uint64_t log_mean = 0;   ///< of the level that begins here
    std::uint16_t width = 0;      ///< of that level, in bins; 0 for none yet
    std::uint16_t not_empty = 0;  ///< bins below
  };

  /// Bin 0 holds the zeros, which every range represents: it counts as much as its neighbour.
  constexpr std::uint64_t count_of(std::size_t bin) const noexcept { return counts_[bin == 0 ? 1 : bin]; }

  constexpr std::uint64_t total() const noexcept { return edges_[counts_.size()].below; }

  static constexpr uint128 x_log2_x(std::uint64_t x) noexcept {
    return x == 0 ? uint128{} : multiply_wide(x, log2_fixed(x));
  }

  /// The first candidate that keeps at least so many bins. The divergence is infinite where the last kept bin
  /// is empty: what lies beyond is added there.
  constexpr std::size_t candidate(std::size_t kept) const noexcept {
    while (kept <= counts_.size() && count_of(kept - 1) == 0) ++kept;
    return kept;
  }

  /// Whether no candidate before it has a smaller divergence, but for a tie.
  constexpr bool is_least(std::size_t kept) noexcept {
    constexpr std::uint64_t tie = 406;  // 1e-12 nats in units of 2^-48 bits
    const uint128 limit = least_ + multiply_wide(total(), tie);
    const uint128 divergence = divergence_of(kept, limit);
    if (divergence < least_) least_ = divergence;
    return divergence <= limit;
  }

  /// N x (divergence + log2(N) + margin) of a candidate; or, where that is above the limit, anything that is.
  constexpr uint128 divergence_of(std::size_t kept, uint128 limit) noexcept {
    const std::uint64_t count = count_of(kept - 1);
    const std::uint64_t beyond = total() - edges_[kept].below;
    uint128 sum = multiply_wide(total(), log2_fixed(edges_[kept].below) + margin);
    sum += x_log2_x(count + beyond);
    sum -= x_log2_x(count);
    sum -= multiply_wide(beyond, log2_of_mean(begin_of_last_level(kept), kept));
    const uint128 enough = limit + multiply_wide(total(), margin);
    std::size_t begin = 0;
    for (std::size_t g = 1; g <= cuts_.size(); ++g) {
      const std::size_t end = end_of(g, kept);
      sum -= multiply_wide(edges_[end].below - edges_[begin].below, log2_of_mean(begin, end));
      begin = end;
      if (sum + edges_[end].reference > enough) break;
    }
    return sum + edges_[begin].reference;
  }

  /// Where the lowest `g` levels end.
  constexpr std::size_t end_of(std::size_t g, std::size_t kept) const noexcept {
    return g == cuts_.size() ? kept : cuts_.first_bin(g, 2 * kept);
  }

  /// Of the level of the last kept bin: the highest levels have no bins where they are finer than bins.
  constexpr std::size_t begin_of_last_level(std::size_t kept) const noexcept {
    std::size_t g = cuts_.size() - 1;
    while (end_of(g, kept) == kept) --g;
    return end_of(g, kept);
  }

  /// The logarithm of the mean over the bins [begin, end) that are not empty; 0 where there is none.
  constexpr std::uint64_t log2_of_mean(std::size_t begin, std::size_t end) noexcept {
    edge& from = edges_[begin];
    const edge& to = edges_[end];
    const std::size_t width = end - begin;
    if (from.width != width) {
      from.width = static_cast<std::uint16_t>(width);
      const std::uint64_t count = to.below - from.below;
      const auto not_empty = static_cast<std::uint64_t>(to.not_empty - from.not_empty);
      from.log_mean = count == 0 ? 0 : log2_fixed(count) - log2_fixed(not_empty);
    }
    return from.log_mean;
  }

  std::span<const std::uint64_t> counts_;
  level_cuts<MaxLevels> cuts_;
  std::array<edge, MaxBins + 1> edges_{};
  uint128 least_{std::uint64_t{1} << 62, 0};  ///< of the divergences so far; sums with the first do not wrap
};

}  // namespace detail

/// Where the data cannot support the search, the answer is the absolute maximum with the reason `degenerate`:
/// too few bins in use, or a winner that clips more than 1 % of what lies outside the first bin (ragged
/// histograms make the divergence favour far too small ranges).
struct entropy {
  static constexpr const char* name = "entropy";
  static constexpr bool is_tao_word = true;

  static constexpr std::size_t first_candidate = 128;  ///< bins that every candidate keeps
  static constexpr std::size_t max_levels = 128;       ///< as any signed byte has; a finer grid clips nothing

  /// Needs 40 bytes of stack a bin, and no heap.
  template <std::size_t Bins>
  constexpr ptq::range range(const statistics<Bins>& seen, const grid& levels = grid(128)) const noexcept {
    const std::span<const std::uint64_t> counts = seen.magnitudes.in_use();
    if (counts.size() <= first_candidate || levels.size() > max_levels)
      return seen.whole(range_reason::degenerate);
    detail::entropy_search<Bins, max_levels> search(counts, levels);
    const std::size_t kept = search.find_kept(first_candidate);
    if (seen.magnitudes.count_from(kept) * 100 > seen.magnitudes.count_from(1))
      return seen.whole(range_reason::degenerate);
    return seen.up_to(2 * kept);
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_CALIBRATION_ENTROPY_HPP

// ---- ptq/calibration/minmax.hpp ----

/// @file minmax.hpp The absolute maximum of everything seen.
#ifndef PTQ_CALIBRATION_MINMAX_HPP
#define PTQ_CALIBRATION_MINMAX_HPP

#include <cstddef>

namespace ptq::inline v0_1 {

/// ModelOpt calls it `max`; for a symmetric range the two are the same.
struct minmax {
  static constexpr const char* name = "minmax";
  static constexpr bool is_tao_word = true;

  template <std::size_t Bins>
  constexpr ptq::range range(const statistics<Bins>& seen, const grid& = grid(128)) const noexcept {
    return seen.whole();
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_CALIBRATION_MINMAX_HPP

// ---- ptq/calibration/mse.hpp ----

/// @file mse.hpp The range with the smallest mean squared error on a grid.
#ifndef PTQ_CALIBRATION_MSE_HPP
#define PTQ_CALIBRATION_MSE_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ptq::inline v0_1 {
namespace detail {

/// The search for the bin centre that, as threshold, gives the smallest sum of count x (centre - level)^2
/// over all bins, each at its centre and on its nearest level. Of a level v, with x the centres of its bins,
/// that is
///
///   sum of count x^2 - 2 v x sum of count x + v^2 x sum of count,
///
/// where the first sum, over all levels, is the same for every threshold, and the others come from sums over
/// prefixes. Integers throughout, x in half bins and v in units of 2^-16 of those: exact for up to 2^50
/// values in 2^13 bins.
template <std::size_t MaxBins, std::size_t MaxLevels>
class mse_search {
 public:
  constexpr mse_search(std::span<const std::uint64_t> counts, const grid& levels) noexcept
      : size_(counts.size()), cuts_(levels, grouping::nearest) {
    PTQ_ASSERT(size_ <= MaxBins);
    for (std::size_t g = 0; g < levels.size(); ++g) levels_[g] = levels.share(g);
    for (std::size_t bin = 0; bin < size_; ++bin) {
      const std::uint64_t x = centre(bin);
      below_[bin + 1].count = below_[bin].count + counts[bin];
      below_[bin + 1].sum = below_[bin].sum + counts[bin] * x;
      squares_ += multiply_wide(counts[bin], (x * x) << (2 * fraction_bits));
    }
  }

  /// The number of the best bin, at least `first`; the first one of equals.
  constexpr std::size_t find_bin(std::size_t first) const noexcept {
    uint128 least = error_of(first);
    std::size_t best = first;
    for (std::size_t bin = first + 1; bin < size_; ++bin) {
      if (const uint128 error = error_of(bin); error < least) {
        least = error;
        best = bin;
      }
    }
    return best;
  }

 private:
  static constexpr int fraction_bits = 16;

  struct prefix {
    std::uint64_t count = 0;
    std::uint64_t sum = 0;  ///< of count x centre
  };

  static constexpr std::uint64_t centre(std::size_t bin) noexcept { return 2 * std::uint64_t{bin} + 1; }

  /// The summed squared error, in units of 2^-32 half bins squared, with the largest level on the centre of
  /// `bin`.
  constexpr uint128 error_of(std::size_t bin) const noexcept {
    uint128 error = squares_;
    std::size_t begin = 0;
    for (std::size_t g = 0; g < cuts_.size(); ++g) {
      const std::size_t end = g + 1 == cuts_.size() ? size_ : cuts_.first_bin(g + 1, 2 * bin + 1);
      const std::uint64_t level = (levels_[g] * centre(bin)) >> (grid::fraction_bits - fraction_bits);
      error += multiply_wide(below_[end].count - below_[begin].count, level * level);
      error -= multiply_wide(below_[end].sum - below_[begin].sum, level << (fraction_bits + 1));
      begin = end;
    }
    return error;
  }

  std::size_t size_;
  level_cuts<MaxLevels> cuts_;
  std::array<std::uint64_t, MaxLevels> levels_{};
  std::array<prefix, MaxBins + 1> below_{};
  uint128 squares_;
};

}  // namespace detail

/// Thresholds are the centres of bins, as in ModelOpt's histogram calibrator. With too few bins in use for a
/// search, the answer is the absolute maximum with the reason `degenerate`.
struct mse {
  static constexpr const char* name = "mse";

  static constexpr std::size_t first_candidate = 128;  ///< the number of the first bin that is tried
  static constexpr std::size_t max_levels = 128;       ///< as any signed byte has; a finer grid clips nothing

  /// Needs 16 bytes of stack a bin, and no heap.
  template <std::size_t Bins>
  constexpr ptq::range range(const statistics<Bins>& seen, const grid& levels = grid(128)) const noexcept {
    const std::span<const std::uint64_t> counts = seen.magnitudes.in_use();
    if (counts.size() <= first_candidate || levels.size() > max_levels)
      return seen.whole(range_reason::degenerate);
    const detail::mse_search<Bins, max_levels> search(counts, levels);
    return seen.up_to(2 * search.find_bin(first_candidate) + 1);
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_CALIBRATION_MSE_HPP

// ---- ptq/calibration/percentile.hpp ----

/// @file percentile.hpp The magnitude that a given share of the values stays below.
#ifndef PTQ_CALIBRATION_PERCENTILE_HPP
#define PTQ_CALIBRATION_PERCENTILE_HPP

#include <cstddef>
#include <cstdint>
#include <span>

namespace ptq::inline v0_1 {

/// The lower edge of the first bin with which the share is reached, as ModelOpt's histogram calibrator
/// answers. Where that is 0, nearly all values being zeros, the answer is the absolute maximum, `degenerate`.
struct percentile {
  static constexpr const char* name = "percentile";

  std::uint64_t per_billion = 999'900'000;  ///< the share: 99.99 %

  template <std::size_t Bins>
  constexpr ptq::range range(const statistics<Bins>& seen, const grid& = grid(128)) const noexcept {
    if (per_billion >= 1'000'000'000) return seen.whole();
    const std::size_t bin = find_bin(seen.magnitudes.counts);
    if (bin == 0) return seen.whole(range_reason::degenerate);
    return seen.up_to(2 * bin);
  }

  /// The first bin that, with those below it, holds the share of all counts. 0 where there are none.
  constexpr std::size_t find_bin(std::span<const std::uint64_t> counts) const noexcept {
    std::uint64_t total = 0;
    for (const std::uint64_t count : counts) total += count;
    const detail::uint128 wanted = detail::multiply_wide(total, per_billion);
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      below += counts[i];
      if (detail::multiply_wide(below, 1'000'000'000) >= wanted) return i;
    }
    return 0;
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_CALIBRATION_PERCENTILE_HPP

// ---- ptq/calibrators.hpp ----

/// @file calibrators.hpp The built-in calibrators. A new one is a file in calibration/ and a line here.
#ifndef PTQ_CALIBRATORS_HPP
#define PTQ_CALIBRATORS_HPP

namespace ptq::inline v0_1 {

using calibrators = list<minmax, entropy, percentile, mse>;

}  // namespace ptq::inline v0_1

#endif  // PTQ_CALIBRATORS_HPP

// ---- ptq/dtypes.hpp ----

/// @file dtypes.hpp The built-in dtypes. A new one is a file in dtype/ and a line here.
#ifndef PTQ_DTYPES_HPP
#define PTQ_DTYPES_HPP

namespace ptq::inline v0_1 {

using dtypes = list<int8,        //
                    fp8_e4m3fn,  //
                    fp8_e5m2,    //
                    native>;

}  // namespace ptq::inline v0_1

#endif  // PTQ_DTYPES_HPP

// ---- ptq/fixed_point/half_up.hpp ----

/// @file half_up.hpp Rounding to nearest, ties upwards: 2.5 becomes 3, and -2.5 becomes -2. So do TFLite and
/// CMSIS-NN where they round a product once, and ESP-DL on ESP32 and ESP32-S3.
#ifndef PTQ_FIXED_POINT_HALF_UP_HPP
#define PTQ_FIXED_POINT_HALF_UP_HPP

#include <concepts>

namespace ptq::inline v0_1 {

struct half_up {
  /// value / 2^places, rounded; the limits of both are those of `tie_rounding`.
  template <std::signed_integral Integer>
  static constexpr Integer shift_right(Integer value, int places) noexcept {
    return static_cast<Integer>(((value >> (places - 1)) + 1) >> 1);
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FIXED_POINT_HALF_UP_HPP

// ---- ptq/fixed_point/half_away.hpp ----

/// @file half_away.hpp Rounding to nearest, ties away from zero: 2.5 becomes 3, and -2.5 becomes -3. So do
/// std::round, and TFLite where it makes codes of reals.
#ifndef PTQ_FIXED_POINT_HALF_AWAY_HPP
#define PTQ_FIXED_POINT_HALF_AWAY_HPP

#include <concepts>

namespace ptq::inline v0_1 {

struct half_away {
  /// value / 2^places, rounded; the limits of both are those of `tie_rounding`.
  template <std::signed_integral Integer>
  static constexpr Integer shift_right(Integer value, int places) noexcept {
    // One less rounds a tie down, and changes nothing else.
    return half_up::shift_right(static_cast<Integer>(value - (value < 0 ? 1 : 0)), places);
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FIXED_POINT_HALF_AWAY_HPP

// ---- ptq/fixed_point/multiplier_shift.hpp ----

/// @file multiplier_shift.hpp A real factor as integers: how TFLite, CMSIS-NN and others bring int32 sums to
/// int8 codes without floats.
#ifndef PTQ_FIXED_POINT_MULTIPLIER_SHIFT_HPP
#define PTQ_FIXED_POINT_MULTIPLIER_SHIFT_HPP

#include <bit>
#include <cstdint>

namespace ptq::inline v0_1 {

/// The factor multiplier / 2^31 * 2^shift. The multiplier is 0, or from 2^30 to 2^31 - 1: a fraction from a
/// half to 1. A positive shift is to the left. These are the two numbers that CMSIS-NN's `multiplier` and
/// `shift` are.
struct multiplier_shift {
  std::int32_t multiplier = 0;
  std::int32_t shift = 0;

  friend constexpr bool operator==(const multiplier_shift&, const multiplier_shift&) = default;
};

namespace detail {

/// significand * 2^exponent, a positive number, as TFLite's QuantizeMultiplier rounds it: half away from
/// zero, and to nothing where the shift is below -31.
constexpr multiplier_shift normalized(std::uint64_t significand, int exponent) noexcept {
  const int lift = std::countl_zero(significand);
  const std::uint64_t fraction = significand << lift;  // 2^63 and up: a half to 1
  std::uint64_t multiplier = (fraction >> 33) + ((fraction >> 32) & 1u);
  std::int32_t shift = exponent + 64 - lift;
  if (multiplier == 0x80000000u) {
    multiplier /= 2;
    ++shift;
  }
  if (shift < -31) return {};
  return {static_cast<std::int32_t>(multiplier), shift};
}

constexpr multiplier_shift from_double_bits(std::uint64_t bits) noexcept {
  constexpr std::uint64_t infinity = 0x7ff0000000000000u;
  constexpr std::uint64_t hidden = 0x10000000000000u;
  if ((bits << 1) == 0) return {};  // 0 and -0
  const bool is_positive_and_finite = bits < infinity;
  PTQ_ASSERT(is_positive_and_finite);
  if (!is_positive_and_finite) return {};
  const std::uint64_t field = bits >> 52;
  const std::uint64_t fraction = bits & (hidden - 1);
  if (field == 0) return {};  // below 2^-1022
  return normalized(fraction | hidden, static_cast<int>(field) - 1075);
}

/// Finite and not negative; -0 is taken for 0.
constexpr bool are_bits_of_scale(std::uint32_t bits) noexcept {
  return bits < infinity_bits || bits == sign_bit;
}

/// The significand and exponent of x * y / z in doubles, each operation rounded once, of positive finite
/// floats.
struct double_quotient {
  std::uint64_t significand = 0;
  int exponent = 0;

  constexpr double_quotient(std::uint32_t x, std::uint32_t y, std::uint32_t z) noexcept {
    const unpacked a = unpack(x);
    const unpacked b = unpack(y);
    const unpacked c = unpack(z);
    const std::uint64_t product = std::uint64_t{a.significand} * b.significand;  // 48 bits: exact
    const int up = std::countl_zero(product) - 1;
    const int across = std::countl_zero(c.significand) - 8;
    const std::uint64_t numerator = product << up;                         // 2^62 to 2^63
    const std::uint64_t divisor = std::uint64_t{c.significand} << across;  // 2^23 to 2^24
    const std::uint64_t rest = (numerator % divisor) << 23;
    const std::uint64_t quotient = ((numerator / divisor) << 23) | (rest / divisor);  // 2^61 to 2^63
    const std::uint64_t sticky = rest % divisor != 0 ? 1u : 0u;
    const int drop = 11 - std::countl_zero(quotient);  // a double has 53 bits
    significand = shift_right_rounded(quotient | sticky, drop);
    exponent = a.exponent + b.exponent - up - 23 - c.exponent + across + drop;
  }
};

}  // namespace detail

/// A scale as multiplier and shift, the bits that TFLite's QuantizeMultiplier gives (`std::frexp`, then the
/// fraction times 2^31 rounded half away from zero; from 2^31 carried into the shift; 0, 0 for a shift below
/// -31). In integers: no <cmath>, no arithmetic on doubles. Constexpr.
///
/// For the requantization of a layer the scale is input scale * weight scale / output scale, in doubles.
///
/// @param scale finite and not negative, which is a precondition (PTQ_ASSERT, so an error in a constant
///              expression); where that is defined away, others give 0, 0. 0 gives 0, 0. Scales from 2^30
///              have a shift above 30, which `requantize` takes and CMSIS-NN with single rounding does not.
constexpr multiplier_shift from_scale(const double& scale) noexcept {
  return detail::from_double_bits(std::bit_cast<std::uint64_t>(scale));
}

/// The same of a float.
constexpr multiplier_shift from_scale(const float& scale) noexcept {
  return detail::from_double_bits(detail::widen(detail::bits_of(scale)));
}

/// input * weight / output as multiplier and shift: the bits of `from_scale(double{input} * weight /
/// output)`, which is what TFLite's converter stores for a channel, without arithmetic on doubles. For
/// firmware that learns a scale on the device.
///
/// @param input, weight finite and not negative
/// @param output        finite and positive (preconditions, as for `from_scale`; else 0, 0)
constexpr multiplier_shift from_scales(const float& input, const float& weight,
                                       const float& output) noexcept {
  const std::uint32_t x = detail::bits_of(input);
  const std::uint32_t y = detail::bits_of(weight);
  const std::uint32_t z = detail::bits_of(output);
  const bool are_scales =
      detail::are_bits_of_scale(x) && detail::are_bits_of_scale(y) && z != 0 && z < detail::infinity_bits;
  PTQ_ASSERT(are_scales);
  if (!are_scales || detail::magnitude(x) == 0 || detail::magnitude(y) == 0) return {};
  const detail::double_quotient scale(x, y, z);
  return detail::normalized(scale.significand, scale.exponent);
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FIXED_POINT_MULTIPLIER_SHIFT_HPP

// ---- ptq/fixed_point/half_even.hpp ----

/// @file half_even.hpp Rounding to nearest, ties to even: 2.5 becomes 2, and 3.5 becomes 4. What this library
/// does unless told otherwise, as ONNX, PyTorch, and ESP-DL on ESP32-P4 do.
#ifndef PTQ_FIXED_POINT_HALF_EVEN_HPP
#define PTQ_FIXED_POINT_HALF_EVEN_HPP

#include <concepts>

namespace ptq::inline v0_1 {

struct half_even {
  /// value / 2^places, rounded; the limits of both are those of `tie_rounding`.
  template <std::signed_integral Integer>
  static constexpr Integer shift_right(Integer value, int places) noexcept {
    // One less rounds a tie down, and changes nothing else.
    const Integer odd = static_cast<Integer>((value >> places) & 1);
    return half_up::shift_right(static_cast<Integer>(value - 1 + odd), places);
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FIXED_POINT_HALF_EVEN_HPP

// ---- ptq/fixed_point/rounding.hpp ----

/// @file rounding.hpp What a policy for ties offers. There are `half_even`, `half_away` and `half_up`.
#ifndef PTQ_FIXED_POINT_ROUNDING_HPP
#define PTQ_FIXED_POINT_ROUNDING_HPP

#include <concepts>
#include <cstdint>

namespace ptq::inline v0_1 {

/// Rounds to nearest: an empty struct with `shift_right(value, places)`, which is value / 2^places rounded,
/// for integers of 32 and 64 bits and 1 to 31 or 63 places. What lies between two integers with equal
/// distances is the policy's to decide.
template <class T>
concept tie_rounding = requires(std::int32_t value, std::int64_t wide) {
  { T::shift_right(value, 1) } noexcept -> std::same_as<std::int32_t>;
  { T::shift_right(wide, 1) } noexcept -> std::same_as<std::int64_t>;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FIXED_POINT_ROUNDING_HPP

// ---- ptq/fixed_point/power_of_two.hpp ----

/// @file power_of_two.hpp Scales that are powers of two: int8 codes of floats by integers alone, which is
/// many times faster than float arithmetic where there is no FPU. NNoM and ESP-DL have such scales only.
#ifndef PTQ_FIXED_POINT_POWER_OF_TWO_HPP
#define PTQ_FIXED_POINT_POWER_OF_TWO_HPP

#include <cstdint>

namespace ptq::inline v0_1 {

/// The scale 2^exponent: value = code * 2^exponent. Exponents are from -125 to 127 (a precondition).
struct power_of_two {
  int exponent = 0;

  static constexpr int lowest_exponent = -125;
  static constexpr int highest_exponent = 127;

  /// The smallest scale by which no value saturates: amax <= 127 * scale. Of amax 0 it is 1.
  ///
  /// @param amax the largest magnitude; finite and not negative (a precondition)
  static constexpr power_of_two covering(const float& amax) noexcept {
    const std::uint32_t bits = detail::bits_of(amax);
    PTQ_ASSERT(bits < detail::infinity_bits);
    if (bits == 0) return {};
    const std::uint32_t beyond = (bits & 0x7fffffu) > bits_of_127 % 0x800000u ? 1u : 0u;
    const int wanted = static_cast<int>((bits >> 23) + beyond) - static_cast<int>(bits_of_127 >> 23);
    return {wanted < lowest_exponent ? lowest_exponent : wanted};
  }

  /// The exponent of a scale that is such a power of two (a precondition).
  static constexpr power_of_two of(const float& scale) noexcept {
    const std::uint32_t bits = detail::bits_of(scale);
    const power_of_two found{static_cast<int>(bits >> 23) - 127};
    PTQ_ASSERT((bits & 0x807fffffu) == 0 && found.exponent >= lowest_exponent &&
               found.exponent <= highest_exponent);
    return found;
  }

  constexpr float value() const noexcept {
    return detail::float_of(static_cast<std::uint32_t>(exponent + 127) << 23);
  }

  /// The code nearest to value / 2^exponent, clamped to [-128, 127]. NaN becomes 0, infinities the ends of
  /// the range. With `half_even` these are the codes of `int8` by this scale.
  template <tie_rounding Rounding = half_even>
  constexpr std::int8_t encode(const float& value) const noexcept {
    const std::uint32_t bits = detail::bits_of(value);
    const std::uint32_t size = detail::magnitude(bits);
    // 128 * scale as the bits of a float, also where that is beyond all floats.
    const std::uint32_t end = bits_of_128 + (static_cast<std::uint32_t>(exponent) << 23);
    const std::uint32_t first_clamped = end < detail::infinity_bits ? end : detail::infinity_bits;
    const std::uint32_t clamped = size < first_clamped ? size : end;
    // The bit before the fraction is wrong for subnormals, which round to 0 with it and without.
    const auto significand = static_cast<std::int32_t>((clamped & 0x7fffffu) | 0x800000u);
    const int places = exponent + 150 - static_cast<int>(clamped >> 23);  // to the binary point; from 16 up
    const std::int32_t with_sign = (bits & detail::sign_bit) != 0 ? -significand : significand;
    const std::int32_t rounded = Rounding::shift_right(with_sign, places < 31 ? places : 31);
    const std::int32_t code = rounded < 127 ? rounded : 127;
    return static_cast<std::int8_t>(detail::is_nan(size) ? 0 : code);
  }

  /// code * 2^exponent, exact; beyond all floats infinity.
  constexpr float decode(std::int8_t code) const noexcept {
    if (code == 0) return 0;
    const std::uint32_t bits = detail::bits_of(static_cast<float>(code));
    const std::uint32_t size = detail::magnitude(bits) + (static_cast<std::uint32_t>(exponent) << 23);
    return detail::float_of((bits & detail::sign_bit) |
                            (size < detail::infinity_bits ? size : detail::infinity_bits));
  }

  friend constexpr bool operator==(const power_of_two&, const power_of_two&) = default;

 private:
  static constexpr std::uint32_t bits_of_127 = 0x42fe0000u;
  static constexpr std::uint32_t bits_of_128 = 0x43000000u;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FIXED_POINT_POWER_OF_TWO_HPP

// ---- ptq/fixed_point/requantize.hpp ----

/// @file requantize.hpp int32 sums of products times a factor, in integers: what stands between the sums of a
/// layer and its int8 output. Total: every sum, multiplier and shift has a result, beyond the range the
/// nearest end of it.
///
/// Sources: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
/// Inference" (2018), section 2.2; gemmlowp's fixedpoint.h and TFLite's MultiplyByQuantizedMultiplier for the
/// roundings. The statement of the arithmetic is our own.
#ifndef PTQ_FIXED_POINT_REQUANTIZE_HPP
#define PTQ_FIXED_POINT_REQUANTIZE_HPP

#include <cstdint>
#include <limits>

namespace ptq::inline v0_1 {
namespace detail {

inline constexpr std::int32_t lowest_sum = std::numeric_limits<std::int32_t>::lowest();
inline constexpr std::int32_t highest_sum = -(lowest_sum + 1);

constexpr std::int32_t saturated(std::int64_t value) noexcept {
  return value < lowest_sum    ? lowest_sum
         : value > highest_sum ? highest_sum
                               : static_cast<std::int32_t>(value);
}

/// value * 2^places.
constexpr std::int32_t shift_left_saturated(std::int32_t value, std::uint32_t places) noexcept {
  const std::uint32_t within = places < 31 ? places : 31;  // where only 0 stays, and -1 is the lowest
  const std::int32_t most = highest_sum >> within;
  if (value > most) return highest_sum;
  if (value < -most - 1) return lowest_sum;
  return value << within;
}

/// value / 2^places, rounded half away from zero, without integers of 64 bits, which take stack of small
/// cores.
constexpr std::int32_t shift_right_away(std::int32_t value, std::uint32_t places) noexcept {
  if (places == 0) return value;
  if (places > 32) return 0;  // less than half a unit
  const auto bits = static_cast<std::uint32_t>(value);
  const std::uint32_t size = value < 0 ? 0u - bits : bits;
  const std::uint32_t rounded = ((size >> (places - 1)) + 1) >> 1;
  return static_cast<std::int32_t>(value < 0 ? 0u - rounded : rounded);
}

/// sum * factor: a product of 64 bits, rounded once.
template <tie_rounding Ties>
constexpr std::int32_t multiply_rounded(std::int32_t sum, multiplier_shift by) noexcept {
  const std::int64_t product = std::int64_t{sum} * by.multiplier;
  const auto shift = static_cast<std::uint32_t>(by.shift);
  if (by.shift >= 31) return shift_left_saturated(saturated(product), shift - 31);
  if (by.shift < -32) return 0;  // less than half a unit
  return saturated(Ties::shift_right(product, 31 - by.shift));
}

}  // namespace detail

/// The product of 64 bits is rounded once, ties upwards: TFLite's form with TFLITE_SINGLE_ROUNDING, and
/// CMSIS-NN's with CMSIS_NN_USE_SINGLE_ROUNDING.
struct single_rounding {
  static constexpr std::int32_t multiply(std::int32_t sum, multiplier_shift by) noexcept {
    return detail::multiply_rounded<half_up>(sum, by);
  }
};

/// The sum is shifted left, saturating; the doubled high half of its product with the multiplier is rounded,
/// ties upwards; then that is shifted right and rounded again, ties away from zero: gemmlowp's form, TFLite's
/// older one, and CMSIS-NN's default. Up to 1 from `single_rounding`.
struct double_rounding {
  static constexpr std::int32_t multiply(std::int32_t sum, multiplier_shift by) noexcept {
    const auto shift = static_cast<std::uint32_t>(by.shift);
    const std::int64_t shifted = detail::shift_left_saturated(sum, by.shift > 0 ? shift : 0);
    const std::int32_t high = detail::saturated(half_up::shift_right(shifted * by.multiplier, 31));
    return detail::shift_right_away(high, by.shift < 0 ? 0 - shift : 0);
  }
};

/// sum * factor, rounded to an integer.
///
/// @tparam Rounding `single_rounding` or `double_rounding`, as the program that is to be matched has it; or a
///                  policy for ties (`half_even`, `half_away`, `half_up`), by which the product is rounded
///                  once
template <class Rounding = single_rounding>
constexpr std::int32_t requantize(std::int32_t sum, multiplier_shift by) noexcept {
  if constexpr (tie_rounding<Rounding>)
    return detail::multiply_rounded<Rounding>(sum, by);
  else
    return Rounding::multiply(sum, by);
}

/// The int8 code of an output: the sum requantized, the offset added, clamped.
///
/// @param offset the zero point of the output, CMSIS-NN's `output_offset`: it is added
/// @param lowest, highest the activation's range and that of int8 in one; 0 is the lowest after a Relu whose
///                        offset is 0
template <class Rounding = single_rounding>
constexpr std::int8_t requantize_to_int8(std::int32_t sum, multiplier_shift by, std::int32_t offset = 0,
                                         std::int8_t lowest = -128, std::int8_t highest = 127) noexcept {
  const std::int64_t code = std::int64_t{requantize<Rounding>(sum, by)} + offset;
  return code < lowest ? lowest : code > highest ? highest : static_cast<std::int8_t>(code);
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FIXED_POINT_REQUANTIZE_HPP

// ---- ptq/fwd.hpp ----

/// @file fwd.hpp The names of the core's types, for headers that only mention them: one that specialises
/// `tensor_traits<T>`, names a dtype, or declares a function that returns a `status`.
#ifndef PTQ_FWD_HPP
#define PTQ_FWD_HPP

namespace ptq::inline v0_1 {

enum class errc : unsigned char;
struct status;

// tensors
struct tensor_shape;
template <class T>
struct tensor_view;
template <class T>
struct tensor_traits;
template <class T>
struct element_traits;

// policies
struct builtin;
struct int8;
struct fp8_e4m3fn;
struct fp8_e5m2;
struct native;
struct minmax;
struct entropy;
struct percentile;
struct mse;
struct torchao;
struct modelopt;
struct granularity;
struct recipe;

// fixed point
struct multiplier_shift;
struct power_of_two;
struct single_rounding;
struct double_rounding;
struct half_even;
struct half_away;
struct half_up;

}  // namespace ptq::inline v0_1

#endif  // PTQ_FWD_HPP

// ---- ptq/kernels/executor.hpp ----

/// @file executor.hpp Who runs the parts of a piece of work: one after the other, or many at once.
#ifndef PTQ_KERNELS_EXECUTOR_HPP
#define PTQ_KERNELS_EXECUTOR_HPP

#include <cstddef>

namespace ptq::inline v0_1 {
namespace detail {

struct any_part {
  constexpr void operator()(std::size_t) const noexcept {}
};

}  // namespace detail

/// An object called as run(n, f): it calls f(0) to f(n - 1), each once, in any order and on any threads, and
/// returns when all are done. f does not throw. What is computed never depends on the executor. An engine
/// gives its own pool: [&](std::size_t n, auto&& f) { pool.parallel_for(n, f); }.
template <class Run>
concept executor = requires(const Run& run, std::size_t n, const detail::any_part& f) { run(n, f); };

/// One after the other, on the thread that calls.
struct serial {
  template <class F>
  constexpr void operator()(std::size_t n, F&& f) const {
    for (std::size_t i = 0; i < n; ++i) f(i);
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_KERNELS_EXECUTOR_HPP

// ---- ptq/policies.hpp ----

/// @file policies.hpp The bundle of the three lists that run-time dispatch picks from.
#ifndef PTQ_POLICIES_HPP
#define PTQ_POLICIES_HPP

namespace ptq::inline v0_1 {

/// Derive from it to extend or replace a list:
///   struct my_policies : ptq::builtin { using dtypes = ptq::list<ptq::int8, int4>; };
struct builtin {
  using dtypes = ptq::dtypes;
  using calibrators = ptq::calibrators;
  using backends = ptq::backends;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_POLICIES_HPP

// ---- ptq/quantize/slices.hpp ----

/// @file slices.hpp The driver: quantizes a tensor slice by slice, on the threads of an executor. The answer
/// does not depend on how it is cut.
#ifndef PTQ_QUANTIZE_SLICES_HPP
#define PTQ_QUANTIZE_SLICES_HPP

#include <concepts>
#include <cstddef>
#include <span>

namespace ptq::inline v0_1 {
namespace detail {
inline namespace PTQ_BUILD {

/// Elements of a slice: a second look finds them in the cache.
inline constexpr std::size_t slice_size = std::size_t{16} << 10;

/// Per column, the most slices, of neighbouring columns each, whose amax is found at once.
inline constexpr std::size_t most_columns = 16;

/// Whether tensors are cut at all: a single thread gains nothing by it with portable kernels.
template <executor Executor>
inline constexpr bool is_cut = PTQ_NATIVE || !std::same_as<Executor, serial>;

/// From so many bytes on, what is written does not stay in the cache.
inline constexpr std::size_t streamed_bytes = std::size_t{4} << 20;

/// Per tensor, the most slices whose amax is found at once.
inline constexpr std::size_t most_partial = 64;

/// A tensor to be quantized, and where its codes go. Types that are known when you compile.
template <dtype D, arithmetic How, element T>
struct typed_quantization {
  tensor_view<const T> source;
  const recipe& numbers;
  typename D::storage* codes;

  constexpr std::size_t code_size() const noexcept { return sizeof(typename D::storage); }
  constexpr void amax(const panel& p, float* found) const noexcept {
    kernels::amax_of<T>(source.data, p, found);
  }
  constexpr void scales(std::span<float> amax) const noexcept {
    kernels::scales<plain_element<T>>(amax.data(), amax.size(), numbers);
  }
  constexpr void encode(const panel& p, const float* scales, bool streams) const noexcept {
    const auto encode_floats = [&](const float* floats, const panel& part, const float* own) {
      kernels::encode<D, How>(floats, part, own, codes, streams);
    };
    const bool rounds = is_half<T> && numbers.halves == half_rounding::scale_and_quotient;
    if constexpr (kernels::has_halves<T> && kernels::has_codes<D>) {
      if (p.step == 1 && !rounds) return kernels::encode<D, How>(source.data, p, scales, codes, streams);
    }
    kernels::as_floats<T>(source.data, p, [&](const float* floats, const panel& part) {
      if constexpr (is_half<T>) {
        if (rounds)
          return kernels::encode_rounded<plain_element<T>>(floats, part, numbers.how, scales, encode_floats);
      }
      encode_floats(floats, part, scales);
    });
  }
  constexpr std::size_t first_not_finite() const noexcept { return find_not_finite(source); }
};

/// By the numbers of a backend.
template <dtype D, backend B, element T>
constexpr auto quantization_of(tensor_view<const T> source, typename D::storage* codes) noexcept {
  return typed_quantization<D, recipe_of<D, B>.how, T>{source, recipe_of<D, B>, codes};
}

template <class Quantization>
constexpr bool streams_codes(const walk& path, const Quantization& of) noexcept {
  return path.size() > streamed_bytes / of.code_size();
}

/// A slice of columns has many rows, as each has the same factors.
constexpr std::size_t size_of_slices(const walk& path) noexcept {
  return path.run().is_channel ? 4 * slice_size : slice_size;
}

/// Writes the codes of a tensor by scales that are known.
template <class Quantization, executor Executor>
constexpr void encode_slices(const walk& path, const Quantization& of, std::span<const float> scales,
                             const Executor& run) {
  const auto encode = [&](const walk& part, bool streams) {
    for (const panel& p : panels(part)) of.encode(p, scales.data(), streams);
    kernels::finish_streams(streams);
  };
  if constexpr (is_cut<Executor>) {
    const bool streams = streams_codes(path, of);
    const slices parts(path, size_of_slices(path), cut::anywhere);
    run(parts.count(), [&](std::size_t i) { encode(parts[i], streams); });
  } else {
    encode(path, false);
  }
}

/// The largest magnitude of a whole tensor.
template <class Quantization, executor Executor>
constexpr float amax_of_slices(const walk& path, const Quantization& of, const Executor& run) {
  float partial[most_partial] = {};
  const std::size_t fewest = path.size() / most_partial + 1;
  const slices parts(path, fewest < slice_size ? slice_size : fewest, cut::anywhere);
  run(parts.count(), [&](std::size_t i) {
    float* const found = partial + i;
    const walk part = parts[i];
    for (const panel& p : panels(part)) of.amax(p, found);
  });
  return float_of(kernels::amax_run<float>(static_cast<const float*>(partial), parts.count(), 0));
}

/// Quantizes part of a tensor that has all elements of its own scales: amax, scales, codes. Where it holds
/// NaN or infinity, a scale is that, and there are no codes.
///
/// @param scales of the whole tensor
template <class Quantization>
constexpr void quantize_part(const walk& part, const Quantization& of, std::span<float> scales,
                             std::span<float> own, bool streams) {
  for (float& scale : own) scale = 0;
  for (const panel& p : panels(part)) of.amax(p, scales.data());
  if (!are_finite(own)) return;
  of.scales(own);
  for (const panel& p : panels(part)) of.encode(p, scales.data(), streams);
  kernels::finish_streams(streams);
  make_decoding_scales(own);
}

/// Quantizes a tensor of one scale: its slices share that.
template <class Quantization, executor Executor>
constexpr void quantize_by_one_scale(const walk& path, const Quantization& of, float& scale,
                                     const Executor& run) {
  scale = amax_of_slices(path, of, run);
  if (!is_finite(bits_of(scale))) return;
  of.scales({&scale, 1});
  encode_slices(path, of, {&scale, 1}, run);
  scale = decoding_scale_of(scale);
}

/// Quantizes a tensor whose neighbours in memory have scales of their own: whole rows at a time, as memory
/// likes it.
template <class Quantization, executor Executor>
constexpr void quantize_by_columns(const walk& path, const Quantization& of, std::span<float> scales,
                                   const Executor& run) {
  const bool is_one = std::same_as<Executor, serial>;
  const slices columns(path, is_one ? path.size() : path.size() / most_columns, cut::between_scales);
  for (float& scale : scales) scale = 0;
  run(columns.count(), [&](std::size_t i) {
    const walk part = columns[i];
    for (const panel& p : panels(part)) of.amax(p, scales.data());
  });
  if (!are_finite(scales)) return;
  of.scales(scales);
  encode_slices(path, of, scales, run);
  make_decoding_scales(scales);
}

/// Quantizes a tensor by scales from its own values: not_finite with the row-major index of the first NaN or
/// infinity. Where slices do not share scales, each is looked at a second time while it is in the cache.
template <class Quantization, executor Executor>
constexpr status quantize_slices(const walk& path, const Quantization& of, std::span<float> scales,
                                 const Executor& run) {
  if constexpr (is_cut<Executor>) {
    const slices parts(path, slice_size, cut::between_scales);
    if (parts.count() > 1 && scales.size() == 1) {
      quantize_by_one_scale(path, of, scales[0], run);
    } else if (path.size() > slice_size && path.run().is_channel) {
      quantize_by_columns(path, of, scales, run);
    } else if (parts.count() > 1) {
      const bool streams = streams_codes(path, of);
      run(parts.count(), [&](std::size_t i) {
        const walk part = parts[i];
        quantize_part(part, of, scales, scales.subspan(part.first_channel, part.channels()), streams);
      });
    } else {
      quantize_part(path, of, scales, scales, false);
    }
  } else {
    quantize_part(path, of, scales, scales, false);
  }
  if (!are_finite(scales)) return {errc::not_finite, of.first_not_finite()};
  return {};
}

}  // namespace PTQ_BUILD
}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_QUANTIZE_SLICES_HPP

// ---- ptq/tensor/contiguous.hpp ----

/// @file contiguous.hpp Memory of the caller's for codes and scales, whatever container it lies in.
#ifndef PTQ_TENSOR_CONTIGUOUS_HPP
#define PTQ_TENSOR_CONTIGUOUS_HPP

#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

namespace ptq::inline v0_1 {
namespace detail {

/// A tensor whose adaptor says that nothing lies between its elements, as a view of T. C is what a forwarding
/// reference deduces; what is written to must outlive the call.
template <class C, class T>
concept is_contiguous_tensor_of = requires(C& tensor) {
  requires tensor_traits<std::remove_cvref_t<C>>::is_contiguous;
  { tensor_traits<std::remove_cvref_t<C>>::view(tensor).data } -> std::convertible_to<T*>;
} && (std::is_lvalue_reference_v<C> || std::is_const_v<T> || is_view<std::remove_cvref_t<C>>);

/// The elements of contiguous memory, as far as they can be told without naming them.
template <class C>
struct elements_of {};
template <class C>
  requires requires { requires tensor_traits<std::remove_cvref_t<C>>::is_contiguous; }
struct elements_of<C> {
  using type =
      std::remove_pointer_t<decltype(tensor_traits<std::remove_cvref_t<C>>::view(std::declval<C&>()).data)>;
};
template <class C>
  requires(!requires { requires tensor_traits<std::remove_cvref_t<C>>::is_contiguous; }) &&
          requires(C& memory) { std::span(memory); }
struct elements_of<C> {
  using type = typename decltype(std::span(std::declval<C&>()))::element_type;
};

}  // namespace detail

/// What holds elements of type T one after another, and lets them be written where T is not const: a span, an
/// array, a vector, a matrix of a library whose adaptor is included. Not constant memory, no lazy expression,
/// no block of a larger matrix.
template <class C, class T>
concept contiguous_memory = std::convertible_to<C, std::span<T>> || detail::is_contiguous_tensor_of<C, T>;

namespace detail {

/// Whether T is that of bytes, and C holds elements of another type: what codes are is known at run time.
template <class C, class T>
concept memory_as_bytes =
    std::same_as<std::remove_const_t<T>, std::byte> && (!contiguous_memory<C, T>) &&
    requires { typename elements_of<C>::type; } && contiguous_memory<C, typename elements_of<C>::type> &&
    std::is_trivially_copyable_v<typename elements_of<C>::type> &&
    (std::is_const_v<T> || !std::is_const_v<typename elements_of<C>::type>);

}  // namespace detail

/// A pointer and a size, from any contiguous memory. Of a matrix it also knows which index runs fastest, so
/// that codes are never taken for those of the transposed matrix.
template <class T>
class contiguous {
 public:
  constexpr contiguous() = default;
  constexpr contiguous(T* first, std::size_t count) noexcept : data_(first), size_(count) {}

  template <class C>
    requires(!std::same_as<std::remove_cvref_t<C>, contiguous>) && contiguous_memory<C, T>
  constexpr contiguous(C&& memory) noexcept {  // NOLINT(google-explicit-constructor): as std::span
    if constexpr (detail::is_contiguous_tensor_of<C, T>) {
      const auto view = tensor_traits<std::remove_cvref_t<C>>::view(memory);
      data_ = view.data;
      size_ = view.size();
      const bool is_row_major = is_as(view.strides, row_major(view.shape), view.shape);
      const bool is_column_major = is_as(view.strides, column_major(view.shape), view.shape);
      if (is_row_major != is_column_major) order_ = is_row_major ? order::row_major : order::column_major;
    } else {
      const std::span<T> span = static_cast<C&&>(memory);
      data_ = span.data();
      size_ = span.size();
    }
  }

  /// The bytes of memory of another type: `sizeof` of it for each element.
  template <detail::memory_as_bytes<T> C>
  contiguous(C&& memory) noexcept {  // NOLINT(google-explicit-constructor): as above
    using element = typename detail::elements_of<C>::type;
    const contiguous<element> elements(static_cast<C&&>(memory));
    data_ = reinterpret_cast<T*>(elements.data_);
    size_ = elements.size_ * sizeof(element);
    order_ = static_cast<order>(elements.order_);
  }

  constexpr T* data() const noexcept { return data_; }
  constexpr std::size_t size() const noexcept { return size_; }
  // NOLINTNEXTLINE(google-explicit-constructor): it is one
  constexpr operator std::span<T>() const noexcept { return {data_, size_}; }

  /// Whether codes of a tensor can lie here: in that tensor's order in memory. Flat memory takes any.
  constexpr bool lies_as(const tensor_shape& shape, const tensor_strides& strides) const noexcept {
    if (order_ == order::any) return true;
    return is_as(dense_strides(shape, strides),
                 order_ == order::row_major ? row_major(shape) : column_major(shape), shape);
  }

 private:
  template <class>
  friend class contiguous;

  enum class order : unsigned char { any, row_major, column_major };

  /// Strides of axes of one index say nothing.
  static constexpr bool is_as(const tensor_strides& strides, const tensor_strides& wanted,
                              const tensor_shape& shape) noexcept {
    for (std::size_t axis = 0; axis < shape.axes(); ++axis)
      if (shape[axis] > 1 && strides[axis] != wanted[axis]) return false;
    return true;
  }

  T* data_ = nullptr;
  std::size_t size_ = 0;
  order order_ = order::any;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_TENSOR_CONTIGUOUS_HPP

// ---- ptq/quantize/dequantize.hpp ----

/// @file dequantize.hpp Codes and scales back to values, into the caller's memory.
#ifndef PTQ_QUANTIZE_DEQUANTIZE_HPP
#define PTQ_QUANTIZE_DEQUANTIZE_HPP

#include <cstddef>
#include <span>

namespace ptq::inline v0_1 {
namespace detail {
inline namespace PTQ_BUILD {

template <element T, class Decoder, executor Executor>
constexpr void decode_slices(tensor_view<T> target, const walk& path, std::span<const float> scales,
                             const Decoder& decoder, const Executor& run) {
  const auto decode = [&](const walk& part, bool streams) {
    for (const panel& p : panels(part)) kernels::decode<T>(target.data, p, scales.data(), decoder, streams);
    kernels::finish_streams(streams);
  };
  if constexpr (is_cut<Executor>) {
    const bool streams = path.size() > streamed_bytes / sizeof(T);
    const slices parts(path, slice_size, cut::anywhere);
    run(parts.count(), [&](std::size_t i) { decode(parts[i], streams); });
  } else {
    decode(path, false);
  }
}

template <element T, class Decoder, executor Executor = serial>
constexpr status dequantize_view(tensor_view<T> target, granularity grain, const Decoder& decoder,
                                 std::size_t code_count, std::span<const float> scales,
                                 const Executor& run = {}) {
  if (const status sizes = check_sizes(target.shape, grain, scales.size(), code_count); !sizes) return sizes;
  decode_slices(target, walk(target.shape, target.strides, grain), scales, decoder, run);
  return {};
}

}  // namespace PTQ_BUILD
}  // namespace detail

inline namespace PTQ_BUILD {

/// value = code * scale, in float32 with one rounding, then rounded to the target's element type.
///
/// @param codes  in the target's memory order (`dense_strides`), as `quantize` writes them
/// @param scales 1 per tensor, or one per index of the axis
/// @param target any adaptable tensor; its shape says how the codes are laid out
/// @param run    who computes, as for `quantize`
/// @return wrong_rank, axis_out_of_range, size_mismatch or unsupported, as `quantize`
template <dtype D, adaptable_tensor Tensor, executor Executor = serial>
constexpr status dequantize(contiguous<const typename D::storage> codes, contiguous<const float> scales,
                            granularity grain, Tensor&& target, const Executor& run = {}) {
  const auto view = view_of(target);
  if (!codes.lies_as(view.shape, view.strides)) return {errc::unsupported, 0};
  return detail::dequantize_view<typename decltype(view)::value_type>(
      view, grain, kernels::typed_decoder<D>{codes.data()}, codes.size(), scales, run);
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_QUANTIZE_DEQUANTIZE_HPP

// ---- ptq/quantize/quantize.hpp ----

/// @file quantize.hpp Tensors to codes and scales, into the caller's memory.
#ifndef PTQ_QUANTIZE_QUANTIZE_HPP
#define PTQ_QUANTIZE_QUANTIZE_HPP

#include <cstddef>
#include <span>

namespace ptq::inline v0_1 {
inline namespace PTQ_BUILD {

/// Quantizes a tensor by a backend's numbers.
///
/// @param tensor any adaptable tensor of float32, float64 (rounded to float32 first), float16 or bfloat16
/// @param codes  as many as the tensor has elements; written in the source's memory order (`dense_strides`),
///               to any contiguous memory: a span, an array, a vector, a matrix with an adaptor
/// @param scales 1 per tensor, or one per index of the axis; value = code * scale
/// @param grain  how many elements share a scale; the backend's default for weights if not given
/// @param run    who computes: `serial`, `threads`, or a callable of yours; the answer is the same
/// @return wrong_rank, with a rank above `max_rank`; axis_out_of_range, with the axis; size_mismatch, with
///         the length wanted; unsupported, where a matrix for codes has another order than the source (one
///         is row-major, one column-major); not_finite, with the row-major index of the first NaN or infinity
///         (codes and scales are then unspecified)
template <dtype D, backend B, adaptable_tensor Tensor, executor Executor = serial>
constexpr status quantize(const Tensor& tensor, contiguous<typename D::storage> codes,
                          contiguous<float> scales, granularity grain = recipe_of<D, B>.weights,
                          const Executor& run = {}) {
  const auto view = view_of(tensor);
  using value_type = typename decltype(view)::value_type;
  if (!codes.lies_as(view.shape, view.strides)) return {errc::unsupported, 0};
  if (const status sizes = detail::check_sizes(view.shape, grain, scales.size(), codes.size()); !sizes)
    return sizes;
  return detail::quantize_slices(walk(view.shape, view.strides, grain),
                                 detail::quantization_of<D, B, value_type>(view, codes.data()), scales, run);
}

/// The scale that a backend gives a dtype for values up to amax (finite, not negative).
template <dtype D, backend B>
constexpr float scale_for(const float& amax) noexcept {
  return detail::scale_of<float>(amax, recipe_of<D, B>);
}

/// Quantizes a tensor by scales found before, as for calibrated activations. Values beyond the range
/// saturate; NaN becomes the dtype's code for it.
///
/// @return wrong_rank, axis_out_of_range, size_mismatch or unsupported, as `quantize`
template <dtype D, backend B, adaptable_tensor Tensor, executor Executor = serial>
constexpr status quantize_by(const Tensor& tensor, contiguous<const float> scales,
                             contiguous<typename D::storage> codes, granularity grain = per_tensor(),
                             const Executor& run = {}) {
  const auto view = view_of(tensor);
  using value_type = typename decltype(view)::value_type;
  if (const status sizes = detail::check_sizes(view.shape, grain, scales.size(), codes.size()); !sizes)
    return sizes;
  if (!codes.lies_as(view.shape, view.strides)) return {errc::unsupported, 0};
  detail::encode_slices(walk(view.shape, view.strides, grain),
                        detail::quantization_of<D, B, value_type>(view, codes.data()), scales, run);
  return {};
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_QUANTIZE_QUANTIZE_HPP

// ---- ptq/quantize/fake_quantize.hpp ----

/// @file fake_quantize.hpp Quantize and dequantize in one go, in place: what a quantized tensor will look
/// like as floats.
#ifndef PTQ_QUANTIZE_FAKE_QUANTIZE_HPP
#define PTQ_QUANTIZE_FAKE_QUANTIZE_HPP

#include <cstddef>
#include <span>

namespace ptq::inline v0_1 {
namespace detail {
inline namespace PTQ_BUILD {

/// Reads codes by the scales that they were made by.
template <dtype D>
struct reversing_decoder {
  kernels::typed_decoder<D> decoder;

  constexpr void run(std::size_t at, std::size_t n, const float& scale, float* values,
                     bool streams) const noexcept {
    decoder.run(at, n, decoding_scale_of(scale), values, streams);
  }
  constexpr void each(std::size_t at, std::size_t n, const float* scales, float* values, bool streams,
                      bool ordinary) const noexcept {
    if (ordinary) {
      decoder.each(at, n, scales, values, streams, true);
    } else {
      for (std::size_t i = 0; i < n; ++i) run(at + i, 1, scales[i], values + i, streams);
    }
  }
};

/// Replaces each value by that of its code, a tile at a time. The scales are those to encode by.
template <dtype D, arithmetic How, element T>
constexpr void fake_quantize_view(tensor_view<T> target, const walk& path, const recipe& numbers,
                                  std::span<const float> scales) {
  typename D::storage codes[kernels::block_size] = {};
  const typed_quantization<D, How, T> encoding{target, numbers, codes};
  const reversing_decoder<D> decoding{{codes}};
  for (const panel& all : panels(path))
    for (const panel& part : tiles(all, kernels::block_size)) {
      const panel tile = part.with_codes_apart();
      encoding.encode(tile, scales.data(), false);
      kernels::decode<T>(target.data, tile, scales.data(), decoding, false);
    }
}

}  // namespace PTQ_BUILD
}  // namespace detail

inline namespace PTQ_BUILD {

/// Replaces each value by the nearest one that the dtype has under the backend's numbers, with scales from
/// the tensor itself: exactly dequantize(quantize(tensor)).
///
/// @param scales receives the scales: 1 per tensor, or one per index of the axis
/// @return as `quantize`; the tensor is untouched then
template <dtype D, backend B, adaptable_tensor Tensor>
constexpr status fake_quantize(Tensor&& tensor, contiguous<float> scales,
                               granularity grain = recipe_of<D, B>.weights) {
  constexpr const recipe& numbers = recipe_of<D, B>;
  const auto view = view_of(tensor);
  using value_type = typename decltype(view)::value_type;
  if (const status sizes = detail::check_sizes(view.shape, grain, scales.size(), view.size()); !sizes)
    return sizes;
  const walk path(view.shape, view.strides, grain);
  const std::span<float> found = scales;
  for (float& scale : found) scale = 0;
  detail::find_amax<value_type>(view, path, found);
  if (!detail::are_finite(found)) return {errc::not_finite, detail::find_not_finite<value_type>(view)};
  kernels::scales<detail::plain_element<value_type>>(found.data(), found.size(), numbers);
  detail::fake_quantize_view<D, numbers.how, value_type>(view, path, numbers, found);
  detail::make_decoding_scales(scales);
  return {};
}

/// The same with one scale for the whole tensor, from an amax found by calibration. Values beyond it
/// saturate. The tensor has at most `max_rank` axes.
template <dtype D, backend B, adaptable_tensor Tensor>
constexpr void fake_quantize(Tensor&& tensor, const float& amax) {
  const auto view = view_of(tensor);
  PTQ_ASSERT(view.rank() <= max_rank);
  const float scale = scale_for<D, B>(amax);
  const recipe& numbers = recipe_of<D, B>;
  detail::fake_quantize_view<D, recipe_of<D, B>.how, typename decltype(view)::value_type>(
      view, walk(view.shape, view.strides, per_tensor()), numbers, {&scale, 1});
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_QUANTIZE_FAKE_QUANTIZE_HPP

// ---- ptq/quantize/pack.hpp ----

/// @file pack.hpp Codes of fewer than 8 bits, several to a byte: how files hold them. In memory a code has a
/// byte of its own.
#ifndef PTQ_QUANTIZE_PACK_HPP
#define PTQ_QUANTIZE_PACK_HPP

#include <cstddef>
#include <span>

namespace ptq::inline v0_1 {

/// The bytes that codes of so many bits (1 to 8) take side by side; bits that are left of the last are 0.
constexpr std::size_t packed_size(std::size_t codes, int bits) noexcept {
  const auto width = static_cast<std::size_t>(bits);
  return codes / 8 * width + (codes % 8 * width + 7) / 8;
}

/// Puts codes side by side, the first in the lowest bits: of 4 bits two to a byte, as ONNX has them. Codes of
/// 1, 2 and 4 bits never lie across two bytes; those of other widths do.
///
/// @param codes  one to a byte, the low bits count
/// @param packed `packed_size` bytes
constexpr void pack(std::span<const std::byte> codes, int bits, std::span<std::byte> packed) noexcept {
  PTQ_ASSERT(bits >= 1 && bits <= 8 && packed.size() == packed_size(codes.size(), bits));
  const unsigned mask = (1u << bits) - 1u;
  unsigned pending = 0;  // the bits that do not fill a byte yet
  int count = 0;
  std::size_t at = 0;
  for (std::size_t i = 0; i < codes.size(); ++i) {
    pending |= (static_cast<unsigned>(codes[i]) & mask) << count;
    for (count += bits; count >= 8; count -= 8, pending >>= 8)
      packed[at++] = static_cast<std::byte>(pending & 0xffu);
  }
  if (count > 0) packed[at] = static_cast<std::byte>(pending);
}

/// Takes codes apart again, from one in the middle on.
///
/// @param packed    `pack` made it
/// @param is_signed whether the highest bit of a code is its sign, as in int4
/// @param first     the place of the first code wanted
/// @param codes     as many as are wanted, one to a byte
constexpr void unpack(std::span<const std::byte> packed, int bits, bool is_signed, std::size_t first,
                      std::span<std::byte> codes) noexcept {
  PTQ_ASSERT(bits >= 1 && bits <= 8 && packed.size() >= packed_size(first + codes.size(), bits));
  const unsigned mask = (1u << bits) - 1u;
  const unsigned sign = is_signed ? 1u << (bits - 1) : 0u;
  const auto width = static_cast<std::size_t>(bits);
  std::size_t at = first / 8 * width + first % 8 * width / 8;
  int skipped = static_cast<int>(first % 8 * width % 8);
  for (std::size_t i = 0; i < codes.size(); ++i) {
    unsigned found = static_cast<unsigned>(packed[at]) >> skipped;
    skipped += bits;
    if (skipped > 8) found |= static_cast<unsigned>(packed[at + 1]) << (8 - (skipped - bits));
    if (skipped >= 8) {
      ++at;
      skipped -= 8;
    }
    codes[i] = static_cast<std::byte>((((found & mask) ^ sign) - sign) & 0xffu);
  }
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_QUANTIZE_PACK_HPP

// ---- ptq/quantize/power_of_two_scales.hpp ----

/// @file power_of_two_scales.hpp Scales of tensors that are powers of two, for targets that shift instead of
/// multiplying.
#ifndef PTQ_QUANTIZE_POWER_OF_TWO_SCALES_HPP
#define PTQ_QUANTIZE_POWER_OF_TWO_SCALES_HPP

#include <span>

namespace ptq::inline v0_1 {
inline namespace PTQ_BUILD {

/// Finds the scales by which int8 codes of a tensor are made without a value saturating: for each the
/// smallest power of two (`power_of_two::covering`). Codes come from `quantize_by`, whose numbers are then
/// the same under every backend; `power_of_two::of` tells a scale's exponent.
///
/// @param scales 1 per tensor, or one per index of the axis
/// @return wrong_rank, axis_out_of_range or size_mismatch, as `quantize`; not_finite, with the row-major
///         index of the first NaN or infinity (scales are then unspecified)
template <adaptable_tensor Tensor>
constexpr status power_of_two_scales(const Tensor& tensor, contiguous<float> scales,
                                     granularity grain = per_channel()) {
  const auto view = view_of(tensor);
  using value_type = typename decltype(view)::value_type;
  if (const status sizes = detail::check_sizes(view.shape, grain, scales.size(), view.size()); !sizes)
    return sizes;
  const std::span<float> found = scales;
  for (float& scale : found) scale = 0;
  detail::find_amax<value_type>(view, walk(view.shape, view.strides, grain), found);
  if (!detail::are_finite(found)) return {errc::not_finite, detail::find_not_finite<value_type>(view)};
  for (float& scale : found) scale = power_of_two::covering(scale).value();
  return {};
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_QUANTIZE_POWER_OF_TWO_SCALES_HPP

// ---- ptq/quantize/quantize_constant.hpp ----

/// @file quantize_constant.hpp Weights that the compiler quantizes: flash holds codes and scales, and neither
/// the floats nor code that runs before main.
///
/// Up to 250,000 elements a tensor need no compiler's limits raised (g++ 12; clang 14, 16, 19). 10,000 take
/// half a second, and 100,000 about 5 and 315 MB (g++) or 160 MB (clang). Beyond:
/// `-fconstexpr-loop-limit=2147483647 -fconstexpr-ops-limit=2147483647` for GCC,
/// `-fconstexpr-steps=2147483647` for clang.
#ifndef PTQ_QUANTIZE_QUANTIZE_CONSTANT_HPP
#define PTQ_QUANTIZE_QUANTIZE_CONSTANT_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace ptq::inline v0_1 {

/// Codes, row-major, and scales of exactly the size that a shape asks for: value = code * scale.
template <dtype D, tensor_shape Shape, granularity Grain>
struct constant_tensor {
  static constexpr tensor_shape shape = Shape;
  static constexpr granularity grain = Grain;

  std::array<typename D::storage, Shape.size()> codes{};
  std::array<float, scale_count(Shape, Grain)> scales{};
};

namespace detail {
inline namespace PTQ_BUILD {

// Compilers limit how much one constant expression may compute (clang a million statements), and remember
// every call that is part of it (GCC). So a tensor is taken in chunks, each of which is a constant of its
// own; few statements are spent on an element, and few calls.

/// As `is_ordinary`, without a call.
inline constexpr std::uint32_t lowest_ordinary = 0x21800000u;
inline constexpr std::uint32_t ordinary_span = 0x3c000000u;

/// Elements whose codes are one constant. A user's dtype may take 200 statements for each.
inline constexpr std::size_t constant_chunk = 4096;

template <class Array>
inline constexpr tensor_shape shape_of_array = [] {
  tensor_shape shape;
  nested_array<Array>::append_extents(shape);
  return shape;
}();

/// How many elements an element of an array has, if that is an array itself.
template <class Array>
inline constexpr std::size_t inner_size = shape_of_array<Array>.size() / shape_of_array<Array>[0];

/// An element of an array of any rank, by its row-major index.
template <class Array>
constexpr const auto& element_at(const Array& array, std::size_t at) noexcept {
  if constexpr (nested_array<Array>::rank == 1)
    return array[at];
  else
    return element_at(array[at / inner_size<Array>], at % inner_size<Array>);
}

/// True for no index: that of the first weight that is NaN or infinite.
template <std::size_t NotFinite>
inline constexpr bool all_weights_are_finite = false;
template <>
inline constexpr bool all_weights_are_finite<static_cast<std::size_t>(-1)> = true;

template <dtype D, backend B, const auto& Weights, tensor_shape Shape, granularity Grain>
struct constant_quantization {
  using array = std::remove_cvref_t<decltype(Weights)>;
  using value_type = std::remove_cvref_t<decltype(element_at(Weights, 0))>;
  using storage = typename D::storage;

  static constexpr recipe numbers = recipe_of<D, B>;
  static constexpr bool divides = numbers.how == arithmetic::divide;
  static constexpr std::size_t size = Shape.size();
  static constexpr std::size_t scale_total = scale_count(Shape, Grain);
  using chunks = std::make_index_sequence<(size + constant_chunk - 1) / constant_chunk>;
  using floats = std::array<float, scale_total>;

  static_assert(size != 0 && shape_of_array<array>.size() == size,
                "the shape has another size than the weights");
  static_assert(scale_total != 0, "the axis of the scales is none of the shape's");

  /// How many neighbours share a scale.
  static constexpr std::size_t neighbours = [] {
    std::size_t product = 1;
    for (std::size_t i = Grain.is_per_channel() ? Grain.axis + 1 : 0; i < Shape.rank; ++i)
      product *= Shape[i];
    return product;
  }();

  static constexpr std::size_t end_of(std::size_t chunk) noexcept {
    return size - chunk * constant_chunk < constant_chunk ? size : (chunk + 1) * constant_chunk;
  }

  /// The weights of a chunk as floats.
  template <std::size_t Chunk>
  static constexpr std::array<float, constant_chunk> copied = [] {
    constexpr std::size_t first = Chunk * constant_chunk;
    std::array<float, constant_chunk> made{};
    for (std::size_t i = first; i < end_of(Chunk); ++i)
      made[i - first] = element_traits<value_type>::to_float(element_at(Weights, i));
    return made;
  }();

  /// The same, without a copy where they are a flat array of floats.
  template <std::size_t Chunk>
  static constexpr const float* values() noexcept {
    if constexpr (nested_array<array>::rank == 1 && std::is_same_v<value_type, float>)
      return &Weights[0] + Chunk * constant_chunk;
    else
      return copied<Chunk>.data();
  }

  /// The largest magnitude for each scale.
  template <std::size_t... Chunks>
  static consteval floats found_amax(std::index_sequence<Chunks...>) noexcept {
    const float* const from[] = {values<Chunks>()...};
    floats found{};
    for (std::size_t first = 0; first < size; first += neighbours) {
      std::uint32_t most = bits_of(found[first / neighbours % scale_total]);
      for (std::size_t i = first; i < first + neighbours; ++i) {
        const std::uint32_t bits =
            __builtin_bit_cast(std::uint32_t, from[i / constant_chunk][i % constant_chunk]) & ~sign_bit;
        most = bits > most ? bits : most;
      }
      found[first / neighbours % scale_total] = float_of(most);
    }
    return found;
  }
  static constexpr floats amax = found_amax(chunks{});

  template <std::size_t... Chunks>
  static consteval std::size_t found_not_finite(std::index_sequence<Chunks...>) noexcept {
    const float* const from[] = {values<Chunks>()...};
    for (const float& most : amax) {
      std::size_t at = is_finite(bits_of(most)) ? size : 0;
      while (at < size && is_finite(bits_of(from[at / constant_chunk][at % constant_chunk]))) ++at;
      if (at < size) return at;
    }
    return static_cast<std::size_t>(-1);
  }
  static_assert(all_weights_are_finite<found_not_finite(chunks{})>,
                "a weight is NaN or infinite: ptq::quantize_constant needs finite ones");

  static constexpr floats scales = [] {
    floats made = amax;
    for (float& scale : made) scale = kernels::encoding_scale_of<plain_element<value_type>>(scale, numbers);
    return made;
  }();

  /// What weights are divided by, or multiplied with.
  static constexpr floats factors = [] {
    floats made = scales;
    for (float& factor : made) factor = kernels::factor_of<numbers.how>(factor);
    return made;
  }();

  static constexpr bool rounds_quotients =
      is_half<value_type> && numbers.halves == half_rounding::scale_and_quotient;

  /// The nearest value that the weights' type has.
  static constexpr float rounded(const float& quotient) noexcept {
    using type = element_traits<plain_element<value_type>>;
    return type::to_float(type::from_float(quotient));
  }

  /// The codes of neighbours by one factor. The quotients are those of the strict operations: where both
  /// operands are ordinary, in few statements.
  static constexpr void encode(const float* from, std::size_t count, std::uint32_t factor,
                               storage* to) noexcept {
    constexpr std::uint32_t fewest = divides ? 40 : 47;  // bits that an integer quotient or product has
    const bool is_usual = is_ordinary(factor);
    const std::uint64_t y = (factor & 0x7fffffu) | 0x800000u;
    const std::uint32_t lift = divides ? 125 - (factor >> 23) : (factor >> 23) - 128;
    for (std::size_t i = 0; i < count; ++i) {
      const auto value = __builtin_bit_cast(std::uint32_t, from[i]);
      if (!is_usual || (value & ~sign_bit) - lowest_ordinary > ordinary_span) {
        const float quotient = float_of(divides ? divide(value, factor) : multiply(value, factor));
        to[i] = D::encode(rounds_quotients ? rounded(quotient) : quotient);
        continue;
      }
      const std::uint64_t x = (value & 0x7fffffu) | 0x800000u;
      const std::uint64_t exact = divides ? ((x << 40) / y) | ((x << 40) % y != 0 ? 1u : 0u) : x * y;
      const auto more = static_cast<std::uint32_t>(exact >> fewest);
      const std::uint32_t drop = fewest - 24 + more;
      const std::uint64_t significand =
          (exact + (std::uint64_t{1} << (drop - 1)) - 1 + ((exact >> drop) & 1u)) >> drop;
      // The hidden bit adds 1 to the exponent field, and so does a carry out of the significand.
      const std::uint32_t field = ((value >> 23) & 0xffu) + lift + more;
      const float quotient = __builtin_bit_cast(
          float, (value & sign_bit) | ((field << 23) + static_cast<std::uint32_t>(significand)));
      to[i] = D::encode(rounds_quotients ? rounded(quotient) : quotient);
    }
  }

  template <std::size_t Chunk>
  static constexpr std::array<storage, constant_chunk> codes = [] {
    constexpr std::size_t first = Chunk * constant_chunk;
    constexpr std::size_t last = end_of(Chunk);
    std::array<storage, constant_chunk> made{};
    for (std::size_t i = first; i < last;) {
      const std::size_t rest = neighbours - i % neighbours;
      const std::size_t count = last - i < rest ? last - i : rest;
      encode(values<Chunk>() + (i - first), count, bits_of(factors[i / neighbours % scale_total]),
             made.data() + (i - first));
      i += count;
    }
    return made;
  }();

  template <std::size_t... Chunks>
  static consteval auto joined(std::index_sequence<Chunks...>) noexcept {
    constant_tensor<D, Shape, Grain> made;
    const storage* const from[] = {codes<Chunks>.data()...};
    storage* const to = made.codes.data();
    for (std::size_t i = 0; i < size; ++i) to[i] = from[i / constant_chunk][i % constant_chunk];
    made.scales = scales;
    for (float& scale : made.scales) scale = decoding_scale_of(scale);
    return made;
  }
};

}  // namespace PTQ_BUILD
}  // namespace detail

inline namespace PTQ_BUILD {

/// The codes and scales of weights, made by the compiler: those of `quantize`, bit for bit.
///
///   constexpr float weights[2][3] = {{0.5F, -0.25F, 1.0F}, {0.1F, 0.2F, -0.3F}};
///   constexpr auto layer = ptq::quantize_constant<ptq::int8, ptq::torchao, weights>();
///
/// @tparam Weights a named constant of static storage (at namespace scope, or `static constexpr`): an array
///                 or std::array, nested or flat, of any element type of tensors. A weight that is NaN or
///                 infinite is an error of the compiler.
/// @tparam Grain   how many elements share a scale; the backend's default for weights if not given
template <dtype D, backend B, const auto& Weights, granularity Grain = recipe_of<D, B>.weights>
consteval auto quantize_constant() noexcept {
  constexpr tensor_shape shape = detail::shape_of_array<std::remove_cvref_t<decltype(Weights)>>;
  using quantization = detail::constant_quantization<D, B, Weights, shape, Grain>;
  return quantization::joined(typename quantization::chunks{});
}

/// The same of a flat array that is a tensor of this shape, row-major.
template <dtype D, backend B, const auto& Weights, tensor_shape Shape,
          granularity Grain = recipe_of<D, B>.weights>
consteval auto quantize_constant() noexcept {
  using quantization = detail::constant_quantization<D, B, Weights, Shape, Grain>;
  return quantization::joined(typename quantization::chunks{});
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_QUANTIZE_QUANTIZE_CONSTANT_HPP

// ---- ptq/quantize/quantize_per_token.hpp ----

/// @file quantize_per_token.hpp Activations to codes while a model runs: each token by a scale of its own.
#ifndef PTQ_QUANTIZE_QUANTIZE_PER_TOKEN_HPP
#define PTQ_QUANTIZE_QUANTIZE_PER_TOKEN_HPP

#include <cstddef>
#include <span>

namespace ptq::inline v0_1 {

/// How many tokens a tensor has: the product of all extents but the last.
constexpr std::size_t token_count(const tensor_shape& shape) noexcept {
  std::size_t product = 1;
  for (std::size_t axis = 0; axis + 1 < shape.axes(); ++axis) product *= shape[axis];
  return product;
}

namespace detail {
inline namespace PTQ_BUILD {

/// The tokens of a tensor as the rows of panels: as many a panel as lie evenly. The codes are row-major.
template <class F>
constexpr void for_each_token_panel(const tensor_shape& shape, const tensor_strides& strides, F&& f) {
  if (shape.size() == 0) return;
  const std::size_t axes = shape.axes();
  panel p;
  p.by = scaling::per_row;
  p.columns = axes > 0 ? shape[axes - 1] : 1;
  p.step = axes > 0 ? strides[axes - 1] : 1;
  p.code_row_step = p.columns;
  for (std::size_t axis = axes > 0 ? axes - 1 : 0; axis-- > 0;) {
    if (shape[axis] == 1) continue;
    if (p.rows == 1) p.row_step = strides[axis];
    if (p.rows > 1 && strides[axis] != p.row_step * static_cast<std::ptrdiff_t>(p.rows)) break;
    p.rows *= shape[axis];
  }
  for (; p.scale < token_count(shape); p.scale += p.rows) {
    p.code = p.scale * p.columns;
    p.begin = offset_of(p.code, shape, strides);
    f(static_cast<const panel&>(p));
  }
}

/// Few enough tokens at a time that each is still in the cache when its codes are written.
template <class Quantization, executor Executor>
constexpr status quantize_tokens(const tensor_shape& shape, const tensor_strides& strides,
                                 std::size_t code_count, const Quantization& of, std::span<float> scales,
                                 const Executor& run) {
  if (shape.rank > max_rank) return {errc::wrong_rank, shape.rank};
  if (const std::size_t tokens = token_count(shape); scales.size() != tokens)
    return {errc::size_mismatch, tokens};
  if (code_count != shape.size()) return {errc::size_mismatch, shape.size()};
  for (float& scale : scales) scale = 0;
  for_each_token_panel(shape, strides, [&](const panel& all) {
    const std::size_t at_once = slice_size / all.columns + 1;
    run((all.rows + at_once - 1) / at_once, [&](std::size_t i) {
      const std::size_t first = i * at_once;
      const panel p = all.rows_from(first, all.rows - first < at_once ? all.rows - first : at_once);
      const std::span<float> own = scales.subspan(p.scale, p.rows);
      of.amax(p, scales.data());
      if (!are_finite(own)) return;
      of.scales(own);
      of.encode(p, scales.data(), false);
      make_decoding_scales(own);
    });
  });
  if (!are_finite(scales)) return {errc::not_finite, of.first_not_finite()};
  if (shape.size() == 0) {
    of.scales(scales);
    make_decoding_scales(scales);
  }
  return {};
}

}  // namespace PTQ_BUILD
}  // namespace detail

inline namespace PTQ_BUILD {

/// Quantizes each token by its own largest magnitude: dynamic activations. A token is what all indices but
/// the last pick: a row of [tokens, features] or of [batch, tokens, features].
///
/// @param codes  as many as the tensor has elements; row-major whatever the source is, so that the codes of
///               a token lie side by side for the product with a weight
/// @param scales one for each token (`token_count`); value = code * scale
/// @param run    who computes, as for `quantize`
/// @return as `quantize`
template <dtype D, backend B, adaptable_tensor Tensor, executor Executor = serial>
constexpr status quantize_per_token(const Tensor& tensor, contiguous<typename D::storage> codes,
                                    contiguous<float> scales, const Executor& run = {}) {
  const auto view = view_of(tensor);
  using value_type = typename decltype(view)::value_type;
  if (!codes.lies_as(view.shape, row_major(view.shape))) return {errc::unsupported, 0};
  return detail::quantize_tokens(view.shape, view.strides, codes.size(),
                                 detail::quantization_of<D, B, value_type>(view, codes.data()), scales, run);
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_QUANTIZE_QUANTIZE_PER_TOKEN_HPP

// ---- ptq/dtype/decoder.hpp ----

/// @file decoder.hpp How codes of one byte become values: computed, or looked up. The same values.
#ifndef PTQ_DTYPE_DECODER_HPP
#define PTQ_DTYPE_DECODER_HPP

#include <concepts>
#include <cstdint>

namespace ptq::inline v0_1 {

/// Computes each value from its code's bits: no table, and more instructions.
struct decode_by_bits {
  template <dtype D>
  static constexpr float decode(typename D::storage code) noexcept {
    return D::decode(code);
  }
};

namespace detail {

struct values_of_bytes {
  float at[256];
};

template <dtype D>
constexpr values_of_bytes make_value_table() noexcept {
  values_of_bytes values{};
  for (unsigned i = 0; i < 256; ++i)
    values.at[i] = D::decode(static_cast<typename D::storage>(static_cast<std::uint8_t>(i)));
  return values;
}

/// By the codes' bits. Of a namespace: a table in a function would be copied to the stack.
template <dtype D>
inline constexpr values_of_bytes value_table = make_value_table<D>();

}  // namespace detail

/// Looks values up in a table of all 256, which takes 1 KiB of flash, once a program: half of the
/// instructions for fp8 and more.
struct decode_by_table {
  template <dtype D>
    requires std::integral<typename D::storage> && (sizeof(typename D::storage) == 1)
  static constexpr float decode(typename D::storage code) noexcept {
    return detail::value_table<D>.at[static_cast<std::uint8_t>(code)];
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_DTYPE_DECODER_HPP

// ---- ptq/quantize/run.hpp ----

/// @file run.hpp The doors for firmware: floats that lie side by side and share one scale, into the caller's
/// memory. They give the bits of `quantize_by` and `dequantize`, and take a small part of their code: 38
/// bytes of a Cortex-M4F for int8 (see tests/embedded/budget.txt).
#ifndef PTQ_QUANTIZE_RUN_HPP
#define PTQ_QUANTIZE_RUN_HPP

#include <cstddef>
#include <cstdint>
#include <span>

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

// ---- ptq/tensor/any_view.hpp ----

/// @file any_view.hpp A read-only tensor whose element type is known at run time: where different tensor
/// types meet, and what files and engines hold.
#ifndef PTQ_TENSOR_ANY_VIEW_HPP
#define PTQ_TENSOR_ANY_VIEW_HPP

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace ptq::inline v0_1 {

/// An element at any address: files need not align their tensors.
template <element T>
struct unaligned {
  std::array<std::byte, sizeof(T)> bytes;
};

template <element T>
struct element_traits<unaligned<T>> {
  static constexpr element_type type = element_traits<T>::type;
  static constexpr float to_float(unaligned<T> x) noexcept {
    return element_traits<T>::to_float(std::bit_cast<T>(x));
  }
  static constexpr unaligned<T> from_float(float x) noexcept {
    return std::bit_cast<unaligned<T>>(element_traits<T>::from_float(x));
  }
};

namespace detail {

/// Its elements are gone before anything looks at them.
template <class T> concept temporary_tensor = adaptable_tensor<T> && (!named_tensor_or_view<T>);

}  // namespace detail

/// Non-owning. `data` points at the element whose indices are all 0 and may be unaligned; strides are in
/// elements. Without data it is the weight of a layer that has none, or one that cannot be read.
struct any_view {
  const void* data = nullptr;
  element_type type = element_type::unknown;
  const char* type_name = "";  ///< as its file calls it; empty where no file does
  tensor_shape shape;
  tensor_strides strides{};
  bool misfits = false;  ///< the memory has `held` elements, where the shape asks for others
  std::size_t held = 0;

  any_view() = default;

  /// From any adaptable tensor that lives on.
  template <class Tensor>
    requires(!std::same_as<std::remove_cvref_t<Tensor>, any_view>) && named_tensor_or_view<Tensor>
  any_view(Tensor&& tensor)  // NOLINT(google-explicit-constructor): layers are lists of tensors
  {
    const auto view = view_of(tensor);
    data = view.data;
    type = element_traits<typename decltype(view)::value_type>::type;
    shape = view.shape;
    strides = view.strides;
  }

  /// From flat memory (rank 1, without gaps) and its row-major shape. Where the sizes do not agree there is
  /// nothing to view: `misfits` tells, and whatever is given the tensor answers size_mismatch. A shape of
  /// more than `max_rank` axes has no size; the answer is wrong_rank then.
  template <named_tensor_or_view Tensor>
  any_view(Tensor&& flat, const tensor_shape& extents) : any_view(std::forward<Tensor>(flat)) {
    PTQ_ASSERT(shape.rank == 1 && (strides[0] == 1 || shape[0] <= 1));
    if (extents.rank <= max_rank && shape.size() != extents.size()) {
      misfits = true;
      held = shape.size();
      data = nullptr;
      type = element_type::unknown;
    }
    shape = extents;
    strides = row_major(extents);
  }

  /// Never compiles. A deleted function would: in a list of layers, compilers then say nothing of the tensor.
  template <detail::temporary_tensor Tensor>
  any_view(Tensor&& /*temporary*/) {  // NOLINT(google-explicit-constructor)
    static_assert(!detail::temporary_tensor<Tensor>,
                  "the tensor is a temporary, gone before it is looked at: give it a name");
  }
  template <detail::temporary_tensor Tensor>
  any_view(Tensor&& temporary, const tensor_shape& /*extents*/) : any_view(std::forward<Tensor>(temporary)) {}

  /// Row-major and without gaps.
  ///
  /// @param name a text that outlives the view
  any_view(const void* first, element_type element, const tensor_shape& extents,
           const char* name = "") noexcept
      : data(first), type(element), type_name(name), shape(extents), strides(row_major(extents)) {}

  any_view(const void* first, element_type element, const tensor_shape& extents,
           const tensor_strides& steps) noexcept
      : data(first), type(element), shape(extents), strides(steps) {}

  std::size_t size() const noexcept { return shape.size(); }

  /// Whether its elements are floats that can be quantized.
  bool has_floats() const noexcept { return is_float(type); }

  /// Of the element at an offset in elements. The type must have whole bytes.
  const std::byte* at(std::ptrdiff_t offset) const noexcept {
    return static_cast<const std::byte*>(data) + offset * static_cast<std::ptrdiff_t>(size_of(type));
  }

  /// Indices `first` to `first + count` of an axis.
  any_view part(std::size_t axis, std::size_t first, std::size_t count) const noexcept {
    any_view cut = *this;
    cut.data = at(static_cast<std::ptrdiff_t>(first) * strides[axis]);
    cut.shape.extents[axis] = count;
    return cut;
  }

  /// Indices `first` to `first + count` of the outermost axis.
  any_view rows(std::size_t first, std::size_t count) const noexcept { return part(0, first, count); }

  /// T must have the layout that `type` says, and the alignment that the data has.
  template <class T>
  tensor_view<const T> as() const noexcept {
    return {static_cast<const T*>(data), shape, strides};
  }
};

/// Calls f(tensor_view<const T>) with the element type of the view, which must be one of floats. T is float
/// for aligned floats, the common case; everything else comes as `unaligned`.
template <class F>
decltype(auto) visit(const any_view& view, F&& f) {
  PTQ_ASSERT(view.has_floats());
  switch (view.type) {
    case element_type::float64:
      return f(view.as<unaligned<double>>());
    case element_type::float16:
      return f(view.as<unaligned<half>>());
    case element_type::bfloat16:
      return f(view.as<unaligned<bfloat16>>());
    default:
      break;
  }
  if (reinterpret_cast<std::uintptr_t>(view.data) % alignof(float) == 0) return f(view.as<float>());
  return f(view.as<unaligned<float>>());
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_TENSOR_ANY_VIEW_HPP

// ---- ptq/version.hpp ----

/// @file version.hpp The version of ptq. Everything public lives in `ptq`, in an inline namespace named after
/// it.
#ifndef PTQ_VERSION_HPP
#define PTQ_VERSION_HPP

#define PTQ_VERSION_MAJOR 0
#define PTQ_VERSION_MINOR 1
#define PTQ_VERSION_PATCH 0
#define PTQ_VERSION_STRING "0.1.0"

#endif  // PTQ_VERSION_HPP

// ---- ptq/core.hpp ----

/// @file core.hpp The subset for firmware: no heap, no exceptions, no RTTI, no libm, and no third party.
#ifndef PTQ_CORE_HPP
#define PTQ_CORE_HPP

#endif  // PTQ_CORE_HPP
