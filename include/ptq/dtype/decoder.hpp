// SPDX-License-Identifier: Apache-2.0
/// @file decoder.hpp How codes of one byte become values: computed, or looked up. The same values.
#ifndef PTQ_DTYPE_DECODER_HPP
#define PTQ_DTYPE_DECODER_HPP

#include <concepts>
#include <cstdint>

#include "ptq/dtype/concept.hpp"

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
