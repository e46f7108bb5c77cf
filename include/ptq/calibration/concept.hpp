// SPDX-License-Identifier: Apache-2.0
/// @file concept.hpp What a calibrator offers.
#ifndef PTQ_CALIBRATION_CONCEPT_HPP
#define PTQ_CALIBRATION_CONCEPT_HPP

#include <concepts>

#include "ptq/calibration/grid.hpp"
#include "ptq/calibration/range.hpp"
#include "ptq/calibration/statistics.hpp"

namespace ptq::inline v0_1 {

/// A question to the statistics of a tensor: which range should codes represent? It never sees the batches,
/// so its answer cannot depend on them. It knows no dtype: the levels that codes stand for are a value.
///
/// | member              | meaning                                                             |
/// |---------------------|---------------------------------------------------------------------|
/// | name                | the word in YAML files, artifacts and tables                        |
/// | range(seen, levels) | the answer for what was seen, if it is to be represented on a grid  |
///
/// Optional: `is_tao_word`, true where `quantize.algorithm` may name it (TAO knows minmax and entropy); all
/// others are for `ptq.calibration.algorithm`.
template <class T>
concept calibrator =
    std::default_initializable<T> && requires(const T ask, const statistics<>& seen, const grid& levels) {
      { T::name } -> std::convertible_to<const char*>;
      { ask.range(seen, levels) } noexcept -> std::same_as<range>;
    };

}  // namespace ptq::inline v0_1

#endif  // PTQ_CALIBRATION_CONCEPT_HPP
