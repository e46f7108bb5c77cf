// SPDX-License-Identifier: Apache-2.0
/// @file random.hpp The same pseudo-random bits everywhere, also in constant expressions.
#ifndef PTQ_TESTS_SUPPORT_RANDOM_HPP
#define PTQ_TESTS_SUPPORT_RANDOM_HPP

#include <cstdint>

#include "ptq/detail/strict_float.hpp"

namespace test {

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
class random_bits {
 public:
  constexpr explicit random_bits(std::uint64_t seed) : state_(seed) {}

  constexpr std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15u;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  /// A finite float with an exponent in [lowest, highest) and either sign, all significands alike.
  constexpr float next_float(int lowest, int highest) {
    const std::uint64_t bits = next();
    const auto field =
        static_cast<std::uint32_t>(lowest + 127) +
        static_cast<std::uint32_t>((bits >> 32) % static_cast<std::uint32_t>(highest - lowest));
    return ptq::detail::float_of((static_cast<std::uint32_t>(bits) & 0x807fffffu) | (field << 23));
  }

 private:
  std::uint64_t state_;
};

}  // namespace test

#endif  // PTQ_TESTS_SUPPORT_RANDOM_HPP
