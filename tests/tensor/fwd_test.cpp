// SPDX-License-Identifier: Apache-2.0
// The forward declarations name the types that the library defines.
#include "tensor/fwd_user.hpp"

namespace {

/// Declared where the types are not yet complete.
template <class... Types>
struct mentioned {};

using core_types =
    mentioned<ptq::status, ptq::tensor_shape, ptq::tensor_view<float>, ptq::tensor_traits<float[2]>,
              ptq::element_traits<float>, ptq::builtin, ptq::int8, ptq::fp8_e4m3fn, ptq::fp8_e5m2,
              ptq::native, ptq::minmax, ptq::entropy, ptq::percentile, ptq::mse, ptq::torchao, ptq::modelopt,
              ptq::granularity, ptq::recipe>;

}  // namespace

#include <doctest/doctest.h>

#include "ptq/core.hpp"

namespace {

template <class... Types>
constexpr bool are_complete(mentioned<Types...>) {
  return ((sizeof(Types) > 0) && ...);
}
static_assert(are_complete(core_types{}));

}  // namespace

TEST_CASE("a tensor whose traits were declared with the names alone is a tensor") {
  const user::weights from{{{1, 2, 3}, {-4, 0, 4}}};
  signed char codes[6];
  float scales[2];
  CHECK(user::quantize(from, codes, scales));
  CHECK(codes[2] == 127);
  CHECK(codes[3] == -127);
  CHECK(scales[1] == 4.0F / 127.5F);
}
