// SPDX-License-Identifier: Apache-2.0
/// @file lenet_images.hpp The first 100 test images of lenet-digits, in flash: the assembler takes them out
/// of their files.
#ifndef PTQ_EXAMPLES_EMBEDDED_LENET_IMAGES_HPP
#define PTQ_EXAMPLES_EMBEDDED_LENET_IMAGES_HPP

#include <cstddef>
#include <cstdint>

namespace lenet {

inline constexpr std::size_t images = 100;

extern "C" const std::uint8_t lenet_images[images][28 * 28];
extern "C" const std::int64_t lenet_labels[images];

}  // namespace lenet

#endif  // PTQ_EXAMPLES_EMBEDDED_LENET_IMAGES_HPP
