// SPDX-License-Identifier: Apache-2.0
// An engine that lacks a member is told which.
//
// BAD NO_INPUTS: inputs
// BAD NO_OUTPUTS: outputs
// BAD NO_RUN: run
// BAD WRONG_RUN: result<void>
#include <span>
#include <string>

#include "ptq/engine/concept.hpp"

struct quiet {
#ifndef NO_INPUTS
  std::span<const ptq::graph_input> inputs() const { return {}; }
#endif
#ifndef NO_OUTPUTS
  std::span<const std::string> outputs() const { return {}; }
#endif
#ifdef WRONG_RUN
  bool run(std::span<const ptq::named_array>, std::span<const std::string>, ptq::array_sink auto&&) {
    return true;
  }
#elif !defined(NO_RUN)
  ptq::result<void> run(std::span<const ptq::named_array>, std::span<const std::string>,
                        ptq::array_sink auto&&) {
    return {};
  }
#endif
};
static_assert(ptq::engine<quiet>);
