// SPDX-License-Identifier: Apache-2.0
#include "ptq/engine/accuracy.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <limits>

#include "ptq/concepts.hpp"

namespace {

struct quiet_engine {
  std::span<const ptq::graph_input> inputs() const { return {}; }
  std::span<const std::string> outputs() const { return {}; }
  ptq::result<void> run(std::span<const ptq::named_array>, std::span<const std::string>,
                        ptq::array_sink auto&&) {
    return {};
  }
};
struct no_inputs {
  std::span<const std::string> outputs() const { return {}; }
  ptq::result<void> run(std::span<const ptq::named_array>, std::span<const std::string>,
                        ptq::array_sink auto&&) {
    return {};
  }
};
struct no_outputs {
  std::span<const ptq::graph_input> inputs() const { return {}; }
  ptq::result<void> run(std::span<const ptq::named_array>, std::span<const std::string>,
                        ptq::array_sink auto&&) {
    return {};
  }
};
struct no_run {
  std::span<const ptq::graph_input> inputs() const { return {}; }
  std::span<const std::string> outputs() const { return {}; }
};
static_assert(ptq::engine<quiet_engine>);
static_assert(!ptq::engine<no_inputs> && !ptq::engine<no_outputs> && !ptq::engine<no_run>);

using row = std::array<float, 3>;

}  // namespace

TEST_CASE("shares are of all samples, of labelled ones where there are labels") {
  ptq::accuracy_accumulator sums;
  sums.add(row{1, 3, 2}, row{1, 3, 2}, 1);     // both right
  sums.add(row{5, 1, 0}, row{4, 4.5F, 0}, 0);  // the float model right
  sums.add(row{0, 1, 2}, row{0, 1, 2}, 0);     // both wrong, and agreeing
  sums.add(row{0, 1, 2}, row{3, 1, 2}, 0);     // the quantized model right
  const ptq::accuracy a = sums.metrics();
  CHECK(a.samples == 4);
  CHECK(a.float_top1 == 0.5);
  CHECK(a.quantized_top1 == 0.5);
  CHECK(a.agreement == 0.5);
  CHECK(a.outputs.count == 12);
  const double signal = 14 + 26 + 5 + 5;
  const double noise = 1 + 3.5 * 3.5 + 9;
  CHECK(a.outputs.sqnr_db == doctest::Approx(10 * std::log10(signal / noise)));
  CHECK(a.outputs.max_abs == 3.5);
}

TEST_CASE("without labels there is agreement only; nothing seen gives zeros; ties go to the first") {
  ptq::accuracy_accumulator sums;
  CHECK(sums.metrics().samples == 0);
  CHECK(sums.metrics().agreement == 0);
  sums.add(row{1, 1, 0}, row{1, 0, 0});
  CHECK(sums.metrics().agreement == 1);
  CHECK_FALSE(sums.metrics().float_top1.has_value());
  CHECK_FALSE(sums.metrics().quantized_top1.has_value());
}

TEST_CASE("a yes is above 0.5 where all values are probabilities, else above 0") {
  ptq::accuracy_accumulator shares;
  shares.add_binary(0.75, 0.25, 1);
  shares.add_binary(0.25, 0.375, 0);
  CHECK(shares.is_probability());
  CHECK(shares.metrics().threshold == 0.5);
  CHECK(shares.metrics().agreement == 0.5);
  CHECK(shares.metrics().float_top1 == 1.0);
  CHECK(shares.metrics().quantized_top1 == 0.5);
  ptq::accuracy_accumulator logits;
  logits.add_binary(0.25, 0.75);
  logits.add_binary(-1, 0.25);
  CHECK_FALSE(logits.is_probability());
  CHECK(logits.metrics().threshold == 0);
  CHECK(logits.metrics().agreement == 0.5);
}

TEST_CASE("NaN is never the largest") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(ptq::top1(row{nan, 1, 2}) == 2);
  CHECK(ptq::top1(row{3, nan, 2}) == 0);
}
