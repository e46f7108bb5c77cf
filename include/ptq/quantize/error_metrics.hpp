// SPDX-License-Identifier: Apache-2.0
/// @file error_metrics.hpp How far a quantized tensor is from its original. These figures use <cmath> and
/// double sums: they are for people, and may differ in the last bits between builds.
#ifndef PTQ_QUANTIZE_ERROR_METRICS_HPP
#define PTQ_QUANTIZE_ERROR_METRICS_HPP

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "ptq/backend/recipe.hpp"
#include "ptq/detail/platform.hpp"
#include "ptq/error.hpp"
#include "ptq/kernels/dispatch.hpp"
#include "ptq/kernels/panel_kernels.hpp"
#include "ptq/quantize/scales.hpp"
#include "ptq/tensor/contiguous.hpp"
#include "ptq/tensor/panels.hpp"
#include "ptq/tensor/traits.hpp"

namespace ptq::inline v0_1 {

struct error_metrics {
  std::uint64_t count = 0;
  double mse = 0;      ///< mean of (x - y)^2
  double max_abs = 0;  ///< max of |x - y|
  double sqnr_db = 0;  ///< 10 log10(sum x^2 / sum (x - y)^2): infinity when equal, -infinity where x is 0
  double cosine = 1;   ///< 1 when either is all zero and both are equal, else 0
  double clipped_share = 0;  ///< share of elements beyond what the codes can represent (`representable`)
};

inline namespace PTQ_BUILD {

/// 10 log10(signal / noise), both sums of squares: infinity without noise, -infinity without signal; spelled
/// in bits, since under -ffast-math clang warns of the name, and drops what a function of that name returns.
inline double sqnr_db(double signal, double noise) noexcept {
  if (noise <= 0) return std::bit_cast<double>(std::uint64_t{0x7ff0000000000000u});
  return signal > 0 ? 10 * std::log10(signal / noise)
                    : std::bit_cast<double>(std::uint64_t{0xfff0000000000000u});
}

/// Sums up pairs of an original x and its approximation y. A pair with NaN or infinity has an error without
/// bound: mse and max_abs are infinity then, sqnr_db is -infinity and cosine 0.
class error_accumulator {
 public:
  void add(const double& x, const double& y) noexcept {
    ++count_;
    if (!is_finite(x) || !is_finite(y)) {
      ++not_finite_;
      return;
    }
    const double difference = x - y;
    sums_[squared_error] += difference * difference;
    sums_[signal] += x * x;
    sums_[approximation] += y * y;
    sums_[product] += x * y;
    if (std::fabs(difference) > max_abs_) max_abs_ = std::fabs(difference);
  }
  void add_clipped() noexcept { ++clipped_; }

  /// Pairs that lie side by side.
  void add(const float* x, const float* y, std::size_t n) noexcept {
    constexpr std::uint32_t infinity = detail::infinity_bits;
    if (kernels::amax_run<float>(x, n, 0) < infinity && kernels::amax_run<float>(y, n, 0) < infinity &&
        kernels::with_active_set([&]<class Set>() { Set::add_errors(x, y, n, sums_, max_abs_); })) {
      count_ += n;
      return;
    }
    for (std::size_t i = 0; i < n; ++i) add(static_cast<double>(x[i]), static_cast<double>(y[i]));
  }

  /// Takes in what another has summed up.
  void merge(const error_accumulator& other) noexcept {
    count_ += other.count_;
    not_finite_ += other.not_finite_;
    clipped_ += other.clipped_;
    for (std::size_t i = 0; i < 4; ++i) sums_[i] += other.sums_[i];
    if (other.max_abs_ > max_abs_) max_abs_ = other.max_abs_;
  }

  error_metrics metrics() const noexcept {
    error_metrics m;
    if (count_ == 0) return m;
    m.count = count_;
    const double count = static_cast<double>(count_);
    m.clipped_share = static_cast<double>(clipped_) / count;
    if (not_finite_ > 0) {
      m.mse = m.max_abs = std::bit_cast<double>(std::uint64_t{0x7ff0000000000000u});
      m.sqnr_db = sqnr_db(0, 1);
      m.cosine = 0;
      return m;
    }
    m.mse = sums_[squared_error] / count;
    m.max_abs = max_abs_;
    m.sqnr_db = sqnr_db(sums_[signal], sums_[squared_error]);
    const double norms = std::sqrt(sums_[signal]) * std::sqrt(sums_[approximation]);
    m.cosine = norms > 0 ? sums_[product] / norms : (sums_[squared_error] > 0 ? 0.0 : 1.0);
    return m;
  }

 private:
  enum sum : std::size_t { squared_error, signal, approximation, product };

  /// By its bits: -ffast-math takes every number for finite.
  static bool is_finite(const double& value) noexcept {
    return (std::bit_cast<std::uint64_t>(value) >> 52 & 0x7ff) != 0x7ff;
  }

  std::uint64_t count_ = 0;
  std::uint64_t not_finite_ = 0;
  std::uint64_t clipped_ = 0;
  double sums_[4]{};
  double max_abs_ = 0;
};

}  // namespace PTQ_BUILD

/// The quotients value / scale that have a code of their own: from the lowest to the largest value of the
/// dtype, for integers half a step further, where rounding still reaches the last code.
struct representable {
  double lowest;
  double highest;
};

namespace detail {
inline namespace PTQ_BUILD {

/// Counts the values of a row that its codes cannot represent.
///
/// @param scales one for all, or one for each value
inline void count_clipped(const float* values, std::size_t n, const float* scales, bool each,
                          const representable& limits, error_accumulator& sums) noexcept {
  // A relative 1e-6 keeps the rounding of the scale itself from counting as clipping.
  constexpr double slack = 1 + 1e-6;
  const auto largest = [&] { return static_cast<double>(float_of(kernels::amax_run<float>(values, n, 0))); };
  const double nearest = limits.highest < -limits.lowest ? limits.highest : -limits.lowest;
  if (!each && largest() <= nearest * static_cast<double>(*scales) * slack) return;
  for (std::size_t i = 0; i < n; ++i) {
    const double scale = static_cast<double>(scales[each ? i : 0]);
    const double x = static_cast<double>(values[i]);
    if (x > limits.highest * scale * slack || x < limits.lowest * scale * slack) sums.add_clipped();
  }
}

/// Compares the values of a panel's codes with its source, floats that lie side by side in each row.
/// `Decoder` as in panel_kernels.hpp.
template <class Decoder>
void measure_panel(const float* source, const panel& p, const Decoder& decoder, const float* scales,
                   const representable& limits, error_accumulator& sums) {
  for (const panel& tile : tiles(p, kernels::block_size)) {
    float values[kernels::block_size];
    kernels::decode<float>(static_cast<float*>(values), tile.with_elements_apart(), scales, decoder, false);
    const bool each = tile.by == scaling::per_column;
    for (std::size_t r = 0; r < tile.rows; ++r) {
      const float* const row = source + tile.row(r);
      count_clipped(row, tile.columns, scales + tile.scale_of(r, 0), each, limits, sums);
      sums.add(row, static_cast<const float*>(values) + r * tile.columns, tile.columns);
    }
  }
}

/// Walks codes beside their source.
template <element T, class Decoder>
error_accumulator measure_view(tensor_view<const T> source, granularity grain, const Decoder& decoder,
                               std::span<const float> scales, const representable& limits) {
  error_accumulator sums;
  const walk path(source.shape, source.strides, grain);
  for (const panel& p : panels(path))
    kernels::as_floats<T>(source.data, p, [&](const float* floats, const panel& part) {
      measure_panel(floats, part, decoder, scales.data(), limits, sums);
    });
  return sums;
}

}  // namespace PTQ_BUILD
}  // namespace detail

template <dtype D>
constexpr representable representable_range() noexcept {
  const double half_step = D::is_integer ? 0.5 : 0.0;
  return {static_cast<double>(D::lowest) - half_step, static_cast<double>(D::max_finite) + half_step};
}

inline namespace PTQ_BUILD {

/// Compares a tensor with its codes and scales, as `quantize` wrote them. The caller has checked the sizes.
template <dtype D, adaptable_tensor Tensor>
error_metrics quantization_error(const Tensor& tensor, contiguous<const typename D::storage> codes,
                                 contiguous<const float> scales, granularity grain) {
  const auto view = view_of(tensor);
  using value_type = typename decltype(view)::value_type;
  PTQ_ASSERT(view.rank() <= max_rank);
  PTQ_ASSERT(codes.size() == view.size());
  PTQ_ASSERT(scales.size() == scale_count(view.shape, grain));
  return detail::measure_view<value_type>(view, grain, kernels::typed_decoder<D>{codes.data()}, scales,
                                          representable_range<D>())
      .metrics();
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_QUANTIZE_ERROR_METRICS_HPP
