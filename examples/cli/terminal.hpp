// SPDX-License-Identifier: Apache-2.0
/// @file terminal.hpp Standard streams that are there, a progress line for people, and Ctrl-C as a flag.
#ifndef PTQ_CLI_TERMINAL_HPP
#define PTQ_CLI_TERMINAL_HPP

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <string>
#include <string_view>

#include "output.hpp"
#include "ptq/text/table.hpp"

namespace cli {

/// Takes the place of standard streams that the caller closed (`2>&-`), before a file gets their number and
/// what is printed goes into it. What is printed to a closed stream is still an error there: a folder cannot
/// be written to.
inline void occupy_standard_streams() {
  for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; ++stream)
    if (::fcntl(stream, F_GETFD) < 0) (void)::open("/", O_RDONLY);  // gets the lowest number that is free
}

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
    show_progress("[" + std::to_string(count_) + "/" + std::to_string(total_) + "] " + ptq::name_text(name));
  }

  void clear() {
    if (shown_ && count_ > 0) show_progress("");
    count_ = 0;
  }

 private:
  std::size_t total_;
  std::size_t count_ = 0;
  bool shown_;
};

/// "running the model: 64/256 samples, 512/s, 0 s left", as `progress`.
class sample_progress {
 public:
  explicit sample_progress(std::size_t total) : total_(total), shown_(::isatty(STDERR_FILENO) != 0) {}
  sample_progress(const sample_progress&) = delete;
  sample_progress& operator=(const sample_progress&) = delete;
  ~sample_progress() {
    if (shown_ && done_ > 0) show_progress("");
  }

  void show(std::size_t done) {
    done_ = done;
    if (!shown_ || done == 0) return;
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
    const double rate = static_cast<double>(done_) / std::max(seconds, 1e-9);
    const double left = static_cast<double>(total_ - std::min(done_, total_)) / rate;
    show_progress("running the model: " + std::to_string(done_) + "/" + std::to_string(total_) +
                  " samples, " + ptq::fixed_text(rate, 0) + "/s, " + ptq::fixed_text(left, 0) + " s left");
  }

 private:
  std::size_t total_;
  std::size_t done_ = 0;
  bool shown_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

namespace detail {

static_assert(std::atomic<int>::is_always_lock_free, "a signal handler sets it");
inline std::atomic<int> caught_signal = 0;

}  // namespace detail

/// From here on SIGINT, SIGTERM and SIGHUP only set a flag, so that a run can clean up behind itself. A
/// second one ends it at once. What the shell said to ignore (nohup) stays ignored.
inline void catch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = [](int signal) { detail::caught_signal = signal; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before = {};
    ::sigaction(signal, nullptr, &before);
    if (before.sa_handler != SIG_IGN) ::sigaction(signal, &action, nullptr);
  }
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
