// SPDX-License-Identifier: Apache-2.0
// What calibrators answer where the answer can be told beforehand, and what a calibrator must have.
#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <span>
#include <vector>

#include "calibration/samples.hpp"
#include "ptq/calibration/concept.hpp"
#include "ptq/calibrators.hpp"
#include "ptq/dtypes.hpp"

using ptq::range_reason;
using ptq::statistics;

namespace {

std::size_t allocations = 0;

}  // namespace

// Not inlined: GCC would see malloc and free, and take the pair for mismatched.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  std::abort();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace {

/// The smallest type that conforms, and one twin for each member that is needed.
struct archetype {
  static constexpr const char* name = "archetype";
  ptq::range range(const statistics<>&, const ptq::grid&) const noexcept { return {}; }
};
struct without_name {
  ptq::range range(const statistics<>&, const ptq::grid&) const noexcept { return {}; }
};
struct without_range {
  static constexpr const char* name = "without_range";
};
struct with_throwing_range {
  static constexpr const char* name = "with_throwing_range";
  ptq::range range(const statistics<>&, const ptq::grid&) const { return {}; }
};
struct with_mutable_range {
  static constexpr const char* name = "with_mutable_range";
  ptq::range range(const statistics<>&, const ptq::grid&) noexcept { return {}; }
};
struct without_default : archetype {
  explicit without_default(int) {}
};
static_assert(ptq::calibrator<archetype>);
static_assert(!ptq::calibrator<without_name>);
static_assert(!ptq::calibrator<without_range>);
static_assert(!ptq::calibrator<with_throwing_range>);
static_assert(!ptq::calibrator<with_mutable_range>);
static_assert(!ptq::calibrator<without_default>);

template <class... Calibrators>
constexpr bool all_conform(ptq::list<Calibrators...>) {
  return (ptq::calibrator<Calibrators> && ...);
}
static_assert(all_conform(ptq::calibrators{}));

template <class Calibrator, std::size_t Bins = 4096>
ptq::range answer(std::span<const float> values, const ptq::grid& levels = ptq::grid(128)) {
  statistics<Bins> seen;
  CHECK(seen.collect(values) == ptq::status{});
  return Calibrator{}.range(seen, levels);
}

constexpr ptq::range in_a_constant_expression() {
  float values[200] = {};
  for (int i = 0; i < 200; ++i)
    values[i] = static_cast<float>(i) * static_cast<float>(i) / 256;  // up to 154.7
  statistics<256> seen;
  if (!seen.collect(values)) return {};
  return ptq::entropy{}.range(seen, ptq::grid(8));
}

}  // namespace

TEST_CASE_TEMPLATE("inputs whose answer is known", C, ptq::minmax, ptq::entropy, ptq::percentile, ptq::mse) {
  using floats = std::vector<float>;
  CHECK(answer<C>(floats{}) == ptq::range{0, range_reason::no_data});
  CHECK(answer<C>(floats(50, -0.0F)) == ptq::range{0, range_reason::all_zero});
  for (const float value : {3.0F, -1.5F, 1e30F, 1e-30F, 1e-44F}) {
    CAPTURE(value);
    const float size = value < 0 ? -value : value;
    // One value, many of the same, and with zeros: a percentile answers the lower edge of their bin.
    for (const floats& values : {floats{value}, floats(1000, value), floats{0.0F, value, 0.0F, value}}) {
      const ptq::range found = answer<C>(values);
      CHECK(found.reason == range_reason::found);
      CHECK(found.amax <= size);
      CHECK(found.amax >= size * (1 - 0x1p-11F));
    }
  }
}

TEST_CASE("the search is refused where it would clip more than 1 % of what is not zero") {
  // 4 +- 0.1 and a few values of 8: the reference clips everything here.
  std::vector<float> values = test::bell(4000, 0.1F, 21);
  for (float& value : values) value += 4.0F;
  values.insert(values.end(), {8.0F, 8.0F, 8.0F, 8.0F, 8.0F});
  const ptq::range found = answer<ptq::entropy>(values);
  CHECK(found == ptq::range{8.0F, range_reason::degenerate});
  CHECK(answer<ptq::percentile>(values).reason == range_reason::found);

  // Few bins in use: nothing to choose from.
  CHECK(answer<ptq::entropy, 128>(test::bell(1000, 1.0F, 2)).reason == range_reason::degenerate);
  CHECK(answer<ptq::mse, 128>(test::bell(1000, 1.0F, 2)).reason == range_reason::degenerate);
  // More levels than a histogram can tell apart.
  CHECK(answer<ptq::entropy>(test::bell(1000, 1.0F, 2), ptq::grid(32768)).reason == range_reason::degenerate);
}

