// SPDX-License-Identifier: Apache-2.0
// Uses all that the core offers, on fixed storage: every dtype under every backend, every calibrator, fixed
// point. What the machine computes has to be what the compiler computed, bit for bit; then the same again
// with subnormals flushed to zero, where the machine can. It has to link with no library but the compiler's
// own.
//
// The exit status is the number of the check that failed first, 100 more where subnormals were flushed; 0 for
// none.
#if defined(PTQ_TEST_SINGLE_HEADER)
#include "ptq/ptq_core.hpp"
#endif

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "ptq/core.hpp"
#include "same_bits/tiles.hpp"
#include "support/random.hpp"
#include "support/subnormals.hpp"
#if __STDC_HOSTED__
#include <cstdio>
#else
#include "../../examples/embedded/semihosting.hpp"
#endif

#if __STDC_HOSTED__
namespace output {
void print(const char* text) {
  std::fputs(text, stdout);
}
void print(std::int32_t number) {
  std::printf("%d", int{number});
}
}  // namespace output
#else
namespace output = semihosting;
#endif

namespace {

/// Each check is a checksum of what it computes. It takes a 0, which at run time the compiler does not see:
/// it would compute the rest itself.
using check = std::uint64_t(std::uint32_t zero);

/// Calls f.operator()<D>() for each dtype that has 256 codes.
template <class F, class... Dtypes>
constexpr void for_each_of(ptq::list<Dtypes...>, F f) {
  (f.template operator()<Dtypes>(), ...);
}
using byte_dtypes = ptq::list<ptq::int8, ptq::fp8_e4m3fn, ptq::fp8_e5m2>;

constexpr std::uint64_t all_codes(std::uint32_t zero) {
  checksum sum;
  for_each_of(byte_dtypes{}, [&]<class D> {
    for (std::uint32_t i = zero; i < 256; ++i) {
      const float value = D::decode(static_cast<typename D::storage>(i));
      sum.add(value);
      sum.add(D::encode(value));
    }
  });
  return sum.value();
}

/// How many codes do not come back from the value that they stand for: but infinities saturate, and NaN has
/// one code.
constexpr std::uint64_t codes_that_change(std::uint32_t zero) {
  std::uint64_t changed = 0;
  for_each_of(byte_dtypes{}, [&]<class D> {
    for (std::uint32_t i = zero; i < 256; ++i) {
      const auto code = static_cast<typename D::storage>(i);
      const float value = D::decode(code);
      const bool is_finite = ptq::detail::magnitude(bits_of(value)) < ptq::detail::infinity_bits;
      changed += is_finite && D::encode(value) != code ? 1 : 0;
    }
  });
  return changed;
}
static_assert(codes_that_change(0) == 0);

/// Floats of every exponent and both signs: subnormals, infinities and NaN are among them.
constexpr std::uint64_t all_exponents(std::uint32_t zero) {
  checksum sum;
  test::random_bits random(zero);
  for (std::uint32_t i = 0; i < 512; ++i) {
    const auto mantissa = static_cast<std::uint32_t>(random.next());
    for (const std::uint32_t places : {0u, 18u, 20u}) {  // any, and ties of both kinds of fp8
      const float value = float_of((i << 23) | (mantissa & 0x7fffffu) >> places << places);
      for_each_of(byte_dtypes{}, [&]<class D> { sum.add(D::encode(value)); });
    }
  }
  return sum.value();
}

/// A value and its codes. Source: OCP 8-bit Floating Point Specification 1.0, table 1 (largest, smallest
/// normal, smallest subnormal), and ties beside them.
struct known {
  float value;
  std::int8_t int8;
  std::uint8_t e4m3fn, e5m2;
};
constexpr known known_codes[] = {
    {1.0F, 1, 0x38, 0x3c},       {-0.0F, 0, 0x80, 0x80},        {448.0F, 127, 0x7e, 0x5f},
    {57344.0F, 127, 0x7e, 0x7b}, {-57344.0F, -128, 0xfe, 0xfb}, {0x1p-6F, 0, 0x08, 0x24},
    {0x1p-9F, 0, 0x01, 0x18},    {0x1p-14F, 0, 0x00, 0x04},     {0x1p-16F, 0, 0x00, 0x01},
    {0x1p-10F, 0, 0x00, 0x14},   {0x1.8p-9F, 0, 0x02, 0x1a},    {0x1p-17F, 0, 0x00, 0x00},
    {0x1p-149F, 0, 0x00, 0x00},  {2.5F, 2, 0x42, 0x41},         {-3.5F, -4, 0xc6, 0xc3},
    {17.0F, 17, 0x58, 0x4c},     {19.0F, 19, 0x5a, 0x4d},       {1e30F, 127, 0x7e, 0x7b},
};

/// How many of them are not so.
constexpr std::uint64_t wrong_codes(std::uint32_t zero) {
  std::uint64_t wrong = 0;
  for (const known& one : known_codes) {
    const float value = float_of(bits_of(one.value) ^ zero);
    wrong += ptq::int8::encode(value) == one.int8 ? 0 : 1;
    wrong += ptq::fp8_e4m3fn::encode(value) == one.e4m3fn ? 0 : 1;
    wrong += ptq::fp8_e5m2::encode(value) == one.e5m2 ? 0 : 1;
  }
  return wrong;
}
static_assert(wrong_codes(0) == 0);

/// The tiles of tests/same_bits, for which other builds have these numbers.
template <class T>
constexpr std::uint64_t tiles(std::uint32_t zero) {
  return checksum_of_tiles<T, 5, 7>(few_rounds + zero);
}

constexpr std::size_t rows = 3;
constexpr std::size_t columns = 4;

/// How many samples of `fake_quantize` are not what `quantize` and `dequantize` make, under every backend;
/// and codes of rows, whose scales are those of channels.
constexpr std::uint64_t other_values(std::uint32_t zero) {
  std::array<float, rows * columns> values{};
  test::random_bits random(7 + zero);
  for (float& value : values) value = random.next_float(-4, 3);
  std::uint64_t others = 0;
  for_each_of(ptq::backends{}, [&]<class B> {
    for_each_of(ptq::dtypes{}, [&]<class D> {
      std::array<float, rows * columns> faked = values;
      std::array<float, rows * columns> decoded{};
      std::array<typename D::storage, rows * columns> codes{};
      std::array<typename D::storage, rows * columns> row_codes{};
      std::array<float, rows> scales{};
      std::array<float, rows> row_scales{};
      const ptq::granularity grain = ptq::per_channel(0);
      const auto matrix = [](std::array<float, rows * columns>& of) {
        return ptq::tensor_view<float>{of.data(), {rows, columns}};
      };
      bool done = static_cast<bool>(ptq::quantize<D, B>(matrix(values), codes, scales, grain));
      done = ptq::dequantize<D>(codes, scales, grain, matrix(decoded)) && done;
      done = ptq::fake_quantize<D, B>(matrix(faked), scales, grain) && done;
      done = ptq::quantize_per_token<D, B>(matrix(values), row_codes, row_scales) && done;
      others += done ? 0 : 1;
      for (std::size_t i = 0; i < values.size(); ++i)
        others += bits_of(faked[i]) == bits_of(decoded[i]) ? 0 : 1;
      for (std::size_t i = 0; i < codes.size(); ++i) others += codes[i] == row_codes[i] ? 0 : 1;
    });
  });
  return others;
}

/// Codes of fewer bits, side by side and apart.
constexpr std::uint64_t packed_codes(std::uint32_t zero) {
  checksum sum;
  for (int bits = 1; bits <= 8; ++bits) {
    std::array<std::byte, 21> codes{};
    for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<std::byte>(i * 37 + zero);
    std::array<std::byte, 21> bytes{};
    const std::span<std::byte> packed(bytes.data(), ptq::packed_size(codes.size(), bits));
    ptq::pack(codes, bits, packed);
    for (const std::byte byte : bytes) sum.add(static_cast<std::uint8_t>(byte));
    ptq::unpack(packed, bits, true, 0, codes);
    for (const std::byte code : codes) sum.add(static_cast<std::uint8_t>(code));
  }
  return sum.value();
}

/// Every calibrator, on statistics that an M0 has room for; the samples are bell-shaped.
constexpr std::uint64_t ranges(std::uint32_t zero) {
  ptq::statistics<256> seen;
  test::random_bits random(11 + zero);
  std::array<float, 64> batch{};
  for (int batches = 0; batches < 8; ++batches) {
    for (float& value : batch) {
      const std::uint64_t word = random.next();
      const auto wide =
          static_cast<std::int32_t>((word & 0xfffu) + (word >> 12 & 0xfffu) + (word >> 24 & 0xfffu));
      value = float_of((127u - 13u) << 23) * static_cast<float>(wide - 0x17fe);  // 2^-13, and exact
    }
    if (!seen.collect(batch)) return 0;
  }
  checksum sum;
  sum.add(seen.absmax);
  for_each_of(ptq::calibrators{}, [&]<class C> {
    const ptq::range found = C{}.range(seen);
    sum.add(found.amax);
    sum.add(static_cast<std::uint32_t>(found.reason));
  });
  return sum.value();
}

/// Sums times factors by every rounding, factors from scales, and scales that are powers of two.
constexpr std::uint64_t fixed_point(std::uint32_t zero) {
  checksum sum;
  test::random_bits random(13 + zero);
  const auto positive = [&](int lowest, int highest) {
    return float_of(ptq::detail::magnitude(bits_of(random.next_float(lowest, highest))));
  };
  for (int i = 0; i < 64; ++i) {
    const ptq::multiplier_shift by = ptq::from_scale(positive(-34, 4));
    const auto accumulated = static_cast<std::int32_t>(random.next() >> 32) >> (i % 32);
    sum.add(static_cast<std::uint32_t>(by.multiplier));
    sum.add(static_cast<std::uint32_t>(by.shift));
    for_each_of(ptq::list<ptq::single_rounding, ptq::double_rounding, ptq::half_even, ptq::half_away>{},
                [&]<class R> {
                  sum.add(static_cast<std::uint32_t>(ptq::requantize<R>(accumulated, by)));
                  sum.add(ptq::requantize_to_int8<R>(accumulated, by, i));
                });
    const ptq::power_of_two scale = ptq::power_of_two::covering(positive(-126, 127));
    sum.add(scale.value());
    sum.add(scale.encode(random.next_float(-20, 20)));
    sum.add(scale.decode(static_cast<std::int8_t>(i)));
  }
  return sum.value();
}

struct named_check {
  const char* name;
  check* compute;
  std::uint64_t expected;
};

/// By the compiler; each alone, since compilers limit how long they compute one.
template <check* Compute>
constexpr std::uint64_t computed_before = Compute(0);

template <check* Compute>
consteval named_check checked(const char* name) {
  return {name, Compute, computed_before<Compute>};
}

constexpr named_check checks[] = {
    checked<wrong_codes>("codes of known values"),
    checked<codes_that_change>("codes of the values that they stand for"),
    checked<all_codes>("values of all codes"),
    checked<all_exponents>("codes of floats of every exponent"),
    checked<tiles<float>>("tiles of float"),
    checked<tiles<ptq::half>>("tiles of half"),
    checked<tiles<ptq::bfloat16>>("tiles of bfloat16"),
    checked<other_values>("fake-quantized values and codes of tokens"),
    checked<packed_codes>("packed codes"),
    checked<ranges>("ranges by every calibrator"),
    checked<fixed_point>("sums times factors, and scales that are powers of two"),
};

/// The number of the check that failed first, from 1 on; 0 for none.
int failed_check(const char* where) {
  const volatile std::uint32_t zero = 0;
  int number = 0;
  for (const named_check& one : checks) {
    ++number;
    if (one.compute(zero) == one.expected) continue;
    output::print("not as the compiler computed it: ");
    output::print(one.name);
    output::print(where);
    return number;
  }
  return 0;
}

/// Prints a number that depends on all results, for comparison with other machines.
void print_checksum() {
  checksum sum;
  for (const named_check& one : checks) {
    sum.add(static_cast<std::uint32_t>(one.expected >> 32));
    sum.add(static_cast<std::uint32_t>(one.expected));
  }
  output::print(static_cast<std::int32_t>(sum.value() >> 32));
  output::print("\n");
}

}  // namespace

extern "C" int main() {
  if (const int failed = failed_check("\n"); failed != 0) return failed;
  if (test::flush_subnormals(true)) {
    const int failed = failed_check(" where subnormals are flushed\n");
    if (failed != 0) return 100 + failed;
  }
  print_checksum();
  return 0;
}
