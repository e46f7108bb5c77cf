// SPDX-License-Identifier: Apache-2.0
/// @file progress.hpp How a run over many samples tells its caller how far it is, and is stopped.
#ifndef PTQ_ENGINE_PROGRESS_HPP
#define PTQ_ENGINE_PROGRESS_HPP

#include <concepts>
#include <cstddef>
#include <string>
#include <type_traits>

#include "ptq/error.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

/// A callable that takes how many samples are done: before each batch, and once more behind the last. It
/// returns nothing, a `status` or a `result<void>`: anything but success stops the run.
template <class Progress>
concept progress_sink = std::invocable<Progress&, std::size_t> &&
                        (std::same_as<std::invoke_result_t<Progress&, std::size_t>, void> ||
                         std::same_as<std::invoke_result_t<Progress&, std::size_t>, status> ||
                         std::same_as<std::invoke_result_t<Progress&, std::size_t>, result<void>>);

/// For those who need not know.
struct no_progress {
  void operator()(std::size_t /*done*/) const noexcept {}
};

namespace detail {

template <progress_sink Progress>
result<void> tell(Progress& progress, std::size_t done) {
  using answer = std::invoke_result_t<Progress&, std::size_t>;
  if constexpr (std::same_as<answer, status>) {
    const status told = progress(done);
    if (told) return {};
    error stopped(told.code, {}, "the run was stopped when " + std::to_string(done) + " samples were done.");
    stopped.at = told.at;
    return stopped;
  } else if constexpr (std::same_as<answer, result<void>>) {
    return progress(done);
  } else {
    progress(done);
    return {};
  }
}

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_ENGINE_PROGRESS_HPP
