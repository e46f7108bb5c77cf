// SPDX-License-Identifier: Apache-2.0
/// @file samples.hpp Reproducible pseudo-random values.
#ifndef PTQ_TESTS_CALIBRATION_SAMPLES_HPP
#define PTQ_TESTS_CALIBRATION_SAMPLES_HPP

#include <cstddef>
#include <cstdint>
#include <vector>

namespace test {

/// A linear congruential generator, of which the upper half is used (Knuth's MMIX constants).
class generator {
 public:
  explicit generator(std::uint64_t seed) : state_(seed) {}
  std::uint32_t next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::uint32_t>(state_ >> 32);
  }
  std::uint32_t below(std::uint32_t limit) {
    return static_cast<std::uint32_t>((std::uint64_t{next()} * limit) >> 32);
  }

 private:
  std::uint64_t state_;
};

/// Roughly bell-shaped around 0, with both signs: sums of `terms` uniform numbers, times `scale`.
inline std::vector<float> bell(std::size_t count, float scale, std::uint64_t seed, int terms = 6) {
  generator random(seed);
  std::vector<float> values(count);
  for (float& value : values) {
    std::int32_t sum = 0;
    for (int i = 0; i < terms; ++i) sum += static_cast<std::int32_t>(random.below(65536)) - 32768;
    value = static_cast<float>(sum) * (scale / 65536);
  }
  return values;
}

}  // namespace test

#endif  // PTQ_TESTS_CALIBRATION_SAMPLES_HPP
