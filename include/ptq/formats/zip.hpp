// SPDX-License-Identifier: Apache-2.0
/// @file zip.hpp The directory of a ZIP archive: names, sizes and the packed bytes of its entries, zero-copy.
///
/// Source: PKWARE's APPNOTE 6.3, sections 4.3 to 4.5, ZIP64 included. Sizes come from the central directory,
/// so entries with data descriptors need no special case. Entries may neither overlap nor leave the file.
#ifndef PTQ_FORMATS_ZIP_HPP
#define PTQ_FORMATS_ZIP_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ptq/file/byte_order.hpp"
#include "ptq/file/file_kind.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

struct zip_entry {
  std::string name;
  bool is_deflated = false;           ///< else stored
  std::uint32_t crc = 0;              ///< CRC-32 of the unpacked bytes
  std::size_t size = 0;               ///< of the unpacked bytes
  std::span<const std::byte> packed;  ///< the bytes in the archive
};

namespace detail {

/// Little-endian numbers at offsets that were checked before.
class zip_bytes {
 public:
  explicit zip_bytes(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::size_t size() const noexcept { return bytes_.size(); }
  bool holds(std::uint64_t at, std::uint64_t count) const noexcept {
    return at <= bytes_.size() && count <= bytes_.size() - at;
  }
  std::uint64_t number(std::uint64_t at, unsigned width) const noexcept {
    std::uint64_t value = 0;
    for (unsigned i = width; i-- > 0;) value = value << 8 | std::to_integer<std::uint64_t>(bytes_[at + i]);
    return value;
  }
  bool is_signature(std::uint64_t at, std::uint32_t wanted) const noexcept {
    return holds(at, 4) && number(at, 4) == wanted;
  }
  std::string_view text(std::uint64_t at, std::uint64_t count) const noexcept {
    return {static_cast<const char*>(static_cast<const void*>(bytes_.data() + at)),
            static_cast<std::size_t>(count)};
  }
  std::span<const std::byte> part(std::uint64_t at, std::uint64_t count) const noexcept {
    return bytes_.subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(count));
  }

 private:
  std::span<const std::byte> bytes_;
};

struct zip_directory {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::uint64_t entries = 0;
};

/// Searches the end of the archive for the record that says where the central directory is.
inline std::optional<zip_directory> find_zip_directory(const zip_bytes& file) {
  constexpr std::uint64_t end_size = 22;
  constexpr std::uint64_t longest_comment = 0xffff;
  if (file.size() < end_size) return {};
  const std::uint64_t last = file.size() - end_size;
  for (std::uint64_t back = 0; back <= (std::min)(last, longest_comment); ++back) {
    const std::uint64_t at = last - back;
    if (!file.is_signature(at, 0x06054b50) || file.number(at + 20, 2) != back) continue;
    zip_directory found{file.number(at + 16, 4), file.number(at + 12, 4), file.number(at + 10, 2)};
    if (at >= 20 && file.is_signature(at - 20, 0x07064b50)) {  // ZIP64
      const std::uint64_t big = file.number(at - 20 + 8, 8);
      if (!file.holds(big, 56) || !file.is_signature(big, 0x06064b50)) return {};
      found = {file.number(big + 48, 8), file.number(big + 40, 8), file.number(big + 32, 8)};
    }
    return found;
  }
  return {};
}

/// One record of the central directory, its ZIP64 sizes applied.
struct zip_record {
  std::string_view name;
  std::uint64_t flags, method, crc, packed_size, size, local, length;

  static std::optional<zip_record> read(const zip_bytes& file, std::uint64_t at) {
    constexpr std::uint64_t fixed = 46;
    if (!file.holds(at, fixed) || !file.is_signature(at, 0x02014b50)) return {};
    const std::uint64_t name = file.number(at + 28, 2);
    const std::uint64_t extra = file.number(at + 30, 2);
    zip_record r{{},
                 file.number(at + 8, 2),
                 file.number(at + 10, 2),
                 file.number(at + 16, 4),
                 file.number(at + 20, 4),
                 file.number(at + 24, 4),
                 file.number(at + 42, 4),
                 fixed + name + extra + file.number(at + 32, 2)};
    if (!file.holds(at, r.length)) return {};
    r.name = file.text(at + fixed, name);
    return r.widen(file, at + fixed + name, extra) ? std::optional(r) : std::nullopt;
  }

