// SPDX-License-Identifier: Apache-2.0
/// @file npz.hpp NumPy's .npz files: ZIP archives of .npy files, stored (np.savez) or deflated
/// (np.savez_compressed). Deflated entries are read from front to back, a piece at a time, so that memory
/// does not grow with them. The only file that includes zlib.
#ifndef PTQ_FORMATS_NUMPY_NPZ_HPP
#define PTQ_FORMATS_NUMPY_NPZ_HPP

#include <zlib.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/data/array.hpp"
#include "ptq/data/data_file.hpp"
#include "ptq/formats/crc32.hpp"
#include "ptq/formats/numpy/npy.hpp"
#include "ptq/formats/zip.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

namespace detail {

inline error wrong_crc(const std::string& where) {
  return {errc::wrong_format, where, "its CRC-32 does not match: the file is damaged."};
}

}  // namespace detail

/// The bytes of a stored entry, zero-copy, after a check of their CRC.
inline result<std::span<const std::byte>> read_stored(const zip_entry& entry, const std::string& where) {
  PTQ_ASSERT(!entry.is_deflated);
  if (crc32_of(entry.packed) != entry.crc) return detail::wrong_crc(where);
  return entry.packed;
}

/// The unpacked bytes of a deflated entry, from front to back. It never yields more bytes than the directory
/// promises, and with the last one it has checked the CRC.
class inflater final : public byte_stream {
 public:
  /// @param where names the file and the entry in errors
  inflater(const zip_entry& entry, std::string where)
      : entry_(entry), where_(std::move(where)), left_(entry.size) {
    PTQ_ASSERT(entry.is_deflated);
  }

  /// Bytes that are still to come.
  std::size_t left() const noexcept { return left_; }

  /// Fills `out`, which is at most as long as `left()`.
  ///
  /// @return wrong_format if the data is damaged, size_mismatch if there is more than the directory promises
  result<void> read(std::span<std::byte> out) override {
    PTQ_ASSERT(out.size() <= left_);
    auto done = inflate_into(out);
    if (!done) return done;
    crc_ = crc32_of(out, crc_);
    left_ -= out.size();
    return left_ == 0 ? check_end() : done;
  }

 private:
  struct inflate_ender {
    void operator()(z_stream* stream) const noexcept {
      inflateEnd(stream);
      delete stream;
    }
  };
  using stream_pointer =
      std::unique_ptr<z_stream, inflate_ender>;  // zlib's state points back at the z_stream

  /// zlib counts with 32 bits, so it gets its input and its output in pieces.
  result<void> inflate_into(std::span<std::byte> out) {
    if (!stream_ && !start()) return error(errc::cannot_read, where_, "zlib has no memory left.");
    while (!out.empty()) {
      const std::size_t wanted = (std::min<std::size_t>)(out.size(), (std::numeric_limits<uInt>::max)());
      stream_->next_out = static_cast<Bytef*>(static_cast<void*>(out.data()));
      stream_->avail_out = static_cast<uInt>(wanted);
      const int code = step();
      const std::size_t made = wanted - stream_->avail_out;
      out = out.subspan(made);
      if (code == Z_OK && (made > 0 || used_ < entry_.packed.size())) continue;
      if (code == Z_STREAM_END && out.empty()) break;
      return damaged();
    }
    return {};
  }

  bool start() {
    stream_ = stream_pointer(new z_stream{});
    if (inflateInit2(stream_.get(), -MAX_WBITS) == Z_OK) return true;  // negative: no zlib header, as in ZIP
    stream_.reset();
    return false;
  }

  int step() {
    const std::size_t given =
        (std::min<std::size_t>)(entry_.packed.size() - used_, (std::numeric_limits<uInt>::max)());
    const std::byte* const next = entry_.packed.data() + used_;
    // zlib's interface predates const; it does not write to its input.
    stream_->next_in = const_cast<Bytef*>(static_cast<const Bytef*>(static_cast<const void*>(next)));
    stream_->avail_in = static_cast<uInt>(given);
    const int code = inflate(stream_.get(), Z_NO_FLUSH);
    used_ += given - stream_->avail_in;
    has_ended_ = code == Z_STREAM_END;
    return code;
  }

