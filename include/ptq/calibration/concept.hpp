// SPDX-License-Identifier: Apache-2.0
/// @file concept.hpp What a calibrator offers.
#ifndef PTQ_CALIBRATION_CONCEPT_HPP
#define PTQ_CALIBRATION_CONCEPT_HPP

#include <concepts>
#include <span>

#include "ptq/calibration/range.hpp"
#include "ptq/error.hpp"

namespace ptq::inline v0_1 {

/// Something that sees values and names the range to represent. It knows no dtype.
///
/// | member          | meaning                                                                        |
/// |-----------------|--------------------------------------------------------------------------------|
/// | name            | the word in YAML files, artifacts and tables                                   |
/// | collect(values) | takes values in; not_finite with the index of the first NaN or infinity, and nothing
/// taken in then | | range()         | the answer for everything seen so far |
template <class T>
concept calibrator =
    std::default_initializable<T> && requires(T c, const T seen, std::span<const float> values) {
      { T::name } -> std::convertible_to<const char*>;
      { c.collect(values) } -> std::same_as<status>;
      { seen.range() } -> std::same_as<range>;
    };

/// A calibrator whose parts can be collected apart: merge(other) gives what one calibrator would have seen.
template <class T>
concept mergeable_calibrator = calibrator<T> && requires(T c, const T other) { c.merge(other); };

}  // namespace ptq::inline v0_1

#endif  // PTQ_CALIBRATION_CONCEPT_HPP
