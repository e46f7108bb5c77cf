// SPDX-License-Identifier: Apache-2.0
// The kernel sets of this machine against one value at a time on integers.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

#include "kernels/sets.hpp"
#include "ptq/dtypes.hpp"
#include "ptq/kernels/portable.hpp"
#include "support/compare.hpp"
#include "support/random.hpp"
#include "support/subnormals.hpp"

using ptq::arithmetic;
using ptq::bfloat16;
using ptq::element_traits;
using ptq::half;
using ptq::half_rounding;
using ptq::detail::bits_of;
using ptq::detail::float_of;

#if PTQ_NATIVE

namespace {

// ---- what is expected

template <arithmetic How>
float quotient(const float& value, const float& factor) {
  return float_of(How == arithmetic::divide ? ptq::detail::divide(bits_of(value), bits_of(factor))
                                            : ptq::detail::multiply(bits_of(value), bits_of(factor)));
}

template <class D, arithmetic How, class T>
typename D::storage expected_code(const T& value, const float& factor) {
  return D::encode(quotient<How>(element_traits<T>::to_float(value), factor));
}

float inverse_of(const float& scale) {
  return ptq::kernels::factor_of<arithmetic::multiply_by_reciprocal>(scale);
}

template <class T>
float expected_scale(const float& amax, const ptq::recipe& numbers) {
  if (numbers.divisor == 0) return 1;
  std::uint32_t scale = ptq::detail::magnitude(ptq::detail::divide(bits_of(amax), bits_of(numbers.divisor)));
  if (sizeof(T) == 2 && numbers.halves != half_rounding::nothing)
    scale = bits_of(element_traits<T>::to_float(element_traits<T>::from_float(float_of(scale))));
  if (scale < bits_of(numbers.floor)) scale = bits_of(numbers.floor);
  return float_of(scale == 0 ? ptq::detail::infinity_bits : scale);
}

// ---- values

const std::array<std::uint32_t, 24> special{
    0x00000000u, 0x80000000u, 0x00000001u, 0x80000001u, 0x807fffffu, 0x00800000u, 0x7f7fffffu, 0xff7fffffu,
    0x7f800000u, 0xff800000u, 0x7fc00000u, 0xffc00000u, 0x7f800001u, 0xff800001u, 0x7fffffffu, 0xffffffffu,
    0x7fc0ffffu, 0xffbfffffu, 0x4f000000u, 0xcf000000u, 0x4effffffu, 0x5f000000u, 0xdf800000u, 0x00ffffffu};

template <class T>
T element_of(std::uint32_t bits) {
  T value;
  if constexpr (sizeof(T) == 2) bits >>= 16;
  std::memcpy(static_cast<void*>(&value), &bits, sizeof value);  // little-endian
  return value;
}

/// The floats beside a float.
void add_neighbours(std::vector<float>& values, const float& value) {
  for (const std::uint32_t step : {0xffffffffu, 0u, 1u}) values.push_back(float_of(bits_of(value) + step));
}

/// Special values, both sides of each tie of the dtype by the scale, random ones.
template <class D, class T>
std::vector<T> values_for(float scale) {
  std::vector<T> values;
  for (const std::uint32_t bits : special) values.push_back(element_of<T>(bits));
  std::vector<float> floats;
  for (int i = 0; i < 255; ++i) {
    const float low = D::decode(static_cast<typename D::storage>(i));
    const float high = D::decode(static_cast<typename D::storage>(i + 1));
    const float middle = (low + high) / 2;
    if (ptq::detail::is_finite(bits_of(middle)) && middle != 0)
      add_neighbours(floats, quotient<arithmetic::multiply_by_reciprocal>(middle, scale));
  }
  test::random_bits random(7);
  for (int i = 0; i < 200; ++i)
    floats.push_back(quotient<arithmetic::multiply_by_reciprocal>(random.next_float(-30, 20), scale));
  for (const float& value : floats) values.push_back(element_traits<T>::from_float(value));
  for (int i = 0; i < 200; ++i) values.push_back(element_of<T>(static_cast<std::uint32_t>(random.next())));
  return values;
}

std::vector<float> ordinary_scales(std::size_t random_ones) {
  std::vector<float> scales{1.0F, 0x1p-60F, 0x1p60F, 0x1.fffffep59F, 0.0371F};
  test::random_bits random(9);
  for (std::size_t i = 0; i < random_ones; ++i)
    scales.push_back(float_of(bits_of(random.next_float(-60, 60)) & 0x7fffffffu));
  return scales;
}

// ---- memory

/// Bytes at a given distance from a boundary of 64, with others around that must not change.
template <class T>
class guarded {
 public:
  guarded(std::size_t n, std::size_t distance) : size_(n * sizeof(T)), bytes_(size_ + 3 * around, fill) {
    const auto address = std::bit_cast<std::uintptr_t>(bytes_.data());
    begin_ = around + (64 - address % 64) % 64 + distance;
  }
  T* data() { return reinterpret_cast<T*>(bytes_.data() + begin_); }
  void set(const T* values) {
    if (size_ != 0) std::memcpy(bytes_.data() + begin_, values, size_);
  }
  /// Any two NaNs are equal: -ffast-math changes which one a portable function makes.
  bool holds(const T* expected) const {
    const auto* found = reinterpret_cast<const T*>(bytes_.data() + begin_);
    const std::size_t n = size_ / sizeof(T);
    return test::differences(std::vector<T>(found, found + n), std::vector<T>(expected, expected + n)) == 0;
  }
  bool is_intact() const {
    for (std::size_t i = 0; i < bytes_.size(); ++i)
      if ((i < begin_ || i >= begin_ + size_) && bytes_[i] != fill) return false;
    return true;
  }

