// SPDX-License-Identifier: Apache-2.0
/// @file run_checks.hpp The doors for runs, against one value at a time on integers: what they write by
/// ordinary scales for every code, what is half-way between two, their neighbours, and numbers of every size.
/// For hosts and for firmware.
#ifndef PTQ_TESTS_SUPPORT_RUN_CHECKS_HPP
#define PTQ_TESTS_SUPPORT_RUN_CHECKS_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "ptq/backends.hpp"
#include "ptq/detail/strict_float.hpp"
#include "ptq/detail/type_list.hpp"
#include "ptq/dtypes.hpp"
#include "ptq/quantize/run.hpp"
#include "support/random.hpp"

namespace test {

/// Both ends of what is ordinary, 1, powers of two and others.
inline constexpr std::array<float, 9> ordinary_scales{
    0x1p-60F, 0x1.fffffep-60F, 0x1.8p-30F,     0.0371F,       1.0F,
    3.0F,     0x1.fffffep-1F,  0x1.234568p40F, 0x1.fffffep59F};

/// Collects values into runs of 1 to 13, and compares the codes of each.
template <ptq::dtype D, ptq::backend B>
class run_check {
 public:
  using code = typename D::storage;

  constexpr explicit run_check(const float& scale) : scale_(scale) {}

  constexpr void add(std::uint32_t value_bits) {
    values_[size_++] = ptq::detail::float_of(value_bits);
    if (size_ != length_) return;
    length_ = length_ % longest + 1;
    compare();
  }

  /// Values whose quotient is `quotient` or beside it.
  constexpr void add_around(const float& quotient) {
    const std::uint32_t value =
        ptq::detail::multiply(ptq::detail::bits_of(quotient), ptq::detail::bits_of(scale_));
    for (std::uint32_t away = 0; away < 5; ++away)
      add(value + away - (ptq::detail::magnitude(value) < 2 ? 0u : 2u));
  }

  constexpr int wrong() const { return wrong_; }

 private:
  static constexpr std::size_t longest = 13;
  static constexpr code untouched{85};

  constexpr code expected(const float& value) const {
    using ptq::detail::bits_of;
    const std::uint32_t scale = bits_of(scale_);
    if constexpr (ptq::recipe_of<D, B>.how == ptq::arithmetic::divide) {
      return D::encode(ptq::detail::float_of(ptq::detail::divide(bits_of(value), scale)));
    } else {
      const std::uint32_t reciprocal = ptq::detail::divide(ptq::detail::one_bits, scale);
      return D::encode(ptq::detail::float_of(ptq::detail::multiply(bits_of(value), reciprocal)));
    }
  }

  // GCC 12 with -O3 -ffast-math -march=native takes values_ for uninitialised where this is inlined.
  [[gnu::noinline]] constexpr void compare() {
    std::array<code, longest + 1> codes{};
    codes[size_] = untouched;
    ptq::quantize_run<D, B>(std::span<const float>(values_.data(), size_), scale_,
                            std::span<code>(codes.data(), size_));
    for (std::size_t i = 0; i < size_; ++i)
      if (codes[i] != expected(values_[i])) ++wrong_;
    if (codes[size_] != untouched) ++wrong_;
    size_ = 0;
  }

  float scale_;
  std::array<float, longest> values_{};
  std::size_t size_ = 0;
  std::size_t length_ = 1;
  int wrong_ = 0;
};

/// How many codes are wrong by one scale.
template <ptq::dtype D, ptq::backend B>
constexpr int wrong_codes(const float& scale, int random_values) {
  run_check<D, B> check(scale);
  for (const std::uint32_t bits : {0x00000000u, 0x00000001u, 0x007fffffu, 0x00800000u, 0x7f7fffffu,
                                   0x7f800000u, 0x7f800001u, 0x7fc00000u, 0x7fffffffu}) {
    check.add(bits);
    check.add(bits | ptq::detail::sign_bit);
  }
  for (int i = 0; i < 256; ++i) {
    const float value = D::decode(static_cast<typename D::storage>(i));
    const float next = D::decode(static_cast<typename D::storage>(i + 1));
    if (!ptq::detail::is_finite(ptq::detail::bits_of(value)) ||
        !ptq::detail::is_finite(ptq::detail::bits_of(next)))
      continue;
    check.add_around(value);
    check.add_around((value + next) * 0.5F);
  }
  random_bits random(ptq::detail::bits_of(scale));
  for (int i = 0; i < random_values; ++i) check.add(ptq::detail::bits_of(random.next_float(-126, 127)));
  for (int i = 0; i < random_values; ++i) check.add_around(random.next_float(-10, 9));
  for (int i = 0; i < 13; ++i) check.add(0);  // fills the last run
  return check.wrong();
}

/// How many values of codes are wrong by one scale.
template <ptq::dtype D, class Decoder>
constexpr int wrong_values(const float& scale) {
  using ptq::detail::bits_of;
  int wrong = 0;
  for (int i = 0; i < 256; ++i) {
    const std::array<typename D::storage, 1> code{static_cast<typename D::storage>(i)};
    std::array<float, 1> value{};
    ptq::dequantize_run<D, Decoder>(code, scale, value);
    if (bits_of(value[0]) != ptq::detail::multiply(bits_of(D::decode(code[0])), bits_of(scale))) ++wrong;
    ptq::dequantize_run<D, Decoder>(code, value);
    if (bits_of(value[0]) != bits_of(D::decode(code[0]))) ++wrong;
  }
  return wrong;
}

/// The same of all dtypes, backends, decoders and scales. 0 if all is as it should be.
template <class... Dtypes, class... Backends>
int wrong_in_runs(ptq::list<Dtypes...> /*dtypes*/, ptq::list<Backends...> /*backends*/, int random_values) {
  int wrong = 0;
  const auto check_codes = [&]<class D>(const float& scale) {
    ((wrong += wrong_codes<D, Backends>(scale, random_values)), ...);
  };
  const auto check_values = [&]<class D>(const float& scale) {
    wrong += wrong_values<D, ptq::decode_by_bits>(scale) + wrong_values<D, ptq::decode_by_table>(scale);
  };
  for (const float& scale : ordinary_scales) {
    (check_codes.template operator()<Dtypes>(scale), ...);
    (check_values.template operator()<Dtypes>(scale), ...);
  }
  return wrong;
}

inline int wrong_in_runs(int random_values) {
  return wrong_in_runs(ptq::list<ptq::int8, ptq::fp8_e4m3fn, ptq::fp8_e5m2>{}, ptq::backends{},
                       random_values);
}

}  // namespace test

#endif  // PTQ_TESTS_SUPPORT_RUN_CHECKS_HPP
