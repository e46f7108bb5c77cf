// SPDX-License-Identifier: Apache-2.0
/// @file data_file.hpp A file of arrays, whatever its format. Arrays are read from front to back, a few
/// indices of the first axis at a time, so that memory does not grow with them.
#ifndef PTQ_DATA_DATA_FILE_HPP
#define PTQ_DATA_DATA_FILE_HPP

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/data/array.hpp"
#include "ptq/detail/type_list.hpp"
#include "ptq/file/file_kind.hpp"
#include "ptq/file/mapped_file.hpp"
#include "ptq/file/path.hpp"
#include "ptq/result.hpp"
#include "ptq/text/nearest_word.hpp"

namespace ptq::inline v0_1 {

/// Bytes from front to back, as an unpacker makes them.
class byte_stream {
 public:
  virtual ~byte_stream() = default;
  /// Fills `out`, which asks for no more than there is.
  virtual result<void> read(std::span<std::byte> out) = 0;
};

/// One array of a data file. The file must outlive it.
class array_reader {
 public:
  /// An array in memory.
  explicit array_reader(const any_view& whole) : whole_(whole) {}
  /// A row-major array that a stream has yet to unpack; the view's data is null.
  array_reader(const any_view& whole, std::unique_ptr<byte_stream> stream)
      : whole_(whole), stream_(std::move(stream)) {}

  element_type type() const noexcept { return whole_.type; }
  const tensor_shape& shape() const noexcept { return whole_.shape; }

  /// The next indices of the first axis: `count` of them, or as many as are left. The array has a first axis.
  /// The view is valid until the next call.
  result<any_view> next(std::size_t count) {
    PTQ_ASSERT(whole_.shape.rank > 0);
    count = (std::min)(count, whole_.shape[0] - next_);
    const any_view part = whole_.rows(stream_ ? 0 : next_, count);
    next_ += count;
    return unpacked(part);
  }

  /// All of it, a single number too; instead of `next`.
  result<any_view> all() { return unpacked(whole_); }

 private:
  result<any_view> unpacked(any_view part) {
    if (!stream_) return part;
    buffer_.resize(part.size() * size_of(part.type));
    if (auto read = stream_->read(buffer_); !read) return read.error();
    part.data = buffer_.data();
    return part;
  }

  any_view whole_;
  std::unique_ptr<byte_stream> stream_;
  std::vector<std::byte> buffer_;
  std::size_t next_ = 0;
};

/// The samples of an array that are to be used: the first axis counts them.
///
/// @param most  at most so many
/// @param where names the array in errors
/// @return wrong_rank for a single number; no_data where there are none, or where a sample holds no value
inline result<std::size_t> count_samples(const array_reader& array, std::optional<std::size_t> most,
                                         const std::string& where) {
  const tensor_shape& shape = array.shape();
  if (shape.rank == 0)
    return error(errc::wrong_rank, where, "it is a single number; the first axis must count the samples.");
  const std::size_t count = (std::min)(shape[0], most.value_or(shape[0]));
  if (count == 0) return error(errc::no_data, where, "there are no samples.");
  if (shape.size() == 0) return error(errc::no_data, where, "its samples hold no values: one extent is 0.");
  return count;
}

/// An array as its format stores it: listed, but not looked at.
class stored_array {
 public:
  virtual ~stored_array() = default;
  /// Begins to read it.
  ///
  /// @param where names the array in errors
  virtual result<array_reader> read(const std::string& where) const = 0;
};

struct named_stored_array {
  std::string name;  ///< empty in a format without names
  std::unique_ptr<stored_array> array;
};

/// A format of data files: an empty struct with
///
/// | member             | meaning                                                                    |
/// |--------------------|----------------------------------------------------------------------------|
/// | name               | the ending of its files, without the dot                                   |
/// | recognises(file)   | whether the bytes of a file are of this format                             |
/// | list(file, where)  | its arrays in the file's order; they refer to the bytes                    |
template <class F>
concept data_format = requires(std::span<const std::byte> file, const std::string& where) {
  { F::name } -> std::convertible_to<const char*>;
  { F::recognises(file) } -> std::same_as<bool>;
  { F::list(file, where) } -> std::same_as<result<std::vector<named_stored_array>>>;
};

class data_file {
 public:
  /// Opens a file in one of the formats of a list, for instance list<npy, npz>. The first bytes tell the
  /// format, not the name.
  ///
  /// @return cannot_open; wrong_format, or what the format says
  template <data_format... Formats>
  static result<data_file> open(const std::string& path, list<Formats...>) {
    auto mapped = mapped_file::open(path);
    if (!mapped) return mapped.error();
    data_file file(*std::move(mapped));
    const std::span<const std::byte> bytes = file.file_.bytes();
    result<std::vector<named_stored_array>> listed = file.unknown_format({Formats::name...});
    ((Formats::recognises(bytes) && (static_cast<void>(listed = Formats::list(bytes, file.path())), true)) ||
     ...);
    if (!listed) return listed.error();
    file.arrays_ = *std::move(listed);
    if (const auto told_apart = file.check_names(); !told_apart) return told_apart.error();
    return file;
  }

