// SPDX-License-Identifier: Apache-2.0
// A small inference engine. Its layers hold their weights in whatever suits them: a plain vector, an xtensor,
// an Eigen matrix. Each can also compute from 8-bit codes and a scale for each output, which lie in a
// ptq::quantized_tensor.
#ifndef EXAMPLES_03_INFERENCE_ENGINE_HPP
#define EXAMPLES_03_INFERENCE_ENGINE_HPP

#include <Eigen/Core>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <utility>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "ptq/dtype/int8.hpp"
#include "ptq/model/quantized_tensor.hpp"
#include "ptq/tensor/view.hpp"

namespace engine {

/// Values [channel, row, column], row-major.
struct image {
  std::size_t channels;
  std::size_t side;
  std::vector<float> values = std::vector<float>(channels * side * side);

  float& at(std::size_t c, std::size_t y, std::size_t x) { return values[(c * side + y) * side + x]; }
  float at(std::size_t c, std::size_t y, std::size_t x) const { return values[(c * side + y) * side + x]; }
};

/// Weights as floats, or as codes that lie in memory as the floats did.
template <class Floats>
struct weights {
  Floats floats;
  ptq::quantized_tensor quantized{};  // nothing while the floats count

  bool are_codes() const { return quantized.size() > 0; }
  ptq::tensor_view<const std::int8_t> codes() const { return quantized.codes_as<ptq::int8>(); }
  std::size_t bytes() const {
    return are_codes() ? quantized.bytes() : static_cast<std::size_t>(floats.size()) * sizeof(float);
  }

  void set(ptq::quantized_tensor made) {
    quantized = std::move(made);
    floats = Floats();  // they are not needed any more
  }
};

/// A code of a weight [output, input, row, column], in whatever order it lies in memory.
inline std::int8_t code_at(const ptq::tensor_view<const std::int8_t>& codes, std::size_t o, std::size_t c,
                           std::size_t y, std::size_t x) {
  const auto step = [&](std::size_t index, std::size_t axis) {
    return static_cast<std::ptrdiff_t>(index) * codes.strides[axis];
  };
  return codes.data[step(o, 0) + step(c, 1) + step(y, 2) + step(x, 3)];
}

/// Slides a kernel over an image; `weight(o, c, y, x)` is a float or a code.
template <class Weight>
image convolve(const image& in, std::size_t outputs, std::size_t size, Weight&& weight) {
  image out{outputs, in.side - size + 1};
  for (std::size_t o = 0; o < outputs; ++o)
    for (std::size_t y = 0; y < out.side; ++y)
      for (std::size_t x = 0; x < out.side; ++x) {
        float sum = 0;
        for (std::size_t c = 0; c < in.channels; ++c)
          for (std::size_t v = 0; v < size; ++v)
            for (std::size_t u = 0; u < size; ++u)
              sum += static_cast<float>(weight(o, c, v, u)) * in.at(c, y + v, x + u);
        out.at(o, y, x) = sum;
      }
  return out;
}

inline void add_bias(image& out, std::span<const float> scales, const std::vector<float>& bias) {
  const std::size_t area = out.side * out.side;
  for (std::size_t i = 0; i < out.values.size(); ++i)
    out.values[i] = out.values[i] * (scales.empty() ? 1.0F : scales[i / area]) + bias[i / area];
}

/// 5 x 5, the weights in one flat vector [output, input, row, column].
struct plain_convolution {
  std::size_t outputs;
  weights<std::vector<float>> weight;
  std::vector<float> bias;

  image operator()(const image& in) const {
    const auto at = [&](std::size_t o, std::size_t c, std::size_t y, std::size_t x) {
      return ((o * in.channels + c) * 5 + y) * 5 + x;
    };
    const auto code = [codes = weight.codes()](auto... index) { return code_at(codes, index...); };
    image out = weight.are_codes()
                    ? convolve(in, outputs, 5, code)
                    : convolve(in, outputs, 5, [&](auto... index) { return weight.floats[at(index...)]; });
    add_bias(out, weight.quantized.scales(), bias);
    return out;
  }
};

/// 5 x 5, the weights in a column-major xtensor.
struct xtensor_convolution {
  static constexpr auto layout = xt::layout_type::column_major;

  weights<xt::xtensor<float, 4, layout>> weight;
  std::vector<float> bias;

  image operator()(const image& in) const {
    const auto code = [codes = weight.codes()](auto... index) { return code_at(codes, index...); };
    image out = weight.are_codes()
                    ? convolve(in, bias.size(), 5, code)
                    : convolve(in, bias.size(), 5, [&](auto... index) { return weight.floats(index...); });
    add_bias(out, weight.quantized.scales(), bias);
    return out;
  }
};

/// The weights [output, input] in an Eigen matrix, which is column-major.
struct linear {
  weights<Eigen::MatrixXf> weight;
  Eigen::VectorXf bias;

  Eigen::VectorXf operator()(const Eigen::VectorXf& in) const {
    if (!weight.are_codes()) return weight.floats * in + bias;
    using matrix = Eigen::Matrix<std::int8_t, Eigen::Dynamic, Eigen::Dynamic>;
    const Eigen::Map<const matrix> codes(weight.codes().data, bias.size(), in.size());
    const Eigen::Map<const Eigen::VectorXf> scales(weight.quantized.scales().data(), bias.size());
    return (codes.cast<float>() * in).cwiseProduct(scales) + bias;
  }
};

/// The largest of each 2 x 2 values, and at least 0.
inline image relu_and_pool(const image& in) {
  image out{in.channels, in.side / 2};
  for (std::size_t c = 0; c < in.channels; ++c)
    for (std::size_t y = 0; y < in.side; ++y)
      for (std::size_t x = 0; x < in.side; ++x)
        out.at(c, y / 2, x / 2) = std::max(out.at(c, y / 2, x / 2), in.at(c, y, x));
  return out;
}

/// The digit classifier of models/lenet-digits.
struct classifier {
  plain_convolution conv1;
  xtensor_convolution conv2;
  linear fc1;
  linear fc2;

  /// Ten logits for a picture of 28 x 28.
  Eigen::VectorXf operator()(const image& picture) const {
    const image features = relu_and_pool(conv2(relu_and_pool(conv1(picture))));
    const Eigen::Map<const Eigen::VectorXf> flat(features.values.data(),
                                                 static_cast<Eigen::Index>(features.values.size()));
    return fc2(fc1(flat).cwiseMax(0.0F));
  }

  /// Calls f(weights) for the layer of that name.
  template <class F>
  void with_weights_of(std::string_view layer, F&& f) {
    if (layer == "conv1") f(conv1.weight);
    if (layer == "conv2") f(conv2.weight);
    if (layer == "fc1") f(fc1.weight);
    if (layer == "fc2") f(fc2.weight);
  }

  std::size_t bytes() const {
    return conv1.weight.bytes() + conv2.weight.bytes() + fc1.weight.bytes() + fc2.weight.bytes();
  }
};

}  // namespace engine

#endif  // EXAMPLES_03_INFERENCE_ENGINE_HPP
