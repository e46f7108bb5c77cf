// SPDX-License-Identifier: Apache-2.0
/// @file npy.hpp NumPy's .npy files: a zero-copy reader of format versions 1.0 to 3.0 and a writer of 1.0.
///
/// Source: NumPy's documentation of numpy.lib.format (NEP 1).
#ifndef PTQ_FORMATS_NUMPY_NPY_HPP
#define PTQ_FORMATS_NUMPY_NPY_HPP

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ptq/data/array.hpp"
#include "ptq/data/data_file.hpp"
#include "ptq/file/byte_order.hpp"
#include "ptq/file/file_kind.hpp"
#include "ptq/file/output_file.hpp"
#include "ptq/result.hpp"
#include "ptq/text/shape_text.hpp"

namespace ptq::inline v0_1 {

/// Enough bytes for the header of any plain array.
inline constexpr std::size_t npy_header_limit = 1 << 16;

/// What the header of an .npy file says, checked against the size of the file.
struct npy_header {
  element_type type = element_type::float32;
  tensor_shape shape;
  bool fortran_order = false;
  std::size_t data_offset = 0;  ///< of the first element, from the beginning of the file

  /// The array whose elements begin at `data`.
  any_view view(const std::byte* data) const noexcept {
    any_view array(data, type, shape);
    if (fortran_order) array.strides = column_major(shape);
    return array;
  }
};

namespace detail {

inline constexpr std::string_view npy_magic = "\x93NUMPY";

inline std::string_view npy_text(std::span<const std::byte> bytes) {
  return {static_cast<const char*>(static_cast<const void*>(bytes.data())), bytes.size()};
}

/// Reads the few Python literals that an .npy header is made of: a dictionary of a string, a bool and a tuple
/// of numbers.
class npy_header_parser {
 public:
  explicit npy_header_parser(std::string_view text) : rest_(text) {}

  struct fields {
    std::optional<std::string_view> descr;
    std::optional<bool> fortran_order;
    std::optional<std::vector<std::size_t>> shape;
    bool is_structured = false;
  };

  /// Nothing if the text is not such a dictionary.
  std::optional<fields> parse() {
    fields found;
    if (!take('{')) return {};
    while (!take('}')) {
      const auto key = string();
      if (!key || !take(':') || !value(*key, found)) return {};
      if (!take(',') && !peek('}')) return {};
    }
    skip_spaces();
    if (!rest_.empty() || (!found.descr && !found.is_structured) || !found.fortran_order || !found.shape)
      return {};
    return found;
  }

 private:
  bool value(std::string_view key, fields& found) {
    if (key == "descr") {
      if (peek('[') || peek('(')) {  // a list of fields; where it ends does not matter
        found.is_structured = true;
        return skip_brackets();
      }
      return (found.descr = string()).has_value();
    }
    if (key == "fortran_order") return (found.fortran_order = boolean()).has_value();
    if (key == "shape") return (found.shape = tuple()).has_value();
    return false;
  }

  void skip_spaces() {
    const std::size_t used = rest_.find_first_not_of(" \t\r\n");
    rest_.remove_prefix(used == std::string_view::npos ? rest_.size() : used);
  }
  bool peek(char wanted) {
    skip_spaces();
    return !rest_.empty() && rest_.front() == wanted;
  }
  bool take(char wanted) {
    if (!peek(wanted)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool take(std::string_view wanted) {
    skip_spaces();
    if (!rest_.starts_with(wanted)) return false;
    rest_.remove_prefix(wanted.size());
    return true;
  }

  std::optional<std::string_view> string() {
    const char quote = peek('"') ? '"' : '\'';
    if (!take(quote)) return {};
    const std::size_t end = rest_.find(quote);
    if (end == std::string_view::npos) return {};
    const std::string_view text = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return text;
  }

  std::optional<bool> boolean() {
    if (take("True")) return true;
    if (take("False")) return false;
    return {};
  }

  std::optional<std::size_t> number() {
    skip_spaces();
    std::size_t number = 0;
    const auto [end, code] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), number);
    if (code != std::errc{}) return {};
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    take('L');  // Python 2 wrote long integers so
    return number;
  }

  std::optional<std::vector<std::size_t>> tuple() {
    std::vector<std::size_t> numbers;
    if (!take('(')) return {};
    while (!take(')')) {
      const auto next = number();
      if (!next || (!take(',') && !peek(')'))) return {};
      numbers.push_back(*next);
    }
    return numbers;
  }

  /// Skips a list or tuple with all that is nested in it.
  bool skip_brackets() {
    std::size_t depth = 0;
    do {
      skip_spaces();
      if (rest_.empty()) return false;
      if (rest_.front() == '\'' || rest_.front() == '"') {
        if (!string()) return false;
        continue;
      }
      if (rest_.front() == '[' || rest_.front() == '(') ++depth;
      if (rest_.front() == ']' || rest_.front() == ')') --depth;
      rest_.remove_prefix(1);
    } while (depth > 0);
    return true;
  }

