// SPDX-License-Identifier: Apache-2.0
/// @file copy_tensors.hpp Copies tensors into a safetensors file, beside other work.
#ifndef PTQ_FORMATS_CHECKPOINT_COPY_TENSORS_HPP
#define PTQ_FORMATS_CHECKPOINT_COPY_TENSORS_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/formats/checkpoint/checkpoint.hpp"
#include "ptq/formats/checkpoint/row_major.hpp"
#include "ptq/formats/checkpoint/run_parts.hpp"
#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/formats/checkpoint/tensor_writer.hpp"
#include "ptq/numeric/element_type.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// Tensors that stay as they are, bit for bit, in pieces: a copy waits for memory and for the system, so
/// pieces go between the parts of what computes.
class tensor_copies {
 public:
  /// @param parts of the other work, all in all
  static result<tensor_copies> create(tensor_writer& writer, const checkpoint& source,
                                      std::span<const stored_tensor* const> tensors, std::size_t parts) {
    tensor_copies made(writer, source);
    for (const stored_tensor* const tensor : tensors) {
      const auto place = writer.claim(tensor->name, tensor->bytes());
      if (!place) return place.error();
      made.left_.push_back({tensor, 0, tensor->bytes(), *place});
      made.pieces_ += (tensor->bytes() + piece_size - 1) / piece_size;
    }
    std::reverse(made.left_.begin(), made.left_.end());
    made.parts_ = parts;
    return made;
  }

  /// run(n, f), and between the parts as many pieces as there are for n of all parts. An executor, in effect.
  template <class Run, class F>
  void run_beside(std::size_t n, const Run& run, F&& f) {
    const std::size_t share = n >= parts_ ? pieces_ : (pieces_ / parts_ + 1) * n;
    const std::size_t count = (std::min)({pieces_, share, most_at_once});
    parts_ -= (std::min)(n, parts_);
    const std::vector<piece> now = take(count);
    std::vector<part_outcome> outcomes(now.size());
    const std::size_t all = n + now.size();
    run(all, [&](std::size_t i) noexcept {
      const std::size_t before = i * now.size() / all;
      if (before == (i + 1) * now.size() / all) return f(i - before);
      outcomes[before] = outcome_of([&] { return copy(now[before]); });
    });
    release(now);
    if (copied_) copied_ = first_error(outcomes);
  }

  /// Copies what is left.
  ///
  /// @return cannot_write, of any piece
  template <class Run>
  result<void> finish(const Run& run) {
    while (pieces_ > 0 && copied_) {
      parts_ = 0;
      const std::vector<piece> now = take((std::min)(pieces_, most_at_once));
      copied_ = run_parts(now.size(), run, [&](std::size_t i) { return copy(now[i]); });
      release(now);
    }
    return std::move(copied_);
  }

 private:
  /// Some bytes of a tensor as a row-major file has it.
  struct piece {
    const stored_tensor* tensor;
    std::size_t first;
    std::size_t size;
    std::uint64_t place;  // in the file

    /// The bytes that it is copied from, and maybe others.
    std::span<const std::byte> source() const noexcept {
      return tensor->strides ? tensor->data : tensor->data.subspan(first, size);
    }
  };

  /// Nobody waits long for one. Elements are whole in it.
  static constexpr std::size_t piece_size = std::size_t{1} << 17;
  /// So much of the source stays in memory until it is released, and so long nobody is asked to stop.
  static constexpr std::size_t most_at_once = 1024;

  tensor_copies(tensor_writer& writer, const checkpoint& source) : writer_(&writer), source_(&source) {}

  std::vector<piece> take(std::size_t count) {
    std::vector<piece> taken;
    pieces_ -= count;
    while (taken.size() < count) {
      piece& next = left_.back();
      const std::size_t size = (std::min)(piece_size, next.size);
      if (size > 0) taken.push_back({next.tensor, next.first, size, next.place});
      next = {next.tensor, next.first + size, next.size - size, next.place + size};
      if (next.size == 0) left_.pop_back();
    }
    return taken;
  }

  result<void> copy(const piece& one) const {
    if (!one.tensor->strides) return writer_->fill(one.place, one.source());
    std::vector<std::byte> gathered(one.size);
    copy_row_major(one.tensor->view(), one.first / size_of(one.tensor->type), gathered);
    return writer_->fill(one.place, gathered);
  }

  /// Neighbours go together.
  void release(std::span<const piece> done) const noexcept {
    std::span<const std::byte> part;
    for (const piece& next : done) {
      const std::span<const std::byte> data = next.source();
      if (part.data() + part.size() != data.data())
        source_->release(std::exchange(part, data));
      else
        part = {part.data(), part.size() + data.size()};
    }
    source_->release(part);
  }

  tensor_writer* writer_;
  const checkpoint* source_;
  std::vector<piece> left_;  // what is left of each tensor, the next one last
  std::size_t pieces_ = 0;   // of all that is left
  std::size_t parts_ = 0;    // that are still to come
  result<void> copied_;
};

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_CHECKPOINT_COPY_TENSORS_HPP
