// SPDX-License-Identifier: Apache-2.0
#include "ptq/kernels/executor.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <numeric>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "ptq/kernels/threads.hpp"

namespace {

/// An engine's own pool, as an executor: here one that begins at the end.
constexpr auto backwards = [](std::size_t n, auto&& f) {
  while (n > 0) f(--n);
};

constexpr std::size_t sum_below(const auto& run, std::size_t n) {
  std::size_t sum = 0;
  run(n, [&](std::size_t i) { sum += i; });
  return sum;
}

/// How often each part was called.
template <ptq::executor Run>
std::vector<int> calls(const Run& run, std::size_t n) {
  std::vector<std::atomic<int>> counts(n);
  run(n, [&](std::size_t i) noexcept { ++counts[i]; });
  return {counts.begin(), counts.end()};
}

}  // namespace

static_assert(ptq::executor<ptq::serial> && ptq::executor<const ptq::threads&> &&
              ptq::executor<decltype(backwards)>);
static_assert(!ptq::executor<int> && !ptq::executor<void (*)(std::size_t)>);
static_assert(sum_below(ptq::serial{}, 5) == 10 && sum_below(backwards, 5) == 10);

TEST_CASE("every part is called once, whoever runs it") {
  for (const std::size_t n : {0u, 1u, 2u, 3u, 1000u}) {
    CAPTURE(n);
    const std::vector<int> once(n, 1);
    CHECK(calls(ptq::serial{}, n) == once);
    CHECK(calls(backwards, n) == once);
    for (const std::size_t count : {1u, 2u, 8u}) CHECK(calls(ptq::threads(count), n) == once);
  }
}

TEST_CASE("threads are as many as they were asked for; 0 is one for each core") {
  CHECK(ptq::threads(1).count() == 1);
  CHECK(ptq::threads(3).count() == 3);
  CHECK(ptq::threads().count() == ptq::threads::core_count());
  CHECK(ptq::threads::core_count() >= 1);
}

TEST_CASE("parts run at the same time, the calling thread among them") {
  const ptq::threads run(3);
  std::atomic<int> inside = 0;
  std::vector<std::thread::id> who(3);
  run(3, [&](std::size_t i) noexcept {  // none returns before all are there
    ++inside;
    while (inside < 3) std::this_thread::yield();
    who[i] = std::this_thread::get_id();
  });
  const std::set<std::thread::id> different(who.begin(), who.end());
  CHECK(different.size() == 3);
  CHECK(different.count(std::this_thread::get_id()) == 1);
}

TEST_CASE("what parts wrote is there when the call returns, call after call") {
  const ptq::threads run(4);
  for (std::size_t round = 0; round < 2000; ++round) {
    std::vector<std::size_t> values(round % 17);
    run(values.size(), [&](std::size_t i) noexcept { values[i] = round + i; });
    std::vector<std::size_t> wanted(values.size());
    std::iota(wanted.begin(), wanted.end(), round);
    REQUIRE(values == wanted);
  }
}

TEST_CASE("calls within a part, and from several threads, end") {
  const ptq::threads run(3);
  std::atomic<int> count = 0;
  run(8, [&](std::size_t) noexcept {
    run(8, [&](std::size_t) noexcept { run(2, [&](std::size_t) noexcept { ++count; }); });
  });
  CHECK(count == 128);
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller)
    callers.emplace_back([&] {
      for (int round = 0; round < 200; ++round) run(5, [&](std::size_t) noexcept { ++count; });
    });
  for (std::thread& caller : callers) caller.join();
  CHECK(count == 128 + 4 * 200 * 5);
}

TEST_CASE("threads move, and a callable may change") {
  ptq::threads first(2);
  const ptq::threads run = std::move(first);
  std::atomic<int> count = 0;
  auto part = [&count, own = 0](std::size_t) mutable noexcept { count += own + 1; };
  run(10, part);
  CHECK(count == 10);
}
