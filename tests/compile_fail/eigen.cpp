// SPDX-License-Identifier: Apache-2.0
// Eigen's lazy expressions have no elements yet.
//
// BAD LAZY: evaluate_it_first<.*CwiseBinaryOp
// BAD TEMPORARY: named_tensor_or_view
#include <Eigen/Core>

#include "ptq/adaptors/eigen.hpp"
#include "ptq/core.hpp"

ptq::status quantize_sum(const Eigen::MatrixXf& a, const Eigen::MatrixXf& b, std::span<std::int8_t> codes,
                         std::span<float> scales) {
#ifdef LAZY
  return ptq::quantize<ptq::int8, ptq::torchao>(a + b, codes, scales);
#else
  return ptq::quantize<ptq::int8, ptq::torchao>((a + b).eval(), codes, scales);
#endif
}

auto view(const Eigen::MatrixXf& a) {
#ifdef TEMPORARY
  return ptq::view_of((a + a).eval());
#else
  return ptq::view_of(a.row(0));
#endif
}
