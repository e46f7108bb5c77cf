// SPDX-License-Identifier: Apache-2.0
// Lazy expressions of Eigen's tensors have no elements yet; a view has a largest rank.
//
// BAD LAZY: evaluate_it_first<.*TensorCwiseBinaryOp
// BAD TOO_MANY_AXES: ptq::max_rank is the most that a view can have
#include <unsupported/Eigen/CXX11/Tensor>

#include "ptq/adaptors/eigen_tensor.hpp"
#include "ptq/core.hpp"

using matrix = Eigen::Tensor<float, 2>;

ptq::status quantize_sum(const matrix& a, const matrix& b, std::span<std::int8_t> codes,
                         std::span<float> scales) {
#ifdef LAZY
  return ptq::quantize<ptq::int8, ptq::torchao>(a + b, codes, scales);
#else
  const matrix sum = a + b;
  return ptq::quantize<ptq::int8, ptq::torchao>(sum, codes, scales);
#endif
}

#ifdef TOO_MANY_AXES
auto view(const Eigen::Tensor<float, 9>& t) {
  return ptq::view_of(t);
}
#else
auto view(const Eigen::Tensor<float, 8>& t) {
  return ptq::view_of(t);
}
#endif
