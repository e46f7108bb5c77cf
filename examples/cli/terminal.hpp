// SPDX-License-Identifier: Apache-2.0
/// @file terminal.hpp A progress line for people, and Ctrl-C as a flag.
#ifndef PTQ_CLI_TERMINAL_HPP
#define PTQ_CLI_TERMINAL_HPP

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>

namespace cli {

/// "[12/37] encoder.layer.3" on stderr, rewritten in place; nothing where stderr is not a terminal.
class progress {
 public:
  explicit progress(std::size_t total) : total_(total), shown_(::isatty(STDERR_FILENO) != 0) {}
  progress(const progress&) = delete;
  progress& operator=(const progress&) = delete;
  ~progress() { clear(); }

  void step(std::string_view name) {
    ++count_;
    if (!shown_) return;
    const std::string text =
        "[" + std::to_string(count_) + "/" + std::to_string(total_) + "] " + std::string(name);
    std::fprintf(stderr, "\r\033[K%.*s", 100, text.c_str());
    std::fflush(stderr);
  }

  void clear() {
    if (shown_ && count_ > 0) std::fputs("\r\033[K", stderr);
    count_ = 0;
  }

 private:
  std::size_t total_;
  std::size_t count_ = 0;
  bool shown_;
};

namespace detail {

static_assert(std::atomic<int>::is_always_lock_free, "a signal handler sets it");
inline std::atomic<int> caught_signal = 0;

}  // namespace detail

/// From here on SIGINT and SIGTERM only set a flag, so that a run can clean up behind itself. A second one
/// ends it at once.
inline void catch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = [](int signal) { detail::caught_signal = signal; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

inline bool is_interrupted() {
  return detail::caught_signal != 0;
}

/// Ends as if the signal had not been caught, so that a shell knows. Call it when everything is cleaned up.
inline void end_by_signal() {
  std::signal(detail::caught_signal, SIG_DFL);
  std::raise(detail::caught_signal);
}

}  // namespace cli

#endif  // PTQ_CLI_TERMINAL_HPP