 private:
  static constexpr std::size_t around = 64;
  static constexpr unsigned char fill = 0xa5;
  std::size_t size_;
  std::vector<unsigned char> bytes_;
  std::size_t begin_ = 0;
};

/// With and without subnormals flushed to zero, as operands and as results.
template <class F>
void in_both_modes(F&& f) {
  const bool before = test::are_subnormals_flushed();
  f();
  test::flush_subnormals(!before);
  f();
  test::flush_subnormals(before);
}

// ---- checks

template <class Set, class D, arithmetic How, class T>
void check_values(float scale) {
  CAPTURE(scale);
  const float factor = ptq::kernels::factor_of<How>(scale);
  const float inverse = inverse_of(scale);
  const std::vector<T> values = values_for<D, T>(scale);
  std::vector<typename D::storage> expected;
  for (const T& value : values) expected.push_back(expected_code<D, How>(value, factor));
  const std::vector<float> scales(values.size(), scale);
  const std::vector<float> inverses(values.size(), inverse);
  in_both_modes([&] {
    std::vector<typename D::storage> codes(values.size());
    test::encode<Set, D>(How, values.data(), values.size(), {&scale, &inverse, false}, codes.data(), false);
    CHECK(test::differences(codes, expected) == 0);
    std::vector<typename D::storage> each(values.size());
    test::encode<Set, D>(How, values.data(), values.size(), {scales.data(), inverses.data(), true},
                         each.data(), true);
    CHECK(test::differences(each, expected) == 0);
  });
}

/// Every length at some distances from boundaries.
template <class Set, class D, arithmetic How, class T>
void check_lengths() {
  constexpr std::size_t longest = 300;
  constexpr float scale = 0.0371F;
  const float inverse = inverse_of(scale);
  std::vector<T> values;
  std::vector<float> scales;
  std::vector<float> inverses;
  std::vector<typename D::storage> run;
  std::vector<typename D::storage> each;
  test::random_bits random(3);
  for (std::size_t i = 0; i < longest; ++i) {
    values.push_back(i % 97 == 96 ? element_of<T>(special[i / 97 + 7])
                                  : element_traits<T>::from_float(random.next_float(-8, 8)));
    scales.push_back(float_of(bits_of(random.next_float(-3, 3)) & 0x7fffffffu));
    inverses.push_back(inverse_of(scales[i]));
    run.push_back(expected_code<D, How>(values[i], ptq::kernels::factor_of<How>(scale)));
    each.push_back(expected_code<D, How>(values[i], ptq::kernels::factor_of<How>(scales[i])));
  }
  for (std::size_t n = 0; n <= longest; ++n) {
    CAPTURE(n);
    guarded<T> from(n, n * 5 % 64);
    from.set(values.data());
    guarded<float> by(n, n * 11 % 64 / 4 * 4);
    by.set(scales.data());
    guarded<float> by_inverses(n, n * 13 % 64 / 4 * 4);
    by_inverses.set(inverses.data());
    for (const bool streams : {false, true}) {
      guarded<typename D::storage> codes(n, (n * 7 + (streams ? 29 : 0)) % 64);
      test::encode<Set, D>(How, from.data(), n, {&scale, &inverse, false}, codes.data(), streams);
      const bool run_is_right = codes.holds(run.data()) && codes.is_intact();
      CHECK(run_is_right);
      test::encode<Set, D>(How, from.data(), n, {by.data(), by_inverses.data(), true}, codes.data(), streams);
      Set::finish_streams();
      const bool each_is_right = codes.holds(each.data()) && codes.is_intact();
      CHECK(each_is_right);
    }
  }
}

/// Quotients rounded to a half type, by their codes: beyond all codes they may be any.
template <class Set, class T, arithmetic How>
void check_rounding() {
  for (const float& scale : ordinary_scales(20)) {
    CAPTURE(scale);
    const float factor = ptq::kernels::factor_of<How>(scale);
    const float inverse = inverse_of(scale);
    std::vector<float> values;
    std::vector<std::uint8_t> expected;
    for (const T& value : values_for<ptq::fp8_e5m2, T>(scale))
      values.push_back(element_traits<T>::to_float(value));
    for (const float& value : values)
      expected.push_back(ptq::fp8_e5m2::encode(
          element_traits<T>::to_float(element_traits<T>::from_float(quotient<How>(value, factor)))));
    const std::vector<float> scales(values.size(), scale);
    const std::vector<float> inverses(values.size(), inverse);
    in_both_modes([&] {
      for (const std::size_t n : {std::size_t{0}, std::size_t{21}, values.size()}) {
        for (const bool each : {false, true}) {
          guarded<float> found(n, 4);
          Set::round_quotients(element_traits<T>::type, How, values.data(), n,
                               {scales.data(), inverses.data(), each}, found.data());
          std::size_t wrong = found.is_intact() ? 0 : 1;
          for (std::size_t i = 0; i < n; ++i)
            wrong += ptq::fp8_e5m2::encode(found.data()[i]) != expected[i] ? 1u : 0u;
          CHECK(wrong == 0);
        }
      }
    });
  }
}

template <class Set, class D, class T>
void check_encoding_of() {
  for (const float scale : ordinary_scales(sizeof(T) == 2 ? 4 : 20)) {
    check_values<Set, D, arithmetic::divide, T>(scale);
    check_values<Set, D, arithmetic::multiply_by_reciprocal, T>(scale);
  }
  check_lengths<Set, D, arithmetic::divide, T>();
  check_lengths<Set, D, arithmetic::multiply_by_reciprocal, T>();
}

template <class Set, class D>
void check_decoding() {
  constexpr std::size_t longest = 300;
  std::vector<typename D::storage> codes;
  for (std::size_t i = 0; i < longest; ++i) codes.push_back(static_cast<typename D::storage>(i));
  for (const float scale : ordinary_scales(3)) {
    CAPTURE(scale);
    const std::vector<float> scales(longest, scale);
    std::vector<float> expected;
    for (const auto code : codes)
      expected.push_back(float_of(ptq::detail::multiply(bits_of(D::decode(code)), bits_of(scale))));
    in_both_modes([&] {
      for (std::size_t n = 0; n <= longest; n += scale == 1 ? 1 : 37) {
        CAPTURE(n);
        guarded<typename D::storage> from(n, n * 5 % 64);
        from.set(codes.data());
        for (const bool streams : {false, true}) {
          guarded<float> values(n, (n * 7 + (streams ? 29 : 0)) % 16 * 4);
          test::decode<Set, D>(from.data(), n, &scale, false, values.data(), streams);
          const bool run_is_right = values.holds(expected.data()) && values.is_intact();
          CHECK(run_is_right);
          test::decode<Set, D>(from.data(), n, scales.data(), true, values.data(), streams);
          const bool each_is_right = values.holds(expected.data()) && values.is_intact();
          CHECK(each_is_right);
        }
      }
    });
  }
}

std::uint32_t size_of_value(const float& value) {
  return bits_of(value) & 0x7fffffffu;
}

/// The largest magnitude as float bits.
template <class Set, class T>
std::uint32_t amax_of(const T* values, std::size_t n) {
  if constexpr (std::is_same_v<T, float>)
    return Set::amax(values, n);
  else
    return bits_of(T{Set::amax_halves(values, n)}.to_float());
}

template <class Set, class T>
void check_amax() {
  test::random_bits random(5);
  std::vector<T> values;
  for (int i = 0; i < 300; ++i) values.push_back(element_traits<T>::from_float(random.next_float(-20, 10)));
  std::uint32_t expected = 0;
  for (std::size_t n = 0; n <= values.size(); ++n) {
    CAPTURE(n);
    if (n > 0) expected = std::max(expected, size_of_value(element_traits<T>::to_float(values[n - 1])));
    guarded<T> from(n, n * 5 % 64);
    from.set(values.data());
    CHECK(amax_of<Set>(from.data(), n) == expected);
    if (n == 0) continue;
    // The largest in each place, of each kind.
    const T largest = element_of<T>(special[n % special.size()] | 0x7b000000u);
    std::memcpy(static_cast<void*>(from.data() + n * 31 % (n + 7) % n), &largest, sizeof(T));
    CHECK(amax_of<Set>(from.data(), n) == size_of_value(element_traits<T>::to_float(largest)));
  }
}

template <class Set>
void check_amax_of_many() {
  test::random_bits random(6);
  std::vector<float> values;
  std::vector<float> before;
  for (std::size_t i = 0; i < 63 * 40; ++i)
    values.push_back(i % 331 == 330 ? element_of<float>(special[i / 331 + 8]) : random.next_float(-20, 10));
  for (std::size_t i = 0; i < 300; ++i)
    before.push_back(float_of(bits_of(random.next_float(-20, 10)) & 0x7fffffffu));
  const auto larger = [](const float& amax, const float& value) {
    return size_of_value(value) > bits_of(amax) ? float_of(size_of_value(value)) : amax;
  };
  std::vector<float> each = before;
  for (std::size_t i = 0; i < each.size(); ++i) each[i] = larger(each[i], values[i]);
  for (std::size_t n = 0; n <= each.size(); ++n) {
    CAPTURE(n);
    guarded<float> from(n, n * 20 % 64);
    from.set(values.data());
    guarded<float> amax(n, n % 16 * 4);
    amax.set(before.data());
    Set::amax_each(from.data(), n, amax.data());
    const bool is_right = amax.holds(each.data()) && amax.is_intact();
    CHECK(is_right);
  }
  for (std::size_t columns = 1; columns < 64; ++columns) {
    CAPTURE(columns);
    std::vector<float> expected = before;
    for (std::size_t i = 0; i < 40 * columns; ++i)
      expected[i / columns] = larger(expected[i / columns], values[i]);
    for (const std::size_t rows : {0u, 1u, 7u, 8u, 15u, 16u, 17u, 33u, 40u}) {
      CAPTURE(rows);
      guarded<float> from(rows * columns, columns * 4 % 64);
      from.set(values.data());
      guarded<float> amax(rows, 4);
      amax.set(before.data());
      Set::amax_rows(from.data(), rows, columns, amax.data());
      const bool is_right = amax.holds(expected.data()) && amax.is_intact();
      CHECK(is_right);
    }
  }
}

template <class Set, class T>
void check_scales() {
  std::vector<float> amax{0.0F,     0x1p-149F, 0x1.8p-141F, 0x1p-126F,      0x1p-61F,
                          0x1p-60F, 1.0F,      0x1p60F,     0x1.fffffep127F};
  test::random_bits random(8);
  for (int i = 0; i < 500; ++i)
    amax.push_back(
        float_of(bits_of(random.next_float(i % 2 == 0 ? -126 : -8, i % 2 == 0 ? 127 : 8)) & 0x7fffffffu));
  for (const float divisor : {0.0F, 1.0F, 127.0F, 127.5F, 448.0F, 57344.0F, 0x1p-100F, -127.0F, 0x1p100F}) {
    for (const float floor : {0.0F, 0x1p-23F}) {
      for (const half_rounding halves : {half_rounding::nothing, half_rounding::scale}) {
        ptq::recipe numbers;
        numbers.divisor = divisor;
        numbers.floor = floor;
        numbers.halves = halves;
        CAPTURE(divisor);
        std::vector<float> expected;
        for (const float& a : amax) expected.push_back(expected_scale<T>(a, numbers));
        in_both_modes([&] {
          for (const std::size_t n : {std::size_t{0}, std::size_t{13}, amax.size()}) {
            guarded<float> scales(n, 8);
            scales.set(amax.data());
            Set::scales(scales.data(), n, numbers, element_traits<T>::type);
            const bool is_right = scales.holds(expected.data()) && scales.is_intact();
            CHECK(is_right);
          }
        });
      }
    }
  }
}

template <class Set, arithmetic How>
void check_inverses() {
  const std::vector<float> ordinary = ordinary_scales(200);
  for (const float last :
       {0x1p-60F, 0x1p60F, 0x1.fffffep-61F, 0x1.000002p60F, 0x1p-149F, float_of(0x7f800000u)}) {
    std::vector<float> scales = ordinary;
    scales.push_back(last);
    std::vector<float> expected;
    bool all_ordinary = true;
    for (const float& scale : scales) {
      expected.push_back(inverse_of(scale));
      all_ordinary = all_ordinary && ptq::detail::is_ordinary(bits_of(ptq::kernels::factor_of<How>(scale)));
    }
    in_both_modes([&] {
      guarded<float> inverses(scales.size(), 4);
      CHECK(Set::invert(How, scales.data(), scales.size(), inverses.data()) == all_ordinary);
      const bool is_right = inverses.holds(expected.data()) && inverses.is_intact();
      CHECK(is_right);
    });
  }
}

template <class Set, class T>
void check_conversions() {
  std::vector<T> elements;
  std::vector<float> floats;
  test::random_bits random(10);
  for (const std::uint32_t bits : special) elements.push_back(element_of<T>(bits));
  for (int i = 0; i < 1000; ++i) elements.push_back(element_of<T>(static_cast<std::uint32_t>(random.next())));
  for (const T& element : elements) floats.push_back(element_traits<T>::to_float(element));
  in_both_modes([&] {
    for (const std::size_t n : {std::size_t{0}, std::size_t{5}, std::size_t{31}, elements.size()}) {
      guarded<float> widened(n, 4);
      Set::widen(element_traits<T>::type, elements.data(), n, widened.data());
      const bool is_right = widened.holds(floats.data()) && widened.is_intact();
      CHECK(is_right);
    }
  });
  floats.clear();
  elements.clear();
  for (const std::uint32_t bits : special) floats.push_back(float_of(bits));
  for (int i = 0; i < 1000; ++i) add_neighbours(floats, random.next_float(-26, 17));
  for (int i = 0; i < 1000; ++i) {  // ties
    const auto bits = static_cast<std::uint32_t>(random.next());
    floats.push_back(float_of((bits & 0xffff0000u) | 0x8000u));
    floats.push_back(float_of((bits & 0x8fffe000u) | 0x38001000u));
  }
  for (const float& x : floats) elements.push_back(element_traits<T>::from_float(x));
  in_both_modes([&] {
    guarded<T> narrowed(floats.size(), 2);
    Set::narrow(element_traits<T>::type, floats.data(), floats.size(), narrowed.data());
    const bool is_right = narrowed.holds(elements.data()) && narrowed.is_intact();
    CHECK(is_right);
  });
}

}  // namespace

