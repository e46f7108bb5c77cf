// SPDX-License-Identifier: Apache-2.0
/// @file checkpoint.hpp Opens an .npz archive whose arrays are the tensors of a model. Stored ones are looked
/// at where they lie; deflated ones are unpacked into memory, up to `most_unpacked`.
#ifndef PTQ_FORMATS_NUMPY_CHECKPOINT_HPP
#define PTQ_FORMATS_NUMPY_CHECKPOINT_HPP

#include <algorithm>
#include <cstddef>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/file/byte_order.hpp"
#include "ptq/file/mapped_file.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats/checkpoint/checkpoint.hpp"
#include "ptq/formats/checkpoint/left_out.hpp"
#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/formats/numpy/npy.hpp"
#include "ptq/formats/numpy/npz.hpp"
#include "ptq/formats/zip.hpp"
#include "ptq/numeric/element_type.hpp"
#include "ptq/result.hpp"
#include "ptq/tensor/view.hpp"
#include "ptq/text/utf8.hpp"

namespace ptq::inline v0_1 {

/// Bytes that all deflated arrays of a file may take: np.savez stores what has more. Nobody means to have
/// very much more than there is in the file, either.
inline constexpr std::size_t most_unpacked = std::size_t{1} << 30;

constexpr std::size_t most_unpacked_of(std::size_t file_size) noexcept {
  constexpr std::size_t most_times = 64;
  constexpr std::size_t always_allowed = std::size_t{64} << 20;
  return (std::min)(most_unpacked,
                    (std::max)(always_allowed, most_times * (std::min)(file_size, most_unpacked)));
}
/// Bytes of a stored array whose CRC is looked at whenever the file is opened.
inline constexpr std::size_t always_checked = std::size_t{1} << 16;

/// A checkpoint, and what is worth knowing of how it was read.
struct npz_checkpoint {
  checkpoint file;
  std::vector<std::string> notes;
};

namespace detail {

/// The `descr` of what no weight is made of: text, objects, dates, structures, complex numbers; else nothing.
inline std::optional<std::string> npy_no_weight(std::span<const std::byte> file) {
  const auto place = find_npy_header(npy_text(file), file.size(), {});
  const auto fields = place ? npy_header_parser(place->text).parse() : std::nullopt;
  if (!fields) return {};
  if (fields->is_structured) return "a structured array";
  const std::string_view kind = fields->descr->substr((std::min<std::size_t>)(1, fields->descr->size()), 1);
  const bool is_number = kind.empty() || std::string_view("SUaOVMmTc").find(kind) == std::string_view::npos;
  return is_number ? std::nullopt : std::optional("\"" + std::string(*fields->descr) + "\"");
}

/// Reads one array after the other.
class npz_reader {
 public:
  npz_reader(mapped_file file, std::string where) : file_(std::move(file)), where_(std::move(where)) {}

  result<npz_checkpoint> read() {
    const auto entries = read_zip(file_.bytes(), where_);
    if (!entries) return entries.error();
    for (const zip_entry& entry : *entries)
      if (auto taken = take(entry); !taken) return taken.error();
    if (tensors_.empty())
      return error(errc::no_data, where_,
                   "there is no array of numbers in this archive. Write one: np.savez(path, **weights).");
    npz_checkpoint made;
    if (!left_out_.empty()) made.notes.push_back(left_out_note("archive", left_out_));
    if (auto added = made.file.add(std::move(file_), std::move(tensors_), {}); !added) return added.error();
    made.file.keep(std::move(unpacked_));
    return made;
  }

 private:
  result<void> take(const zip_entry& entry) {
    constexpr std::string_view suffix = ".npy";
    const std::string place = where_ + ": entry \"" + entry.name + "\"";
    if (!entry.name.ends_with(suffix)) {
      left_out_.add({}, entry.name);
      return {};
    }
    const auto bytes = bytes_of(entry, place);
    if (!bytes) return bytes.error();
    std::string name = entry.name.substr(0, entry.name.size() - suffix.size());
    if (const auto descr = npy_no_weight(*bytes)) {
      left_out_.add({}, name, *descr);
      return {};
    }
    const auto header = read_npy_header(*bytes, bytes->size(), place);
    if (!header) return header.error();
    if (name.empty() || find_invalid_utf8(name))
      return error(errc::wrong_format, place, "its name is no text. Save it under another one.");
    if (!names_.insert(name).second)
      return error(errc::duplicate_key, place, "there are two of this name. Write the file again.");
    tensors_.push_back(tensor_of(std::move(name), *header, bytes->subspan(header->data_offset)));
    return {};
  }

  result<std::span<const std::byte>> bytes_of(const zip_entry& entry, const std::string& place) {
    if (!entry.is_deflated)
      return entry.size > always_checked ? result(entry.packed) : read_stored(entry, place);
    const std::size_t most = most_unpacked_of(file_.bytes().size());
    if (entry.size > most - unpacked_size_)
      return error(errc::unsupported, place,
                   "with this array, more than " + std::to_string(most >> 20) +
                       " MB are deflated, and would be unpacked into memory. Store them: np.savez(path, "
                       "**np.load(path)).");
    unpacked_size_ += entry.size;
    std::vector<std::byte>& memory = unpacked_.emplace_back(entry.size);
    if (auto read = inflater(entry, place).read(memory); !read) return read.error();
    return std::span<const std::byte>(memory);
  }

  static stored_tensor tensor_of(std::string name, const npy_header& header,
                                 std::span<const std::byte> data) {
    const auto extents = std::span(header.shape.extents).first(header.shape.rank);
    stored_tensor made{
        std::move(name), header.type, name_of(header.type), {extents.begin(), extents.end()}, data, {}};
    const tensor_strides strides = header.view(data.data()).strides;
    if (header.fortran_order && strides != row_major(header.shape) && header.shape.size() > 0)
      made.strides = strides;
    return made;
  }

  mapped_file file_;
  std::string where_;
  std::vector<stored_tensor> tensors_;
  std::set<std::string, std::less<>> names_;
  name_list left_out_;
  std::vector<std::vector<std::byte>> unpacked_;
  std::size_t unpacked_size_ = 0;
};

}  // namespace detail

/// Opens an archive. Arrays that hold no numbers, and entries that are no arrays, are left out and named.
///
/// @return what `mapped_file::open`, `read_zip`, `inflater` and `read_npy_header` return; no_data: no array
/// of
///   numbers; duplicate_key; unsupported: more than `most_unpacked` deflated bytes
inline result<npz_checkpoint> open_npz(const std::string& path) {
  auto file = mapped_file::open(path);
  if (!file) return file.error();
  return detail::npz_reader(*std::move(file), absolute_path(path)).read();
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_NUMPY_CHECKPOINT_HPP
