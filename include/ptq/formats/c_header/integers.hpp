// SPDX-License-Identifier: Apache-2.0
/// @file integers.hpp What a layer needs to be computed in integers: bias, multiplier, shift and sums of its
/// kernel, one of each for an output channel.
#ifndef PTQ_FORMATS_C_HEADER_INTEGERS_HPP
#define PTQ_FORMATS_C_HEADER_INTEGERS_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ptq/fixed_point/multiplier_shift.hpp"
#include "ptq/formats/c_header/network.hpp"
#include "ptq/formats/c_header/weight_order.hpp"
#include "ptq/formats/onnx/code_types.hpp"
#include "ptq/formats/stored_codes.hpp"
#include "ptq/numeric/element_type.hpp"

namespace ptq::inline v0_1 {

/// An int8 output is clamp(requantize(sum + bias, multiplier, shift), low, high).
struct c_integers {
  std::vector<std::int32_t> bias;         ///< in units of input scale * weight scale; empty: none
  std::vector<std::int32_t> kernel_sum;   ///< of the codes
  std::vector<multiplier_shift> factors;  ///< empty: the scale of the output is not known
  float output_scale = 0;
  std::int32_t low = 0;  ///< of the activation, in codes of the output
  std::int32_t high = 0;
  std::optional<std::size_t> overflows;  ///< an output channel whose sum may leave int32
  std::optional<std::size_t> lost_bias;  ///< one whose bias in int32 is half a code of the output away
};

namespace detail {

/// Whether codes of a dtype are int8 numbers.
inline bool is_int8(const dtype_row& dtype) {
  return dtype.stored == element_type::int8 && code_type_of(dtype).weights_reason.empty();
}

/// Rounded half away from zero, saturated.
inline std::int32_t to_int32(double value) noexcept {
  using limits = std::numeric_limits<std::int32_t>;
  const double rounded = (std::round)(value);
  if (rounded >= static_cast<double>((limits::max)())) return (limits::max)();
  if (rounded <= static_cast<double>((limits::min)())) return (limits::min)();
  return static_cast<std::int32_t>(rounded);
}

/// 0 beyond what float has.
inline float as_float(double value) noexcept {
  return value <= static_cast<double>((std::numeric_limits<float>::max)()) ? static_cast<float>(value) : 0;
}

/// The code of a bound, as QuantizeLinear rounds it: half to even.
inline std::int32_t code_of_bound(float bound, float scale, std::int32_t low, std::int32_t high) noexcept {
  const double code = std::nearbyint(static_cast<double>(bound / scale));
  if (!(code > static_cast<double>(low))) return low;
  return code >= static_cast<double>(high) ? high : static_cast<std::int32_t>(code);
}

class c_integer_maker {
 public:
  explicit c_integer_maker(const c_layer& layer)
      : layer_(&layer), axis_(*layer.output_axis), channels_(layer.weights.shape[axis_]) {}

  c_integers make() {
    add_bias();
    add_sums();
    if (layer_->output.becomes != c_output::kind::unknown) add_factors();
    return std::move(made_);
  }

 private:
  /// What one of a channel's sum stands for.
  double unit(std::size_t channel) const {
    const auto& scales = layer_->weights.scales;
    return static_cast<double>(*layer_->input_scale) *
           static_cast<double>(scales[scales.size() == 1 ? 0 : channel]);
  }

  void add_bias() {
    for (std::size_t c = 0; c < layer_->bias.size(); ++c)
      made_.bias.push_back(to_int32(layer_->bias[c] / unit(c)));
  }

  void add_sums() {
    const std::span<const std::byte> codes = layer_->weights.codes;
    const tensor_shape& shape = layer_->weights.shape;
    const auto stride = static_cast<std::size_t>(row_major(shape)[axis_]);
    std::vector<std::int64_t> sums(channels_);
    std::vector<std::int64_t> most(channels_);
    for (std::size_t i = 0; i < codes.size();) {
      const std::size_t channel = i / stride % channels_;
      for (const std::size_t end = i + stride; i < end; ++i) {
        const int code = static_cast<std::int8_t>(codes[i]);
        sums[channel] += code;
        most[channel] += code < 0 ? -code : code;
      }
    }
    for (std::size_t c = 0; c < channels_; ++c) {
      made_.kernel_sum.push_back(to_int32(static_cast<double>(sums[c])));
      const std::int64_t bias = made_.bias.empty() ? 0 : made_.bias[c];
      const bool fits =
          128 * most[c] + (bias < 0 ? -bias : bias) <= (std::numeric_limits<std::int32_t>::max)();
      if (!fits && !made_.overflows) made_.overflows = c;
    }
  }

  void add_factors() {
    const bool are_codes = layer_->output.becomes == c_output::kind::codes;
    double largest = 0;
    for (std::size_t c = 0; c < channels_; ++c) largest = (std::max)(largest, unit(c));
    made_.output_scale = are_codes ? layer_->output.scale : as_float(largest);
    if (!is_scale(made_.output_scale)) return;  // of numbers that float does not have
    if (are_codes) check_bias(static_cast<double>(made_.output_scale));
    for (std::size_t c = 0; c < channels_; ++c)
      made_.factors.push_back(from_scale(unit(c) / static_cast<double>(made_.output_scale)));
    using limits = std::numeric_limits<std::int32_t>;
    const std::int32_t low = are_codes ? -128 : (limits::min)();
    const std::int32_t high = are_codes ? 127 : (limits::max)();
    const auto& output = layer_->output;
    made_.low = output.low ? code_of_bound(*output.low, made_.output_scale, low, high) : low;
    made_.high = output.high ? code_of_bound(*output.high, made_.output_scale, low, high) : high;
  }

  /// The scale of a channel whose weights are all zero, or nearly, has nothing to do with its bias.
  void check_bias(double output_scale) {
    for (std::size_t c = 0; c < made_.bias.size() && !made_.lost_bias; ++c) {
      const double off = static_cast<double>(made_.bias[c]) * unit(c) - layer_->bias[c];
      if ((std::fabs)(off) > output_scale / 2) made_.lost_bias = c;
    }
  }

  const c_layer* layer_;
  std::size_t axis_;
  std::size_t channels_;
  c_integers made_;
};

}  // namespace detail

/// Why a layer has no integer bias and sums; empty where it has.
inline std::string why_no_integers(const c_layer& layer) {
  const auto& grain = layer.weights.grain;
  if (!detail::is_int8(*layer.dtype)) return "its weight is not int8";
  if (layer.input_dtype.empty()) return "its input is not quantized";
  if (!layer.input_scale) return "the codes of its input, " + layer.input_dtype + ", are not those of int8";
  if (!layer.no_integers.empty()) return layer.no_integers;
  if (!layer.output_axis) return "no axis of its weight counts output channels";
  if (grain.is_per_channel() && grain.axis != *layer.output_axis)
    return "the scales of its weight are not those of output channels";
  if (layer.is_transposed() && layer.groups != std::size_t{1})
    return "it is a transposed convolution with groups, as far as the source tells";
  if (!layer.bias.empty() && layer.bias.size() != layer.weights.shape[*layer.output_axis])
    return "its bias is not one number for each output channel";
  return {};
}

/// @param layer one that `why_no_integers` has nothing against
inline c_integers integers_of(const c_layer& layer) {
  return detail::c_integer_maker(layer).make();
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_C_HEADER_INTEGERS_HPP