#define PTQ_KERNEL_TEST(text) TEST_CASE_TEMPLATE(text, Set, PTQ_KERNEL_SETS)

PTQ_KERNEL_TEST("codes are those of single values: int8") {
  if (!test::is_there<Set>()) return;
  check_encoding_of<Set, ptq::int8, float>();
  check_encoding_of<Set, ptq::int8, half>();
  check_encoding_of<Set, ptq::int8, bfloat16>();
}

PTQ_KERNEL_TEST("codes are those of single values: fp8_e4m3fn") {
  if (!test::is_there<Set>()) return;
  check_encoding_of<Set, ptq::fp8_e4m3fn, float>();
  check_encoding_of<Set, ptq::fp8_e4m3fn, half>();
  check_encoding_of<Set, ptq::fp8_e4m3fn, bfloat16>();
}

PTQ_KERNEL_TEST("codes are those of single values: fp8_e5m2") {
  if (!test::is_there<Set>()) return;
  check_encoding_of<Set, ptq::fp8_e5m2, float>();
  check_encoding_of<Set, ptq::fp8_e5m2, half>();
  check_encoding_of<Set, ptq::fp8_e5m2, bfloat16>();
}

PTQ_KERNEL_TEST("values are those of single codes") {
  if (!test::is_there<Set>()) return;
  check_decoding<Set, ptq::int8>();
  check_decoding<Set, ptq::fp8_e4m3fn>();
  check_decoding<Set, ptq::fp8_e5m2>();
}

