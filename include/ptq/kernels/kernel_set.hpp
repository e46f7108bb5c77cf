// SPDX-License-Identifier: Apache-2.0
/// @file kernel_set.hpp The kernels that an instruction set has: what they are called by. Nothing here needs
/// the intrinsics' header; where PTQ_SEPARATE_KERNELS is defined, one translation unit of the program has the
/// bodies (see `platform.hpp`).
#ifndef PTQ_KERNELS_KERNEL_SET_HPP
#define PTQ_KERNELS_KERNEL_SET_HPP

#include <cstddef>
#include <cstdint>

#include "ptq/backend/recipe.hpp"
#include "ptq/detail/platform.hpp"
#include "ptq/kernels/binning.hpp"
#include "ptq/kernels/isa.hpp"
#include "ptq/numeric/element_type.hpp"

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
