// SPDX-License-Identifier: Apache-2.0
/// @file tensor_writer.hpp Writes named tensors piece by piece, into one file or several.
#ifndef PTQ_FORMATS_CHECKPOINT_TENSOR_WRITER_HPP
#define PTQ_FORMATS_CHECKPOINT_TENSOR_WRITER_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/file/output_file.hpp"
#include "ptq/file/path.hpp"
#include "ptq/formats/pending_artifact.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

/// Where the data of a tensor lie. A container of several files counts through all of them.
struct tensor_place {
  std::uint64_t begin = 0;
  std::uint64_t size = 0;
};

/// Of all tensors of a container, by their names.
using tensor_places = std::map<std::string, tensor_place, std::less<>>;

/// A checksum by which a container tells damage: of bytes, and of two runs of bytes that follow each other.
struct checksum {
  std::uint32_t (*of)(std::span<const std::byte> bytes);
  std::uint32_t (*combine)(std::uint32_t first, std::uint32_t second, std::uint64_t second_size);
};

/// Where a container wants the checksum of a tensor, in four bytes, the lowest first.
struct checksum_place {
  std::string tensor;
  std::vector<std::uint64_t> at;
};

/// A container whose tensors are declared: all is written but their data, which then come in any order and in
/// pieces of any size, from several threads. Nothing is kept in memory.
class tensor_writer {
 public:
  /// @param files  that are of their final size; the last one is the container's, which names the others
  /// @param places of the tensors in them. No tensor lies in two files
  tensor_writer(std::vector<output_file> files, const tensor_places& places) : files_(std::move(files)) {
    std::uint64_t end = 0;
    for (const output_file& file : files_) begins_.push_back(std::exchange(end, end + file.size()));
    for (const auto& [name, at] : places) places_.emplace(name, place{at, 0});
  }

  /// Before anything is written: `finish` writes the checksums of tensors.
  void keep_checksums(checksum how, std::vector<checksum_place> wanted) {
    sums_ = std::make_unique<checksums>();
    sums_->how = how;
    sums_->wanted = std::move(wanted);
  }

  const std::string& path() const noexcept { return files_.back().path(); }
  const std::string& partial_path() const noexcept { return files_.back().partial_path(); }
  /// Of all files together.
  std::uint64_t size() const noexcept { return begins_.back() + files_.back().size(); }

  /// The next bytes of a tensor.
  ///
  /// @return what `claim` returns, cannot_write
  result<void> write(std::string_view name, std::span<const std::byte> bytes) {
    const auto begin = claim(name, bytes.size());
    if (!begin) return begin.error();
    return fill(*begin, bytes);
  }

  /// The place of the next bytes of a tensor, which `fill` is to be called with.
  ///
  /// @return tensor_not_found if it is not declared, size_mismatch if it has no room for them
  result<std::uint64_t> claim(std::string_view name, std::uint64_t size) {
    const auto found = places_.find(name);
    if (found == places_.end()) return failure(errc::tensor_not_found, name, "was not declared.");
    place& at = found->second;
    if (size > at.of.size - at.written)
      return failure(errc::size_mismatch, name,
                     "has " + std::to_string(at.of.size) + " bytes; " + std::to_string(at.written + size) +
                         " were given.");
    at.written += size;
    return at.of.begin + at.written - size;
  }

  /// Several threads may fill different places.
  ///
  /// @return cannot_write
  result<void> fill(std::uint64_t begin, std::span<const std::byte> bytes) {
    const std::size_t file = file_at(begin);
    if (sums_ != nullptr) sums_->add(begin, bytes);
    return files_[file].write_at(begin - begins_[file], bytes);
  }

  /// As `output_file::check`: whether it is worth while to go on.
  result<void> check() const {
    for (const output_file& file : files_)
      if (auto sound = file.check(); !sound) return sound;
    return {};
  }

  /// Makes the files appear, the container's last (`output_file::commit`).
  ///
  /// @return size_mismatch if a tensor lacks data, cannot_write
  result<void> commit() {
    if (auto whole = complete(); !whole) return whole;
    for (output_file& file : files_)
      if (auto done = file.commit(); !done) return done;
    return {};
  }

  /// The container as an artifact, to be committed later. Nothing can be written to it any more.
  ///
  /// @param tensor_bytes of its tensors
  /// @return size_mismatch if a tensor lacks data, cannot_write
  result<pending_artifact> finish(std::uint64_t tensor_bytes) {
    if (auto whole = complete(); !whole) return whole.error();
    pending_artifact made(tensor_bytes);
    for (output_file& file : files_) {
      std::string name(file_name_of(file.path()));
      made.add(std::move(file), std::move(name));
    }
    return made;
  }

 private:
  struct place {
    tensor_place of;
    std::uint64_t written;
  };

  /// Pieces come in any order: each has its own sum until the end.
  struct checksums {
    struct piece {
      std::uint64_t begin;
      std::uint64_t size;
      std::uint32_t sum;
    };

    void add(std::uint64_t begin, std::span<const std::byte> bytes) {
      const piece added{begin, bytes.size(), how.of(bytes)};
      const std::lock_guard lock(adding);
      pieces.push_back(added);
    }

    /// Of the bytes of a tensor, all of whose pieces are there, in order.
    std::uint32_t of(const tensor_place& at) const {
      std::uint32_t sum = how.of({});
      auto next = std::ranges::lower_bound(pieces, at.begin, {}, &piece::begin);
      for (; next != pieces.end() && next->begin < at.begin + at.size; ++next)
        sum = how.combine(sum, next->sum, next->size);
      return sum;
    }

    checksum how;
    std::vector<checksum_place> wanted;
    std::mutex adding;
    std::vector<piece> pieces;
  };

  std::size_t file_at(std::uint64_t at) const noexcept {
    const auto after = std::upper_bound(begins_.begin(), begins_.end(), at);
    return static_cast<std::size_t>(after - begins_.begin()) - 1;
  }

  result<void> complete() {
    for (const auto& [name, at] : places_)
      if (at.written != at.of.size)
        return failure(errc::size_mismatch, name,
                       "has " + std::to_string(at.of.size) + " bytes; only " + std::to_string(at.written) +
                           " were given.");
    return sums_ == nullptr ? result<void>() : write_checksums();
  }

  result<void> write_checksums() {
    std::ranges::sort(sums_->pieces, {}, &checksums::piece::begin);
    for (const checksum_place& one : sums_->wanted) {
      std::uint32_t sum = sums_->of(places_.find(one.tensor)->second.of);
      std::array<std::byte, 4> bytes{};
      for (std::byte& byte : bytes) {
        byte = static_cast<std::byte>(sum & 0xff);
        sum >>= 8;
      }
      for (const std::uint64_t at : one.at) {
        const std::size_t file = file_at(at);
        if (auto written = files_[file].write_at(at - begins_[file], bytes); !written) return written;
      }
    }
    return {};
  }

  error failure(errc code, std::string_view name, const std::string& text) const {
    return {code, absolute_path(path()), "tensor \"" + std::string(name) + "\" " + text};
  }

  std::vector<output_file> files_;
  std::vector<std::uint64_t> begins_;  // of the files
  std::map<std::string, place, std::less<>> places_;
  std::unique_ptr<checksums> sums_;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_CHECKPOINT_TENSOR_WRITER_HPP
