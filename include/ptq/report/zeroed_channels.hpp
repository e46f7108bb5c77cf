// SPDX-License-Identifier: Apache-2.0
/// @file zeroed_channels.hpp Output channels whose weights quantization loses altogether.
#ifndef PTQ_REPORT_ZEROED_CHANNELS_HPP
#define PTQ_REPORT_ZEROED_CHANNELS_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "ptq/backend/recipe.hpp"
#include "ptq/detail/platform.hpp"
#include "ptq/detail/strict_float.hpp"
#include "ptq/kernels/panel_kernels.hpp"
#include "ptq/model/any_floats.hpp"
#include "ptq/model/apply.hpp"
#include "ptq/model/classes.hpp"
#include "ptq/model/dtype_row.hpp"
#include "ptq/quantize/scales.hpp"
#include "ptq/tensor/any_view.hpp"
#include "ptq/tensor/walk.hpp"
#include "ptq/text/phrases.hpp"

namespace ptq::inline v0_1 {

/// Of the output channels of one layer.
struct zeroed_channels {
  std::size_t count = 0;  ///< those that have nothing but zero codes, though some of their values are not 0
  std::size_t of = 0;     ///< all
};

namespace detail {

/// How the channels of a weight are told apart: by its scales, or as its class has them.
inline granularity channels_of(const quantized_layer& q) {
  if (q.grain.is_per_channel()) return q.grain;
  const layer& source = q.source;
  const std::size_t axis = source.output_axis.value_or(traits_of_class(source.class_name).output_axis);
  return axis < source.weight.shape.rank ? per_channel(axis) : per_tensor();
}

/// What was seen of a channel.
struct channel_evidence {
  bool has_value = false;  ///< one that is not 0; not asked for where there is such a code
  bool has_code = false;   ///< one that does not stand for 0
};

}  // namespace detail

inline namespace PTQ_BUILD {

/// What was seen of the output channels of a layer, or of some of its rows. Scales underflow where weights
/// are small: in float16 those of fp8_e5m2 below 0.0017. A scale of the whole tensor can be too coarse for
/// some channels.
class seen_channels {
 public:
  seen_channels() = default;
  explicit seen_channels(const quantized_layer& q) {
    const granularity channels = detail::channels_of(q);
    are_rows_ = channels == per_channel(0);
    seen_.resize(scale_count(q.source.weight.shape, channels));
    const detail::untyped_decoder decoder{&q.dtype, q.codes.data()};
    const any_view& weight = q.source.weight;
    const walk path(weight.shape, weight.strides, channels);
    for (const panel& p : panels(path))
      detail::as_floats(weight, p, [&](const float* floats, const panel& part) {
        for (const panel& tile : tiles(part, kernels::block_size)) look(floats, tile, decoder);
      });
  }

  /// Takes in what was seen of the rows behind.
  void merge(const seen_channels& next) {
    if (are_rows_ || seen_.empty()) {
      are_rows_ = next.are_rows_;
      seen_.insert(seen_.end(), next.seen_.begin(), next.seen_.end());
      return;
    }
    for (std::size_t i = 0; i < seen_.size(); ++i) {
      seen_[i].has_value = seen_[i].has_value || next.seen_[i].has_value;
      seen_[i].has_code = seen_[i].has_code || next.seen_[i].has_code;
    }
  }

  zeroed_channels zeroed() const {
    const auto count = std::count_if(seen_.begin(), seen_.end(), [](const auto& channel) {
      return channel.has_value && !channel.has_code;
    });
    return {static_cast<std::size_t>(count), seen_.size()};
  }

 private:
  void look(const float* floats, const panel& tile, const detail::untyped_decoder& decoder) {
    float codes[kernels::block_size];
    for (std::size_t r = 0; r < tile.rows; ++r) {
      const bool is_one = tile.by != scaling::per_column;
      if (is_one && seen_[tile.scale_of(r, 0)].has_code) continue;
      decoder.run(tile.code_row(r), tile.columns, 1.0F, static_cast<float*>(codes), false);
      for (std::size_t c = 0; c < tile.columns; ++c) {
        detail::channel_evidence& evidence = seen_[tile.scale_of(r, c)];
        const std::uint32_t bits = detail::bits_of(floats[tile.row(r) + static_cast<std::ptrdiff_t>(c)]);
        evidence.has_value = evidence.has_value || bits << 1 != 0;
        evidence.has_code = evidence.has_code || codes[c] != 0;
        if (is_one && evidence.has_code) break;
      }
    }
  }

  std::vector<detail::channel_evidence> seen_;
  bool are_rows_ = false;
};

inline zeroed_channels find_zeroed_channels(const quantized_layer& q) {
  return seen_channels(q).zeroed();
}

/// What to say of the channels that a layer lost; empty where it lost none.
inline std::string zeroed_channels_text(const quantized_layer& q, const zeroed_channels& zeroed) {
  if (zeroed.count == 0) return {};
  const std::string advice = q.grain.is_per_channel()
                                 ? "Give it another dtype (int8 keeps the smallest weights, fp8_e5m2 the "
                                   "fewest), or leave it as it is: skip_names."
                                 : "Give each channel a scale of its own: weights: {quant_axis: " +
                                       std::to_string(detail::channels_of(q).axis) + "}.";
  return "layer " + detail::in_quotes(q.source.name) + ": " + std::to_string(zeroed.count) + " of its " +
         counted(zeroed.of, "output channel") +
         " became all zero: their weights are too small for the scale. " + advice;
}
inline std::string zeroed_channels_text(const quantized_layer& q) {
  return zeroed_channels_text(q, find_zeroed_channels(q));
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_REPORT_ZEROED_CHANNELS_HPP
