// SPDX-License-Identifier: Apache-2.0
/// @file executor.hpp Who runs the parts of a piece of work: one after the other, or many at once.
#ifndef PTQ_KERNELS_EXECUTOR_HPP
#define PTQ_KERNELS_EXECUTOR_HPP

#include <cstddef>

namespace ptq::inline v0_1 {
namespace detail {

struct any_part {
  constexpr void operator()(std::size_t) const noexcept {}
};

}  // namespace detail

/// An object called as run(n, f): it calls f(0) to f(n - 1), each once, in any order and on any threads, and
/// returns when all are done. f does not throw. What is computed never depends on the executor. An engine
/// gives its own pool: [&](std::size_t n, auto&& f) { pool.parallel_for(n, f); }.
template <class Run>
concept executor = requires(const Run& run, std::size_t n, const detail::any_part& f) { run(n, f); };

/// One after the other, on the thread that calls.
struct serial {
  template <class F>
  constexpr void operator()(std::size_t n, F&& f) const {
    for (std::size_t i = 0; i < n; ++i) f(i);
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_KERNELS_EXECUTOR_HPP
