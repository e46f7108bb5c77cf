// SPDX-License-Identifier: Apache-2.0
/// @file panels.hpp A strided tensor as panels, and cut into slices of them.
#ifndef PTQ_TENSOR_PANELS_HPP
#define PTQ_TENSOR_PANELS_HPP

#include <array>
#include <cstddef>

#include "ptq/tensor/walk.hpp"

namespace ptq::inline v0_1 {

/// Who shares a scale within a panel.
enum class scaling : unsigned char { one, per_row, per_column };

/// The two innermost axes of a tensor in memory, the inner one being the columns: what kernels work on.
struct panel {
  std::size_t rows = 1;
  std::size_t columns = 1;
  std::ptrdiff_t begin = 0;  ///< of the first element in the source, as all steps here in elements
  std::ptrdiff_t row_step = 0;
  std::ptrdiff_t step = 1;
  std::size_t code = 0;  ///< the place of the first code; columns lie side by side
  std::size_t code_row_step = 0;
  scaling by = scaling::one;
  std::size_t scale = 0;  ///< the place of the first scale

  constexpr std::ptrdiff_t row(std::size_t r) const noexcept {
    return begin + static_cast<std::ptrdiff_t>(r) * row_step;
  }
  constexpr std::size_t code_row(std::size_t r) const noexcept { return code + r * code_row_step; }

  /// The place of an element's scale.
  constexpr std::size_t scale_of(std::size_t r, std::size_t c) const noexcept {
    return scale + (by == scaling::per_row ? r : by == scaling::per_column ? c : 0);
  }

  /// Some of its rows and columns.
  constexpr panel part(std::size_t r, std::size_t row_count, std::size_t c,
                       std::size_t column_count) const noexcept {
    panel cut = *this;
    cut.rows = row_count;
    cut.columns = column_count;
    cut.begin = row(r) + static_cast<std::ptrdiff_t>(c) * step;
    cut.code = code_row(r) + c;
    cut.scale = scale_of(r, c);
    return cut;
  }
  constexpr panel rows_from(std::size_t r, std::size_t count) const noexcept {
    return part(r, count, 0, columns);
  }

  /// The same with the codes alone, or the elements alone, in a buffer of their own.
  constexpr panel with_codes_apart() const noexcept {
    panel apart = *this;
    apart.code = 0;
    apart.code_row_step = columns;
    return apart;
  }
  constexpr panel with_elements_apart() const noexcept {
    panel apart = *this;
    apart.begin = 0;
    apart.row_step = static_cast<std::ptrdiff_t>(columns);
    apart.step = 1;
    return apart;
  }

  /// Whether the whole panel is one run, in the source and among the codes.
  constexpr bool is_run() const noexcept {
    return rows == 1 ||
           (step == 1 && row_step == static_cast<std::ptrdiff_t>(columns) && code_row_step == columns);
  }
};

/// The panels of a tensor, for a range-based loop. The walk must live as long.
class panels {
 public:
  constexpr explicit panels(const walk& path) noexcept : path_(&path) {}
  panels(walk&&) = delete;

  class iterator {
   public:
    constexpr explicit iterator(const walk& path) noexcept : path_(&path), left_(path.is_empty ? 0 : 1) {
      const walk::axis& columns = path.run();
      panel_.columns = columns.extent;
      panel_.step = columns.stride;
      if (columns.is_channel) panel_.by = scaling::per_column;
      if (path.rank > 1) {
        const walk::axis& rows = path.axes[path.rank - 2];
        panel_.rows = rows.extent;
        panel_.row_step = rows.stride;
        panel_.code_row_step = static_cast<std::size_t>(rows.dense);
        if (rows.is_channel) panel_.by = scaling::per_row;
      }
      panel_.begin = path.first_source;
      panel_.code = path.first_dense;
      panel_.scale = path.first_channel;
      for (std::size_t k = 0; k + 2 < path.rank; ++k) left_ *= path.axes[k].extent;
    }

    constexpr const panel& operator*() const noexcept { return panel_; }
    constexpr bool operator!=(std::nullptr_t) const noexcept { return left_ != 0; }

