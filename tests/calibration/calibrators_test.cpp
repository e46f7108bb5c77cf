// SPDX-License-Identifier: Apache-2.0
// What calibrators answer where the answer can be told beforehand, and what a calibrator must have.
#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <span>
#include <string_view>
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

/// A user's four-bit format in a byte whose upper half means nothing: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their
/// negatives, each sixteen times.
struct fp4_e2m1 {
  static constexpr const char* name = "fp4_e2m1";
  using storage = std::uint8_t;
  static constexpr bool is_integer = false;
  static constexpr float max_finite = 6.0F;
  static constexpr float lowest = -6.0F;
  static constexpr storage encode(float) noexcept { return 0; }
  static constexpr float decode(storage code) noexcept {
    constexpr float magnitudes[] = {0.0F, 0.5F, 1.0F, 1.5F, 2.0F, 3.0F, 4.0F, 6.0F};
    return (code & 8) != 0 ? -magnitudes[code & 7] : magnitudes[code & 7];
  }
};
static_assert(ptq::dtype<fp4_e2m1>);

constexpr float step_to(float largest) {
  return largest / (199 * 199);
}

/// With values up to `step` times 199^2, below 256: one more than its bin is the number of bins in use, of
/// 256. One product each: no flag changes that.
template <class Calibrator>
constexpr ptq::range in_a_constant_expression(float step, const ptq::grid& levels) {
  float values[200] = {};
  for (int i = 0; i < 200; ++i) values[i] = static_cast<float>(i * i) * step;
  statistics<256> seen;
  if (!seen.collect(values)) return {};
  return Calibrator{}.range(seen, levels);
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

TEST_CASE("entropy clips 1 % of what is not zero, and no value more") {
  // The counts of bins 1 to 127 of width 1 take turns, 63360 in all, and what is left lies in one bin far
  // beyond. The search can end before that bin, or keep it and level the counts, which costs far more.
  const auto with_beyond = [](std::size_t beyond) {
    std::vector<float> values(100000, 0.0F);
    for (int bin = 1; bin < 128; ++bin) {
      const std::size_t count = bin == 127 ? 990 : bin % 2 == 1 ? 980 : 10;
      values.insert(values.end(), count, static_cast<float>(bin) + 0.5F);
    }
    values.insert(values.end(), beyond, 3999.5F);
    return values;
  };
  CHECK(answer<ptq::entropy>(with_beyond(640)) == ptq::range{128.0F, range_reason::found});
  CHECK(answer<ptq::entropy>(with_beyond(641)) == ptq::range{3999.5F, range_reason::degenerate});
}

TEST_CASE("entropy keeps all where a smaller range loses nothing either") {
  // Two values: with both of them or with the first alone, what is kept lies in levels of its own.
  constexpr ptq::range found = [] {
    const float values[] = {130.5F, 200.5F};
    statistics<256> seen;
    if (!seen.collect(values)) return ptq::range{};
    return ptq::entropy{}.range(seen);
  }();
  static_assert(found == ptq::range{200.5F, range_reason::found});
  CHECK(ptq::range{} == ptq::range{0.0F, range_reason::no_data});
}

TEST_CASE("mse tries the bins in use, and none beyond") {
  // Levels at 0, half and all of the threshold. A hundred values lie at half of 301, where bins end at 300.
  std::vector<float> values(100, 150.5F);
  values.push_back(299.9F);
  CHECK(answer<ptq::mse, 512>(values, ptq::grid(3)) == ptq::range{299.5F, range_reason::found});
}

TEST_CASE("every reason but the calibrator's own answer has words of its own") {
  using std::string_view;
  CHECK(string_view(text_of(range_reason::found)).empty());
  CHECK(string_view(text_of(range_reason::no_data)) == "no values were seen");
  CHECK(string_view(text_of(range_reason::all_zero)) == "only zeros were seen");
  CHECK(string_view(text_of(range_reason::degenerate)) ==
        "the values do not support a search, so the largest one is kept");
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

  // A level below a unit of the share, whatever its significand.
  for (const float level : {0x1.fffffep-39F, 0x1.000002p-39F, 0x1p-40F, 0x1.8p-71F, 0x1p-149F}) {
    const float levels[] = {0.0F, level, 1.0F};
    CHECK(ptq::grid(levels).share(1) == 0);
  }
  const float levels[] = {0.0F, 0x1p-38F, 1.0F};
  CHECK(ptq::grid(levels).share(1) == 1);

  const ptq::grid e2m1 = ptq::grid_of<fp4_e2m1>();  // one level a value, however many codes stand for it
  REQUIRE(e2m1.size() == 8);
  const std::uint64_t twelfths[] = {0, 1, 2, 3, 4, 6, 8, 12};
  for (std::size_t k = 0; k < 8; ++k) CHECK(e2m1.share(k) == twelfths[k] * ptq::grid::one / 12);
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

TEST_CASE_TEMPLATE("the same at compile time and at run time", C, ptq::entropy, ptq::mse, ptq::percentile) {
  constexpr ptq::grid even(8);
  constexpr float to_some = step_to(154.7F);
  constexpr float to_all = step_to(255.5F);
  constexpr ptq::range some_bins = in_a_constant_expression<C>(to_some, even);
  static_assert(some_bins.reason == range_reason::found);
  CHECK(some_bins == in_a_constant_expression<C>(to_some, even));
  constexpr ptq::range all_bins = in_a_constant_expression<C>(to_all, even);
  static_assert(all_bins.reason == range_reason::found);
  CHECK(all_bins == in_a_constant_expression<C>(to_all, even));
  constexpr ptq::range uneven = in_a_constant_expression<C>(to_all, ptq::grid_of<fp4_e2m1>());
  static_assert(uneven.reason == range_reason::found);
  CHECK(uneven == in_a_constant_expression<C>(to_all, ptq::grid_of<fp4_e2m1>()));
}
