// SPDX-License-Identifier: Apache-2.0
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

#include "ptq/backend/concept.hpp"
#include "ptq/backend/recipe.hpp"
#include "ptq/detail/platform.hpp"
#include "ptq/detail/strict_float.hpp"
#include "ptq/dtype/concept.hpp"
#include "ptq/kernels/portable.hpp"
#include "ptq/quantize/scales.hpp"
#include "ptq/tensor/element.hpp"
#include "ptq/tensor/traits.hpp"
#include "ptq/tensor/view.hpp"

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
