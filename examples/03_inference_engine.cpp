// SPDX-License-Identifier: Apache-2.0
// An engine of its own, quantized in place by a specification. The layers of 03_inference_engine.hpp hold a
// plain vector, an xtensor and Eigen matrices; the plan treats them alike, and the sink hands each its codes.
// Run it in this folder.
#include "03_inference_engine.hpp"

#include <Eigen/Core>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include "ptq/adaptors/eigen.hpp"
#include "ptq/adaptors/xtensor.hpp"
#include "ptq/config/yaml.hpp"
#include "ptq/file/mapped_file.hpp"
#include "ptq/formats/numpy/npy.hpp"
#include "ptq/formats/safetensors/open.hpp"
#include "ptq/ptq.hpp"

namespace {

const std::string model = "models/lenet-digits/";

/// A float tensor of the checkpoint, row after row.
std::span<const float> floats_of(const ptq::checkpoint& file, const char* name) {
  const ptq::stored_tensor& tensor = *file.find(name);
  return {static_cast<const float*>(static_cast<const void*>(tensor.data.data())), tensor.data.size() / 4};
}

std::vector<float> vector_of(const ptq::checkpoint& file, const char* name) {
  const auto values = floats_of(file, name);
  return {values.begin(), values.end()};
}

engine::linear linear_of(const ptq::checkpoint& file, const std::string& name, int outputs, int inputs) {
  using row_major = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const float* weight = floats_of(file, (name + ".weight").c_str()).data();
  const float* bias = floats_of(file, (name + ".bias").c_str()).data();
  return {{Eigen::Map<const row_major>(weight, outputs, inputs)},
          Eigen::Map<const Eigen::VectorXf>(bias, outputs)};
}

engine::classifier classifier_of(const ptq::checkpoint& file) {
  engine::classifier net{{8, {vector_of(file, "conv1.weight")}, vector_of(file, "conv1.bias")},
                         {{}, vector_of(file, "conv2.bias")},
                         linear_of(file, "fc1", 64, 256),
                         linear_of(file, "fc2", 10, 64)};
  net.conv2.weight.floats.resize({16, 8, 5, 5});
  const auto conv2 = floats_of(file, "conv2.weight");
  for (std::size_t i = 0; i < conv2.size(); ++i)
    net.conv2.weight.floats(i / 200, i / 25 % 8, i / 5 % 5, i % 5) = conv2[i];
  return net;
}

/// The logits of every test picture.
std::vector<Eigen::VectorXf> run(const engine::classifier& net, std::span<const std::uint8_t> pictures) {
  std::vector<Eigen::VectorXf> logits;
  engine::image picture{1, 28};
  for (; !pictures.empty(); pictures = pictures.subspan(picture.values.size())) {
    for (std::size_t i = 0; i < picture.values.size(); ++i)
      picture.values[i] = static_cast<float>(pictures[i]) / 255.0F;
    logits.push_back(net(picture));
  }
  return logits;
}

std::int64_t digit(const Eigen::VectorXf& logits) {
  Eigen::Index best = 0;
  logits.maxCoeff(&best);
  return best;
}

int fail(const ptq::error& error) {
  std::fprintf(stderr, "%s\n", error.what.c_str());
  return 1;
}

}  // namespace

int main() {
  const auto checkpoint = ptq::open_safetensors(model + "model.safetensors");
  if (!checkpoint) return fail(checkpoint.error());
  const auto picture_file = ptq::mapped_file::open(model + "test_images.npy");
  const auto label_file = ptq::mapped_file::open(model + "test_labels.npy");
  if (!picture_file || !label_file) return fail(!picture_file ? picture_file.error() : label_file.error());
  const auto pictures = ptq::read_npy(picture_file->bytes(), picture_file->path());
  const auto labels = ptq::read_npy(label_file->bytes(), label_file->path());
  if (!pictures || !labels) return fail(!pictures ? pictures.error() : labels.error());
  const std::span pixels(pictures->as<std::uint8_t>().data, pictures->size());

  engine::classifier net = classifier_of(*checkpoint);
  const auto with_floats = run(net, pixels);
  const std::size_t float_bytes = net.bytes();

  // The engine's layers, as they are: names, classes, and tensors of three libraries.
  const std::vector<ptq::layer> layers{{"conv1", "Conv2d", {net.conv1.weight.floats, {8, 1, 5, 5}}},
                                       {"conv2", "Conv2d", net.conv2.weight.floats},
                                       {"fc1", "Linear", net.fc1.weight.floats},
                                       {"fc2", "Linear", net.fc2.weight.floats}};
  const auto spec = ptq::read_spec("03_inference_engine.yaml");
  if (!spec) return fail(spec.error());
  const ptq::plan plan = ptq::match(*spec, layers);
  const auto done = ptq::apply(plan, layers, [&](const ptq::quantized_layer& q) {
    std::printf("%-5s %-6s %s, %2zu scales, %.1f dB\n", q.source.name.c_str(), q.source.class_name.c_str(),
                q.dtype.name, q.scales.size(), ptq::quantization_error(q).sqnr_db);
    net.with_weights_of(q.source.name, [&](auto& weights) { weights.set(ptq::quantized_tensor(q)); });
  });
  if (!done) return fail(done.error());
  const auto with_codes = run(net, pixels);

  std::size_t right_with_floats = 0;
  std::size_t right_with_codes = 0;
  std::size_t same = 0;
  double signal = 0;
  double noise = 0;
  for (std::size_t i = 0; i < with_floats.size(); ++i) {
    const std::int64_t label = labels->as<std::int64_t>().data[i];
    right_with_floats += digit(with_floats[i]) == label;
    right_with_codes += digit(with_codes[i]) == label;
    same += digit(with_floats[i]) == digit(with_codes[i]);
    signal += static_cast<double>(with_floats[i].squaredNorm());
    noise += static_cast<double>((with_floats[i] - with_codes[i]).squaredNorm());
  }
  std::printf("floats: %zu of %zu digits right, %zu bytes of weights\n", right_with_floats,
              with_floats.size(), float_bytes);
  std::printf("codes:  %zu of %zu digits right, %zu bytes of weights\n", right_with_codes, with_codes.size(),
              net.bytes());
  std::printf("the same answer for %zu, logits within %.0f dB\n", same, 10 * std::log10(signal / noise));
}
