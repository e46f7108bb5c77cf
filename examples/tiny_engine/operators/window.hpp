// SPDX-License-Identifier: Apache-2.0
/// @file window.hpp A window that slides over an image: the geometry that Conv and MaxPool share; MaxPool.
#ifndef TINY_ENGINE_OPERATORS_WINDOW_HPP
#define TINY_ENGINE_OPERATORS_WINDOW_HPP

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "operator.hpp"

namespace tiny {

/// Two spatial axes; signals of one axis have a height of 1.
struct window {
  std::array<std::size_t, 2> image{1, 1}, kernel{1, 1}, stride{1, 1}, dilation{1, 1}, pad{0, 0}, out{1, 1};

  /// @param image_shape  [samples, channels, spatial axes]
  /// @param kernel_shape the spatial axes only
  static result<window> of(const call& c, const shape& image_shape,
                           std::span<const std::size_t> kernel_shape) {
    const std::size_t spatial = image_shape.rank - 2;
    if (image_shape.rank < 3 || spatial > 2 || kernel_shape.size() != spatial)
      return unsupported("only signals and images are covered: tensors of rank 3 and 4.");
    if (const auto* a = c.node.find_attribute("auto_pad");
        a != nullptr && a->text != "NOTSET" && a->text != "VALID")
      return unsupported("auto_pad = \"" + a->text + "\"; export the model with explicit pads.");
    for (const char* name : {"kernel_shape", "strides", "dilations", "pads"})
      for (const std::int64_t value : c.node.integers(name))
        if (value < 0 || value > std::numeric_limits<std::int32_t>::max())
          return unsupported(std::string(name) + " holds " + std::to_string(value) + ".");
    for (const std::size_t extent : kernel_shape)
      if (extent == 0) return unsupported("a window without extent.");
    window w;
    std::array<std::size_t, 2> pad_end{0, 0};
    const auto attribute = [&](const char* name, std::size_t i, std::int64_t otherwise) {
      const auto list = c.node.integers(name);
      return static_cast<std::size_t>(i < list.size() ? list[i] : otherwise);
    };
    for (std::size_t i = 0; i < spatial; ++i) {
      const std::size_t axis = 2 - spatial + i;
      w.image[axis] = image_shape[2 + i];
      w.kernel[axis] = kernel_shape[i];
      w.stride[axis] = std::max<std::size_t>(attribute("strides", i, 1), 1);
      w.dilation[axis] = attribute("dilations", i, 1);
      if (w.dilation[axis] == 0) return unsupported("dilations holds 0.");  // any kernel would fit
      w.pad[axis] = attribute("pads", i, 0);
      pad_end[axis] = attribute("pads", spatial + i, 0);
      const std::size_t covered = w.dilation[axis] * (w.kernel[axis] - 1) + 1;
      const std::size_t padded = w.image[axis] + w.pad[axis] + pad_end[axis];
      if (padded < covered) return error(errc::size_mismatch, "", "the image is smaller than the window.");
      w.out[axis] = (padded - covered) / w.stride[axis] + 1;
    }
    if (auto sane = w.check_padding(pad_end); !sane) return sane.error();
    return w;
  }

  /// A few bytes could ask for any amount of memory. Where no machine has it, no other engine is to try.
  result<void> check_padding(const std::array<std::size_t, 2>& pad_end) const {
    constexpr std::uint64_t most_positions = std::uint64_t{1} << 38;  // a TiB of floats
    if (out[0] > most_positions / out[1])
      return error(errc::validation_overflow, "",
                   "windows of " + std::to_string(out[0]) + " x " + std::to_string(out[1]) +
                       " positions: there is not enough memory for this model. Make pads smaller.");
    for (std::size_t axis = 0; axis < image.size(); ++axis)
      for (const std::size_t extent : {pad[axis], pad_end[axis]})
        if (extent > std::max<std::size_t>(image[axis], 64))
          return unsupported("pads holds " + std::to_string(extent) + " for an extent of " +
                             std::to_string(image[axis]) + ".");
    return {};
  }

  std::size_t positions() const noexcept { return out[0] * out[1]; }
  std::size_t taps() const noexcept { return kernel[0] * kernel[1]; }

