// SPDX-License-Identifier: Apache-2.0
// What the user's header declares, where the types are known.
#include "tensor/fwd_user.hpp"

#include "ptq/core.hpp"

namespace user {

ptq::status quantize(const weights& from, signed char (&codes)[6], float (&scales)[2]) {
  return ptq::quantize<ptq::int8, ptq::torchao>(from, codes, scales);
}

}  // namespace user

ptq::tensor_view<const float> ptq::tensor_traits<user::weights>::view(const user::weights& w) noexcept {
  return ptq::view_of(w.values);
}