  result<void> check_end() {
    if (stream_ && !has_ended_) {  // the mark of the end may still be in the input
      Bytef beyond = 0;
      stream_->next_out = &beyond;
      stream_->avail_out = 1;
      step();
      if (stream_->avail_out == 0)
        return error(errc::size_mismatch, where_,
                     "it unpacks to more than the " + std::to_string(entry_.size) +
                         " bytes that the archive promises.");
      if (!has_ended_) return damaged();
    }
    return crc_ == entry_.crc ? result<void>() : detail::wrong_crc(where_);
  }

  error damaged() const {
    return error(errc::wrong_format, where_,
                 "its deflated data is damaged near packed byte " + std::to_string(used_) + ".");
  }

  zip_entry entry_;
  std::string where_;
  stream_pointer stream_;
  std::size_t used_ = 0;  // packed bytes
  std::size_t left_;      // unpacked bytes
  std::uint32_t crc_ = 0;
  bool has_ended_ = false;
};

namespace detail {

/// An entry of an archive that holds an .npy file.
class stored_npz_entry final : public stored_array {
 public:
  explicit stored_npz_entry(zip_entry entry) : entry_(std::move(entry)) {}

  result<array_reader> read(const std::string& where) const override {
    if (entry_.is_deflated) return unpack(where);
    const auto bytes = read_stored(entry_, where);
    return bytes ? stored_npy(*bytes).read(where) : bytes.error();
  }

 private:
  result<array_reader> unpack(const std::string& where) const {
    std::vector<std::byte> beginning((std::min)(entry_.size, npy_header_limit));
    if (auto unpacked = inflater(entry_, where).read(beginning); !unpacked) return unpacked.error();
    const auto header = read_npy_header(beginning, entry_.size, where);
    if (!header) return header.error();
    if (header->fortran_order && header->shape.rank > 1)
      return error(errc::unsupported, where,
                   "it is deflated in Fortran order, which cannot be read in pieces. Convert: "
                   "np.savez_compressed(path, name=np.ascontiguousarray(a)).");
    auto stream = std::make_unique<inflater>(entry_, where);
    if (auto skipped = stream->read(std::span(beginning).first(header->data_offset)); !skipped)
      return skipped.error();
    return array_reader(header->view(nullptr), std::move(stream));
  }

  zip_entry entry_;
};

}  // namespace detail

/// The format of files that np.savez and np.savez_compressed write. Entries that are not .npy files are left
/// out.
struct npz {
  static constexpr const char* name = "npz";

  static bool recognises(std::span<const std::byte> file) {
    const std::string_view text = detail::npy_text(file);
    return text.starts_with("PK\3\4") || text.starts_with("PK\5\6");
  }
  static result<std::vector<named_stored_array>> list(std::span<const std::byte> file,
                                                      const std::string& where) {
    constexpr std::string_view suffix = ".npy";
    auto entries = read_zip(file, where);
    if (!entries) return entries.error();
    std::vector<named_stored_array> arrays;
    for (zip_entry& entry : *entries) {
      if (!entry.name.ends_with(suffix)) continue;
      std::string array = entry.name.substr(0, entry.name.size() - suffix.size());
      arrays.push_back({std::move(array), std::make_unique<detail::stored_npz_entry>(std::move(entry))});
    }
    if (arrays.empty() && !entries->empty())
      return error(
          errc::wrong_format, where,
          "this ZIP archive holds no array (.npy); checkpoints of PyTorch are such archives. Write one "
          "with np.savez(path, name=a).");
    return arrays;
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_NUMPY_NPZ_HPP