  /// [samples, channels, spatial axes of the output]
  shape out_shape(const shape& image_shape, std::size_t channels) const {
    shape s = image_shape;
    s.extents[1] = channels;
    for (std::size_t i = 2; i < s.rank; ++i) s.extents[i] = out[4 - s.rank + i - 2];
    return s;
  }

  /// Whether a tap of the windows at a position of one axis is in the image. In the padding before it the
  /// place wraps around.
  bool has_values(std::size_t axis, std::size_t position) const noexcept {
    for (std::size_t tap = 0; tap < kernel[axis]; ++tap)
      if (position * stride[axis] + tap * dilation[axis] - pad[axis] < image[axis]) return true;
    return false;
  }

  /// Calls f(tap, position, offset in the image, how many) for every run of positions along the last axis
  /// whose tap is not in the padding; from each to the next it is `stride[1]` further in the image.
  template <class F>
  void for_each_run(F&& f) const {
    for (std::size_t tap = 0; tap < taps(); ++tap) {
      const std::size_t shift = tap % kernel[1] * dilation[1];
      const std::size_t first = shift < pad[1] ? steps(pad[1] - shift) : 0;
      const std::size_t end = shift < image[1] + pad[1] ? steps(image[1] + pad[1] - shift) : 0;
      const std::size_t last = std::min(end, out[1]);
      if (first >= last) continue;
      for (std::size_t y = 0; y < out[0]; ++y) {
        const std::size_t row = y * stride[0] + tap / kernel[1] * dilation[0] - pad[0];  // wraps around in
        if (row >= image[0]) continue;                                                   // the padding
        f(tap, y * out[1] + first, row * image[1] + first * stride[1] + shift - pad[1], last - first);
      }
    }
  }

 private:
  /// How many windows begin before a place of the last axis.
  std::size_t steps(std::size_t place) const noexcept { return (place + stride[1] - 1) / stride[1]; }
};

/// The maximum of no values is no number, whatever an engine answers there.
inline result<void> expect_values(const window& w) {
  for (std::size_t axis = 0; axis < w.out.size(); ++axis)
    for (std::size_t position = 0; position < w.out[axis]; ++position)
      if (!w.has_values(axis, position))
        return error(
            errc::invalid_value, "",
            "window " + std::to_string(position) + " of spatial axis " + std::to_string(axis) +
                " lies wholly in the padding, where there is no maximum. Make pads smaller than the window.");
  return {};
}

inline bool is_nan(float value) {
  return std::isnan(value);
}
constexpr bool is_nan(std::int32_t) {
  return false;
}

/// The largest of each window. NaN is larger than every number.
template <class T>
result<tensor> max_pool_of(const call& c) {
  if (c.node.integer("ceil_mode", 0) != 0) return unsupported("ceil_mode = 1.");
  const tensor& x = *c.input(0);
  const auto attribute = c.node.integers("kernel_shape");
  const std::vector<std::size_t> kernel(attribute.begin(), attribute.end());
  const auto w = window::of(c, x.shape, kernel);
  if (!w) return w.error();
  if (auto sound = expect_values(*w); !sound) return sound.error();
  using limits = std::numeric_limits<T>;
  tensor y(x.type, w->out_shape(x.shape, x.shape[1]));
  const auto made = y.as<T>();
  std::fill(made.begin(), made.end(), limits::has_infinity ? -limits::infinity() : limits::lowest());
  const std::size_t area = w->image[0] * w->image[1];
  for (std::size_t plane = 0; plane < x.shape[0] * x.shape[1]; ++plane) {
    const T* const in = x.as<T>().data() + plane * area;
    T* const out = made.data() + plane * w->positions();
    w->for_each_run([&](std::size_t, std::size_t position, std::size_t at, std::size_t count) {
      for (std::size_t k = 0; k < count; ++k) {
        const T value = in[at + k * w->stride[1]];
        const T seen = out[position + k];
        out[position + k] = value > seen || is_nan(value) ? value : seen;
      }
    });
  }
  return y;
}

inline result<tensor> max_pool(const call& c) {
  if (auto floats = expect_floats(c, 1); !floats) return floats.error();
  return max_pool_of<float>(c);
}

}  // namespace tiny

#endif  // TINY_ENGINE_OPERATORS_WINDOW_HPP
