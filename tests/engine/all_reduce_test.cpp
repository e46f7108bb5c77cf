// SPDX-License-Identifier: Apache-2.0
// Statistics of several processes become those of one: threads stand for processes here.
#include "ptq/engine/all_reduce.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <barrier>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "calibration/samples.hpp"
#include "ptq/adaptors/std_vector.hpp"

namespace {

/// What the threads share.
struct meeting {
  explicit meeting(std::size_t size) : all(static_cast<std::ptrdiff_t>(size)) {}
  std::barrier<> all;
  std::mutex one;
  std::vector<std::uint64_t> made;
};

class thread_group {
 public:
  explicit thread_group(meeting& shared) : shared_(&shared) {}

  void to_largest(std::span<std::uint32_t> numbers) {
    reduce(numbers, [](std::uint64_t a, std::uint64_t b) { return std::max(a, b); });
  }
  void to_sum(std::span<std::uint64_t> numbers) {
    reduce(numbers, [](std::uint64_t a, std::uint64_t b) { return a + b; });
  }

 private:
  template <class T, class F>
  void reduce(std::span<T> numbers, F&& f) {
    {
      const std::scoped_lock lock(shared_->one);
      shared_->made.resize(numbers.size());
      for (std::size_t i = 0; i < numbers.size(); ++i)
        shared_->made[i] = f(shared_->made[i], std::uint64_t{numbers[i]});
    }
    shared_->all.arrive_and_wait();
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<T>(shared_->made[i]);
    shared_->all.arrive_and_wait();
    {
      const std::scoped_lock lock(shared_->one);
      shared_->made.clear();
    }
    shared_->all.arrive_and_wait();
  }

  meeting* shared_;
};

}  // namespace

TEST_CASE("all processes have the statistics of one that has seen all values") {
  std::vector<float> values = test::bell(999, 1.0F, 5);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] *= static_cast<float>(i * i);  // ranges differ
  ptq::layer_statistics whole;
  for (const char* const layer : {"a", "b", "never seen"}) whole[layer];
  REQUIRE(whole["a"].collect(values) == ptq::status{});
  REQUIRE(whole["b"].collect(std::span(values).first(7)) == ptq::status{});

  for (const std::size_t size : std::vector<std::size_t>{1, 2, 4}) {
    meeting shared(size);
    std::vector<ptq::layer_statistics> seen(size);
    std::vector<std::thread> threads;
    for (std::size_t rank = 0; rank < size; ++rank) {
      for (const char* const layer : {"a", "b", "never seen"}) seen[rank][layer];
      const std::size_t first = values.size() * rank / size;
      const std::size_t end = values.size() * (rank + 1) / size;
      REQUIRE(seen[rank]["a"].collect(std::span(values).subspan(first, end - first)) == ptq::status{});
      if (rank == size - 1)  // of "b" the others have seen nothing
        REQUIRE(seen[rank]["b"].collect(std::span(values).first(7)) == ptq::status{});
    }
    for (std::size_t rank = 0; rank < size; ++rank)
      threads.emplace_back([&, rank] {
        thread_group group(shared);
        ptq::all_reduce(seen[rank], group);
      });
    for (std::thread& thread : threads) thread.join();
    for (const ptq::layer_statistics& of_rank : seen) CHECK(of_rank == whole);
  }
}
