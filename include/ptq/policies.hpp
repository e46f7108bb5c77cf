// SPDX-License-Identifier: Apache-2.0
/// @file policies.hpp The bundle of the three lists that run-time dispatch picks from.
#ifndef PTQ_POLICIES_HPP
#define PTQ_POLICIES_HPP

#include "ptq/backends.hpp"
#include "ptq/calibrators.hpp"
#include "ptq/dtypes.hpp"

namespace ptq::inline v0_1 {

/// Derive from it to extend or replace a list:
///   struct my_policies : ptq::builtin { using dtypes = ptq::list<ptq::int8, int4>; };
struct builtin {
  using dtypes = ptq::dtypes;
  using calibrators = ptq::calibrators;
  using backends = ptq::backends;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_POLICIES_HPP
