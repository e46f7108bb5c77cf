// SPDX-License-Identifier: Apache-2.0
// An inference engine of your own, as ptq runs it: two dense layers with a ReLU between them, on pictures of
// 28 x 28. It is a `ptq::engine`: it says what it takes, and hands over the tensors that it is asked for.
#ifndef EXAMPLES_10_CALIBRATE_HPP
#define EXAMPLES_10_CALIBRATE_HPP

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ptq/engine/concept.hpp"
#include "ptq/engine/inputs.hpp"
#include "ptq/ptq.hpp"

class two_layers {
 public:
  std::span<const ptq::graph_input> inputs() const { return inputs_; }
  std::span<const std::string> outputs() const { return outputs_; }

  /// @param wanted some of x, h and y: what dense1 takes, what dense2 takes, what comes out
  template <ptq::array_sink Sink>
  ptq::result<void> run(std::span<const ptq::named_array> given, std::span<const std::string> wanted,
                        Sink&& sink) {
    const auto samples = ptq::count_samples(inputs_, given);
    if (!samples) return samples.error();
    const float* const pictures =
        given[0].array.as<float>().data;  // row-major and aligned: so it is promised
    const std::vector<float> x(pictures, pictures + *samples * pixels);
    std::vector<float> h = multiply(dense1, x, pixels);
    for (float& value : h) value = std::max(value, 0.0F);
    for (const std::string& name : wanted) {
      const std::vector<float> made = name == "x" ? x : name == "h" ? h : multiply(dense2, h, hidden);
      const ptq::tensor_shape shape{*samples, made.size() / *samples};
      if (auto taken = sink({name, {made.data(), ptq::element_type::float32, shape}}); !taken) return taken;
    }
    return {};
  }

  std::vector<ptq::layer> layers() const {
    return {{"dense1", "Linear", {dense1, {hidden, pixels}}}, {"dense2", "Linear", {dense2, {10, hidden}}}};
  }

 private:
  static constexpr std::size_t pixels = 28 * 28;
  static constexpr std::size_t hidden = 16;

  /// Weights [output, input]; yours come from a file.
  static std::vector<float> made_up(std::size_t size) {
    std::vector<float> weights(size);
    for (std::size_t i = 0; i < size; ++i) weights[i] = static_cast<float>(i * 37 % 64) / 64 - 0.5F;
    return weights;
  }

  /// x [sample, input] -> [sample, output].
  static std::vector<float> multiply(const std::vector<float>& weights, const std::vector<float>& x,
                                     std::size_t input) {
    std::vector<float> y;
    for (std::size_t sample = 0; sample < x.size(); sample += input)
      for (std::size_t row = 0; row < weights.size(); row += input) {
        float sum = 0;
        for (std::size_t i = 0; i < input; ++i) sum += weights[row + i] * x[sample + i];
        y.push_back(sum);
      }
    return y;
  }

  std::vector<ptq::graph_input> inputs_{
      {"picture", ptq::element_type::float32, {{std::nullopt, 1, 28, 28}}, {"batch"}}};
  std::vector<std::string> outputs_{"y"};
  std::vector<float> dense1 = made_up(hidden * pixels);
  std::vector<float> dense2 = made_up(10 * hidden);
};

#endif  // EXAMPLES_10_CALIBRATE_HPP
