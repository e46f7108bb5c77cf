// SPDX-License-Identifier: Apache-2.0
/// @file collector.hpp Takes in a tensor in one pass over the memory, where this machine has kernels for it.
#ifndef PTQ_CALIBRATION_COLLECTOR_HPP
#define PTQ_CALIBRATION_COLLECTOR_HPP

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "ptq/calibration/histogram.hpp"
#include "ptq/detail/platform.hpp"
#include "ptq/detail/strict_float.hpp"
#include "ptq/kernels/binning.hpp"
#include "ptq/kernels/dispatch.hpp"
#include "ptq/kernels/isa.hpp"
#include "ptq/kernels/panel_kernels.hpp"
#include "ptq/tensor/element.hpp"
#include "ptq/tensor/panels.hpp"
#include "ptq/tensor/view.hpp"
#include "ptq/tensor/walk.hpp"

namespace ptq::inline v0_1::detail {
inline namespace PTQ_BUILD {

#if PTQ_NATIVE

/// The smallest range whose bins come from a multiplication by a normal power of two.
template <std::size_t Bins>
inline constexpr int smallest_ordinary_range = std::countr_zero(Bins) - 126;

/// Counts beside the statistics, which stay untouched until the last value is known to be finite: in tables,
/// or, of few values, in a list of their bins. Needs 16 bytes of stack a bin, and 18 KiB.
template <std::size_t Bins>
class collector {
 public:
  /// The most values of one tensor: a table counts every fourth.
  static constexpr std::size_t most_values = std::size_t{1} << 32;

  /// Whether this machine has the kernels, the tables fit a stack, and the bins the kernels' numbers.
  static bool is_available() noexcept { return Bins >= 4 && Bins <= 8192 && active_isa() != isa::portable; }

  /// False where the bins of a range are too narrow to be found by a multiplication with a normal number.
  static constexpr bool is_ordinary(int exponent) noexcept { return exponent >= smallest; }

  /// @param exponent where the range begins
  /// @param size     how many values there will be
  collector(int exponent, std::size_t size) noexcept
      : exponent_(exponent > smallest ? exponent : smallest),
        is_listed_(size <= most_listed),
        set_(active_isa()),
        skips_zeros_(is_listed_) {
    if (!is_listed_) tables_ = {};
  }

  /// False where one of the values is NaN or infinity: then there is no more to be done with the collector.
  bool take(const float* values, std::size_t n) noexcept {
    while (n > 0) {
      const bool is_direct = waiting_ == 0 && n >= at_once;
      std::size_t size = is_direct ? n / at_once * at_once : n;
      const std::size_t most = is_direct ? block : rest_.size() - waiting_;
      if (size > most) size = most;
      if (is_direct ? !take_block(values, size) : !keep(values, size)) return false;
      values += size;
      n -= size;
    }
    return true;
  }

  /// After the last values. False as `take`.
  bool close() noexcept {
    for (; waiting_ % at_once != 0; --zeros_) rest_[waiting_++] = 0;
    return take_block(rest_.data(), waiting_);
  }

  /// The bits of the largest magnitude.
  std::uint32_t amax() const noexcept { return amax_; }

  /// Adds what was taken to the counts of a histogram that has grown to hold it, of an ordinary range.
  void finish(std::array<std::uint64_t, Bins>& counts) noexcept {
    counts[0] += zeros_;
    if (is_listed_) {
      for (const std::uint16_t& bin : std::span(list_).first(listed_)) ++counts[bin];
    } else {
      bin(nullptr, 0);
      for (std::size_t i = 0; i < tables_.size(); ++i) counts[i % Bins] += tables_[i];
    }
  }

 private:
  static constexpr int smallest = std::countr_zero(Bins) - 126;
  static constexpr std::size_t at_once = kernels::bins_at_once;
  static constexpr std::size_t block = 1024;
  static constexpr std::size_t most_waiting = 256;
  static constexpr std::size_t most_listed = 8192;

  /// Values for which a block is too long wait for others.
  bool keep(const float* values, std::size_t n) noexcept {
    for (std::size_t i = 0; i < n; ++i) rest_[waiting_ + i] = values[i];
    waiting_ += n;
    if (waiting_ < rest_.size()) return true;
    waiting_ = 0;
    return take_block(rest_.data(), rest_.size());
  }

  bool take_block(const float* values, std::size_t n) noexcept {
    kernels::binned_block found = bin(values, n);
    if (found.amax > amax_) {
      if (!is_finite(found.amax)) return false;
      amax_ = found.amax;
      if (exponent_above(amax_) > exponent_) {
        grow(exponent_above(amax_));
        found = bin(values, n);
      }
    }
    zeros_ += n - found.size;
    skips_zeros_ = found.zeros > n / 8;
    if (is_listed_) {
      listed_ += found.size;
    } else {
      pending_ = {place(), found.size};
      is_second_ = !is_second_;
    }
    return true;
  }

  /// Where the next bins go.
  std::uint16_t* place() noexcept {
    return list_.data() + (is_listed_ ? listed_ : is_second_ ? block + at_once : 0);
  }

  /// Counts what is pending.
  kernels::binned_block bin(const float* values, std::size_t n) noexcept {
    const float factor = float_of(static_cast<std::uint32_t>(127 + std::countr_zero(Bins) - exponent_) << 23);
    const kernels::bin_list before = pending_;
    pending_ = {};
    kernels::binned_block found{};
    kernels::with_set(set_, [&]<class Set>() {
      found = Set::bin(skips_zeros_, values, n, factor, place(), before, {tables_.data(), Bins});
    });
    return found;
  }

  void grow(int wanted) noexcept {
    const int doublings = wanted - exponent_;
    exponent_ = wanted;
    for (std::uint16_t& bin : std::span(list_).first(listed_))
      bin = static_cast<std::uint16_t>(merged_bin<Bins>(bin, doublings));
    if (is_listed_) return;
    for (std::size_t first = 0; first < tables_.size(); first += Bins)
      merge_bins<Bins>(std::span(tables_).subspan(first), doublings);
  }

  std::array<std::uint32_t, 4 * Bins> tables_;  // NOLINT(*-member-init): where there is no list
  std::array<float, most_waiting> rest_;        // NOLINT(*-member-init): written before read
  std::array<std::uint16_t, most_listed + 2 * at_once> list_;  // NOLINT(*-member-init): written before read
  std::size_t waiting_ = 0;                                    ///< values in the rest
  std::size_t listed_ = 0;
  kernels::bin_list pending_;
  bool is_second_ = false;   ///< of two blocks of bins: one is counted while the other is found
  std::uint64_t zeros_ = 0;  ///< that are in no list, less those in a list that were not in the data
  std::uint32_t amax_ = 0;
  int exponent_;
  bool is_listed_;
  isa set_;
  bool skips_zeros_;  ///< as activations are full of them, and equal values wait for each other
};

/// False where a value is not finite, or the range is not ordinary: then nothing was taken in.
template <std::size_t Bins, element T>
bool collect_by_kernels(tensor_view<const T> source, const walk& path, float& absmax,
                        histogram<Bins>& magnitudes) noexcept {
  collector<Bins> taken(magnitudes.exponent, source.size());
  bool is_finite = true;
  for (const panel& p : panels(path))
    kernels::as_floats<T>(source.data, p, [&](const float* floats, const panel& part) {
      for (std::size_t r = 0; r < part.rows; ++r)
        is_finite = is_finite && taken.take(floats + part.row(r), part.columns);
    });
  if (!is_finite || !taken.close()) return false;
  const std::uint32_t largest = taken.amax() > bits_of(absmax) ? taken.amax() : bits_of(absmax);
  if (!collector<Bins>::is_ordinary(exponent_above(largest))) return false;
  absmax = float_of(largest);
  magnitudes.grow(exponent_above(largest));
  taken.finish(magnitudes.counts);
  return true;
}

#endif

/// Takes a tensor in, if the machine has kernels for that, and all is well. Else false, and nothing was taken
/// in.
template <std::size_t Bins, element T>
constexpr bool collect_in_one_pass([[maybe_unused]] tensor_view<const T> source,
                                   [[maybe_unused]] const walk& path, [[maybe_unused]] float& absmax,
                                   [[maybe_unused]] histogram<Bins>& magnitudes) noexcept {
#if PTQ_NATIVE
  if (!std::is_constant_evaluated() && collector<Bins>::is_available() &&
      source.size() <= collector<Bins>::most_values)
    return collect_by_kernels<Bins, T>(source, path, absmax, magnitudes);
#endif
  return false;
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1::detail

#endif  // PTQ_CALIBRATION_COLLECTOR_HPP
