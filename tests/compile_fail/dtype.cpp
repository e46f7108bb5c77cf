// SPDX-License-Identifier: Apache-2.0
// A dtype that lacks a member is told which.
//
// BAD NO_NAME: T::name
// BAD NO_STORAGE: storage
// BAD NO_IS_INTEGER: T::is_integer
// BAD NO_MAX_FINITE: T::max_finite
// BAD NO_LOWEST: T::lowest
// BAD NO_ENCODE: T::encode
// BAD THROWING_ENCODE: noexcept
// BAD NO_DECODE: T::decode
// BAD STATE: is_empty
// BAD NO_BITS: a code takes 1 bit or more
// BAD MORE_BITS: a code takes 1 bit or more, and no more than its storage has
// BAD FEW_BITS_IN_WORDS: codes of fewer than 8 bits have a storage of one byte
#include <array>
#include <cstdint>

#include "ptq/core.hpp"

struct sign {
#ifndef NO_NAME
  static constexpr const char* name = "sign";
#endif
#ifndef NO_STORAGE
  using storage = std::int8_t;
#endif
#ifndef NO_IS_INTEGER
  static constexpr bool is_integer = true;
#endif
#ifndef NO_MAX_FINITE
  static constexpr float max_finite = 1;
#endif
#ifndef NO_LOWEST
  static constexpr float lowest = -1;
#endif
#ifdef THROWING_ENCODE
  static constexpr std::int8_t encode(float x) { return x < 0 ? std::int8_t{-1} : std::int8_t{1}; }
#elif !defined(NO_ENCODE)
  static constexpr std::int8_t encode(float x) noexcept { return x < 0 ? std::int8_t{-1} : std::int8_t{1}; }
#endif
#ifndef NO_DECODE
  static constexpr float decode(std::int8_t code) noexcept { return code; }
#endif
#ifdef STATE
  int threshold;
#endif
#ifdef NO_BITS
  static constexpr int bits = 0;
#elif defined(MORE_BITS)
  static constexpr int bits = 9;
#else
  static constexpr int bits = 1;
#endif
};

struct wide_sign {
  static constexpr const char* name = "wide_sign";
  using storage = std::int16_t;
  static constexpr bool is_integer = true;
  static constexpr float max_finite = 1;
  static constexpr float lowest = -1;
#ifdef FEW_BITS_IN_WORDS
  static constexpr int bits = 7;
#else
  static constexpr int bits = 8;
#endif
  static constexpr storage encode(float x) noexcept { return x < 0 ? storage{-1} : storage{1}; }
  static constexpr float decode(storage code) noexcept { return code; }
};

static_assert(ptq::code_bits<wide_sign>() == 8);

static_assert(ptq::code_bits<sign>() == 1);

ptq::status quantize_signs(std::array<float, 3>& values, std::array<std::int8_t, 3>& codes, float& scale) {
  return ptq::quantize<sign, ptq::modelopt>(values, codes, {&scale, 1}, ptq::per_tensor());
}
