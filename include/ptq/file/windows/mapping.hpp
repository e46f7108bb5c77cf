// SPDX-License-Identifier: Apache-2.0
/// @file mapping.hpp Files as memory on Windows. `file/mapped_file.hpp` says what each function does.
#ifndef PTQ_FILE_WINDOWS_MAPPING_HPP
#define PTQ_FILE_WINDOWS_MAPPING_HPP

#include <cerrno>
#include <cstddef>
#include <span>

#include "ptq/file/windows/api.hpp"
#include "ptq/file/windows/descriptor.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// The view keeps the file open; nobody can cut it, replace it or remove it until then.
inline std::span<const std::byte> map(const descriptor& file, std::size_t size) noexcept {
  const descriptor section(::CreateFileMappingW(file.get(), nullptr, PAGE_READONLY, 0, 0, nullptr));
  const void* const memory = section ? ::MapViewOfFile(section.get(), FILE_MAP_READ, 0, 0, size) : nullptr;
  if (memory != nullptr) return {static_cast<const std::byte*>(memory), size};
  errno = last_error();
  return {};
}

inline void unmap(std::span<const std::byte> memory) noexcept {
  ::UnmapViewOfFile(memory.data());
}

/// Unlocking pages that are not locked takes them out of the process's working set. They stay in the system's
/// cache for as long as there is room.
inline void drop_pages(std::span<const std::byte> memory) noexcept {
  ::VirtualUnlock(const_cast<std::byte*>(memory.data()), memory.size());
}

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_FILE_WINDOWS_MAPPING_HPP
