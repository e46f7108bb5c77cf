// SPDX-License-Identifier: Apache-2.0
/// @file tiles.hpp Small tensors made to provoke differences between builds, and a checksum of everything
/// that ptq makes of them.
///
/// In an anonymous namespace: each translation unit gets its own copy, and so calls the library as that unit
/// sees it.
#ifndef PTQ_TESTS_SAME_BITS_TILES_HPP
#define PTQ_TESTS_SAME_BITS_TILES_HPP

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "ptq/core.hpp"
#include "support/random.hpp"

namespace {

constexpr std::uint64_t few_rounds = 4;     // within the limits of constant evaluation
constexpr std::uint64_t many_rounds = 105;  // of all three element types: 12 tiles each, 10^7 values

using ptq::detail::bits_of;
using ptq::detail::float_of;

/// FNV-1a over 32-bit words.
class checksum {
 public:
  constexpr void add(std::uint32_t word) {
    for (int shift = 0; shift < 32; shift += 8) hash_ = (hash_ ^ ((word >> shift) & 0xffu)) * 0x100000001b3u;
  }
  constexpr void add(const float& value) { add(bits_of(value)); }
  constexpr void add(ptq::half value) { add(std::uint32_t{value.bits}); }
  constexpr void add(ptq::bfloat16 value) { add(std::uint32_t{value.bits}); }
  constexpr void add(std::uint8_t code) { add(std::uint32_t{code}); }
  constexpr void add(std::int8_t code) { add(static_cast<std::uint32_t>(code)); }
  constexpr void add(ptq::status outcome) {
    add(static_cast<std::uint32_t>(outcome.code));
    add(static_cast<std::uint32_t>(outcome.at));
  }
  template <class Element, std::size_t N>
  constexpr void add(const std::array<Element, N>& elements, std::size_t count = N) {
    for (std::size_t i = 0; i < count; ++i) add(elements[i]);
  }
  constexpr std::uint64_t value() const { return hash_; }

