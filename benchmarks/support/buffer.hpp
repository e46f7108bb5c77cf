// SPDX-License-Identifier: Apache-2.0
/// @file buffer.hpp Memory to measure with: in large pages where the system gives them, and there before it
/// is timed.
#ifndef PTQ_BENCHMARKS_SUPPORT_BUFFER_HPP
#define PTQ_BENCHMARKS_SUPPORT_BUFFER_HPP

#include <sys/mman.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>

namespace bench {

/// Elements that begin as zeros.
template <class T>
class buffer {
 public:
  explicit buffer(std::size_t n) : n_(n) {
    constexpr std::size_t page = std::size_t{2} << 20;
    const std::size_t bytes = (n * sizeof(T) + page - 1) / page * page;
    void* const memory = std::aligned_alloc(page, bytes);
    if (memory == nullptr) {
      std::fprintf(stderr, "error: the system does not give %zu bytes of memory\n", bytes);
      std::exit(1);
    }
    (void)::madvise(memory, bytes, MADV_HUGEPAGE);  // where it refuses, small pages do
    std::memset(memory, 0, bytes);
    first_.reset(static_cast<T*>(memory));
  }

  T* data() const { return first_.get(); }
  std::size_t size() const { return n_; }
  std::span<T> first(std::size_t n) const { return {data(), n}; }

 private:
  struct release {
    void operator()(T* memory) const { std::free(memory); }
  };
  std::size_t n_;
  std::unique_ptr<T[], release> first_;
};

}  // namespace bench

#endif  // PTQ_BENCHMARKS_SUPPORT_BUFFER_HPP
