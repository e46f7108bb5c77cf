// SPDX-License-Identifier: Apache-2.0
/// @file backends.hpp The built-in backends. A new one is a file in backend/ and a line here.
#ifndef PTQ_BACKENDS_HPP
#define PTQ_BACKENDS_HPP

#include "ptq/backend/modelopt.hpp"
#include "ptq/backend/torchao.hpp"
#include "ptq/detail/type_list.hpp"

namespace ptq::inline v0_1 {

using backends = list<torchao,  //
                      modelopt>;

}  // namespace ptq::inline v0_1

#endif  // PTQ_BACKENDS_HPP
