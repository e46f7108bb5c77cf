// SPDX-License-Identifier: Apache-2.0
// Entropy, percentile and mse against ModelOpt's histogram calibrator, on its own histograms.
#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "ptq/adaptors/std_vector.hpp"
#include "ptq/core.hpp"
#include "support/golden.hpp"

namespace {

using counts_type = std::vector<std::uint64_t>;

const test::golden_group& group() {
  static const test::golden_group read("d_calibration");
  return read;
}

counts_type counts_of(const test::json& one) {
  if (one["counts"]["dtype"].word == "int64") {
    const auto counts = group().array<std::int64_t>(one["counts"]);
    return {counts.begin(), counts.end()};
  }
  const auto counts = group().array<std::int32_t>(one["counts"]);
  return {counts.begin(), counts.end()};
}

double number(const test::json& value) {
  return std::strtod(value.word.c_str(), nullptr);
}

std::size_t entropy_pick(const counts_type& counts, std::size_t levels) {
  using search = ptq::detail::entropy_search<8192, 256>;
  return std::make_unique<search>(counts, ptq::grid(levels))->find_kept(levels);
}

std::size_t mse_pick(const counts_type& counts, const ptq::grid& levels) {
  using search = ptq::detail::mse_search<8192, 128>;
  return std::make_unique<search>(counts, levels)->find_bin(128);
}

bool is_near(std::size_t a, std::size_t b) {
  return a + 1 >= b && b + 1 >= a;
}

/// Where a share is hit exactly by the counts of some bins, the rounding of the reference's sums in double
/// decides whether the next bin that holds anything is needed; our count is exact.
void check_percentile(const counts_type& counts, std::uint64_t per_billion, std::size_t expected) {
  CAPTURE(per_billion);
  const std::size_t bin = ptq::percentile{per_billion}.find_bin(counts);
  if (bin == expected) return;
  std::uint64_t total = 0;
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    total += counts[i];
    below += i <= bin ? counts[i] : 0;
  }
  CHECK(ptq::detail::multiply_wide(below, 1'000'000'000) == ptq::detail::multiply_wide(total, per_billion));
  std::size_t next = bin + 1;
  while (next < counts.size() && counts[next] == 0) ++next;
  CHECK(next == expected);
}

std::size_t index_of(const std::vector<float>& edges, double value) {
  std::size_t at = 0;
  while (at + 1 < edges.size() && static_cast<double>(edges[at]) < value) ++at;
  return at;
}

/// The bin whose centre a threshold is.
std::size_t bin_of_centre(const std::vector<float>& edges, const test::json& threshold) {
  return index_of(edges, number(threshold)) - 1;
}

/// The first bin that lies wholly above a threshold.
std::size_t first_bin_above(const ptq::statistics<>& seen, float threshold) {
  std::size_t bin = 0;
  while (bin < 4096 && seen.up_to(2 * bin).amax < threshold) ++bin;
  return bin + 1;
}

}  // namespace

TEST_CASE("closed forms: every pick is the reference's") {
  std::size_t cases = 0;
  for (const test::json& one : group().cases()) {
    if (one["kind"].word != "closed_form") continue;
    ++cases;
    CAPTURE(one["name"].word);
    const counts_type counts = counts_of(one);
    const test::json& expected = one["results"];
    CHECK(entropy_pick(counts, 128) == expected["entropy_128_pick"].number());
    CHECK(entropy_pick(counts, 256) == expected["entropy_256_pick"].number());
    check_percentile(counts, 990'000'000, expected["percentile_99.0_edge"].number());
    check_percentile(counts, 999'000'000, expected["percentile_99.9_edge"].number());
    check_percentile(counts, 999'900'000, expected["percentile_99.99_edge"].number());
    CHECK(is_near(mse_pick(counts, ptq::grid(128)), expected["mse_int8_centre"].number()));
    CHECK(is_near(mse_pick(counts, ptq::grid_of<ptq::fp8_e4m3fn>()),
                  expected["mse_fp8_e4m3fn_centre"].number()));
  }
  CHECK(cases == 10);
}

TEST_CASE("activations: entropy picks what the reference picks wherever that is defined") {
  std::size_t usable = 0;
  for (const test::json& one : group().cases()) {
    if (one["kind"].word != "activations" || one["entropy_reference_usable"].word != "true") continue;
    ++usable;
    CAPTURE(one["name"].word);
    const std::size_t pick = entropy_pick(counts_of(one), 128);
    bool is_tied = false;
    for (const test::json& tied : one["entropy_tied_candidates"].items) is_tied |= tied.number() == pick;
    CHECK((pick == one["entropy_pick"].number() || is_tied));
  }
  CHECK(usable == 22);
}

TEST_CASE("activations: percentile and mse") {
  std::size_t cases = 0;
  for (const test::json& one : group().cases()) {
    if (one["kind"].word != "activations" || one["name"].word == "all_zero") continue;
    ++cases;
    CAPTURE(one["name"].word);
    const counts_type counts = counts_of(one);
    const auto edges = group().array<float>(one["edges"]);
    const test::json& amax = one["amax"];
    check_percentile(counts, 990'000'000, index_of(edges, number(amax["percentile_99"])));
    check_percentile(counts, 999'000'000, index_of(edges, number(amax["percentile_99.9"])));
    check_percentile(counts, 999'900'000, index_of(edges, number(amax["percentile_99.99"])));
    check_percentile(counts, 1'000'000'000, index_of(edges, number(amax["percentile_100"])));
    // The reference's mean of squares in float32 vanishes or overflows there: it stays with its first
    // candidate.
    if (one["name"].word == "tiny" || one["name"].word == "huge") continue;
    CHECK(is_near(mse_pick(counts, ptq::grid(128)), bin_of_centre(edges, amax["mse_int8"])));
    CHECK(is_near(mse_pick(counts, ptq::grid_of<ptq::fp8_e4m3fn>()),
                  bin_of_centre(edges, amax["mse_fp8_e4m3fn"])));
  }
  CHECK(cases == 28);
}

TEST_CASE("recorded data: a sane answer of every calibrator, where the reference clips everything too") {
  std::size_t cases = 0;
  for (const test::json& one : group().cases()) {
    if (one["kind"].word != "activations" || one.find("data") == nullptr) continue;
    ++cases;
    CAPTURE(one["name"].word);
    ptq::statistics<> seen;
    for (const test::json& batch : one["data"].items)
      CHECK(seen.collect(group().array<float>(batch)) == ptq::status{});
    CHECK(seen.count == one["samples"].number());
    CHECK(static_cast<double>(seen.absmax) == number(one["max_abs"]));
    ptq::detail::for_each_type(ptq::calibrators{}, [&]<class C>(ptq::detail::type_tag<C>) {
      CAPTURE(C::name);
      const ptq::range found = C{}.range(seen, ptq::grid(128));
      if (one["name"].word == "all_zero") {
        CHECK(found == ptq::range{0, ptq::range_reason::all_zero});
        return;
      }
      CHECK(found.amax <= seen.absmax);
      CHECK(seen.magnitudes.count_from(first_bin_above(seen, found.amax)) * 100 <=
            seen.magnitudes.count_from(1));
    });
  }
  CHECK(cases >= 8);
}
