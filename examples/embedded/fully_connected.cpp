// SPDX-License-Identifier: Apache-2.0
// From scale to multiplier and shift: a fully connected layer as CMSIS-NN computes it, beside the floats that
// it stands for. The arithmetic is stated here in our own words; with zero points, so that the signs of
// offsets can be seen.
#include <ptq/ptq_core.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

#include "console.hpp"

namespace {

using console::print;

constexpr std::size_t inputs = 32;
constexpr std::size_t outputs = 8;

/// Numbers from -1 to 1 that stand for trained weights, samples and whatever else.
class noise {
 public:
  constexpr explicit noise(std::uint32_t seed) : state_(seed) {}
  constexpr std::uint32_t bits() {
    state_ = state_ * 1664525u + 1013904223u;
    return state_ >> 8;
  }
  constexpr float number() { return static_cast<float>(bits()) / 8388608.0F - 1.0F; }

 private:
  std::uint32_t state_;
};

// Scales make a factor, in doubles and by the compiler; the factor makes two integers.
constexpr ptq::multiplier_shift by = ptq::from_scale(0.0235 * 0.00779 / 0.046);
static_assert(by.multiplier == 1093924436 && by.shift == -7);  // 0.50939... * 2^-7
static_assert(ptq::requantize(1000, by) == 4);                 // 3.98
static_assert(ptq::requantize_to_int8(40000, by, 10) == 127);  // 159.2 + 10, clamped

// What is known of the layer: real = (code - zero point) * scale. ptq's own zero points are 0; others' are
// not.
constexpr float input_scale = 0.0235F;
constexpr std::int32_t input_zero_point = -64;
constexpr float output_scale = 0.046F;
constexpr std::int32_t output_zero_point = 10;

// What CMSIS-NN is given: the input's offset is added, so it is minus the zero point; the output's is added,
// so it is plus.
constexpr std::int32_t input_offset = -input_zero_point;
constexpr std::int32_t output_offset = output_zero_point;

struct layer {
  std::array<std::int8_t, outputs * inputs> weight{};
  std::array<float, outputs> weight_scale{};
  std::array<float, outputs> real_bias{};
  std::array<std::int32_t, outputs> bias{};  ///< in units of input scale * weight scale
  std::array<ptq::multiplier_shift, outputs> factor{};
  std::array<std::int32_t, outputs> kernel_sum{};    ///< of the codes of a channel
  std::array<std::int32_t, outputs> bias_for_mve{};  ///< bias + input_offset * kernel_sum
};

consteval layer quantized() {
  noise random(1);
  std::array<float, outputs * inputs> weights{};
  for (std::size_t c = 0; c < outputs; ++c)  // channels of different size, as trained ones are
    for (std::size_t i = 0; i < inputs; ++i)
      weights[c * inputs + i] = random.number() / static_cast<float>(c + 1);
  layer made;
  const ptq::tensor_view<const float> view{weights.data(), {outputs, inputs}};
  // Not a constant expression where it fails, so the build stops.
  if (!ptq::quantize<ptq::int8, ptq::modelopt>(view, made.weight, made.weight_scale, ptq::per_channel(0)))
    PTQ_ASSERT(false);
  for (std::size_t c = 0; c < outputs; ++c) {
    made.real_bias[c] = random.number();
    const double unit = static_cast<double>(input_scale) * static_cast<double>(made.weight_scale[c]);
    const double bias = static_cast<double>(made.real_bias[c]) / unit;
    made.bias[c] = static_cast<std::int32_t>(bias < 0 ? bias - 0.5 : bias + 0.5);
    made.factor[c] = ptq::from_scale(unit / static_cast<double>(output_scale));
    for (std::size_t i = 0; i < inputs; ++i) made.kernel_sum[c] += made.weight[c * inputs + i];
    made.bias_for_mve[c] = made.bias[c] + input_offset * made.kernel_sum[c];
  }
  return made;
}

constexpr layer trained = quantized();

using samples = std::array<std::int8_t, inputs>;

/// As CMSIS-NN computes it on cores without MVE: it reads the bias.
template <class Rounding>
std::int8_t output_by_bias(const samples& x, std::size_t channel) {
  std::int32_t sum = trained.bias[channel];
  for (std::size_t i = 0; i < inputs; ++i)
    sum += (x[i] + input_offset) * trained.weight[channel * inputs + i];
  return ptq::requantize_to_int8<Rounding>(sum, trained.factor[channel], output_offset);
}

/// As CMSIS-NN computes it on cores with MVE: it reads the bias that the offset has gone into, and not the
/// other.
template <class Rounding>
std::int8_t output_for_mve(const samples& x, std::size_t channel) {
  std::int32_t sum = trained.bias_for_mve[channel];
  for (std::size_t i = 0; i < inputs; ++i) sum += x[i] * trained.weight[channel * inputs + i];
  return ptq::requantize_to_int8<Rounding>(sum, trained.factor[channel], output_offset);
}

/// What the output stands for, in floats, counted in codes; what is beyond the codes is the nearest of them.
float real_output(const samples& x, std::size_t channel) {
  float sum = trained.real_bias[channel];
  for (std::size_t i = 0; i < inputs; ++i) {
    const float real = static_cast<float>(x[i] - input_zero_point) * input_scale;
    sum += real * (static_cast<float>(trained.weight[channel * inputs + i]) * trained.weight_scale[channel]);
  }
  const float code = sum / output_scale + static_cast<float>(output_zero_point);
  return code < -128.0F ? -128.0F : code > 127.0F ? 127.0F : code;
}

struct distances {
  float farthest = 0;             ///< from the floats, in codes
  std::int32_t saturated = 0;     ///< outputs that are the lowest or the highest code
  std::int32_t forms_differ = 0;  ///< outputs whose two forms are not equal
};

template <class Rounding>
distances measure() {
  distances found;
  noise random(2);
  for (int run = 0; run < 1000; ++run) {
    samples x{};
    for (std::int8_t& code : x) code = static_cast<std::int8_t>(random.bits() >> 16);
    for (std::size_t c = 0; c < outputs; ++c) {
      const std::int8_t code = output_by_bias<Rounding>(x, c);
      const float distance = static_cast<float>(code) - real_output(x, c);
      const float magnitude = distance < 0 ? -distance : distance;
      if (magnitude > found.farthest) found.farthest = magnitude;
      found.saturated += code == -128 || code == 127 ? 1 : 0;
      found.forms_differ += code == output_for_mve<Rounding>(x, c) ? 0 : 1;
    }
  }
  return found;
}

void print_row(const char* rounding, const distances& found) {
  const auto thousandths = static_cast<std::int32_t>(found.farthest * 1000.0F);
  const std::int32_t fraction = thousandths % 1000;
  print(rounding);
  print(" rounding: at most ");
  print(thousandths / 1000);
  print(fraction < 10 ? ".00" : fraction < 100 ? ".0" : ".");
  print(fraction);
  print(" codes from the floats; ");
  print(found.saturated);
  print(" of 8000 outputs saturate\n");
}

}  // namespace

extern "C" int main() {
  for (std::size_t c = 0; c < outputs; ++c) {
    print("channel ");
    print(static_cast<std::int32_t>(c));
    print(": multiplier ");
    print(trained.factor[c].multiplier);
    print(", shift ");
    print(trained.factor[c].shift);
    print(", bias ");
    print(trained.bias[c]);
    print(", for MVE ");
    print(trained.bias_for_mve[c]);
    print("\n");
    // A device that learns a scale at run time makes the same numbers, without arithmetic on doubles.
    if (ptq::from_scales(input_scale, trained.weight_scale[c], output_scale) != trained.factor[c]) return 1;
  }
  const distances one = measure<ptq::single_rounding>();
  const distances two = measure<ptq::double_rounding>();
  print_row("single", one);
  print_row("double", two);
  const bool is_near = one.farthest < 1.0F && two.farthest < 1.0F;
  return is_near && one.forms_differ == 0 && two.forms_differ == 0 ? 0 : 2;
}
