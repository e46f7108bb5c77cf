// SPDX-License-Identifier: Apache-2.0
/// @file figures.hpp What dtype_choice found out about a model, for its table, its JSON and its picture.
#ifndef PTQ_BENCHMARKS_DTYPE_CHOICE_FIGURES_HPP
#define PTQ_BENCHMARKS_DTYPE_CHOICE_FIGURES_HPP

#include <cstddef>
#include <string>
#include <vector>

namespace bench {

/// Of a dtype, a granularity and an instruction set.
struct figure {
  std::string dtype;
  std::string granularity;
  std::string set;
  std::size_t bytes = 0;
  double sqnr_db = 0;  ///< infinite where nothing is lost
  double max_error = 0;
  double quantize = 0;  ///< elements per second
  double dequantize = 0;
};

struct figures {
  std::string model;
  std::size_t elements = 0;
  std::size_t threads = 1;
  double memcpy = 0;  ///< elements per second, on one thread
  std::vector<figure> rows;

  std::size_t float_bytes() const { return elements * sizeof(float); }
};

}  // namespace bench

#endif  // PTQ_BENCHMARKS_DTYPE_CHOICE_FIGURES_HPP
