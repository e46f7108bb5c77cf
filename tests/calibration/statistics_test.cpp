// SPDX-License-Identifier: Apache-2.0
// What is counted, and that it depends on the values alone.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "calibration/samples.hpp"
#include "ptq/adaptors/std_vector.hpp"
#include "ptq/calibration/statistics.hpp"

using ptq::statistics;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float smallest = std::numeric_limits<float>::denorm_min();

template <std::size_t Bins = 4096>
statistics<Bins> collected(std::span<const float> values) {
  statistics<Bins> seen;
  CHECK(seen.collect(values) == ptq::status{});
  return seen;
}

statistics<> in_batches(std::span<const float> values, std::size_t size) {
  statistics<> seen;
  for (std::size_t first = 0; first < values.size(); first += size)
    CHECK(seen.collect(values.subspan(first, std::min(size, values.size() - first))) == ptq::status{});
  return seen;
}

/// Values whose magnitudes grow, so that later batches stretch the range again and again.
std::vector<float> growing() {
  std::vector<float> values = test::bell(3000, 1.0F, 1);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] *= 0.001F * static_cast<float>(i);
  return values;
}

constexpr bool counts_in_constant_expressions() {
  constexpr float values[] = {0.0F, -0.0F, 0.25F, -0.5F, 3.999F, 1e-40F};
  statistics<16> seen;
  if (!seen.collect(values)) return false;
  const auto& bins = seen.magnitudes;  // [0, 4) in bins of 1/4
  return bins.exponent == 2 && bins.counts[0] == 3 && bins.counts[1] == 1 && bins.counts[2] == 1 &&
         bins.counts[15] == 1 && seen.count == 6;
}
static_assert(counts_in_constant_expressions());

static_assert(ptq::exponent_above(ptq::detail::bits_of(1.0F)) == 1);
static_assert(ptq::exponent_above(ptq::detail::bits_of(0.999F)) == 0);
static_assert(ptq::exponent_above(ptq::detail::bits_of(std::numeric_limits<float>::max())) == 128);
static_assert(ptq::exponent_above(1) == -148);
static_assert(ptq::exponent_above(0) == -149);

}  // namespace

TEST_CASE(
    "the range is the smallest power of two above the largest magnitude, so half of the bins are in use") {
  for (const float absmax : {1.0F, 1.5F, -1.999F, 0.75F, 1e30F, -3e38F, 1e-30F, 2e-38F, 1e-42F}) {
    const auto seen = collected(std::vector<float>{absmax, -absmax, 0.0F});
    CAPTURE(absmax);
    const std::size_t in_use = seen.magnitudes.in_use().size();
    CHECK(in_use >= 2049);
    CHECK(in_use <= 4096);
    CHECK(seen.magnitudes.count_from(0) == 3);
    CHECK(seen.magnitudes.counts[0] == 1);
  }
}

TEST_CASE("each value lies in its bin") {
  const std::vector<float> values = test::bell(2000, 1.7F, 3);
  const auto seen = collected<512>(values);
  std::vector<std::uint64_t> counts(512);
  double width = 1.0 / 512;  // by doubling, which is exact
  for (int i = 0; i < seen.magnitudes.exponent; ++i) width *= 2;
  for (const float value : values)
    ++counts[static_cast<std::size_t>((value < 0 ? -static_cast<double>(value) : static_cast<double>(value)) /
                                      width)];
  CHECK(std::equal(counts.begin(), counts.end(), seen.magnitudes.counts.begin()));
}

TEST_CASE("batches, their order and merged parts do not matter") {
  std::vector<float> values = growing();
  const auto whole = std::make_unique<statistics<>>(collected(values));
  for (const std::size_t size : {1u, 7u, 32u, 256u}) CHECK(in_batches(values, size) == *whole);

  for (const std::size_t parts : {1u, 2u, 3u, 4u}) {
    auto merged = std::make_unique<statistics<>>();
    auto merged_backwards = std::make_unique<statistics<>>();
    for (std::size_t part = 0; part < parts; ++part) {
      const std::size_t size = values.size() / parts;
      merged->merge(in_batches(std::span(values).subspan(part * size, size), 11));
      merged_backwards->merge(in_batches(std::span(values).subspan((parts - 1 - part) * size, size), 5));
    }
    CHECK(*merged == *whole);
    CHECK(*merged_backwards == *whole);
  }

  test::generator random(5);
  for (std::size_t i = values.size(); i > 1; --i)
    std::swap(values[i - 1], values[random.below(static_cast<std::uint32_t>(i))]);
  CHECK(in_batches(values, 13) == *whole);
}

TEST_CASE("equal statistics mean equal values in every field") {
  const std::vector<float> values = growing();
  auto other = collected(values);
  ++other.magnitudes.counts[7];
  CHECK_FALSE(other == collected(values));
  CHECK_FALSE(collected(std::vector<float>{1.0F, 1.5F}) == collected(std::vector<float>{1.0F, 1.25F}));
  CHECK_FALSE(collected(std::vector<float>{0.0F}) == statistics<>{});
}

TEST_CASE("fewer bins count as if neighbours were merged") {
  const std::vector<float> values = growing();
  const auto fine = collected<4096>(values);
  const auto coarse = collected<1024>(values);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < 1024; ++i) {
    std::uint64_t sum = 0;
    for (std::size_t k = 0; k < 4; ++k) sum += fine.magnitudes.counts[4 * i + k];
    wrong += sum == coarse.magnitudes.counts[i] ? 0u : 1u;
  }
  CHECK(wrong == 0);
}

