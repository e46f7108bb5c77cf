// SPDX-License-Identifier: Apache-2.0
/// @file checksums.hpp Whether what an archive of PyTorch is read by arrived as it was written.
#ifndef PTQ_FORMATS_TORCH_CHECKSUMS_HPP
#define PTQ_FORMATS_TORCH_CHECKSUMS_HPP

#include <cstddef>
#include <span>
#include <string>

#include "ptq/error.hpp"
#include "ptq/formats/crc32.hpp"
#include "ptq/formats/zip.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

/// Looks at the CRC-32 of the pickle, and of entries of up to 64 KB. Storages that are larger are read where
/// they lie, when they are needed. Where PyTorch was told not to compute any, 0 stands in their place.
///
/// @param file  of either container: the legacy one has no checksums
/// @param where names the file in errors
/// @return wrong_format, with the entry
inline result<void> check_torch_checksums(std::span<const std::byte> file, const std::string& where) {
  constexpr std::size_t most = std::size_t{1} << 16;
  if (!first_zip_name(file)) return {};
  const auto entries = read_zip(file, where);
  if (!entries) return entries.error();
  for (const zip_entry& entry : *entries) {
    const bool is_looked_at = entry.size <= most || entry.name.ends_with("/data.pkl");
    if (!is_looked_at || entry.crc == 0 || crc32_of(entry.packed) == entry.crc) continue;
    return error(errc::wrong_format, where + ": entry \"" + entry.name + "\"",
                 "its CRC-32 does not match: the file is damaged. Get the file again.");
  }
  return {};
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_TORCH_CHECKSUMS_HPP
