// SPDX-License-Identifier: Apache-2.0
// Eigen's lazy expressions have no elements yet.
//
// BAD LAZY: evaluate_it_first<.*CwiseBinaryOp
// BAD TEMPORARY: named_tensor_or_view
// BAD CONSTANT_CODES: contiguous<
// BAD LAZY_CODES: contiguous<
// BAD CODES_WITH_GAPS: contiguous<
// BAD SCALES_WITH_GAPS: contiguous<
#include <Eigen/Core>
#include <utility>

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

using matrix = Eigen::MatrixXf;
using codes_matrix = Eigen::Matrix<std::int8_t, Eigen::Dynamic, Eigen::Dynamic>;

ptq::status quantize_into(const matrix& a, codes_matrix& codes, matrix& scales) {
#ifdef CONSTANT_CODES
  return ptq::quantize<ptq::int8, ptq::torchao>(a, std::as_const(codes), scales);
#elif defined(LAZY_CODES)
  return ptq::quantize<ptq::int8, ptq::torchao>(a, codes + codes, scales);
#elif defined(CODES_WITH_GAPS)
  return ptq::quantize<ptq::int8, ptq::torchao>(a, codes.topRows(2), scales);
#elif defined(SCALES_WITH_GAPS)
  return ptq::quantize<ptq::int8, ptq::torchao>(a, codes, scales.row(0));
#else
  return ptq::quantize<ptq::int8, ptq::torchao>(a, codes, scales.col(0));
#endif
}
