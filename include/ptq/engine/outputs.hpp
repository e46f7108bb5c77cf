// SPDX-License-Identifier: Apache-2.0
/// @file outputs.hpp What is checked of the tensors that engines make: that they hold plausible numbers.
#ifndef PTQ_ENGINE_OUTPUTS_HPP
#define PTQ_ENGINE_OUTPUTS_HPP

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>

#include "ptq/data/array.hpp"
#include "ptq/detail/strict_float.hpp"
#include "ptq/text/shape_text.hpp"
#include "ptq/text/table.hpp"

namespace ptq::inline v0_1 {

/// Beyond it a number made by a graph is absurd. Trained networks stay below 1e10; an engine answers
/// -3.4028e+38, the lowest float32, where there is no number: for the maximum of a pooling window that lies
/// in the padding.
inline constexpr double largest_plausible = 1e36;

/// A value that is no plausible number.
struct implausible_value {
  std::size_t at = 0;  ///< its row-major index
  std::string text;    ///< "[2, 0, 7] is NaN"
};

namespace detail {

/// By its bits, since -ffast-math takes every number for finite.
inline std::uint64_t magnitude_bits(const double& value) noexcept {
  return std::bit_cast<std::uint64_t>(value) & ~(std::uint64_t{1} << 63);
}

/// "NaN", "infinite" or "-3.4028e+38, beyond 1e36".
inline std::string implausible_text(double value) {
  constexpr std::uint64_t infinite = 0x7ff0000000000000u;
  const std::uint64_t size = magnitude_bits(value);
  if (size > infinite) return "NaN";
  return size == infinite ? "infinite" : short_text(value, 5) + ", beyond 1e36";
}

/// Whether all magnitudes are floats below 1e35: the usual case, seen at one glance.
inline bool is_plainly_plausible(const any_view& made) {
  if (made.type != element_type::float32) return false;
  std::uint32_t largest = 0;
  for_each_element(made, [&](auto value) {
    if constexpr (std::is_same_v<decltype(value), float>) {
      const std::uint32_t size = magnitude(bits_of(value));
      largest = size > largest ? size : largest;
    }
  });
  return largest < bits_of(1e35F);
}

}  // namespace detail

/// The first value of a tensor that is NaN, infinite, or of a magnitude above `largest_plausible`; nothing
/// where all are plausible, or are integers.
inline std::optional<implausible_value> find_implausible(const any_view& made) {
  std::optional<implausible_value> found;
  if (!is_float(made.type) || detail::is_plainly_plausible(made)) return found;
  std::size_t at = 0;
  for_each_element(made, [&](auto value) {
    const auto x = static_cast<double>(number_of(value));
    if (detail::magnitude_bits(x) > std::bit_cast<std::uint64_t>(largest_plausible) && !found)
      found =
          implausible_value{at, detail::index_text(at, made.shape) + " is " + detail::implausible_text(x)};
    ++at;
  });
  return found;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_ENGINE_OUTPUTS_HPP
