// SPDX-License-Identifier: Apache-2.0
// Quantize the layers of a model by a specification. Run it in this folder.
#include <Eigen/Core>
#include <cstdio>
#include <vector>

#include "ptq/adaptors/eigen.hpp"
#include "ptq/config/yaml.hpp"
#include "ptq/ptq.hpp"

int main() {
  const Eigen::MatrixXf fc = Eigen::MatrixXf::Random(10, 32), head = Eigen::MatrixXf::Random(4, 10);
  const std::vector<float> conv(8 * 3 * 3 * 3, 0.5F);
  const std::vector<ptq::layer> layers{{"encoder.fc", "Linear", fc},  // any tensor with an adaptor ...
                                       {"stem.conv", "Conv2d", {conv, {8, 3, 3, 3}}},  // ... or flat memory
                                       {"head", "Linear", head}};

  const auto spec = ptq::read_spec("02_model.yaml");
  if (!spec) return std::puts(spec.error().what.c_str()), 1;
  const ptq::plan plan = ptq::match(*spec, layers);
  for (const ptq::planned_layer& layer : plan.layers)
    std::printf("%s: %s\n", layer.name.c_str(), layer.weights.dtype.c_str());

  const auto done = ptq::apply(plan, layers, [](const ptq::quantized_layer& q) {  // copy or write them
    std::printf("%s: %zu codes, %zu scales\n", q.source.name.c_str(), q.codes.size(), q.scales.size());
  });
  return done ? 0 : (std::puts(done.error().what.c_str()), 1);
}