PTQ_KERNEL_TEST("the largest magnitudes") {
  if (!test::is_there<Set>()) return;
  check_amax<Set, float>();
  check_amax<Set, half>();
  check_amax<Set, bfloat16>();
  check_amax_of_many<Set>();
}

PTQ_KERNEL_TEST("scales and factors") {
  if (!test::is_there<Set>()) return;
  check_scales<Set, float>();
  check_scales<Set, half>();
  check_scales<Set, bfloat16>();
  check_inverses<Set, arithmetic::divide>();
  check_inverses<Set, arithmetic::multiply_by_reciprocal>();
}

PTQ_KERNEL_TEST("quotients as numbers of a half type") {
  if (!test::is_there<Set>()) return;
  check_rounding<Set, half, arithmetic::divide>();
  check_rounding<Set, half, arithmetic::multiply_by_reciprocal>();
  check_rounding<Set, bfloat16, arithmetic::divide>();
  check_rounding<Set, bfloat16, arithmetic::multiply_by_reciprocal>();
}

PTQ_KERNEL_TEST("factors are repeated for each column") {
  if (!test::is_there<Set>()) return;
  constexpr std::size_t rows = 5;
  const std::vector<float> factors{1, 2, 3, 4, 5};
  for (std::size_t columns = 1; columns < 64; ++columns) {
    CAPTURE(columns);
    std::vector<float> out(rows * columns + 64);
    Set::repeat(factors.data(), rows, columns, out.data());
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < rows * columns; ++i) wrong += out[i] != factors[i / columns] ? 1u : 0u;
    CHECK(wrong == 0);
  }
}

