// SPDX-License-Identifier: Apache-2.0
/// @file zip_layout.hpp A ZIP archive of stored entries before it is written: where each will lie, and the
/// bytes around them.
///
/// Source: PKWARE's APPNOTE 6.3, sections 4.3 to 4.5, ZIP64 where a number asks for it. Nothing of it depends
/// on the time or the machine.
#ifndef PTQ_FORMATS_ZIP_LAYOUT_HPP
#define PTQ_FORMATS_ZIP_LAYOUT_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

namespace ptq::inline v0_1 {

/// An entry to come.
struct zip_declaration {
  std::string name;
  std::uint64_t size = 0;
  std::uint32_t crc = 0;  ///< of its bytes, where it is known
};

/// Bytes at a place in a file.
struct placed_text {
  std::uint64_t place = 0;
  std::string text;
};

/// Where an entry lies.
struct zip_place {
  std::uint64_t data = 0;
  std::uint64_t size = 0;  ///< of its data
  std::array<std::uint64_t, 2>
      crcs{};  ///< where its CRC-32 stands, in 4 bytes: beside it, and in the directory
};

struct zip_layout {
  std::vector<zip_place> places;    ///< of the entries, in their order
  std::vector<placed_text> pieces;  ///< all that is not in an entry
  std::uint64_t size = 0;           ///< of the archive
};

namespace detail {

/// Little-endian numbers, one behind the other.
class zip_text {
 public:
  zip_text& number(std::uint64_t value, int width) {
    for (int i = 0; i < width; ++i, value >>= 8)
      text_ += static_cast<char>(static_cast<unsigned char>(value));
    return *this;
  }
  zip_text& add(const std::string& text) { return text_ += text, *this; }
  std::size_t size() const noexcept { return text_.size(); }
  const std::string& text() const noexcept { return text_; }

 private:
  std::string text_;
};

inline constexpr std::uint64_t zip_in_extra = 0xffffffff;  // the number is in the ZIP64 extra field
inline constexpr std::uint64_t zip_utf8_names = 1u << 11;
inline constexpr std::uint64_t zip_first_day = 0x21;  // 1980-01-01, at midnight

inline bool is_in_zip64(std::uint64_t number) noexcept {
  return number >= zip_in_extra;
}
inline std::uint64_t zip_number(std::uint64_t number) noexcept {
  return (std::min)(number, zip_in_extra);
}

/// The ZIP64 extra field with those of the numbers that need it; nothing where none does.
inline std::string zip64_field(std::initializer_list<std::uint64_t> numbers) {
  zip_text wide;
  for (const std::uint64_t number : numbers)
    if (is_in_zip64(number)) wide.number(number, 8);
  return wide.size() == 0 ? std::string()
                          : zip_text().number(1, 2).number(wide.size(), 2).add(wide.text()).text();
}

/// From the version that is needed to the CRC.
inline zip_text& add_zip_traits(zip_text& header, const zip_declaration& entry, bool has_zip64) {
  constexpr std::uint64_t stored = 0;
  return header.number(has_zip64 ? 45 : 20, 2)
      .number(zip_utf8_names, 2)
      .number(stored, 2)
      .number(0, 2)
      .number(zip_first_day, 2)
      .number(entry.crc, 4);
}

/// What stands before the data of an entry at a place, filled up so that the data are aligned.
inline std::string zip_local_header(const zip_declaration& entry, std::uint64_t place,
                                    std::uint64_t alignment) {
  constexpr std::uint64_t fixed = 30;
  constexpr std::uint64_t filler_head = 4;
  std::string extra = zip64_field({entry.size, entry.size});
  const bool has_zip64 = !extra.empty();
  const std::uint64_t end = place + fixed + entry.name.size() + extra.size() + filler_head;
  const std::uint64_t filler = (alignment - end % alignment) % alignment;
  extra += zip_text().number(0x4246, 2).number(filler, 2).text();  // "FB", as PyTorch calls what fills up
  extra.append(static_cast<std::size_t>(filler), 'Z');
  zip_text header;
  header.number(0x04034b50, 4);
  return add_zip_traits(header, entry, has_zip64)
      .number(zip_number(entry.size), 4)
      .number(zip_number(entry.size), 4)
      .number(entry.name.size(), 2)
      .number(extra.size(), 2)
      .add(entry.name)
      .add(extra)
      .text();
}

inline std::string zip_directory_record(const zip_declaration& entry, std::uint64_t place) {
  const std::string extra = zip64_field({entry.size, entry.size, place});
  zip_text record;
  record.number(0x02014b50, 4).number(extra.empty() ? 20 : 45, 2);  // made by MS-DOS: it has no permissions
  return add_zip_traits(record, entry, !extra.empty())
      .number(zip_number(entry.size), 4)
      .number(zip_number(entry.size), 4)
      .number(entry.name.size(), 2)
      .number(extra.size(), 2)
      .number(0, 10)  // no comment, on disk 0, no attributes
      .number(zip_number(place), 4)
      .add(entry.name)
      .add(extra)
      .text();
}

/// What stands behind the directory.
inline std::string zip_end(std::uint64_t entries, std::uint64_t directory, std::uint64_t size) {
  constexpr std::uint64_t most_entries = 0xffff;  // as many as that, or more, are in ZIP64's record
  zip_text end;
  if (entries >= most_entries || is_in_zip64(directory) || is_in_zip64(size)) {
    end.number(0x06064b50, 4).number(44, 8).number(45, 2).number(45, 2).number(0, 8);
    end.number(entries, 8).number(entries, 8).number(size, 8).number(directory, 8);
    end.number(0x07064b50, 4).number(0, 4).number(directory + size, 8).number(1, 4);
  }
  const std::uint64_t count = (std::min)(entries, most_entries);
  end.number(0x06054b50, 4).number(0, 4).number(count, 2).number(count, 2);
  return end.number(zip_number(size), 4).number(zip_number(directory), 4).number(0, 2).text();
}

}  // namespace detail

/// Lays out an archive: the entries in their order, each stored, and their directory behind them.
///
/// @param alignment of the data of each, a power of two up to 32768
inline zip_layout lay_out_zip(std::span<const zip_declaration> entries, std::uint64_t alignment) {
  constexpr std::uint64_t crc_in_header = 14;
  constexpr std::uint64_t crc_in_record = 16;
  zip_layout made;
  std::uint64_t at = 0;
  std::vector<std::uint64_t> headers;
  for (const zip_declaration& entry : entries) {
    headers.push_back(at);
    made.pieces.push_back({at, detail::zip_local_header(entry, at, alignment)});
    const std::uint64_t data = at + made.pieces.back().text.size();
    made.places.push_back({data, entry.size, {at + crc_in_header, 0}});
    at = data + entry.size;
  }
  const std::uint64_t directory = at;
  std::string records;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    made.places[i].crcs[1] = directory + records.size() + crc_in_record;
    records += detail::zip_directory_record(entries[i], headers[i]);
  }
  const std::string end = detail::zip_end(entries.size(), directory, records.size());
  made.size = directory + records.size() + end.size();
  made.pieces.push_back({directory, records + end});
  return made;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ZIP_LAYOUT_HPP
