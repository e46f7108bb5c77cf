// SPDX-License-Identifier: Apache-2.0
// Each kernel set that the machine has against the portable one: every length, every misalignment, all
// special values, in every mode of the processor. A set that the machine lacks is said.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "ptq/backend/concept.hpp"
#include "ptq/backends.hpp"
#include "ptq/dtypes.hpp"
#include "ptq/kernels/panel_kernels.hpp"
#include "ptq/quantize/quantize.hpp"
#include "ptq/tensor/any_view.hpp"
#include "support/compare.hpp"
#include "support/random.hpp"
#include "support/subnormals.hpp"

namespace kernels = ptq::kernels;

using ptq::arithmetic;
using ptq::isa;
using ptq::detail::bits_of;
using ptq::detail::float_of;

namespace {

/// Calls f with each set but the portable one active.
template <class F>
void for_each_set(const F& f) {
  for (const isa set : ptq::all_isas) {
    if (set == isa::portable) continue;
    if (!ptq::is_available(set)) {
      MESSAGE("not tested: this machine or build has no " << std::string(ptq::name_of(set)));
      continue;
    }
    CAPTURE(std::string(ptq::name_of(set)));
    ptq::force_isa(set);
    f();
    ptq::choose_best_isa();
  }
}

/// What f answers with portable kernels.
template <class F>
auto portably(const F& f) {
  const isa before = ptq::active_isa();
  ptq::force_isa(isa::portable);
  auto answer = f();
  ptq::force_isa(before);
  return answer;
}

/// Special values, ties and places beside them for a scale, random ones.
std::vector<float> make_values(float scale, std::size_t count) {
  std::vector<float> values;
  for (const std::uint32_t bits :
       {0x00000000u, 0x80000000u, 0x00000001u, 0x807fffffu, 0x00800000u, 0x7f7fffffu, 0xff7fffffu,
        0x7f800000u, 0xff800000u, 0x7fc00000u, 0xffc00001u, 0x7f800001u, 0xff8fffffu, 0x7fffffffu})
    values.push_back(float_of(bits));
  test::random_bits random(bits_of(scale));
  while (values.size() < count) {
    const std::uint64_t choice = random.next();
    const auto halves = static_cast<float>((choice >> 8) % 600) / 2;
    const float quotient = choice % 3 == 0 ? halves : random.next_float(-20, 18);
    const std::uint32_t product = ptq::detail::multiply(bits_of(quotient), bits_of(scale));
    const std::uint32_t beside = product + static_cast<std::uint32_t>((choice >> 24) % 3);
    values.push_back(float_of((product == 0 ? 0u : beside - 1) ^
                              (static_cast<std::uint32_t>(choice >> 40) & 0x80000000u)));
    if (choice % 16 == 1) values.back() = float_of(static_cast<std::uint32_t>(random.next()));
  }
  return values;
}

template <class T>
std::vector<T> as_elements(const std::vector<float>& values) {
  std::vector<T> elements;
  for (const float& value : values) elements.push_back(ptq::element_traits<T>::from_float(value));
  return elements;
}

/// Scales where sets compute, and some where they leave it to the portable kernels.
std::vector<float> make_scales() {
  std::vector<float> scales{0x1p-60F,       0x1p60F,       1.0F,       0.0371F,
                            0x1.fffffep-1F, 0x1.000002p0F, 3.0F,       0x1p-61F,
                            0x1p61F,        0x1p-149F,     0x1.fp127F, float_of(ptq::detail::infinity_bits)};
  test::random_bits random(5);
  for (int i = 0; i < 20; ++i)
    scales.push_back(float_of(ptq::detail::magnitude(bits_of(random.next_float(-60, 60)))));
  return scales;
}

template <ptq::dtype D, arithmetic How>
std::vector<typename D::storage> encoded(const std::vector<float>& values, float scale, bool each,
                                         bool streams) {
  constexpr std::uint8_t guard = 0x5a;
  std::vector<typename D::storage> codes(values.size() + 64, static_cast<typename D::storage>(guard));
  const std::vector<float> scales(values.size(), scale);
  std::vector<float> inverses(values.size());
  const bool ordinary = kernels::invert<How>(scales.data(), scales.size(), inverses.data());
  kernels::encode_run<D, How>(values.data(), values.size(), {scales.data(), inverses.data(), each}, ordinary,
                              codes.data(), streams);
  return codes;
}

template <ptq::dtype D, arithmetic How>
void check_encoding() {
  for (const float& scale : make_scales()) {
    CAPTURE(bits_of(scale));
    const std::vector<float> values = make_values(scale, 700);
    const auto expected = portably([&] { return encoded<D, How>(values, scale, false, false); });
    for (const bool each : {false, true})
      for (const bool streams : {false, true})
        CHECK(test::differences(encoded<D, How>(values, scale, each, streams), expected) == 0);
  }
}

/// Every sign, exponent and beginning of a significand, which has all ties of the formats by a scale of 1,
/// and the floats beside those.
std::vector<float> make_sample() {
  std::vector<float> values;
  for (std::uint32_t upper = 0; upper <= 0xffffu; ++upper)
    for (const std::uint32_t beside : {0xffffffffu, 0u, 1u})
      values.push_back(float_of((upper << 16) + beside));
  return values;
}

template <ptq::dtype D, arithmetic How>
void check_sample() {
  static const std::vector<float> values = make_sample();
  for (const float& scale : {1.0F, 0.0371F}) {
    CAPTURE(scale);
    const auto expected = portably([&] { return encoded<D, How>(values, scale, false, false); });
    CHECK(test::differences(encoded<D, How>(values, scale, false, false), expected) == 0);
  }
}

/// A matrix of halves by the recipe of a backend, which may round quotients to halves, by rows and columns.
template <ptq::dtype D, ptq::backend B, class T>
void check_halves() {
  constexpr std::size_t rows = 30;
  constexpr std::size_t columns = 23;
  for (const float& scale : make_scales()) {
    CAPTURE(bits_of(scale));
    const std::vector<T> values = as_elements<T>(make_values(scale, rows * columns));
    const ptq::tensor_view<const T> matrix(values.data(), {rows, columns});
    for (const ptq::granularity grain : {ptq::per_tensor(), ptq::per_channel(0), ptq::per_channel(1)}) {
      const std::vector<float> scales(ptq::scale_count(matrix.shape, grain), scale);
      const auto codes = [&] {
        std::vector<typename D::storage> found(values.size());
        CHECK(ptq::quantize_by<D, B>(matrix, scales, found, grain));
        return found;
      };
      CHECK(test::differences(codes(), portably(codes)) == 0);
    }
  }
}

template <ptq::dtype D>
void check_all_encodings() {
  check_encoding<D, arithmetic::divide>();
  check_encoding<D, arithmetic::multiply_by_reciprocal>();
  check_halves<D, ptq::torchao, ptq::half>();
  check_halves<D, ptq::torchao, ptq::bfloat16>();
  check_halves<D, ptq::modelopt, ptq::half>();
  check_halves<D, ptq::modelopt, ptq::bfloat16>();
}

template <ptq::dtype D>
void check_decoding() {
  std::vector<typename D::storage> codes;
  for (int i = 0; i < 600; ++i) codes.push_back(static_cast<typename D::storage>(i));
  for (const float& scale : make_scales()) {
    CAPTURE(bits_of(scale));
    const std::vector<float> scales(codes.size(), scale);
    const auto decoded = [&](bool each, bool streams) {
      std::vector<std::uint32_t> found(codes.size() + 64, 0x5a5a5a5au);
      std::vector<float> values(codes.size() + 64, float_of(0x5a5a5a5au));
      if (each)
        kernels::decode_each<D>(codes.data(), codes.size(), scales.data(), values.data(), streams,
                                kernels::are_ordinary(scales.data(), scales.size()));
      else
        kernels::decode_run<D>(codes.data(), codes.size(), scale, values.data(), streams);
      std::memcpy(found.data(), values.data(), values.size() * sizeof(float));
      return found;
    };
    const auto expected = portably([&] { return decoded(false, false); });
    for (const bool each : {false, true})
      for (const bool streams : {false, true}) CHECK(decoded(each, streams) == expected);
  }
}

/// Runs of every length up to 300 at every place in a cache line; floats themselves are aligned.
template <ptq::dtype D, arithmetic How>
void check_lengths() {
  constexpr float scale = 0.0371F;
  const std::vector<float> all = make_values(scale, 400);
  std::vector<typename D::storage> expected(all.size());
  const std::vector<float> scales(all.size(), scale);
  const std::vector<float> inverses(all.size(),
                                    kernels::factor_of<arithmetic::multiply_by_reciprocal>(scale));
  const auto factors = [&](bool each) { return kernels::factors{scales.data(), inverses.data(), each}; };
  portably([&] {
    kernels::encode_run<D, How>(all.data(), all.size(), factors(false), true, expected.data(), false);
    return 0;
  });
  alignas(64) std::array<float, 512> source{};
  alignas(64) std::array<typename D::storage, 512> codes{};
  for (std::size_t n = 0; n <= 300; ++n) {
    float* const values = source.data() + n % 16;
    std::copy_n(all.data(), n, values);
    const std::size_t at = n * 11 % 64;
    for (const bool each : {false, true}) {
      codes.fill(0x5a);
      kernels::encode_run<D, How>(static_cast<const float*>(values), n, factors(each), true,
                                  codes.data() + at, n % 2 == 0);
      CAPTURE(n);
      CHECK(std::equal(codes.data() + at, codes.data() + at + n, expected.data()));
      CHECK(std::count(codes.data(), codes.data() + at, 0x5a) == static_cast<std::ptrdiff_t>(at));
      CHECK(
          std::all_of(codes.data() + at + n, codes.data() + codes.size(), [](auto c) { return c == 0x5a; }));
    }
  }
}

/// Long runs at every place in a cache line: sets first go to where one begins.
template <ptq::dtype D, arithmetic How>
void check_beginnings() {
  constexpr std::size_t n = 1100;
  constexpr std::size_t room = n + 64;
  constexpr float scale = 0.0371F;
  const std::vector<float> values = make_values(scale, n);
  const std::vector<float> scales(n, scale);
  const std::vector<float> inverses(n, kernels::factor_of<arithmetic::multiply_by_reciprocal>(scale));
  std::vector<typename D::storage> all;
  for (std::size_t i = 0; i < n; ++i) all.push_back(static_cast<typename D::storage>(i * 7));
  const auto expected = portably([&] { return encoded<D, How>(values, scale, false, false); });
  const auto expected_values = portably([&] {
    std::vector<float> found(n);
    kernels::decode_run<D>(all.data(), n, scale, found.data(), false);
    return found;
  });
  alignas(64) std::array<float, room> source{};
  alignas(64) std::array<float, room> target{};
  alignas(64) std::array<typename D::storage, room> codes{};
  for (std::size_t first = 0; first < 32; ++first) {
    CAPTURE(first);
    const bool each = first % 2 == 0;
    const bool streams = first >= 16;
    const std::size_t at = first % 16;
    std::copy(values.begin(), values.end(), source.data() + at);
    codes.fill(0x5a);
    kernels::encode_run<D, How>(static_cast<const float*>(source.data()) + at, n,
                                {scales.data(), inverses.data(), each}, true, codes.data() + first, streams);
    CHECK(std::equal(codes.data() + first, codes.data() + first + n, expected.data()));
    CHECK(std::all_of(codes.data(), codes.data() + first, [](auto c) { return c == 0x5a; }));
    CHECK(std::all_of(codes.data() + first + n, codes.data() + room, [](auto c) { return c == 0x5a; }));
    target.fill(0.5F);
    if (each)
      kernels::decode_each<D>(all.data(), n, scales.data(), target.data() + at, streams, true);
    else
      kernels::decode_run<D>(all.data(), n, scale, target.data() + at, streams);
    CHECK(std::memcmp(target.data() + at, expected_values.data(), n * sizeof(float)) == 0);
    CHECK(std::all_of(target.data(), target.data() + at, [](float x) { return x == 0.5F; }));
    CHECK(std::all_of(target.data() + at + n, target.data() + room, [](float x) { return x == 0.5F; }));
  }
}

/// Elements at any address.
template <class T>
void check_widening() {
  const std::vector<T> all = as_elements<T>(make_values(1.0F, 400));
  std::array<unsigned char, 512 * sizeof(T)> source{};
  for (std::size_t n = 0; n <= 300; ++n) {
    const std::size_t shift = n * 7 % 64;
    std::memcpy(source.data() + shift, all.data(), n * sizeof(T));
    const auto widened = [&] {
      std::vector<float> found(n + 64, 0.5F);
      kernels::widen(reinterpret_cast<const ptq::unaligned<T>*>(source.data() + shift), 1, n, found.data());
      return found;
    };
    CHECK(test::differences(widened(), portably(widened)) == 0);
  }
}

template <class T>
void check_amax() {
  std::vector<float> values = make_values(1.0F, 1400);
  std::vector<T> elements = as_elements<T>(values);
  for (std::size_t first = 0; first < 32; ++first) {  // 0 to 13 are special, and others are sometimes
    const auto run = [&] {
      return std::vector<float>{float_of(kernels::amax_run<T>(elements.data() + first, 1100, 5))};
    };
    CHECK(test::differences(run(), portably(run)) == 0);
    std::vector<T> zeros(1200, elements[0]);
    for (const std::size_t last : {first, first + 1100}) {
      zeros[last] = elements[5];
      const auto in_zeros = [&] {
        return std::vector<float>{float_of(kernels::amax_run<T>(zeros.data() + first, 1100, 0))};
      };
      CHECK(test::differences(in_zeros(), portably(in_zeros)) == 0);
      zeros[last] = elements[0];
    }
  }
  for (std::size_t n = 0; n <= 300; ++n) {
    const std::size_t first = n % 3 == 0 ? 14 : n % 40;  // without and with NaN and infinity
    const T* const from = elements.data() + first;
    const auto run = [&] { return std::vector<float>{float_of(kernels::amax_run<T>(from, n, 5))}; };
    CHECK(test::differences(run(), portably(run)) == 0);
    const auto each = [&] {
      std::vector<float> found(n + 64, 0.25F);
      kernels::amax_each(values.data() + first, n, found.data());
      return found;
    };
    CHECK(test::differences(each(), portably(each)) == 0);
  }
  for (std::size_t columns = 1; columns < 80; ++columns) {
    for (const std::size_t rows : {1u, 2u, 5u, 17u}) {
      ptq::panel p;
      p.rows = rows;
      p.columns = columns;
      p.row_step = static_cast<std::ptrdiff_t>(columns);
      p.code_row_step = columns;
      p.by = ptq::scaling::per_row;
      const auto found = [&] {
        std::vector<float> amax(rows, 0x1p-20F);
        kernels::amax_of<T>(elements.data() + columns % 20, p, amax.data());
        return amax;
      };
      if (columns % 20 + rows * columns <= elements.size())
        CHECK(test::differences(found(), portably(found)) == 0);
    }
  }
}

template <class T>
void check_scales(const ptq::recipe& numbers) {
  test::random_bits random(8);
  std::vector<float> amax{0.0F, 0x1p-149F, 0x1p-130F, 0x1p-61F, 0x1p-60F, 0x1.fffffep127F, 0x1p60F, 1.0F};
  for (int i = 0; i < 300; ++i)
    amax.push_back(float_of(ptq::detail::magnitude(bits_of(random.next_float(-40, 20)))));
  for (int i = 0; i < 40; ++i)
    amax.push_back(float_of(static_cast<std::uint32_t>(random.next() >> 33) % 0x7f800000u));
  for (std::size_t n = 0; n < amax.size(); n += n < 40 ? 1 : 50) {
    const auto scales = [&] {
      std::vector<float> found(amax.end() - static_cast<std::ptrdiff_t>(n), amax.end());
      found.insert(found.end(), amax.begin(), amax.begin() + static_cast<std::ptrdiff_t>(n));
      kernels::scales<T>(found.data(), found.size(), numbers);
      return found;
    };
    CHECK(test::differences(scales(), portably(scales)) == 0);
  }
}

/// Rows of 1 to 63 elements, with a scale each.
template <ptq::dtype D, arithmetic How>
void check_short_rows() {
  const std::vector<float> values = make_values(0.05F, 3000);
  for (std::size_t columns = 1; columns < 64; columns += columns < 20 ? 1 : 7) {
    ptq::panel p;
    p.columns = columns;
    p.rows = values.size() / columns;
    p.row_step = static_cast<std::ptrdiff_t>(columns);
    p.code_row_step = columns;
    p.by = ptq::scaling::per_row;
    std::vector<float> scales;
    test::random_bits random(columns);
    for (std::size_t r = 0; r < p.rows; ++r)
      scales.push_back(float_of(ptq::detail::magnitude(bits_of(random.next_float(-8, 0)))));
    const auto codes = [&] {
      std::vector<typename D::storage> found(values.size());
      kernels::encode<D, How>(values.data(), p, scales.data(), found.data(), false);
      return found;
    };
    const auto expected = portably(codes);
    CHECK(test::differences(codes(), expected) == 0);
    const auto decoded = [&] {
      std::vector<float> found(values.size());
      kernels::decode<float>(found.data(), p, scales.data(), kernels::typed_decoder<D>{expected.data()},
                             false);
      return found;
    };
    CHECK(test::differences(decoded(), portably(decoded)) == 0);
  }
}

}  // namespace

