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
#include "ptq/quantize/blocks.hpp"
#include "ptq/quantize/dequantize.hpp"
#include "ptq/tensor/contiguous.hpp"
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

}  // namespace PTQ_BUILD

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
    squared_error_ += difference * difference;
    signal_ += x * x;
    approximation_ += y * y;
    product_ += x * y;
    if (std::fabs(difference) > max_abs_) max_abs_ = std::fabs(difference);
  }
  void add_clipped() noexcept { ++clipped_; }

  /// Those of other elements of the same tensor.
  void merge(const error_accumulator& other) noexcept {
    count_ += other.count_;
    not_finite_ += other.not_finite_;
    clipped_ += other.clipped_;
    squared_error_ += other.squared_error_;
    signal_ += other.signal_;
    approximation_ += other.approximation_;
    product_ += other.product_;
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
    m.mse = squared_error_ / count;
    m.max_abs = max_abs_;
    m.sqnr_db = sqnr_db(signal_, squared_error_);
    const double norms = std::sqrt(signal_) * std::sqrt(approximation_);
    m.cosine = norms > 0 ? product_ / norms : (squared_error_ > 0 ? 0.0 : 1.0);
    return m;
  }

 private:
  /// By its bits: -ffast-math takes every number for finite.
  static bool is_finite(const double& value) noexcept {
    return (std::bit_cast<std::uint64_t>(value) >> 52 & 0x7ff) != 0x7ff;
  }

  std::uint64_t count_ = 0;
  std::uint64_t not_finite_ = 0;
  std::uint64_t clipped_ = 0;
  double squared_error_ = 0;
  double signal_ = 0;
  double approximation_ = 0;
  double product_ = 0;
  double max_abs_ = 0;
};

/// The quotients value / scale that have a code of their own: from the lowest to the largest value of the
/// dtype, for integers half a step further, where rounding still reaches the last code.
struct representable {
  double lowest;
  double highest;
};

namespace detail {
inline namespace PTQ_BUILD {

/// Walks codes beside their source. `Decoder` as in dequantize.hpp.
template <element T, class Decoder>
error_accumulator measure_view(tensor_view<const T> source, granularity grain, const Decoder& decoder,
                               std::span<const float> scales, const representable& limits) {
  error_accumulator sums;
  const walk path(source.shape, source.strides, grain);
  const bool each = path.channel_is_innermost();
  path.for_each_run([&](std::ptrdiff_t offset, std::size_t at, std::size_t channel) {
    const std::size_t length = path.run().extent;
    for (std::size_t first = 0; first < length; first += block_size) {
      const std::size_t n = length - first < block_size ? length - first : block_size;
      float values[block_size] = {};
      if (each)
        decoder.each(at + first, n, scales.data() + first, static_cast<float*>(values));
      else
        decoder.run(at + first, n, scales[channel], static_cast<float*>(values));
      for (std::size_t i = 0; i < n; ++i) {
        const T& original = source.data[offset + static_cast<std::ptrdiff_t>(first + i) * path.run().stride];
        const double x = static_cast<double>(element_traits<T>::to_float(original));
        const double scale = static_cast<double>(scales[each ? first + i : channel]);
        // A relative 1e-6 keeps the rounding of the scale itself from counting as clipping.
        if (x > limits.highest * scale * (1 + 1e-6) || x < limits.lowest * scale * (1 + 1e-6))
          sums.add_clipped();
        sums.add(x, static_cast<double>(values[i]));
      }
    }
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
  return detail::measure_view<value_type>(view, grain, detail::typed_decoder<D>{codes.data()}, scales,
                                          representable_range<D>())
      .metrics();
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_QUANTIZE_ERROR_METRICS_HPP