 private:
  std::uint64_t hash_ = 0xcbf29ce484222325u;
};

/// The exponents of scales for an element type: for float well past the range where subnormals cannot matter.
template <class T>
inline constexpr int lowest_exponent = -70;
template <class T>
inline constexpr int highest_exponent = 50;
template <>
inline constexpr int lowest_exponent<ptq::half> = -20;
template <>
inline constexpr int highest_exponent<ptq::half> = 8;

/// A value whose quotient by the scale is a code, half-way between codes, or anything, and up to one place
/// beside it. Computed on bits: the test must not depend on what it tests.
constexpr float near_tie(test::random_bits& random, float scale) {
  const std::uint64_t choice = random.next();
  if (choice % 64 == 0)
    return float_of(static_cast<std::uint32_t>(choice >> 32) & 0x807fffffu);  // a subnormal or 0
  if (choice % 64 == 1) return random.next_float(-126, 60);
  const auto halves =
      static_cast<float>(static_cast<std::uint32_t>((choice >> 8) % 600));  // 0, 1/2, 1, ... 299.5
  const float quotient = choice % 2 == 0 ? halves / 2 : random.next_float(-12, 9);
  const std::uint32_t product = ptq::detail::multiply(bits_of(quotient), bits_of(scale));
  const std::uint32_t beside =
      product + static_cast<std::uint32_t>((choice >> 24) % 3) - (product == 0 ? 0u : 1u);
  return float_of(beside ^ (static_cast<std::uint32_t>(choice >> 40) & 0x80000000u));
}

/// Quantizes a tensor of Rows x Columns in every way and adds all results.
template <ptq::dtype D, ptq::backend B, ptq::element T, std::size_t Rows, std::size_t Columns>
constexpr void add_tile(checksum& sum, std::uint64_t seed) {
  test::random_bits random(seed);
  constexpr std::size_t size = Rows * Columns;
  constexpr std::size_t longest = Rows > Columns ? Rows : Columns;
  const ptq::granularity grains[] = {ptq::per_tensor(), ptq::per_channel(0), ptq::per_channel(1)};
  const ptq::granularity grain = grains[seed % 3];
  const ptq::tensor_shape shape{Rows, Columns};
  const std::size_t channels = ptq::scale_count(shape, grain);
  const bool column_major = seed % 5 < 2;
  ptq::tensor_strides strides = ptq::row_major(shape);
  if (column_major) strides = {1, static_cast<std::ptrdiff_t>(Rows)};

  std::array<float, longest> scales{};
  const float scale = random.next_float(lowest_exponent<T>, highest_exponent<T>);
  for (float& s : scales)
    s = random.next() % 4 == 0 ? random.next_float(lowest_exponent<T>, highest_exponent<T>) : scale;
  std::array<T, size> values{};
  for (T& value : values) value = ptq::element_traits<T>::from_float(near_tie(random, scale));
  const ptq::tensor_view<const T> view(values.data(), shape, strides);
  std::array<typename D::storage, size> codes{};
  std::array<T, size> back{};
  const ptq::tensor_view<T> target(back.data(), shape, strides);

  // By scales found before; the values may hold NaN and infinities.
  const T finite = values[size / 2];
  if (seed % 4 == 0) {
    values[size / 2] = ptq::element_traits<T>::from_float(float_of(0xffc00001u));
    values[size / 3] = ptq::element_traits<T>::from_float(float_of(0x7f800000u));
    values[size / 4] = ptq::element_traits<T>::from_float(float_of(0xff800000u));
  }
  const std::span<const float> given(scales.data(), channels);
  sum.add(ptq::quantize_by<D, B>(view, given, codes, grain));
  sum.add(codes);
  sum.add(ptq::dequantize<D>(codes, given, grain, target));
  sum.add(back);

  // By scales from the values themselves; one tile in eight is refused.
  if (seed % 8 != 0) {
    values[size / 2] = values[size / 3] = values[size / 4] = finite;
  }
  const std::span<float> found(scales.data(), channels);
  const ptq::status outcome = ptq::quantize<D, B>(view, codes, found, grain);
  sum.add(outcome);
  if (!outcome) return;
  sum.add(scales, channels);
  sum.add(codes);
  sum.add(ptq::dequantize<D>(codes, found, grain, target));
  sum.add(back);
}

/// Calls f.operator()<D, B>() for the dtypes and backends to try with an element type: all with float, where
/// the hardware computes; half of them with each of the half types, which share the kernels.
template <ptq::element T, class F>
constexpr void for_each_combination(F f) {
  using first = std::conditional_t<std::same_as<T, ptq::bfloat16>, ptq::modelopt, ptq::torchao>;
  using second = std::conditional_t<std::same_as<T, ptq::bfloat16>, ptq::torchao, ptq::modelopt>;
  f.template operator()<ptq::int8, first>();
  f.template operator()<ptq::fp8_e4m3fn, first>();
  f.template operator()<ptq::fp8_e5m2, second>();
  if constexpr (std::same_as<T, float>) {
    f.template operator()<ptq::int8, second>();
    f.template operator()<ptq::fp8_e4m3fn, second>();
    f.template operator()<ptq::fp8_e5m2, first>();
  }
}

/// The checksum of `rounds` tiles of each combination.
template <ptq::element T, std::size_t Rows, std::size_t Columns>
constexpr std::uint64_t checksum_of_tiles(std::uint64_t rounds) {
  checksum sum;
  std::uint64_t seed = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    for_each_combination<T>(
        [&]<ptq::dtype D, ptq::backend B> { add_tile<D, B, T, Rows, Columns>(sum, seed++); });
    ++seed;  // so that each combination meets each granularity and layout
  }
  return sum.value();
}

}  // namespace

#endif  // PTQ_TESTS_SAME_BITS_TILES_HPP
