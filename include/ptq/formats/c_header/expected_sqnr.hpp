// SPDX-License-Identifier: Apache-2.0
/// @file expected_sqnr.hpp What codes alone say of the noise that rounding to them made.
#ifndef PTQ_FORMATS_C_HEADER_EXPECTED_SQNR_HPP
#define PTQ_FORMATS_C_HEADER_EXPECTED_SQNR_HPP

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <optional>
#include <vector>

#include "ptq/detail/strict_float.hpp"
#include "ptq/formats/c_header/network.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// Of a code with scale 1: the square of its value, and the mean square of the error of what is rounded to
/// it.
struct code_power {
  double signal = 0;
  double noise = 0;
};

/// Of all codes of one byte. The error is even in the cell of a code: its width squared over 12.
inline std::array<code_power, 256> code_powers(const dtype_row& dtype) {
  std::array<float, 256> values{};
  std::vector<float> levels;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto code = static_cast<std::byte>(i);
    dtype.decode_run(&code, 1, 1.0F, &values[i], false);
    if (is_finite(bits_of(values[i]))) levels.push_back(values[i]);
  }
  std::sort(levels.begin(), levels.end());
  levels.erase(std::unique(levels.begin(), levels.end()), levels.end());
  std::array<code_power, 256> powers{};
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto level = std::find(levels.begin(), levels.end(), values[i]);
    if (level == levels.end() || levels.size() < 2) continue;
    const float next = level + 1 == levels.end() ? *level : level[1];
    const float before = level == levels.begin() ? *level : level[-1];
    const bool is_last = next == *level || before == *level;
    const double width = (static_cast<double>(next) - static_cast<double>(before)) * (is_last ? 1 : 0.5);
    powers[i] = {static_cast<double>(values[i]) * static_cast<double>(values[i]), width * width / 12};
  }
  return powers;
}

}  // namespace detail

/// The SQNR in dB that a weight has if what was rounded lay evenly around its codes: of trained weights some
/// tenths of a dB from what is measured. Known without the floats. Nothing for codes of several bytes, and
/// where all are zero.
inline std::optional<double> expected_sqnr(const artifact_weights& weights, const dtype_row& dtype) {
  if (dtype.code_size != 1 || dtype.is_packed() || weights.shape.size() == 0) return {};
  const auto powers = detail::code_powers(dtype);
  const bool is_per_channel = weights.grain.is_per_channel();
  const std::size_t stride =
      is_per_channel ? static_cast<std::size_t>(row_major(weights.shape)[weights.grain.axis]) : 1;
  detail::code_power sum;
  for (std::size_t i = 0; i < weights.codes.size(); ++i) {
    const double scale =
        static_cast<double>(weights.scales[is_per_channel ? i / stride % weights.scales.size() : 0]);
    const detail::code_power& power = powers[static_cast<std::size_t>(weights.codes[i])];
    sum.signal += power.signal * (scale * scale);
    sum.noise += power.noise * (scale * scale);
  }
  if (!(sum.signal > 0) || !(sum.noise > 0)) return {};
  return 10 * std::log10(sum.signal / sum.noise);
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_C_HEADER_EXPECTED_SQNR_HPP
