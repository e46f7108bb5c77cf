// SPDX-License-Identifier: Apache-2.0
/// @file lean.hpp The kernels that take the least flash and time: for a run of contiguous floats with one
/// ordinary factor (2^-60 to 2^60), where the arithmetic of the hardware is as good as integers. The same
/// bits as the portable kernels, which stand in for them in constant expressions and where flags spoil
/// divisions.
#ifndef PTQ_KERNELS_LEAN_HPP
#define PTQ_KERNELS_LEAN_HPP

#include <concepts>
#include <cstddef>
#include <type_traits>

#include "ptq/backend/recipe.hpp"
#include "ptq/detail/platform.hpp"
#include "ptq/detail/strict_float.hpp"
#include "ptq/dtype/concept.hpp"
#include "ptq/dtype/int8.hpp"
#include "ptq/kernels/cortex_m.hpp"
#include "ptq/kernels/portable.hpp"

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
