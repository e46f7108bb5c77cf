// SPDX-License-Identifier: Apache-2.0
// All 2^32 floats through the kernels of x86-64; and for every scale's significand the quotients that are the
// hardest to round.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "kernels/sets.hpp"
#include "ptq/dtypes.hpp"

#if PTQ_NATIVE_X86

namespace {

using ptq::arithmetic;
using ptq::detail::bits_of;
using ptq::detail::float_of;

constexpr float scale = 0.0371F;
constexpr std::uint32_t few = 1u << 14;
constexpr std::uint32_t stride = 61;  // of the scales' significands; all of them take minutes

std::uint32_t significand_of(const float& x) {
  return (bits_of(x) & 0x7fffffu) | 0x800000u;
}

/// Calls work(i) for 0 to count - 1, on two threads.
template <class Work>
void on_two_threads(std::uint32_t count, const Work& work) {
  std::atomic<std::uint32_t> next{0};
  const auto loop = [&] {
    for (std::uint32_t i = next++; i < count; i = next++) work(i);
  };
  std::thread other(loop);
  loop();
  other.join();
}

template <class Set, class D, arithmetic How>
bool agrees(const std::vector<float>& values, const std::vector<typename D::storage>& expected,
            std::vector<typename D::storage>& codes) {
  if (!ptq::is_available(test::isa_of<Set>)) return true;
  const float inverse = 1 / scale;
  test::encode<Set, D>(How, values.data(), values.size(), {&scale, &inverse, false}, codes.data(), false);
  return codes == expected;
}

/// Wrong blocks among all floats. The compiler leaves division alone in this build: it is right.
template <class D, arithmetic How>
std::uint32_t wrong_blocks() {
  std::atomic<std::uint32_t> wrong{0};
  on_two_threads(1u << 8, [&](std::uint32_t high) {
    std::vector<float> values(few);
    std::vector<typename D::storage> expected(few);
    std::vector<typename D::storage> codes(few);
    for (std::uint32_t part = 0; part < (1u << 24) / few; ++part) {
      for (std::uint32_t i = 0; i < few; ++i) values[i] = float_of((high << 24) + part * few + i);
      const float inverse = 1 / scale;
      for (std::uint32_t i = 0; i < few; ++i)
        expected[i] = D::encode(How == arithmetic::divide ? values[i] / scale : values[i] * inverse);
      if (!agrees<ptq::kernels::kernel_set<ptq::isa::avx2>, D, How>(values, expected, codes)) ++wrong;
      if (!agrees<ptq::kernels::kernel_set<ptq::isa::avx512>, D, How>(values, expected, codes)) ++wrong;
    }
  });
  return wrong;
}

/// The numbers between two neighbouring codes, one for each significand.
template <class D>
std::vector<float> ties() {
  std::vector<float> found;
  std::vector<std::uint32_t> significands;
  for (int i = 0; i < 127; ++i) {
    const float low = D::decode(static_cast<typename D::storage>(i));
    const float high = D::decode(static_cast<typename D::storage>(i + 1));
    const float middle = (low + high) / 2;
    const std::uint32_t significand = significand_of(middle);
    if (!ptq::detail::is_finite(bits_of(middle)) || std::ranges::count(significands, significand) != 0)
      continue;
    significands.push_back(significand);
    found.push_back(middle);
  }
  return found;
}

/// Appends the numerators of the quotients by a significand that are the nearest to where rounding to a float
/// decides whether they are a tie: half a unit of the last place below the tie and above, from either side.
void add_hard_numerators(std::vector<float>& values, float tie, std::uint32_t divisor) {
  const int unit = static_cast<int>(bits_of(tie) >> 23) - 150;  // tie = significand * 2^unit
  const std::uint64_t twice = std::uint64_t{2} * significand_of(tie);
  for (const std::uint64_t border : {twice - 1, twice + 1}) {
    const std::uint64_t product = border * divisor;
    const int drop = 64 - std::countl_zero(product) - 24;
    for (const std::uint64_t x : {product >> drop, (product >> drop) + 1})
      values.push_back(float_of(ptq::detail::pack(x, drop - 1 + unit)));
  }
}

template <class Set, class D>
void check_hard_quotients() {
  if (!test::is_there<Set>()) return;
  const std::vector<float> middles = ties<D>();
  std::atomic<std::uint32_t> wrong{0};
  constexpr std::uint32_t parts = 1u << 8;
  on_two_threads(parts, [&](std::uint32_t part) {
    std::vector<float> values;
    std::vector<typename D::storage> expected;
    std::vector<typename D::storage> codes;
    for (std::uint32_t s = part; s < 1u << 23; s += parts * stride) {
      values.clear();
      for (const float& tie : middles) add_hard_numerators(values, tie, 0x800000u + s);
      const auto divisor = static_cast<float>(0x800000u + s);
      expected.resize(values.size());
      codes.resize(values.size());
      for (std::size_t i = 0; i < values.size(); ++i) expected[i] = D::encode(values[i] / divisor);
      const float inverse = 1 / divisor;
      test::encode<Set, D>(arithmetic::divide, values.data(), values.size(), {&divisor, &inverse, false},
                           codes.data(), false);
      if (codes != expected) ++wrong;
    }
  });
  CHECK(wrong.load() == 0);
}

}  // namespace

TEST_CASE_TEMPLATE("all 2^32 floats", D, ptq::int8, ptq::fp8_e4m3fn, ptq::fp8_e5m2) {
  static_assert(PTQ_EXACT_DIVISION);
  test::is_there<ptq::kernels::kernel_set<ptq::isa::avx2>>();
  test::is_there<ptq::kernels::kernel_set<ptq::isa::avx512>>();
  CHECK(wrong_blocks<D, arithmetic::divide>() == 0);
  CHECK(wrong_blocks<D, arithmetic::multiply_by_reciprocal>() == 0);
}

TEST_CASE_TEMPLATE("the hardest quotients", Set, PTQ_KERNEL_SETS) {
  check_hard_quotients<Set, ptq::int8>();
  check_hard_quotients<Set, ptq::fp8_e4m3fn>();
  check_hard_quotients<Set, ptq::fp8_e5m2>();
}

#else

TEST_CASE("kernel sets of x86-64") {
  MESSAGE("this build has none");
}

#endif
