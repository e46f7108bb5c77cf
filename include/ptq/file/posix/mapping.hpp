// SPDX-License-Identifier: Apache-2.0
/// @file mapping.hpp Files as memory on POSIX. `file/mapped_file.hpp` says what each function does.
#ifndef PTQ_FILE_POSIX_MAPPING_HPP
#define PTQ_FILE_POSIX_MAPPING_HPP

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "ptq/file/posix/descriptor.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// Reading what somebody else has cut off ends the process (SIGBUS).
inline std::span<const std::byte> map(const descriptor& file, std::size_t size) noexcept {
  void* const memory = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (memory == MAP_FAILED) return {};
  return {static_cast<const std::byte*>(memory), size};
}

inline void unmap(std::span<const std::byte> memory) noexcept {
  ::munmap(const_cast<std::byte*>(memory.data()), memory.size());
}

inline void drop_pages(std::span<const std::byte> memory) noexcept {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto first = reinterpret_cast<std::uintptr_t>(memory.data());
  const std::uintptr_t begin = first / page * page;
  void* const from = reinterpret_cast<void*>(begin);  // NOLINT: page arithmetic
  ::madvise(from, first + memory.size() - begin, MADV_DONTNEED);
}

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_FILE_POSIX_MAPPING_HPP
