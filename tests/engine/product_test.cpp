// SPDX-License-Identifier: Apache-2.0
// Products have the same bits by every instruction set, whatever is beside a sum.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "calibration/samples.hpp"
#include "ptq/kernels/isa.hpp"
#include "tiny_engine/operators/product.hpp"

namespace {

std::vector<float> product_by(ptq::isa set, const std::vector<float>& a, const std::vector<float>& b,
                              std::size_t m, std::size_t k, std::size_t n) {
  std::vector<float> y(m * n, -1.0F);
  ptq::force_isa(set);
  tiny::matrix_product(a.data(), b.data(), y.data(), m, k, n);
  ptq::choose_best_isa();
  return y;
}

/// Every set makes of all rows, and of the last one alone, what the portable one makes.
void check_product(std::size_t m, std::size_t k, std::size_t n) {
  CAPTURE(m);
  CAPTURE(k);
  CAPTURE(n);
  const std::vector<float> a = test::bell(m * k, 3.0F, m + k);
  const std::vector<float> b = test::bell(k * n, 2.0F, n);
  const std::vector<float> wanted = product_by(ptq::isa::portable, a, b, m, k, n);
  for (const ptq::isa set : ptq::all_isas) {
    if (!ptq::is_available(set)) continue;
    CAPTURE(std::string(ptq::name_of(set)));
    CHECK(product_by(set, a, b, m, k, n) == wanted);
    const std::vector<float> last(a.end() - static_cast<std::ptrdiff_t>(k), a.end());
    const std::vector<float> alone = product_by(set, last, b, 1, k, n);
    CHECK(std::equal(alone.begin(), alone.end(), wanted.end() - static_cast<std::ptrdiff_t>(n)));
  }
}

}  // namespace

TEST_CASE("a sum of products does not depend on the instruction set, nor on how many rows there are") {
  for (const std::size_t m : {1u, 2u, 3u, 4u, 5u, 9u, 15u})
    for (const std::size_t k : {0u, 1u, 7u, 64u})
      for (std::size_t n = 1; n <= 70; n += n < 40 ? 1 : 6) check_product(m, k, n);
}
