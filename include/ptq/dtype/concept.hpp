// SPDX-License-Identifier: Apache-2.0
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
