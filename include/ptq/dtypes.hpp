// SPDX-License-Identifier: Apache-2.0
/// @file dtypes.hpp The built-in dtypes. A new one is a file in dtype/ and a line here.
#ifndef PTQ_DTYPES_HPP
#define PTQ_DTYPES_HPP

#include "ptq/detail/type_list.hpp"
#include "ptq/dtype/fp8_e4m3fn.hpp"
#include "ptq/dtype/fp8_e5m2.hpp"
#include "ptq/dtype/int8.hpp"
#include "ptq/dtype/native.hpp"

namespace ptq::inline v0_1 {

using dtypes = list<int8,        //
                    fp8_e4m3fn,  //
                    fp8_e5m2,    //
                    native>;

}  // namespace ptq::inline v0_1

#endif  // PTQ_DTYPES_HPP
