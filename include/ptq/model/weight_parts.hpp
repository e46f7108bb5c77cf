// SPDX-License-Identifier: Apache-2.0
/// @file weight_parts.hpp A weight as parts that can be quantized one by one, or many at once.
#ifndef PTQ_MODEL_WEIGHT_PARTS_HPP
#define PTQ_MODEL_WEIGHT_PARTS_HPP

#include <algorithm>
#include <cstddef>
#include <span>

#include "ptq/backend/recipe.hpp"
#include "ptq/model/dtype_row.hpp"
#include "ptq/tensor/any_view.hpp"
#include "ptq/tensor/view.hpp"
#include "ptq/tensor/walk.hpp"

namespace ptq::inline v0_1 {

/// Some rows of a weight each, where codes that follow each other do so when they are stored, too, and where
/// rows have scales of their own or one scale is that of a large weight; else all of it is one part. The cuts
/// depend on the shape alone, never on who runs the parts.
class weight_parts {
 public:
  weight_parts(const any_view& weight, granularity grain, const dtype_row& dtype) noexcept
      : weight_(weight), shares_scale_(!grain.is_per_channel()) {
    const tensor_shape& shape = weight.shape;
    if (shape.size() == 0 || dtype.is_packed() || shape.rank == 0) return;
    if (shares_scale_ ? shape.size() <= large_size : grain != per_channel(0)) return;
    if (dense_strides(shape, weight.strides) != row_major(shape)) return;
    rows_ = shape[0];
    row_size_ = shape.size() / rows_;
    // What is found of each part is kept until all that share a scale are done: there are not to be many.
    const std::size_t fewest = shares_scale_ ? shape.size() / most_that_share : 0;
    step_ = std::clamp((std::max)(codes_per_part, fewest) / row_size_, std::size_t{1}, rows_);
  }

  /// So many codes are better not held in memory.
  static constexpr std::size_t large_size = std::size_t{1} << 20;

  /// Whether the parts have one scale, which must be known before their codes.
  bool share_scale() const noexcept { return shares_scale_ && count() > 1; }

  std::size_t count() const noexcept { return (rows_ + step_ - 1) / step_; }

  any_view view(std::size_t part) const noexcept {
    return count() == 1 ? weight_ : weight_.rows(part * step_, rows_in(part));
  }

  /// Those of a part, of all scales.
  std::span<float> scales(std::size_t part, std::span<float> all) const noexcept {
    return count() == 1 || shares_scale_ ? all : all.subspan(part * step_, rows_in(part));
  }

  /// The row-major index of its first element in the weight.
  std::size_t first(std::size_t part) const noexcept { return part * step_ * row_size_; }

 private:
  /// In the second cache of a core with their source.
  static constexpr std::size_t codes_per_part = std::size_t{1} << 16;
  static constexpr std::size_t most_that_share = 64;

  std::size_t rows_in(std::size_t part) const noexcept { return (std::min)(step_, rows_ - part * step_); }

  any_view weight_;
  bool shares_scale_;
  std::size_t rows_ = 1;
  std::size_t row_size_ = 0;
  std::size_t step_ = 1;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_MODEL_WEIGHT_PARTS_HPP
