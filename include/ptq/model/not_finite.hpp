// SPDX-License-Identifier: Apache-2.0
/// @file not_finite.hpp Says what is wrong with an element that is not finite as float32.
#ifndef PTQ_MODEL_NOT_FINITE_HPP
#define PTQ_MODEL_NOT_FINITE_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "ptq/numeric/element_type.hpp"
#include "ptq/tensor/any_view.hpp"

namespace ptq::inline v0_1::detail {

/// What is wrong with the element at a row-major index.
inline const char* why_not_finite(const any_view& view, std::size_t at) noexcept {
  if (view.type == element_type::float64) {
    std::ptrdiff_t offset = 0;
    for (std::size_t axis = view.shape.rank; axis-- > 0; at /= view.shape[axis])
      offset += static_cast<std::ptrdiff_t>(at % view.shape[axis]) * view.strides[axis];
    std::uint64_t bits = 0;
    // By bytes: no pointer to double may point at data that is not aligned.
    std::memcpy(&bits, view.at(offset), sizeof bits);
    if ((bits >> 52 & 0x7FF) != 0x7FF) return "does not fit float32";
  }
  return "is NaN or infinite";
}

}  // namespace ptq::inline v0_1::detail

#endif  // PTQ_MODEL_NOT_FINITE_HPP