  /// The path that every message shows.
  std::string path() const { return absolute_path(file_.path()); }

  /// The arrays, in the file's order.
  std::vector<std::string_view> names() const {
    std::vector<std::string_view> names;
    for (const named_stored_array& stored : arrays_) names.emplace_back(stored.name);
    return names;
  }
  bool has(std::string_view name) const { return find(name) != nullptr; }

  /// Begins to read an array.
  ///
  /// @return tensor_not_found with the nearest name; else what is wrong with the array
  result<array_reader> read(std::string_view name) const {
    const stored_array* const found = find(name);
    if (found == nullptr) return not_found(name);
    return found->read(name.empty() ? path() : path() + ": array \"" + std::string(name) + "\"");
  }

 private:
  explicit data_file(mapped_file file) : file_(std::move(file)) {}

  /// Readers do not agree on which of two arrays of one name is meant.
  result<void> check_names() const {
    auto sorted = names();
    std::sort(sorted.begin(), sorted.end());
    const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
    if (twice == sorted.end()) return {};
    return error(errc::duplicate_key, path() + ": array \"" + std::string(*twice) + "\"",
                 "the file holds two arrays of this name. Write it again with a name for each.");
  }

  const stored_array* find(std::string_view name) const {
    for (const named_stored_array& stored : arrays_)
      if (stored.name == name) return stored.array.get();
    return nullptr;
  }

  error not_found(std::string_view name) const {
    const std::string missing = std::string("there is no array \"").append(name).append("\" in it");
    if (arrays_.size() == 1 && arrays_[0].name.empty())
      return {errc::tensor_not_found, path(),
              missing +
                  ": this format holds one array without a name. Give each its own file, or write "
                  "np.savez(path, " +
                  std::string(name) + "=a, ...)."};
    return {errc::tensor_not_found, path(), missing + "; it holds " + contents() + ".",
            nearest_word(name, names())};
  }

  /// The names of the arrays, the first few if there are many.
  std::string contents() const {
    constexpr std::size_t most = 8;
    std::string text;
    for (std::size_t i = 0; i < (std::min)(arrays_.size(), most); ++i)
      text.append(i == 0 ? "\"" : ", \"").append(arrays_[i].name).append("\"");
    if (arrays_.size() > most) text += " and " + std::to_string(arrays_.size() - most) + " more";
    return text.empty() ? "none" : text;
  }

  error unknown_format(std::initializer_list<std::string_view> formats) const {
    std::string text;
    for (const std::string_view format : formats) text.append(text.empty() ? "." : ", .").append(format);
    return {errc::wrong_format, path(),
            "this is not a data file" + look_of_file(path(), file_.bytes()) + "; " + text +
                " can be read. Write one with np.save(path, a)."};
  }

  mapped_file file_;
  std::vector<named_stored_array> arrays_;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_DATA_DATA_FILE_HPP
