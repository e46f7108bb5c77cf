// SPDX-License-Identifier: Apache-2.0
/// @file half.hpp The binary16 storage type: 16 bits and a conversion either way.
#ifndef PTQ_NUMERIC_HALF_HPP
#define PTQ_NUMERIC_HALF_HPP

#include <cstdint>

#include "ptq/detail/strict_float.hpp"
#include "ptq/numeric/minifloat.hpp"

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