TEST_CASE("an outlier is clipped by entropy, and not by minmax") {
  std::vector<float> values = test::bell(200000, 1.0F, 23, 12);
  values.insert(values.end(), 20, 30.0F);
  const ptq::range entropy = answer<ptq::entropy>(values);
  CHECK(entropy.reason == range_reason::found);
  CHECK(entropy.amax < 6.0F);
  CHECK(answer<ptq::minmax>(values) == ptq::range{30.0F, range_reason::found});
  // One of 1e30 leaves a histogram with two bins that hold anything: nothing to choose from.
  values.push_back(1e30F);
  CHECK(answer<ptq::entropy>(values) == ptq::range{1e30F, range_reason::found});
}

TEST_CASE("a percentile of a tensor that is nearly all zeros is not 0") {
  std::vector<float> values(100000, 0.0F);
  values[7] = 2.5F;
  CHECK(answer<ptq::percentile>(values) == ptq::range{2.5F, range_reason::degenerate});
}

TEST_CASE("percentiles count exactly") {
  std::vector<float> values(1000);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(i);  // [0, 1024) in 4096 bins
  statistics<> seen;
  CHECK(seen.collect(std::span<const float>(values)) == ptq::status{});
  CHECK(ptq::percentile{900'000'000}.range(seen).amax == 899.0F);
  CHECK(ptq::percentile{900'000'001}.range(seen).amax == 900.0F);
  CHECK(ptq::percentile{1'000'000'000}.range(seen).amax == 999.0F);
  CHECK(ptq::percentile{999'900'000}.range(seen).amax == 999.0F);
}

TEST_CASE("grids: the levels of every dtype, as shares of the largest") {
  const ptq::grid even = ptq::grid_of<ptq::int8>();
  CHECK(even.is_even());
  CHECK(even.size() == 128);
  CHECK(even.share(127) == ptq::grid::one);
  CHECK(even.share(1) == ptq::grid::one / 127);

  const ptq::grid e4m3 = ptq::grid_of<ptq::fp8_e4m3fn>();
  CHECK(e4m3.size() == 127);
  CHECK(e4m3.share(126) == ptq::grid::one);
  CHECK(e4m3.share(125) == ptq::grid::one / 448 * 416 + ptq::grid::one % 448 * 416 / 448);
  CHECK(e4m3.share(0) == 0);
  const ptq::grid e5m2 = ptq::grid_of<ptq::fp8_e5m2>();
  CHECK(e5m2.size() == 124);
  for (std::size_t k = 1; k < e5m2.size(); ++k) CHECK(e5m2.share(k) >= e5m2.share(k - 1));

  CHECK(ptq::grid_of<ptq::native>().size() > ptq::entropy::max_levels);
}

TEST_CASE("nothing is allocated") {
  static statistics<512> seen;
  const std::vector<float> values = test::bell(5000, 1.0F, 31);
  const std::size_t before = allocations;
  const bool collected = static_cast<bool>(seen.collect(std::span<const float>(values)));
  const ptq::range ranges[] = {ptq::minmax{}.range(seen), ptq::entropy{}.range(seen),
                               ptq::percentile{}.range(seen),
                               ptq::mse{}.range(seen, ptq::grid_of<ptq::fp8_e5m2>())};
  const std::size_t after = allocations;
  CHECK(collected);
  CHECK(before > 0);
  CHECK(after == before);
  for (const ptq::range& found : ranges) CHECK(found.reason == range_reason::found);
}

TEST_CASE("the same at compile time and at run time") {
  constexpr ptq::range found = in_a_constant_expression();
  static_assert(found.reason == range_reason::found);
  CHECK(found == in_a_constant_expression());
}