 private:
  /// Replaces each size that is all ones by the next number of the ZIP64 extra field.
  bool widen(const zip_bytes& file, std::uint64_t at, std::uint64_t left) {
    constexpr std::uint64_t in_extra = 0xffffffff;
    while (left >= 4) {
      const std::uint64_t id = file.number(at, 2);
      const std::uint64_t size_of_field = file.number(at + 2, 2);
      if (size_of_field > left - 4) return false;
      if (id == 1) {
        std::uint64_t next = at + 4;
        for (std::uint64_t* field : {&size, &packed_size, &local}) {
          if (*field != in_extra) continue;
          if (next + 8 > at + 4 + size_of_field) return false;
          *field = file.number(next, 8);
          next += 8;
        }
        return true;
      }
      at += 4 + size_of_field;
      left -= 4 + size_of_field;
    }
    return true;
  }
};

/// The packed bytes behind the local header that a record points at.
inline std::optional<std::span<const std::byte>> zip_packed_bytes(const zip_bytes& file,
                                                                  const zip_record& record) {
  constexpr std::uint64_t fixed = 30;
  if (!file.holds(record.local, fixed) || !file.is_signature(record.local, 0x04034b50)) return {};
  const std::uint64_t data =
      record.local + fixed + file.number(record.local + 26, 2) + file.number(record.local + 28, 2);
  if (!file.holds(data, record.packed_size)) return {};
  return file.part(data, record.packed_size);
}

/// The name where an entry lies, which readers that go through an archive from its front take for true. Its
/// packed bytes were found before.
inline std::string_view zip_local_name(const zip_bytes& file, const zip_record& record) {
  return file.text(record.local + 30, file.number(record.local + 26, 2));
}

/// An entry, or why it cannot be read.
inline result<zip_entry> zip_entry_of(const zip_bytes& file, const zip_record& record,
                                      std::string_view where) {
  const std::string place = std::string(where) + ": entry \"" + std::string(record.name) + "\"";
  if ((record.flags & 1u) != 0) return error(errc::unsupported, place, "it is encrypted.");
  if (record.method != 0 && record.method != 8)
    return error(errc::unsupported, place,
                 "its compression method " + std::to_string(record.method) +
                     " is unknown; stored (0) and deflated (8) entries are read.");
  const auto packed = zip_packed_bytes(file, record);
  if (!packed) return error(errc::wrong_format, place, "its data lies outside of the archive.");
  // Deflate packs at most 1032 bytes into one.
  const bool is_deflated = record.method == 8;
  if (is_deflated ? record.size / 1032 > packed->size() : record.size != packed->size())
    return error(errc::size_mismatch, place,
                 std::to_string(packed->size()) + " packed bytes cannot hold the " +
                     std::to_string(record.size) + " bytes that the archive promises.");
  return zip_entry{std::string(record.name), is_deflated, static_cast<std::uint32_t>(record.crc),
                   static_cast<std::size_t>(record.size), *packed};
}

/// An entry that another shares bytes with, which is how small archives unpack to huge ones; null
/// if there is none.
inline const zip_entry* find_zip_overlap(const std::vector<zip_entry>& entries) {
  std::vector<const zip_entry*> parts;
  for (const zip_entry& entry : entries)
    if (!entry.packed.empty()) parts.push_back(&entry);
  std::sort(parts.begin(), parts.end(),
            [](const auto* a, const auto* b) { return a->packed.data() < b->packed.data(); });
  const auto found = std::adjacent_find(parts.begin(), parts.end(), [](const auto* a, const auto* b) {
    return a->packed.data() + a->packed.size() > b->packed.data();
  });
  return found == parts.end() ? nullptr : *found;
}

}  // namespace detail

/// The name of the entry that an archive begins with; nothing where a file begins otherwise.
inline std::optional<std::string_view> first_zip_name(std::span<const std::byte> file) noexcept {
  const detail::zip_bytes bytes(file);
  if (!bytes.is_signature(0, 0x04034b50) || !bytes.holds(0, 30) || !bytes.holds(30, bytes.number(26, 2)))
    return {};
  return bytes.text(30, bytes.number(26, 2));
}

/// Lists the files of a ZIP archive (folders are left out). Nothing is unpacked.
///
/// @param archive the whole file; the entries refer to it
/// @param where   names the file in errors
/// @return wrong_format, size_mismatch or unsupported, with the entry's name
inline result<std::vector<zip_entry>> read_zip(std::span<const std::byte> archive, std::string_view where) {
  const detail::zip_bytes file(archive);
  const auto directory = detail::find_zip_directory(file);
  if (!directory && file.is_signature(0, 0x04034b50))
    return error(errc::wrong_format, where,
                 "the end of this ZIP archive is missing. Get the file again, or write it again.");
  if (!directory)
    return error(errc::wrong_format, where, "this is not a ZIP archive" + look_of_file(where, archive) + ".");
  const error damaged(errc::wrong_format, where, "the directory of the ZIP archive is damaged.");
  if (!file.holds(directory->offset, directory->size)) return damaged;
  std::vector<zip_entry> entries;
  std::optional<error> misnamed;
  std::uint64_t at = directory->offset;
  for (std::uint64_t i = 0; i < directory->entries; ++i) {
    const auto record = detail::zip_record::read(file, at);
    if (!record) return damaged;
    at += record->length;
    if (record->name.ends_with('/')) continue;
    auto entry = detail::zip_entry_of(file, *record, where);
    if (!entry) return entry.error();
    const std::string_view name = detail::zip_local_name(file, *record);
    if (!misnamed && name != record->name)
      misnamed = error(errc::wrong_format, std::string(where) + ": entry \"" + entry->name + "\"",
                       "where it lies, it is called \"" + std::string(name) + "\". Get the file again.");
    entries.push_back(*std::move(entry));
  }
  if (const zip_entry* const overlapped = detail::find_zip_overlap(entries))
    return error(errc::wrong_format, where,
                 "entries of the ZIP archive overlap: another begins within \"" + overlapped->name + "\".");
  if (misnamed) return *misnamed;
  return entries;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ZIP_HPP
