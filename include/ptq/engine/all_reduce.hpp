// SPDX-License-Identifier: Apache-2.0
/// @file all_reduce.hpp Makes one of the statistics that several processes collected, each of some samples.
#ifndef PTQ_ENGINE_ALL_REDUCE_HPP
#define PTQ_ENGINE_ALL_REDUCE_HPP

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ptq/calibration/statistics.hpp"
#include "ptq/detail/strict_float.hpp"
#include "ptq/model/calibration.hpp"

namespace ptq::inline v0_1 {

/// Processes that call the same operations in the same order, with as many numbers each. An operation
/// replaces each number by what all processes make of theirs.
template <class Group>
concept process_group =
    requires(Group& group, std::span<std::uint32_t> bits, std::span<std::uint64_t> counts) {
      { group.to_largest(bits) } -> std::same_as<void>;
      { group.to_sum(counts) } -> std::same_as<void>;
    };

/// The statistics of all values that any of the processes has seen, the same in each: integers are added,
/// so they are those of one process that has seen all values.
///
/// @param layers the same ones in each process
template <process_group Group>
void all_reduce(layer_statistics& layers, Group& group) {
  std::vector<std::uint32_t> largest;
  std::vector<std::uint64_t> counts;
  for (const auto& [name, seen] : layers) {
    largest.push_back(detail::bits_of(seen.absmax));  // of magnitudes, which are ordered as their bits are
    counts.push_back(seen.count);
  }
  group.to_largest(std::span(largest));
  group.to_sum(std::span(counts));
  std::size_t i = 0;
  for (auto& [name, seen] : layers) {
    statistics<> range;
    range.absmax = detail::float_of(largest[i]);
    seen.merge(range);  // histograms have one exponent now
    group.to_sum(std::span<std::uint64_t>(seen.magnitudes.counts));
    seen.count = counts[i++];
  }
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_ENGINE_ALL_REDUCE_HPP