TEST_CASE("extreme values: an outlier, subnormals, zeros") {
  std::vector<float> values = test::bell(1000, 1.0F, 9);
  values.push_back(-1e30F);
  auto seen = collected(values);
  CHECK(seen.absmax == 1e30F);
  CHECK(seen.magnitudes.counts[0] == 1000);
  CHECK(seen.magnitudes.count_from(1) == 1);

  seen = collected(std::vector<float>{smallest, -3 * smallest, 0.0F});
  CHECK(seen.magnitudes.exponent == -147);
  CHECK(seen.magnitudes.counts[1024] == 1);
  CHECK(seen.magnitudes.counts[3072] == 1);
  CHECK(seen.magnitudes.counts[0] == 1);
  CHECK(seen.collect(std::vector<float>{1.0F}) == ptq::status{});
  CHECK(seen.magnitudes.counts[0] == 3);
  CHECK(seen.magnitudes.counts[2048] == 1);

  // Every range whose bins are narrower than the smallest float, and one with bins as wide as that.
  for (std::uint32_t bits = 1; bits <= 13; ++bits) {
    const std::uint32_t largest = (1u << bits) - 1;  // times the smallest float, below 2^(bits - 149)
    // as bits: a product of subnormals may be flushed to zero
    const auto narrow =
        collected(std::vector<float>{ptq::detail::float_of(largest), ptq::detail::float_of(largest / 2)});
    CHECK(narrow.magnitudes.exponent == static_cast<int>(bits) - 149);
    CHECK(narrow.magnitudes.counts[largest * 4096u >> bits] == 1);
    CHECK(narrow.magnitudes.counts[largest / 2 * 4096u >> bits] == 1);
  }

  seen = collected(std::vector<float>(100, -0.0F));
  CHECK(seen.count == 100);
  CHECK(seen.magnitudes.counts[0] == 100);
  CHECK(ptq::detail::bits_of(seen.absmax) == 0);
}

TEST_CASE("NaN and infinity are refused with their index, and nothing of that tensor is taken in") {
  const auto nan = std::numeric_limits<float>::quiet_NaN();
  for (const float bad : {nan, -nan, infinity, -infinity}) {
    auto seen = collected(std::vector<float>{1.0F, 2.0F});
    const auto before = seen;
    CHECK(seen.collect(std::vector<float>{9.0F, 1.0F, bad, bad}) == ptq::status{ptq::errc::not_finite, 2});
    CHECK(seen == before);
  }
}

TEST_CASE("strided and half-precision tensors count as their values do") {
  const std::vector<float> values = test::bell(24, 1.0F, 17);
  std::vector<float> columns(24);
  for (std::size_t row = 0; row < 4; ++row)
    for (std::size_t column = 0; column < 6; ++column) columns[column * 4 + row] = values[row * 6 + column];
  const ptq::tensor_view<const float> column_major(columns.data(), {4, 6}, {1, 4});
  statistics<> seen;
  CHECK(seen.collect(column_major) == ptq::status{});
  CHECK(seen == collected(values));

  columns[1 * 4 + 2] = infinity;  // row 2, column 1
  CHECK(seen.collect(column_major) == ptq::status{ptq::errc::not_finite, 2 * 6 + 1});

  const std::vector<ptq::half> halves{ptq::half::from_float(0.5F), ptq::half::from_float(-1.25F)};
  statistics<> of_halves;
  CHECK(of_halves.collect(halves) == ptq::status{});
  CHECK(of_halves == collected(std::vector<float>{0.5F, -1.25F}));
}

TEST_CASE("statistics that nothing can have collected are told") {
  const std::vector<float> values = test::bell(300, 3.0F, 8);
  for (const auto& seen : {collected(values), collected({}), collected(std::vector<float>(3)),
                           collected(std::vector<float>{smallest}),
                           collected(std::vector<float>{std::numeric_limits<float>::max()})})
    CHECK(seen.is_consistent());

  const auto breaks = [&](auto damage) {
    statistics<> seen = collected(values);
    damage(seen);
    return !seen.is_consistent();
  };
  CHECK(breaks([](auto& s) { s.count += 1; }));
  CHECK(breaks([](auto& s) { s.absmax = -s.absmax; }));
  CHECK(breaks([](auto& s) { s.absmax = infinity; }));
  CHECK(breaks([](auto& s) { s.absmax *= 0.5F; }));
  CHECK(breaks([](auto& s) { s.absmax *= 0.99F; }));  // of another bin than the last one in use
  CHECK(breaks([](auto& s) { s.magnitudes.exponent += 1; }));
  CHECK(breaks([](auto& s) { s.magnitudes.counts[7] += 1; }));
  CHECK(breaks([](auto& s) { s.magnitudes.counts[4095] += 1, s.count += 1; }));
  CHECK(breaks(
      [](auto& s) { s.magnitudes.counts[7] += std::uint64_t{1} << 51, s.count += std::uint64_t{1} << 51; }));
  CHECK(breaks([](auto& s) { s = {}, s.absmax = 1; }));
  CHECK(breaks([](auto& s) { s = {}, s.magnitudes.exponent = 0; }));

  // 3 in the bin where it lies in [0, 8): it alone gives [0, 4).
  statistics<> wide;
  wide.absmax = 3;
  wide.count = 1;
  wide.magnitudes.exponent = 3;
  wide.magnitudes.counts[4096 * 3 / 8] = 1;
  CHECK_FALSE(wide.is_consistent());
}
