// SPDX-License-Identifier: Apache-2.0
/// @file run_parts.hpp Parts of some work that can fail, run by an executor.
#ifndef PTQ_FORMATS_CHECKPOINT_RUN_PARTS_HPP
#define PTQ_FORMATS_CHECKPOINT_RUN_PARTS_HPP

#include <cstddef>
#include <exception>
#include <span>
#include <utility>
#include <vector>

#include "ptq/result.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// What became of a part.
struct part_outcome {
  result<void> done;
  std::exception_ptr raised;  // there is no memory
};

/// Calls f(), which returns a `result<void>`.
template <class F>
part_outcome outcome_of(F&& f) noexcept {
  try {
    return {f(), {}};
  } catch (...) {
    return {{}, std::current_exception()};
  }
}

/// The error of the first part that has one. What a part raised comes out here, as from a loop.
inline result<void> first_error(std::span<part_outcome> outcomes) {
  for (part_outcome& part : outcomes) {
    if (part.raised) std::rethrow_exception(part.raised);
    if (!part.done) return std::move(part.done);
  }
  return {};
}

/// Calls f(i) for each of n parts, which returns a `result<void>`.
///
/// @return the error of the first part that has one
template <class Run, class F>
result<void> run_parts(std::size_t n, const Run& run, F&& f) {
  std::vector<part_outcome> outcomes(n);
  run(n, [&](std::size_t i) noexcept { outcomes[i] = outcome_of([&] { return f(i); }); });
  return first_error(outcomes);
}

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_CHECKPOINT_RUN_PARTS_HPP
