// SPDX-License-Identifier: Apache-2.0
// Codes and scales straight into the engine's own matrices, of Eigen or xtensor: no copy, no cast.
#include <Eigen/Core>
#include <cstdint>
#include <cstdio>
#include <xtensor/xtensor.hpp>

#include "ptq/adaptors/eigen.hpp"
#include "ptq/adaptors/xtensor.hpp"
#include "ptq/ptq.hpp"

int main() {
  const Eigen::MatrixXf weight{{0.1F, -0.5F, 0.25F}, {10.0F, -20.0F, 5.0F}};
  Eigen::Matrix<std::int8_t, Eigen::Dynamic, Eigen::Dynamic> codes(2, 3);  // column-major, as the weight is
  Eigen::VectorXf scales(2);
  if (!ptq::quantize<ptq::int8, ptq::torchao>(weight, codes, scales)) return 1;
  const Eigen::VectorXf x{{1.0F, 2.0F, 3.0F}};
  const Eigen::VectorXf y = (codes.cast<float>() * x).cwiseProduct(scales), wanted = weight * x;
  for (int i = 0; i < 2; ++i) std::printf("%.3f, in floats %.3f\n", double(y[i]), double(wanted[i]));
  const xt::xtensor<float, 1> kernel{1.0F, -2.0F, 0.5F};
  auto kernel_codes = xt::xtensor<std::int8_t, 1>::from_shape({3});
  auto scale = xt::xtensor<float, 1>::from_shape({1});
  if (!ptq::quantize<ptq::int8, ptq::torchao>(kernel, kernel_codes, scale, ptq::per_tensor())) return 1;
  std::printf("codes %d %d %d\n", kernel_codes(0), kernel_codes(1), kernel_codes(2));
}
