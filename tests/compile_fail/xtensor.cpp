// SPDX-License-Identifier: Apache-2.0
// xtensor's lazy expressions have no elements yet.
//
// BAD LAZY: evaluate_it_first<.*xfunction
// BAD TEMPORARY: named_tensor_or_view
// BAD CONSTANT_CODES: contiguous<
// BAD LAZY_CODES: contiguous<
// BAD CODES_WITH_GAPS: contiguous<
#include <utility>
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

ptq::status quantize_into(const matrix& a, xt::xtensor<std::int8_t, 2>& codes,
                          xt::xtensor<float, 1>& scales) {
#ifdef CONSTANT_CODES
  return ptq::quantize<ptq::int8, ptq::torchao>(a, std::as_const(codes), scales);
#elif defined(LAZY_CODES)
  return ptq::quantize<ptq::int8, ptq::torchao>(a, codes + codes, scales);
#elif defined(CODES_WITH_GAPS)
  return ptq::quantize<ptq::int8, ptq::torchao>(a, xt::view(codes, xt::all(), xt::range(0, 2)), scales);
#else
  return ptq::quantize<ptq::int8, ptq::torchao>(a, codes, scales);
#endif
}
