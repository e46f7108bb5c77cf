// SPDX-License-Identifier: Apache-2.0
/// @file integer_layers.hpp The layers of a small convolutional network on int8 codes, in integers alone:
/// what the tables that `ptq export --format c-header` writes are for. Zero points are 0 on both sides, as
/// ptq's are.
#ifndef PTQ_EXAMPLES_EMBEDDED_INTEGER_LAYERS_HPP
#define PTQ_EXAMPLES_EMBEDDED_INTEGER_LAYERS_HPP

#include <ptq/ptq_core.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

/// The tables of a layer: its weights [outputs, inputs] or [outputs, inputs, height, width], and one number
/// an output channel.
struct layer {
  const std::int8_t* weight;
  const std::int32_t* bias;
  const std::int32_t* multiplier;
  const std::int32_t* shift;
  std::int32_t lowest, highest;  ///< what is left of an output: a Relu is in them

  /// The int8 code of an output, of the sum of its products.
  constexpr std::int8_t code(std::size_t channel, std::int32_t sum) const noexcept {
    return ptq::requantize_to_int8(bias[channel] + sum, {multiplier[channel], shift[channel]}, 0,
                                   static_cast<std::int8_t>(lowest), static_cast<std::int8_t>(highest));
  }
  /// Of a layer that no code follows: the last one.
  constexpr std::int32_t value(std::size_t channel, std::int32_t sum) const noexcept {
    return ptq::requantize(bias[channel] + sum, {multiplier[channel], shift[channel]});
  }
};

/// The shape of an image: a plane a channel, row by row.
struct image_shape {
  std::size_t channels, height, width;

  constexpr std::size_t size() const noexcept { return channels * height * width; }
};

/// A convolution by a square kernel, stride 1, no padding: the image shrinks by kernel - 1.
constexpr void convolve(const layer& by, std::span<const std::int8_t> x, image_shape in, std::size_t kernel,
                        std::span<std::int8_t> y, image_shape out) noexcept {
  for (std::size_t channel = 0; channel < out.channels; ++channel) {
    const std::int8_t* const weights = by.weight + channel * in.channels * kernel * kernel;
    for (std::size_t row = 0; row < out.height; ++row)
      for (std::size_t column = 0; column < out.width; ++column) {
        std::int32_t sum = 0;
        const std::int8_t* w = weights;
        for (std::size_t plane = 0; plane < in.channels; ++plane)
          for (std::size_t i = 0; i < kernel; ++i) {
            const std::size_t at = (plane * in.height + row + i) * in.width + column;
            for (std::size_t j = 0; j < kernel; ++j) sum += *w++ * x[at + j];
          }
        y[(channel * out.height + row) * out.width + column] = by.code(channel, sum);
      }
  }
}

/// The largest of each 2 x 2 codes: they are ordered as what they stand for.
constexpr void max_pool(std::span<const std::int8_t> x, image_shape in, std::span<std::int8_t> y) noexcept {
  std::size_t made = 0;
  for (std::size_t channel = 0; channel < in.channels; ++channel)
    for (std::size_t row = 0; row < in.height; row += 2)
      for (std::size_t column = 0; column < in.width; column += 2) {
        const std::size_t at = (channel * in.height + row) * in.width + column;
        std::int8_t largest = x[at];
        for (const std::size_t other : {at + 1, at + in.width, at + in.width + 1})
          if (x[other] > largest) largest = x[other];
        y[made++] = largest;
      }
}

/// The sum of products for one output of a fully connected layer.
constexpr std::int32_t product_sum(const layer& by, std::span<const std::int8_t> x,
                                   std::size_t channel) noexcept {
  const std::int8_t* const weights = by.weight + channel * x.size();
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += weights[i] * x[i];
  return sum;
}

constexpr void fully_connected(const layer& by, std::span<const std::int8_t> x,
                               std::span<std::int8_t> y) noexcept {
  for (std::size_t channel = 0; channel < y.size(); ++channel)
    y[channel] = by.code(channel, product_sum(by, x, channel));
}

/// The last layer: its values count in one unit, the same for all channels, so they can be compared.
constexpr void fully_connected(const layer& by, std::span<const std::int8_t> x,
                               std::span<std::int32_t> y) noexcept {
  for (std::size_t channel = 0; channel < y.size(); ++channel)
    y[channel] = by.value(channel, product_sum(by, x, channel));
}

/// The place of the largest value; of equal ones the first.
constexpr std::size_t place_of_largest(std::span<const std::int32_t> values) noexcept {
  std::size_t best = 0;
  for (std::size_t i = 1; i < values.size(); ++i)
    if (values[i] > values[best]) best = i;
  return best;
}

#endif  // PTQ_EXAMPLES_EMBEDDED_INTEGER_LAYERS_HPP
