// SPDX-License-Identifier: Apache-2.0
// A classifier for a microcontroller: one file of ptq, no heap, no exceptions, no C library. In QEMU:
//
//   cmake -S examples/embedded -B build/embedded --toolchain toolchain.cmake -D PTQ_MACHINE=m4f
//   cmake --build build/embedded
//   ctest --test-dir build/embedded
//
// The compiler quantizes the weights, so flash holds a byte for each and none of the floats. The device
// learns the range of its sensor, quantizes each window of samples, and multiplies integers.
#include <ptq/ptq_core.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace {

constexpr std::size_t classes = 3;
constexpr std::size_t inputs = 8;

constexpr float weights[classes][inputs] = {
    {0.61F, 0.58F, 0.44F, 0.12F, -0.21F, -0.48F, -0.57F, -0.63F},  // falling
    {-0.64F, -0.55F, -0.49F, -0.18F, 0.16F, 0.45F, 0.59F, 0.60F},  // rising
    {-0.35F, 0.02F, 0.38F, 0.71F, 0.69F, 0.36F, -0.04F, -0.33F},   // a peak
};
constexpr auto trained = ptq::quantize_constant<ptq::int8, ptq::modelopt, weights>();
static_assert(trained.codes.size() == classes * inputs && trained.scales.size() == classes);

/// The class with the largest output. `input_scale` is the sensor's: value = code * scale.
std::size_t classify(const std::array<std::int8_t, inputs>& window, float input_scale) {
  std::size_t best = 0;
  float largest = 0;
  for (std::size_t c = 0; c < classes; ++c) {
    std::int32_t sum = 0;
    for (std::size_t i = 0; i < inputs; ++i) sum += trained.codes[c * inputs + i] * window[i];
    const float output = static_cast<float>(sum) * trained.scales[c] * input_scale;
    if (c == 0 || output > largest) {
      best = c;
      largest = output;
    }
  }
  return best;
}

/// Stands for an analog-to-digital converter: a ramp, then a triangle.
std::array<float, inputs> read_sensor(int window) {
  std::array<float, inputs> samples{};
  for (std::size_t i = 0; i < inputs; ++i) {
    const auto ramp = static_cast<float>(static_cast<int>(i) * 2 - 7);
    samples[i] = window == 0 ? ramp : (ramp < 0 ? 4 + ramp : 4 - ramp);
  }
  return samples;
}

}  // namespace

extern "C" int main() {
  // 64 bins are plenty for eight samples, and 512 bytes on the stack; `entropy` would ask the same
  // statistics.
  ptq::statistics<64> seen;
  for (int window = 0; window < 2; ++window)
    if (!seen.collect(read_sensor(window))) return 1;
  const float scale = ptq::scale_for<ptq::int8, ptq::modelopt>(ptq::minmax{}.range(seen).amax);

  std::array<std::size_t, 2> found{};
  for (std::size_t window = 0; window < found.size(); ++window) {
    const std::array<float, inputs> samples = read_sensor(static_cast<int>(window));
    std::array<std::int8_t, inputs> codes{};
    ptq::quantize_run<ptq::int8, ptq::modelopt>(samples, scale, codes);
    found[window] = classify(codes, scale);
  }
  return found[0] == 1 && found[1] == 2 ? 0 : 2;
}
