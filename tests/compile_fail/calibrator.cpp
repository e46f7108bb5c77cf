// SPDX-License-Identifier: Apache-2.0
// A calibrator that lacks a member is told which.
//
// BAD NO_NAME: T::name
// BAD NO_COLLECT: collect
// BAD WRONG_COLLECT: collect
// BAD NO_RANGE: range\(\)
// BAD NO_MERGE: merge
#include <span>

#include "ptq/core.hpp"

struct constant {
#ifndef NO_NAME
  static constexpr const char* name = "constant";
#endif
#ifdef WRONG_COLLECT
  void collect(std::span<const float>) {}
#elif !defined(NO_COLLECT)
  ptq::status collect(std::span<const float>) { return {}; }
#endif
#ifndef NO_RANGE
  ptq::range range() const { return {1.0F, ptq::range_reason::found}; }
#endif
#ifndef NO_MERGE
  void merge(const constant&) {}
#endif
};

template <ptq::mergeable_calibrator C>
struct two_halves {
  C first;
  C second;
};

two_halves<constant> halves;
