// SPDX-License-Identifier: Apache-2.0
/// @file threads.hpp An executor with threads of its own. Link with -pthread where the C library wants it
/// (glibc before 2.34).
#ifndef PTQ_KERNELS_THREADS_HPP
#define PTQ_KERNELS_THREADS_HPP

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <type_traits>
#include <vector>

#include "ptq/kernels/executor.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// Threads that wait for work. One piece of work at a time.
class thread_pool {
 public:
  /// A system that refuses threads has fewer of them.
  explicit thread_pool(std::size_t workers) {
    workers_.reserve(workers);
#if defined(__cpp_exceptions)
    try {
#endif
      while (workers_.size() < workers) workers_.emplace_back([this] { serve(); });
#if defined(__cpp_exceptions)
      // NOLINTNEXTLINE(bugprone-empty-catch): fewer will do
    } catch (const std::system_error&) {
    }
#endif
  }
  thread_pool(const thread_pool&) = delete;
  thread_pool& operator=(const thread_pool&) = delete;
  ~thread_pool() {
    {
      const std::lock_guard lock(mutex_);
      is_ending_ = true;
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  std::size_t size() const noexcept { return workers_.size(); }

  /// @return false, and nothing is done, where the pool works already
  bool try_run(std::size_t n, void (*call)(const void* f, std::size_t i), const void* f) {
    if (is_taken_.exchange(true, std::memory_order_acquire)) return false;
    {
      const std::lock_guard lock(mutex_);
      n_ = n;
      call_ = call;
      f_ = f;
      next_.store(0, std::memory_order_relaxed);
    }
    wake_.notify_all();
    take_parts();
    {
      std::unique_lock lock(mutex_);
      finished_.wait(lock, [this] { return busy_ == 0; });
      n_ = 0;
    }
    is_taken_.store(false, std::memory_order_release);
    return true;
  }

 private:
  bool has_parts() const noexcept { return next_.load(std::memory_order_relaxed) < n_; }

  void take_parts() {
    for (;;) {
      const std::size_t i = next_.fetch_add(1, std::memory_order_relaxed);
      if (i >= n_) return;
      call_(f_, i);
    }
  }

  void serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return is_ending_ || has_parts(); });
      if (is_ending_) return;
      ++busy_;
      lock.unlock();
      take_parts();
      lock.lock();
      if (--busy_ == 0) finished_.notify_one();
    }
  }

  std::mutex mutex_;  // of what follows, but for the atomics
  std::condition_variable wake_;
  std::condition_variable finished_;
  std::size_t n_ = 0;  // the work changes only while no worker is busy
  void (*call_)(const void* f, std::size_t i) = nullptr;
  const void* f_ = nullptr;
  std::size_t busy_ = 0;
  bool is_ending_ = false;
  std::atomic<std::size_t> next_ = 0;
  std::atomic<bool> is_taken_ = false;
  std::vector<std::thread> workers_;  // last: they use the others
};

}  // namespace detail

/// As many threads as it is made with, the calling one among them; they end with it. Calls from within a
/// part, and from other threads while it works, run on the thread that calls. Move-only.
class threads {
 public:
  /// @param n how many; 0: one for each core
  explicit threads(std::size_t n = 0)
      : pool_(std::make_unique<detail::thread_pool>((n != 0 ? n : core_count()) - 1)) {}

  /// As the system says; at least 1.
  static std::size_t core_count() noexcept {
    return (std::max)(std::size_t{1}, static_cast<std::size_t>(std::thread::hardware_concurrency()));
  }

  /// How many there are: fewer than were asked for where the system refused them.
  std::size_t count() const noexcept { return pool_->size() + 1; }

  template <class F>
  void operator()(std::size_t n, F&& f) const {
    using part = std::remove_reference_t<F>;
    const auto call = [](const void* one, std::size_t i) {
      (*static_cast<part*>(const_cast<void*>(one)))(i);  // as const as it was given
    };
    if (n < 2 || pool_->size() == 0 || !pool_->try_run(n, call, std::addressof(f))) serial{}(n, f);
  }

 private:
  std::unique_ptr<detail::thread_pool> pool_;
};

static_assert(executor<const threads> && executor<const serial>);

}  // namespace ptq::inline v0_1

#endif  // PTQ_KERNELS_THREADS_HPP