TEST_CASE_TEMPLATE("sets encode and decode as the portable kernels do", D, ptq::int8, ptq::fp8_e4m3fn,
                   ptq::fp8_e5m2) {
  for_each_set([] {
    check_all_encodings<D>();
    check_decoding<D>();
  });
}

TEST_CASE_TEMPLATE("the same where the program flushes subnormals to zero", D, ptq::int8, ptq::fp8_e4m3fn,
                   ptq::fp8_e5m2) {
  const bool before = test::are_subnormals_flushed();
  if (!test::flush_subnormals(true)) {
    MESSAGE("not tested: there is no such mode here");
    return;
  }
  for_each_set([] {
    check_all_encodings<D>();
    check_decoding<D>();
    check_scales<float>(ptq::recipe_of<D, ptq::torchao>);
  });
  test::flush_subnormals(before);
}

TEST_CASE_TEMPLATE("codes of a sample of all floats", D, ptq::int8, ptq::fp8_e4m3fn, ptq::fp8_e5m2) {
  for_each_set([] {
    check_sample<D, arithmetic::multiply_by_reciprocal>();
    check_sample<D, arithmetic::divide>();
  });
}

TEST_CASE_TEMPLATE("codes of runs of every length", D, ptq::int8, ptq::fp8_e4m3fn, ptq::fp8_e5m2) {
  for_each_set([] {
    check_lengths<D, arithmetic::multiply_by_reciprocal>();
    check_lengths<D, arithmetic::divide>();
    check_beginnings<D, arithmetic::multiply_by_reciprocal>();
    check_beginnings<D, arithmetic::divide>();
  });
}

TEST_CASE_TEMPLATE("elements of every kind at every address", T, float, ptq::half, ptq::bfloat16) {
  for_each_set([] {
    check_widening<T>();
    check_amax<T>();
  });
}

TEST_CASE_TEMPLATE("scales of many channels at once", T, float, ptq::half, ptq::bfloat16) {
  for_each_set([] {
    for (const ptq::recipe& numbers :
         {ptq::recipe_of<ptq::int8, ptq::torchao>, ptq::recipe_of<ptq::int8, ptq::modelopt>,
          ptq::recipe_of<ptq::fp8_e4m3fn, ptq::torchao>, ptq::recipe_of<ptq::fp8_e5m2, ptq::modelopt>,
          ptq::recipe{0x1p100F, 0, arithmetic::divide, ptq::per_tensor(), ptq::half_rounding::nothing},
          ptq::recipe{}})
      check_scales<T>(numbers);
  });
}

TEST_CASE_TEMPLATE("short rows", D, ptq::int8, ptq::fp8_e4m3fn, ptq::fp8_e5m2) {
  for_each_set([] {
    check_short_rows<D, arithmetic::divide>();
    check_short_rows<D, arithmetic::multiply_by_reciprocal>();
  });
}