    constexpr iterator& operator++() noexcept {
      if (--left_ == 0) return *this;
      for (std::size_t k = path_->rank - 2; k-- > 0;) {
        const walk::axis& a = path_->axes[k];
        const bool goes_on = ++index_[k] < a.extent;
        // To the next index of this axis, or back to its first.
        const std::size_t steps = goes_on ? 1 : a.extent - 1;
        const std::ptrdiff_t sign = goes_on ? 1 : -1;
        panel_.begin += sign * a.stride * static_cast<std::ptrdiff_t>(steps);
        panel_.code += static_cast<std::size_t>(sign * a.dense) * steps;
        if (a.is_channel) panel_.scale += static_cast<std::size_t>(sign) * steps;
        if (goes_on) break;
        index_[k] = 0;
      }
      return *this;
    }

   private:
    const walk* path_;
    panel panel_;
    std::array<std::size_t, max_rank> index_{};
    std::size_t left_;
  };

  constexpr iterator begin() const noexcept { return iterator(*path_); }
  static constexpr std::nullptr_t end() noexcept { return nullptr; }

 private:
  const walk* path_;
};

/// The parts of a panel that have at most so many elements, for a range-based loop. The panel must live as
/// long.
class tiles {
 public:
  constexpr tiles(const panel& whole, std::size_t most) noexcept
      : whole_(&whole), columns_(whole.columns < most ? whole.columns : most), rows_(most / columns_) {}
  tiles(panel&&, std::size_t) = delete;

  class iterator {
   public:
    constexpr explicit iterator(const tiles& all) noexcept : all_(&all) {}

    constexpr panel operator*() const noexcept {
      const panel& p = *all_->whole_;
      const std::size_t rows = p.rows - row_;
      const std::size_t columns = p.columns - column_;
      return p.part(row_, rows < all_->rows_ ? rows : all_->rows_, column_,
                    columns < all_->columns_ ? columns : all_->columns_);
    }
    constexpr bool operator!=(std::nullptr_t) const noexcept { return row_ < all_->whole_->rows; }
    constexpr iterator& operator++() noexcept {
      column_ += all_->columns_;
      if (column_ >= all_->whole_->columns) {
        column_ = 0;
        row_ += all_->rows_;
      }
      return *this;
    }

   private:
    const tiles* all_;
    std::size_t row_ = 0;
    std::size_t column_ = 0;
  };

  constexpr iterator begin() const noexcept { return iterator(*this); }
  static constexpr std::nullptr_t end() noexcept { return nullptr; }

 private:
  const panel* whole_;
  std::size_t columns_;
  std::size_t rows_;
};

/// Where a tensor may be cut.
enum class cut : unsigned char {
  anywhere,
  between_scales,  ///< so that no two slices share a scale, where they have several
};

/// A tensor cut along one axis: that of the channels, or the outermost that is long enough.
class slices {
 public:
  /// @param size elements of a slice, more or less
  constexpr slices(const walk& whole, std::size_t size, cut where) noexcept : whole_(whole) {
    if (whole.is_empty) return;  // then the product of the other extents may be anything
    std::size_t elements = 1;
    for (std::size_t k = 0; k < whole.rank; ++k) {
      elements *= whole.axes[k].extent;
      if (is_better(k, where)) axis_ = k;
    }
    const std::size_t extent = whole.axes[axis_].extent;
    const std::size_t wanted = size / (elements / extent) + 1;
    const std::size_t least = axis_ + 1 == whole.rank ? shortest_run : 1;
    step_ = wanted < least ? least : wanted;
    count_ = (extent + step_ - 1) / step_;
  }

  constexpr std::size_t count() const noexcept { return count_; }

  constexpr walk operator[](std::size_t i) const noexcept {
    const std::size_t first = i * step_;
    const std::size_t left = whole_.axes[axis_].extent - first;
    return whole_.part(axis_, first, left < step_ ? left : step_);
  }

 private:
  static constexpr std::size_t shortest_run = 1024;
  static constexpr std::size_t long_enough = 16;

  constexpr bool is_better(std::size_t k, cut where) const noexcept {
    const walk::axis& now = whole_.axes[axis_];
    const walk::axis& other = whole_.axes[k];
    if (where == cut::between_scales && (now.is_channel || other.is_channel)) return other.is_channel;
    return now.extent < long_enough && other.extent > now.extent;
  }

  walk whole_;
  std::size_t axis_ = 0;
  std::size_t step_ = 1;
  std::size_t count_ = 0;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_TENSOR_PANELS_HPP
