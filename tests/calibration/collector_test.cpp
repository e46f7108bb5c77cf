// SPDX-License-Identifier: Apache-2.0
// Every instruction set of this machine counts as the portable loop does.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "calibration/samples.hpp"
#include "ptq/adaptors/std_vector.hpp"
#include "ptq/calibration/statistics.hpp"
#include "ptq/kernels/isa.hpp"

using ptq::statistics;

namespace {

/// The instruction sets of this machine; what it lacks is said.
std::vector<ptq::isa> available() {
  std::vector<ptq::isa> sets;
  for (const ptq::isa set : {ptq::isa::avx2, ptq::isa::avx512, ptq::isa::neon}) {
    if (ptq::is_available(set))
      sets.push_back(set);
    else
      MESSAGE("not on this machine: " << ptq::name_of(set));
  }
  return sets;
}

/// What is left is the best again.
struct forced {
  explicit forced(ptq::isa set) { ptq::force_isa(set); }
  ~forced() { ptq::choose_best_isa(); }
  forced(const forced&) = delete;
  forced& operator=(const forced&) = delete;
};

/// The same tensors, one after the other, by every set.
template <std::size_t Bins = 4096, class Tensor = std::vector<float>>
void check_equal(const std::vector<Tensor>& tensors) {
  const auto collect_by = [&](ptq::isa set) {
    const forced isa(set);
    auto seen = std::make_unique<statistics<Bins>>();
    for (const Tensor& tensor : tensors) CHECK(seen->collect(tensor) == ptq::status{});
    return seen;
  };
  const auto wanted = collect_by(ptq::isa::portable);
  CHECK(wanted->is_consistent());
  for (const ptq::isa set : available()) {
    CAPTURE(ptq::name_of(set));
    CHECK(*collect_by(set) == *wanted);
  }
}

/// Floats of all sizes from the smallest up to below 2^(bits - 149).
std::vector<float> of_all_sizes(std::size_t count, std::uint32_t bits, std::uint64_t seed) {
  test::generator random(seed);
  std::vector<float> values(count);
  const std::uint32_t above = bits <= 24 ? 1u << bits >> 1 : (bits - 23) << 23;  // as float bits
  for (float& value : values)
    value = ptq::detail::float_of(random.below(above) | (random.next() & ptq::detail::sign_bit));
  return values;
}

std::vector<float> without_negatives(std::vector<float> values) {
  for (float& value : values)
    if ((ptq::detail::bits_of(value) & ptq::detail::sign_bit) != 0) value = 0;
  return values;
}

}  // namespace

TEST_CASE("all lengths") {
  const std::vector<float> values = test::bell(10000, 3.0F, 1);
  for (std::size_t n = 0; n <= 300; ++n)
    check_equal<512>({std::vector<float>(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(n))});
  for (const std::size_t n : {1023u, 1024u, 1025u, 2047u, 4096u, 8191u, 8192u, 8193u, 8224u, 9217u, 10000u})
    check_equal({std::vector<float>(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(n))});
}

TEST_CASE("all ranges, with values of all sizes in them") {
  for (std::uint32_t bits = 1; bits <= 277; ++bits) {
    CAPTURE(bits);
    check_equal({of_all_sizes(500, bits, bits), of_all_sizes(9000, bits, 7 * bits)});
  }
}

TEST_CASE("few values and many: random, equal, zeros, half of them zeros, subnormal, huge") {
  constexpr float smallest = std::numeric_limits<float>::denorm_min();
  constexpr float largest = std::numeric_limits<float>::max();
  for (const std::size_t n : {40u, 3000u, 20000u}) {
    CAPTURE(n);
    check_equal({test::bell(n, 1.0F, 2)});
    check_equal({without_negatives(test::bell(n, 1.0F, 3))});
    for (const float value : {0.0F, -0.0F, 1.0F, -0.75F, smallest, -3 * smallest, 1e-36F, largest, -largest})
      check_equal({std::vector<float>(n, value), std::vector<float>(n, value)});
    check_equal({of_all_sizes(n, 20, 4), of_all_sizes(n, 277, 5)});
  }
}

TEST_CASE("values that grow, within a tensor and from one to the next, and merged parts") {
  std::vector<std::vector<float>> tensors;
  for (std::uint32_t i = 0; i < 40; ++i)
    tensors.push_back(of_all_sizes(i % 3 == 0 ? 9000 : 700, 1 + 7 * i, i));
  std::vector<float> all;
  for (const auto& tensor : tensors) all.insert(all.end(), tensor.begin(), tensor.end());
  check_equal(tensors);
  check_equal<256>({all});
  check_equal<8192>({all});
  std::reverse(all.begin(), all.end());
  check_equal<4096>({all});
  check_equal<16384>({all});  // more bins than the tables have room for

  for (const ptq::isa set : available()) {
    const forced isa(set);
    auto whole = std::make_unique<statistics<>>();
    auto merged = std::make_unique<statistics<>>();
    CHECK(whole->collect(all) == ptq::status{});
    for (const auto& tensor : tensors) {
      auto part = std::make_unique<statistics<>>();
      CHECK(part->collect(tensor) == ptq::status{});
      merged->merge(*part);
    }
    CHECK(*merged == *whole);
  }
}

TEST_CASE("strides, short runs and halves") {
  const std::vector<float> values = test::bell(90000, 2.0F, 6);
  for (const std::size_t run : {1u, 9u, 31u, 33u, 300u}) {
    const std::size_t rows = (values.size() - 1) / (run + 1);
    const ptq::tensor_view<const float> rows_of(values.data(), {rows, run},
                                                {static_cast<std::ptrdiff_t>(run) + 1, 1});
    const ptq::tensor_view<const float> columns_of(values.data(), {100, run}, {1, 100});
    check_equal(std::vector<ptq::tensor_view<const float>>{rows_of, columns_of});
  }
  std::vector<ptq::half> halves;
  for (const float value : values) halves.push_back(ptq::half::from_float(value));
  check_equal(std::vector<std::vector<ptq::half>>{halves});
}

TEST_CASE("NaN and infinity anywhere: nothing of the tensor is taken in") {
  using ptq::detail::infinity_bits;
  using ptq::detail::nan_bits;
  using ptq::detail::sign_bit;
  for (const ptq::isa set : available()) {
    const forced isa(set);
    for (const std::size_t n : {1u, 33u, 5000u, 20000u})
      for (const std::size_t at : {std::size_t{0}, n / 2, n - 1})
        for (const std::uint32_t bad :
             {nan_bits, nan_bits | sign_bit, infinity_bits, infinity_bits | sign_bit}) {
          CAPTURE(n);
          std::vector<float> values = test::bell(n, 5.0F, 8);
          auto seen = std::make_unique<statistics<>>();
          CHECK(seen->collect(test::bell(100, 1.0F, 9)) == ptq::status{});
          const auto before = std::make_unique<statistics<>>(*seen);
          values[at] = ptq::detail::float_of(bad);
          CHECK(seen->collect(values) == ptq::status{ptq::errc::not_finite, at});
          CHECK(*seen == *before);
        }
  }
}
