// SPDX-License-Identifier: Apache-2.0
/// @file statistics.hpp All that is kept of a tensor while calibrating. Every calibrator answers from it, so
/// one pass over the data serves them all.
#ifndef PTQ_CALIBRATION_STATISTICS_HPP
#define PTQ_CALIBRATION_STATISTICS_HPP

#include <cstddef>
#include <cstdint>
#include <span>

#include "ptq/backend/recipe.hpp"
#include "ptq/calibration/collector.hpp"
#include "ptq/calibration/histogram.hpp"
#include "ptq/calibration/range.hpp"
#include "ptq/detail/strict_float.hpp"
#include "ptq/error.hpp"
#include "ptq/quantize/scales.hpp"
#include "ptq/tensor/panels.hpp"
#include "ptq/tensor/traits.hpp"

namespace ptq::inline v0_1 {

/// Fixed storage of 8 bytes a bin. Equal values give equal statistics, whatever the batches, their order, or
/// the parts that were merged.
template <std::size_t Bins = 4096>
struct statistics {
  float absmax = 0;
  std::uint64_t count = 0;
  histogram<Bins> magnitudes;

  /// Takes in a tensor. wrong_rank with a rank above `max_rank`, not_finite with the row-major index of a NaN
  /// or infinity: then nothing was taken in.
  template <adaptable_tensor Tensor>
  constexpr status collect(const Tensor& tensor) noexcept {
    const auto view = view_of(tensor);
    using value_type = typename decltype(view)::value_type;
    const tensor_view<const value_type> source = view;
    if (source.rank() > max_rank) return {errc::wrong_rank, source.rank()};
    const walk path(source.shape, source.strides, per_tensor());
    if (detail::collect_in_one_pass<Bins, value_type>(source, path, absmax, magnitudes)) {
      count += source.size();
      return {};
    }
    float largest = 0;
    detail::find_amax<value_type>(source, path, std::span<float>(&largest, 1));
    if (!detail::is_finite(detail::bits_of(largest)))
      return {errc::not_finite, detail::find_not_finite<value_type>(source)};
    raise(largest);
    count += source.size();
    for (const panel& p : panels(path)) add<value_type>(source.data, p);
    return {};
  }

  constexpr void merge(const statistics& other) noexcept {
    raise(other.absmax);
    count += other.count;
    magnitudes.merge(other.magnitudes);
  }

  /// The range that clips nothing. Where nothing but zeros was seen, the reason says so.
  constexpr range whole(range_reason reason = range_reason::found) const noexcept {
    if (count == 0) return {0, range_reason::no_data};
    if (detail::bits_of(absmax) == 0) return {0, range_reason::all_zero};
    return {absmax, reason};
  }

  /// The range that ends at a place in the histogram, given in half bins, but not beyond the largest value.
  constexpr range up_to(std::size_t half_bins) const noexcept {
    const std::uint32_t end = magnitudes.edge_bits(half_bins);
    return {end < detail::bits_of(absmax) ? detail::float_of(end) : absmax, range_reason::found};
  }

  /// How many values are larger than `amax`, up to the width of a bin.
  constexpr std::uint64_t count_above(const float& amax) const noexcept {
    const std::uint32_t bits = detail::bits_of(amax);
    return bits >= detail::bits_of(absmax) ? 0 : magnitudes.count_from(magnitudes.first_bin_above(bits));
  }

  /// False where the parts cannot have been collected together: for statistics that come from a file. Also
  /// false above 2^50 values, where the searches are no longer exact.
  constexpr bool is_consistent() const noexcept {
    const std::uint32_t largest = detail::bits_of(absmax);
    if (!detail::is_finite(largest) || detail::magnitude(largest) != largest) return false;
    if (magnitudes.exponent != exponent_above(largest)) return false;
    std::uint64_t sum = 0;
    for (const std::uint64_t bin : magnitudes.counts) {
      if (bin > most_values) return false;
      sum += bin;
    }
    const std::size_t used = count == 0 ? 0 : magnitudes.bin_of(largest) + 1;
    return sum == count && count <= most_values && magnitudes.in_use().size() == used &&
           (count != 0 || largest == 0);
  }

  friend constexpr bool operator==(const statistics& a, const statistics& b) noexcept {
    return detail::bits_of(a.absmax) == detail::bits_of(b.absmax) && a.count == b.count &&
           a.magnitudes == b.magnitudes;
  }

 private:
  template <element T>
  constexpr void add(const T* source, const panel& p) noexcept {
    for (std::size_t r = 0; r < p.rows; ++r)
      for (std::size_t c = 0; c < p.columns; ++c) {
        const float value =
            element_traits<T>::to_float(source[p.row(r) + static_cast<std::ptrdiff_t>(c) * p.step]);
        magnitudes.add({&value, 1});
      }
  }

  static constexpr std::uint64_t most_values = std::uint64_t{1} << 50;

  constexpr void raise(float largest) noexcept {
    if (detail::bits_of(largest) > detail::bits_of(absmax)) absmax = largest;
    magnitudes.grow(exponent_above(detail::bits_of(absmax)));
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_CALIBRATION_STATISTICS_HPP
