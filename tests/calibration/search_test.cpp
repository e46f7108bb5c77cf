// SPDX-License-Identifier: Apache-2.0
// The searches against their definitions: every candidate built bin by bin, in floating point, in quadratic
// time. And what entropy leaves out, against the same sums with nothing left out.
#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "calibration/exhaustive_search.hpp"
#include "calibration/naive_search.hpp"
#include "calibration/samples.hpp"
#include "ptq/calibration/entropy.hpp"
#include "ptq/calibration/mse.hpp"
#include "ptq/dtypes.hpp"

namespace {

using counts_type = std::vector<std::uint64_t>;

/// A histogram of 129 to 228 bins of a shape drawn by lot: smooth or ragged, with gaps or without, with
/// counts of few or of many digits.
counts_type random_histogram(test::generator& random) {
  counts_type counts(129 + random.below(100));
  const std::uint32_t scale = 1u << (2 + random.below(24));
  const std::uint32_t decay = 1 + random.below(200);
  const std::uint32_t gaps = random.below(3);  // none, some, many
  const bool ragged = random.below(2) != 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const std::uint64_t smooth = std::uint64_t{scale} * decay / (decay + i * i / 16);
    counts[i] = ragged ? random.below(static_cast<std::uint32_t>(smooth) + 2) : smooth;
    if (gaps != 0 && random.below(gaps == 1 ? 10 : 2) == 0) counts[i] = 0;
  }
  counts.back() += 1;
  return counts;
}

/// What the bins hold before chance has its say: `scale` at most, of 129 bins or more.
std::uint64_t height(std::uint32_t kind, std::size_t bin, std::size_t bins, std::uint64_t scale) {
  switch (kind) {
    case 0:
      return scale;  // all candidates that clip nothing are tied
    case 1:
      return bin % 3 == 0 ? scale : 0;
    case 2:
      return scale * 100 / (100 + bin * bin);
    case 3:
      return scale >> (bin * 64 / bins);
    case 4:
      return scale * bin / bins;
    case 5:
      return bin < 3 || bin > bins - 3 ? scale : 1;
    case 6:
      return bin * 2 < bins ? scale : scale >> 12;
    default:
      return 0;
  }
}

/// A histogram of 129 to 4096 bins and up to 2^50 values: of every kind that comes to mind.
counts_type varied_histogram(test::generator& random) {
  counts_type counts(129 + random.below(random.below(12) == 0 ? 3968 : 300));
  const std::uint64_t scale = std::uint64_t{1} << random.below(38);
  const std::uint32_t kind = random.below(8);
  const bool is_ragged = random.below(2) != 0;
  const std::uint32_t gaps = random.below(3);  // none, some, many
  for (std::size_t i = 0; i < counts.size(); ++i) {
    counts[i] = height(kind, i, counts.size(), scale);
    if (is_ragged) counts[i] = (counts[i] >> 10) * random.below(1024) + random.below(2);
    if (gaps != 0 && random.below(gaps == 1 ? 10 : 2) == 0) counts[i] = 0;
  }
  for (std::uint32_t spikes = random.below(4); spikes > 0; --spikes)
    counts[random.below(static_cast<std::uint32_t>(counts.size()))] += scale << random.below(10);
  counts.back() += 1;
  return counts;
}

/// The divergences of the two picks differ by no more than a tie may, and the noise of the naive form.
void check_pick(const counts_type& counts, const ptq::grid& levels) {
  ptq::detail::entropy_search<300, 128> search(counts, levels);
  const std::size_t kept = search.find_kept(128);
  const test::naive_pick naive = test::find_kept_naively(counts, levels, 128);
  if (kept == naive.kept) return;
  const std::optional<double> divergence = test::divergence_naively(counts, levels, kept);
  CHECK(divergence.has_value());
  CHECK(std::fabs(divergence.value_or(1) - naive.divergence) <= 2e-12);
}

}  // namespace

TEST_CASE("entropy picks what the naive form picks, or a tie, on 10,000 random histograms") {
  test::generator random(2024);
  for (int i = 0; i < 10000; ++i) {
    CAPTURE(i);
    check_pick(random_histogram(random), ptq::grid(128));
  }
}

TEST_CASE("entropy on the grids of fp8 picks what the naive form picks, or a tie") {
  test::generator random(2025);
  for (int i = 0; i < 20; ++i) {
    CAPTURE(i);
    const counts_type counts = random_histogram(random);
    check_pick(counts, ptq::grid_of<ptq::fp8_e4m3fn>());
    check_pick(counts, ptq::grid_of<ptq::fp8_e5m2>());
    check_pick(counts, ptq::grid(8));
  }
}

TEST_CASE("entropy picks what it would pick if it left out nothing, on histograms of every kind") {
  const float dense_on_top[] = {0, 1, 1.75F, 1.875F, 1.998F, 1.999F, 2};  // finer than bins
  const ptq::grid grids[] = {ptq::grid(128), ptq::grid_of<ptq::fp8_e4m3fn>(), ptq::grid_of<ptq::fp8_e5m2>(),
                             ptq::grid(8), ptq::grid(dense_on_top)};
  const auto search = std::make_unique<std::optional<ptq::detail::entropy_search<4096, 128>>>();
  test::generator random(2027);
  for (std::size_t i = 0; i < 2000; ++i) {
    CAPTURE(i);
    const counts_type counts = varied_histogram(random);
    const ptq::grid& levels = grids[i % 8 < 4 ? 0 : i % 8 - 3];
    search->emplace(counts, levels);
    CHECK((*search)->find_kept(128) == test::exhaustive_search(counts, levels).find_kept(128));
  }
}

TEST_CASE("tied candidates: the largest wins") {
  const counts_type uniform(300, 7);
  CHECK(ptq::detail::entropy_search<300, 128>(uniform, ptq::grid(128)).find_kept(128) == 300);
  counts_type spike(300);
  spike[299] = 1;
  CHECK(ptq::detail::entropy_search<300, 128>(spike, ptq::grid(128)).find_kept(128) == 300);
}

TEST_CASE("counts near the limit do not overflow") {
  counts_type counts(300);
  for (std::size_t i = 0; i < counts.size(); ++i) counts[i] = (std::uint64_t{1} << 41) / (i + 1);
  counts_type fewer(counts);
  for (std::uint64_t& count : fewer) count >>= 8;
  CHECK(ptq::detail::entropy_search<300, 128>(counts, ptq::grid(128)).find_kept(128) ==
        ptq::detail::entropy_search<300, 128>(fewer, ptq::grid(128)).find_kept(128));
  CHECK(ptq::detail::mse_search<300, 128>(counts, ptq::grid(128)).find_bin(128) ==
        ptq::detail::mse_search<300, 128>(fewer, ptq::grid(128)).find_bin(128));
}

TEST_CASE("mse picks what the naive form picks, or one that is as good") {
  test::generator random(2026);
  for (int i = 0; i < 20; ++i) {
    CAPTURE(i);
    const counts_type counts = random_histogram(random);
    for (const ptq::grid& levels :
         {ptq::grid(128), ptq::grid_of<ptq::fp8_e4m3fn>(), ptq::grid_of<ptq::fp8_e5m2>()}) {
      const std::size_t bin = ptq::detail::mse_search<300, 128>(counts, levels).find_bin(128);
      const std::size_t naive = test::find_bin_naively(counts, levels, 128);
      const double error = test::squared_error_naively(counts, levels, bin);
      CHECK(error <= test::squared_error_naively(counts, levels, naive) * (1 + 1e-6));
    }
  }
}
