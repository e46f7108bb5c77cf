// SPDX-License-Identifier: Apache-2.0
// The kernels whose costs budget.txt tells, as firmware calls them, and a program that runs each over 1000
// elements. It prints a kernel's name when it has run; instructions.c counts from one call of `mark` to the
// next.
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "ptq/core.hpp"
#include "semihosting.hpp"

#define PTQ_KERNEL extern "C" [[gnu::noinline, gnu::noclone]] void

namespace {

using ptq::decode_by_table;
using ptq::fp8_e4m3fn;
using ptq::fp8_e5m2;
using ptq::int8;
using ptq::modelopt;
using std::size_t;

}  // namespace

PTQ_KERNEL int8_quantize(const float* values, size_t n, float scale, std::int8_t* codes) {
  ptq::quantize_run<int8, modelopt>({values, n}, scale, {codes, n});
}
PTQ_KERNEL int8_quantize_power_of_two(const float* values, size_t n, int exponent, std::int8_t* codes) {
  ptq::quantize_run({values, n}, ptq::power_of_two{exponent}, {codes, n});
}
PTQ_KERNEL int8_dequantize(const std::int8_t* codes, size_t n, float scale, float* values) {
  ptq::dequantize_run<int8>({codes, n}, scale, {values, n});
}
PTQ_KERNEL e4m3fn_quantize(const float* values, size_t n, float scale, std::uint8_t* codes) {
  ptq::quantize_run<fp8_e4m3fn, modelopt>({values, n}, scale, {codes, n});
}
PTQ_KERNEL e4m3fn_dequantize(const std::uint8_t* codes, size_t n, float scale, float* values) {
  ptq::dequantize_run<fp8_e4m3fn>({codes, n}, scale, {values, n});
}
PTQ_KERNEL e4m3fn_dequantize_table(const std::uint8_t* codes, size_t n, float scale, float* values) {
  ptq::dequantize_run<fp8_e4m3fn, decode_by_table>({codes, n}, scale, {values, n});
}
PTQ_KERNEL e5m2_quantize(const float* values, size_t n, float scale, std::uint8_t* codes) {
  ptq::quantize_run<fp8_e5m2, modelopt>({values, n}, scale, {codes, n});
}
PTQ_KERNEL e5m2_dequantize(const std::uint8_t* codes, size_t n, float scale, float* values) {
  ptq::dequantize_run<fp8_e5m2>({codes, n}, scale, {values, n});
}
// Without scales: fp8 as a way to store floats.
PTQ_KERNEL e4m3fn_encode(const float* values, size_t n, std::uint8_t* codes) {
  ptq::quantize_run<fp8_e4m3fn>({values, n}, {codes, n});
}
PTQ_KERNEL e4m3fn_decode(const std::uint8_t* codes, size_t n, float* values) {
  ptq::dequantize_run<fp8_e4m3fn>({codes, n}, {values, n});
}
PTQ_KERNEL e4m3fn_decode_table(const std::uint8_t* codes, size_t n, float* values) {
  ptq::dequantize_run<fp8_e4m3fn, decode_by_table>({codes, n}, {values, n});
}
PTQ_KERNEL e5m2_encode(const float* values, size_t n, std::uint8_t* codes) {
  ptq::quantize_run<fp8_e5m2>({values, n}, {codes, n});
}
PTQ_KERNEL e5m2_decode(const std::uint8_t* codes, size_t n, float* values) {
  ptq::dequantize_run<fp8_e5m2>({codes, n}, {values, n});
}
PTQ_KERNEL amax(const float* values, size_t n, float* largest) {
  *largest = ptq::amax_run({values, n});
}
PTQ_KERNEL requantize(const std::int32_t* sums, size_t n, ptq::multiplier_shift by, std::int8_t* codes) {
  for (size_t i = 0; i < n; ++i) codes[i] = ptq::requantize_to_int8(sums[i], by);
}
PTQ_KERNEL requantize_twice_rounded(const std::int32_t* sums, size_t n, ptq::multiplier_shift by,
                                    std::int8_t* codes) {
  for (size_t i = 0; i < n; ++i) codes[i] = ptq::requantize_to_int8<ptq::double_rounding>(sums[i], by);
}

extern "C" [[gnu::noinline]] void mark() {
  asm volatile("");
}

namespace {

constexpr size_t count = 1000;

/// Words that look random.
class random_words {
 public:
  std::uint32_t next() { return state_ = state_ * 1664525u + 1013904223u; }

 private:
  std::uint32_t state_ = 1;
};

}  // namespace

#define PTQ_MEASURE(kernel, from, ...) \
  mark(), kernel(from.data(), count, __VA_ARGS__), mark(), semihosting::print(#kernel "\n")

extern "C" int main() {
  random_words random;
  std::array<float, count> values;
  for (float& value : values) {  // of either sign, from 2^-7 up to 2^3
    const std::uint32_t word = random.next();
    value = std::bit_cast<float>((word & 0x80000000u) | (0x3c000000u + (word >> 4) % 0x05000000u));
  }
  std::array<std::uint8_t, count> codes;
  std::array<std::int8_t, count> integers;
  const float scale = 0.05F;
  float largest = 0;
  PTQ_MEASURE(amax, values, &largest);
  PTQ_MEASURE(int8_quantize, values, scale, integers.data());
  PTQ_MEASURE(int8_quantize_power_of_two, values, -4, integers.data());
  PTQ_MEASURE(e5m2_encode, values, codes.data());
  PTQ_MEASURE(e4m3fn_encode, values, codes.data());
  PTQ_MEASURE(e5m2_quantize, values, scale, codes.data());
  PTQ_MEASURE(e4m3fn_quantize, values, scale, codes.data());
  PTQ_MEASURE(int8_dequantize, integers, scale, values.data());
  PTQ_MEASURE(e4m3fn_dequantize, codes, scale, values.data());
  PTQ_MEASURE(e4m3fn_dequantize_table, codes, scale, values.data());
  PTQ_MEASURE(e4m3fn_decode, codes, values.data());
  PTQ_MEASURE(e4m3fn_decode_table, codes, values.data());
  PTQ_MEASURE(e5m2_dequantize, codes, scale, values.data());
  PTQ_MEASURE(e5m2_decode, codes, values.data());
  std::array<std::int32_t, count> sums;
  for (std::int32_t& sum : sums) sum = static_cast<std::int32_t>(random.next()) >> 12;
  const ptq::multiplier_shift by = ptq::from_scale(0.0003F);
  PTQ_MEASURE(requantize, sums, by, integers.data());
  PTQ_MEASURE(requantize_twice_rounded, sums, by, integers.data());
  return largest > 0 ? 0 : 1;
}