PTQ_KERNEL_TEST("half types become floats and floats half types") {
  if (!test::is_there<Set>()) return;
  check_conversions<Set, half>();
  check_conversions<Set, bfloat16>();
}

PTQ_KERNEL_TEST("sums of errors") {
  if (!test::is_there<Set>()) return;
  test::random_bits random(11);
  std::vector<float> x;
  std::vector<float> y;
  for (int i = 0; i < 100; ++i) {
    x.push_back(random.next_float(-8, 8));
    y.push_back(random.next_float(-8, 8));
  }
  for (const std::size_t n : {std::size_t{0}, std::size_t{1}, std::size_t{7}, std::size_t{16}, x.size()}) {
    CAPTURE(n);
    std::array<double, 4> expected{1, 2, 3, 4};
    double largest = 0.25;
    for (std::size_t i = 0; i < n; ++i) {
      const auto a = static_cast<double>(x[i]);
      const auto b = static_cast<double>(y[i]);
      expected[0] += (a - b) * (a - b);
      expected[1] += a * a;
      expected[2] += b * b;
      expected[3] += a * b;
      largest = std::max(largest, a > b ? a - b : b - a);
    }
    double sums[4] = {1, 2, 3, 4};
    double found = 0.25;
    Set::add_errors(x.data(), y.data(), n, sums, found);
    CHECK(found == largest);
    for (std::size_t i = 0; i < 4; ++i) CHECK(sums[i] == doctest::Approx(expected[i]).epsilon(1e-12));
  }
}

#else

TEST_CASE("kernel sets") {
  MESSAGE("this build has none");
}

#endif
