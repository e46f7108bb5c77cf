// SPDX-License-Identifier: Apache-2.0
/// @file fill.hpp Values like those of trained weights: normal, always the same.
#ifndef PTQ_BENCHMARKS_SUPPORT_FILL_HPP
#define PTQ_BENCHMARKS_SUPPORT_FILL_HPP

#include <cstddef>
#include <random>
#include <vector>

namespace bench {

inline std::vector<float> normal_values(std::size_t n) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0.0F, 0.05F);
  std::vector<float> values(n);
  for (float& v : values) v = normal(random);
  return values;
}

}  // namespace bench

#endif  // PTQ_BENCHMARKS_SUPPORT_FILL_HPP
