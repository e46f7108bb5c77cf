// SPDX-License-Identifier: Apache-2.0
// xtensor's lazy expressions have no elements yet.
//
// BAD LAZY: evaluate_it_first<.*xfunction
// BAD TEMPORARY: named_tensor_or_view
#include <xtensor/xtensor.hpp>
#include <xtensor/xview.hpp>

#include "ptq/adaptors/xtensor.hpp"
#include "ptq/core.hpp"

using matrix = xt::xtensor<float, 2>;

ptq::status quantize_sum(const matrix& a, const matrix& b, std::span<std::int8_t> codes,
                         std::span<float> scales) {
#ifdef LAZY
  return ptq::quantize<ptq::int8, ptq::torchao>(a + b, codes, scales);
#else
  return ptq::quantize<ptq::int8, ptq::torchao>(matrix(a + b), codes, scales);
#endif
}

auto view(const matrix& a) {
#ifdef TEMPORARY
  return ptq::view_of(matrix(a + a));
#else
  return ptq::view_of(xt::view(a, 0));
#endif
}
