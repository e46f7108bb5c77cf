// SPDX-License-Identifier: Apache-2.0
// A calibrator that lacks a member is told which.
//
// BAD NO_NAME: T::name
// BAD NO_RANGE: ask.range\(seen, levels\)
// BAD WRONG_RANGE: ask.range\(seen, levels\)
// BAD THROWING_RANGE: ask.range\(seen, levels\)
#include "ptq/core.hpp"

#ifdef THROWING_RANGE
#define IS_TOTAL
#else
#define IS_TOTAL noexcept
#endif

struct constant {
#ifndef NO_NAME
  static constexpr const char* name = "constant";
#endif
#ifdef WRONG_RANGE
  float range(const ptq::statistics<>&, const ptq::grid&) const IS_TOTAL { return 1.0F; }
#elif !defined(NO_RANGE)
  ptq::range range(const ptq::statistics<>&, const ptq::grid&) const IS_TOTAL {
    return {1.0F, ptq::range_reason::found};
  }
#endif
};

template <ptq::calibrator C>
struct answer {
  ptq::range found = C{}.range(ptq::statistics<>{}, ptq::grid(128));
};

answer<constant> one;