  std::string_view rest_;
};

struct npy_type {
  const char* code;  ///< as `descr` has it where files are written
  element_type type;
};

inline constexpr npy_type npy_types[] = {
    {"|b1", element_type::boolean}, {"|u1", element_type::uint8},   {"|i1", element_type::int8},
    {"<u2", element_type::uint16},  {"<i2", element_type::int16},   {"<u4", element_type::uint32},
    {"<i4", element_type::int32},   {"<u8", element_type::uint64},  {"<i8", element_type::int64},
    {"<f2", element_type::float16}, {"<f4", element_type::float32}, {"<f8", element_type::float64},
};

/// The type of a `descr` such as "<f4", or the reason why there is none, with the line that converts.
inline result<element_type> npy_scalar_type(std::string_view descr, std::string_view where) {
  const std::string_view code = descr.empty() ? descr : descr.substr(1);
  for (const npy_type& entry : npy_types) {
    if (std::string_view(entry.code).substr(1) != code) continue;
    if (descr[0] != '>') return entry.type;
    return error(errc::unsupported, where,
                 "the elements are big-endian (\"" + std::string(descr) +
                     "\"). Convert: np.save(path, a.astype(\"<" + std::string(code) + "\")).");
  }
  if (descr.find('O') != std::string_view::npos)
    return error(errc::unsupported, where,
                 "it holds pickled Python objects, which are never loaded. If they are arrays of one shape, "
                 "convert: np.save(path, np.stack(np.load(path, allow_pickle=True)).astype(\"float32\")).");
  return error(errc::unsupported, where,
               "element type \"" + std::string(descr) +
                   "\" is not a bool, an integer, or a float of 16, 32 or 64 bits. Convert: np.save(path, "
                   "np.load(path).astype(\"float32\")).");
}

/// The number of bytes that a shape takes, or nothing if it, or one of its strides, does not fit.
inline std::optional<std::size_t> byte_count(const tensor_shape& shape, element_type type) {
  std::ptrdiff_t bytes = static_cast<std::ptrdiff_t>(size_of(type));
  bool is_empty = false;
  for (std::size_t i = 0; i < shape.rank; ++i) {
    if (shape[i] == 0) is_empty = true;
    if (shape[i] > 1 && __builtin_mul_overflow(bytes, shape[i], &bytes)) return {};
  }
  return is_empty ? 0 : static_cast<std::size_t>(bytes);
}

struct npy_header_place {
  std::string_view text;
  std::size_t data_offset;
};

/// Where the header's text is. `beginning` holds at least the first bytes of a file of `file_size` bytes.
inline result<npy_header_place> find_npy_header(std::string_view beginning, std::size_t file_size,
                                                std::string_view where) {
  if (file_size == 0) return error(errc::wrong_format, where, "the file is empty.");
  if (!beginning.starts_with(npy_magic.substr(0, file_size)))
    return error(errc::wrong_format, where,
                 "this is not an .npy file" + look_of_file(where, std::as_bytes(std::span(beginning))) +
                     ". Write one with np.save(path, a).");
  const auto byte_at = [&](std::size_t i) {
    return static_cast<std::size_t>(static_cast<unsigned char>(beginning[i]));
  };
  const auto truncated = [&](std::size_t wanted) {
    return error(errc::wrong_format, where,
                 "the file is truncated: its header ends at byte " + std::to_string(wanted) +
                     ", but it has only " + std::to_string(file_size) + ".");
  };
  if (beginning.size() < 10) return truncated(10);
  const std::size_t major = byte_at(6);
  if (major < 1 || major > 3 || byte_at(7) != 0)
    return error(errc::unsupported, where,
                 ".npy format version " + std::to_string(major) + "." + std::to_string(byte_at(7)) +
                     " is unknown; 1.0, 2.0 and 3.0 are read.");
  const std::size_t prefix = major == 1 ? 10 : 12;
  if (beginning.size() < prefix) return truncated(prefix);
  std::size_t length = byte_at(8) | byte_at(9) << 8;
  if (major > 1) length |= byte_at(10) << 16 | byte_at(11) << 24;
  if (prefix + length > file_size) return truncated(prefix + length);
  if (prefix + length > beginning.size())
    return error(errc::unsupported, where,
                 "the header has " + std::to_string(length) + " bytes; no plain array needs that many.");
  return npy_header_place{beginning.substr(prefix, length), prefix + length};
}

}  // namespace detail

/// Reads the header at the beginning of an .npy file.
///
/// @param beginning the whole file, or at least its first `npy_header_limit` bytes
/// @param file_size bytes in the whole file
/// @param where     names the file in errors
/// @return wrong_format if it is not an .npy file or truncated; unsupported for objects, structures,
///         big-endian or complex elements and more than 8 axes; size_mismatch if the data has another size
///         than the shape says
inline result<npy_header> read_npy_header(std::span<const std::byte> beginning, std::size_t file_size,
                                          std::string_view where) {
  const auto place = detail::find_npy_header(detail::npy_text(beginning), file_size, where);
  if (!place) return place.error();
  const auto fields = detail::npy_header_parser(place->text).parse();
  if (!fields)
    return error(errc::wrong_format, where,
                 "the header is not a dictionary of 'descr', 'fortran_order' and 'shape': " +
                     std::string(place->text.substr(0, 120)));
  if (fields->is_structured)
    return error(errc::unsupported, where,
                 "it holds a structured array. Save one field of it: np.save(path, a[\"field\"]).");
  const auto type = detail::npy_scalar_type(*fields->descr, where);
  if (!type) return type.error();
  if (fields->shape->size() > max_rank)
    return error(errc::unsupported, where,
                 "the array has " + std::to_string(fields->shape->size()) + " axes; at most " +
                     std::to_string(max_rank) + " are supported.");
  npy_header header{*type, tensor_shape(std::span<const std::size_t>(*fields->shape)), *fields->fortran_order,
                    place->data_offset};
  const auto wanted = detail::byte_count(header.shape, header.type);
  const std::size_t found = file_size - header.data_offset;
  if (!wanted || *wanted != found)
    return error(errc::size_mismatch, where,
                 "the header promises " + extents_text(header.shape) + " of " + name_of(header.type) +
                     (wanted ? ", which is " + std::to_string(*wanted) + " bytes" : std::string()) +
                     ", but the file holds " + std::to_string(found) +
                     (wanted && *wanted < found ? ": one file holds one array." : ": it is truncated."));
  return header;
}

/// The array in the bytes of an .npy file, zero-copy. Errors as `read_npy_header`.
inline result<any_view> read_npy(std::span<const std::byte> file, std::string_view where) {
  const auto header = read_npy_header(file, file.size(), where);
  if (!header) return header.error();
  return header->view(file.data() + header->data_offset);
}

/// The header of format 1.0 for a row-major array; its length is a multiple of 64.
inline result<std::string> npy_header_bytes(element_type type, const tensor_shape& shape) {
  const auto* const known = std::find_if(std::begin(detail::npy_types), std::end(detail::npy_types),
                                         [&](const detail::npy_type& entry) { return entry.type == type; });
  if (known == std::end(detail::npy_types))
    return error(errc::unsupported, "",
                 "NumPy has no " + std::string(name_of(type)) + ": write float32 instead.");
  std::string text = std::string("{'descr': '") + known->code + "', 'fortran_order': False, 'shape': (";
  for (std::size_t i = 0; i < shape.rank; ++i)
    text += std::to_string(shape[i]) + (i + 1 < shape.rank ? ", " : shape.rank == 1 ? "," : "");
  text += "), }";
  text.append(63 - (10 + text.size()) % 64, ' ').push_back('\n');
  std::string bytes(detail::npy_magic);
  bytes.append({'\1', '\0', static_cast<char>(text.size() & 0xff), static_cast<char>(text.size() >> 8)});
  return bytes + text;
}

/// Writes an array as an .npy file of format 1.0, row-major whatever its strides. The file appears whole or
/// not at all.
///
/// @return cannot_write, with the path; unsupported for what NumPy lacks
inline result<void> write_npy(const std::string& path, const any_view& array) {
  const auto header = npy_header_bytes(array.type, array.shape);
  if (!header) return header.error().in(path);
  auto file = output_file::create(path);
  if (!file) return file.error();
  auto written = file->write(*header);
  std::string buffer;
  constexpr std::size_t buffer_size = 1 << 16;
  const auto flush = [&] {
    if (written) written = file->write(buffer);
    buffer.clear();
  };
  for_each_element(array, [&]<class T>(const T& value) {
    char bytes[sizeof(T)];
    std::memcpy(static_cast<char*>(bytes), &value, sizeof(T));
    buffer.append(static_cast<const char*>(bytes), sizeof(T));
    if (buffer.size() >= buffer_size) flush();
  });
  flush();
  return written ? file->commit() : written;
}

namespace detail {

/// The bytes of an .npy file, in memory.
class stored_npy final : public stored_array {
 public:
  explicit stored_npy(std::span<const std::byte> file) : file_(file) {}
  result<array_reader> read(const std::string& where) const override {
    const auto array = read_npy(file_, where);
    if (!array) return array.error();
    return array_reader(*array);
  }

 private:
  std::span<const std::byte> file_;
};

}  // namespace detail

/// The format of files that np.save writes: one array without a name.
struct npy {
  static constexpr const char* name = "npy";

  static bool recognises(std::span<const std::byte> file) {
    return detail::npy_text(file).starts_with(detail::npy_magic);
  }
  static result<std::vector<named_stored_array>> list(std::span<const std::byte> file, const std::string&) {
    std::vector<named_stored_array> arrays;
    arrays.push_back({"", std::make_unique<detail::stored_npy>(file)});
    return arrays;
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_NUMPY_NPY_HPP
