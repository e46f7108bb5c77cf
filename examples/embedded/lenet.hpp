// SPDX-License-Identifier: Apache-2.0
/// @file lenet.hpp The network lenet-digits (examples/models) with the tables of lenet_model.h: pixels to ten
/// values, one a digit.
#ifndef PTQ_EXAMPLES_EMBEDDED_LENET_HPP
#define PTQ_EXAMPLES_EMBEDDED_LENET_HPP

#include <ptq/ptq_core.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "integer_layers.hpp"
#include "lenet_model.h"

namespace lenet {

inline constexpr std::size_t pixels = std::size_t{28} * 28;
inline constexpr std::size_t digits = 10;

inline constexpr layer conv1{lenet_conv1_weight, lenet_conv1_bias,           lenet_conv1_multiplier,
                             lenet_conv1_shift,  LENET_CONV1_ACTIVATION_MIN, LENET_CONV1_ACTIVATION_MAX};
inline constexpr layer conv2{lenet_conv2_weight, lenet_conv2_bias,           lenet_conv2_multiplier,
                             lenet_conv2_shift,  LENET_CONV2_ACTIVATION_MIN, LENET_CONV2_ACTIVATION_MAX};
inline constexpr layer fc1{lenet_fc1_weight, lenet_fc1_bias,           lenet_fc1_multiplier,
                           lenet_fc1_shift,  LENET_FC1_ACTIVATION_MIN, LENET_FC1_ACTIVATION_MAX};
inline constexpr layer fc2{lenet_fc2_weight, lenet_fc2_bias,           lenet_fc2_multiplier,
                           lenet_fc2_shift,  LENET_FC2_ACTIVATION_MIN, LENET_FC2_ACTIVATION_MAX};

// What integer_layers.hpp does not have: other layouts, strides, padding, offsets.
static_assert(LENET_IS_OHWI == 0);
static_assert(LENET_CONV1_STRIDE_0 == 1 && LENET_CONV1_PAD_BEGIN_0 == 0 && LENET_CONV1_INPUT_OFFSET == 0);

/// Pixels are 0 to 255 and the network takes pixel / 255, so a code is pixel * (1 / 255 / input scale).
inline constexpr ptq::multiplier_shift pixel_factor =
    ptq::from_scale(1.0 / 255 / static_cast<double>(LENET_CONV1_INPUT_SCALE));

constexpr std::int8_t code_of(std::uint8_t pixel) noexcept {
  return ptq::requantize_to_int8(pixel, pixel_factor);
}

/// Whether all 256 pixels get the code that the host gives them, by a division of floats.
constexpr bool has_codes_of_host() noexcept {
  for (int pixel = 0; pixel < 256; ++pixel)
    if (code_of(static_cast<std::uint8_t>(pixel)) !=
        ptq::int8::encode(static_cast<float>(pixel) / 255.0F / LENET_CONV1_INPUT_SCALE))
      return false;
  return true;
}
static_assert(has_codes_of_host());

inline constexpr image_shape input{1, 28, 28};
inline constexpr image_shape first{8, 24, 24};
inline constexpr image_shape first_pooled{8, 12, 12};
inline constexpr image_shape second{16, 8, 8};
inline constexpr image_shape second_pooled{16, 4, 4};
inline constexpr std::size_t hidden = 64;

/// The memory of a run: two buffers in turn, the larger for what convolutions make before it is pooled.
struct arena {
  std::array<std::int8_t, first.size()> large;
  std::array<std::int8_t, first_pooled.size()> small;
};
static_assert(sizeof(arena) == 5760);

/// The ten values of an image, in units of LENET_FC2_OUTPUT_SCALE.
constexpr std::array<std::int32_t, digits> run(std::span<const std::uint8_t, pixels> image,
                                               arena& memory) noexcept {
  const std::span large(memory.large);
  const std::span small(memory.small);

  for (std::size_t i = 0; i < pixels; ++i) small[i] = code_of(image[i]);
  convolve(conv1, small.first<input.size()>(), input, 5, large, first);
  max_pool(large, first, small);
  convolve(conv2, small, first_pooled, 5, large.first<second.size()>(), second);
  max_pool(large.first<second.size()>(), second, small);
  fully_connected(fc1, small.first<second_pooled.size()>(), large.first<hidden>());
  std::array<std::int32_t, digits> values{};
  fully_connected(fc2, large.first<hidden>(), std::span(values));
  return values;
}

}  // namespace lenet

#endif  // PTQ_EXAMPLES_EMBEDDED_LENET_HPP
