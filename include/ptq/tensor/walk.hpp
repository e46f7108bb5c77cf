// SPDX-License-Identifier: Apache-2.0
/// @file walk.hpp A strided tensor as few long runs, in memory order.
#ifndef PTQ_TENSOR_WALK_HPP
#define PTQ_TENSOR_WALK_HPP

#include <array>
#include <cstddef>

#include "ptq/backend/recipe.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1 {
namespace detail {

constexpr std::ptrdiff_t distance(std::ptrdiff_t stride) noexcept {
  return stride < 0 ? -stride : stride;
}

}  // namespace detail

/// Strides of a dense tensor of the same shape whose axes lie in memory in the order of `strides`. Codes are
/// stored so: a column-major source gives column-major codes.
constexpr tensor_strides dense_strides(const tensor_shape& shape, const tensor_strides& strides) noexcept {
  std::array<std::size_t, max_rank>
      order{};  // axes, outermost first; those of extent 1 have no place in memory
  std::size_t placed = 0;
  for (std::size_t i = 0; i < shape.axes(); ++i) {
    if (shape[i] == 1) continue;
    std::size_t at = placed++;
    for (; at > 0 && detail::distance(strides[order[at - 1]]) < detail::distance(strides[i]); --at)
      order[at] = order[at - 1];
    order[at] = i;
  }
  tensor_strides dense = row_major(shape);  // the answer for axes of extent 1
  std::size_t step = 1;
  for (std::size_t k = placed; k-- > 0;) {
    dense[order[k]] = static_cast<std::ptrdiff_t>(step);
    step *= shape[order[k]];
  }
  return dense;
}

/// The axes of a tensor from outermost to innermost in memory: extents of 1 dropped, neighbours that continue
/// each other merged, the channel axis kept apart. The innermost axis is the run.
struct walk {
  struct axis {
    std::size_t extent = 1;
    std::ptrdiff_t stride = 1;  // in the source
    std::ptrdiff_t dense = 1;   // among the codes
    bool is_channel = false;
  };

  std::array<axis, max_rank> axes{};
  std::size_t rank = 0;
  bool is_empty = false;
  std::ptrdiff_t first_source = 0;  // where it begins: 0, but for parts
  std::size_t first_dense = 0;
  std::size_t first_channel = 0;

  constexpr walk(const tensor_shape& shape, const tensor_strides& strides, granularity grain) noexcept {
    const tensor_strides dense = dense_strides(shape, strides);
    for (std::size_t i = 0; i < shape.axes(); ++i) is_empty = is_empty || shape[i] == 0;
    for (std::size_t i = 0; i < shape.axes() && !is_empty; ++i) {
      if (shape[i] > 1) insert({shape[i], strides[i], dense[i], grain.is_per_channel() && grain.axis == i});
    }
    merge();
    if (rank == 0) rank = 1;  // one element
  }

  constexpr const axis& run() const noexcept { return axes[rank - 1]; }

  /// How many channels it has: 1 where they are not told apart, 0 where there is no element.
  constexpr std::size_t channels() const noexcept {
    if (is_empty) return 0;
    for (std::size_t k = 0; k < rank; ++k)
      if (axes[k].is_channel) return axes[k].extent;
    return 1;
  }

  /// The number of elements.
  constexpr std::size_t size() const noexcept {
    std::size_t product = is_empty ? 0 : 1;
    for (std::size_t k = 0; k < rank; ++k) product *= axes[k].extent;
    return product;
  }

  /// Some indices of one axis: the same elements, codes and channels as in the whole.
  constexpr walk part(std::size_t at, std::size_t first, std::size_t count) const noexcept {
    walk cut = *this;
    axis& a = cut.axes[at];
    cut.first_source += a.stride * static_cast<std::ptrdiff_t>(first);
    cut.first_dense += static_cast<std::size_t>(a.dense) * first;
    if (a.is_channel) cut.first_channel += first;
    a.extent = count;
    return cut;
  }

 private:
  constexpr void insert(const axis& a) noexcept {
    std::size_t at = rank++;
    while (at > 0 && axes[at - 1].dense < a.dense) {
      axes[at] = axes[at - 1];
      --at;
    }
    axes[at] = a;
  }

  constexpr void merge() noexcept {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < rank; ++i) {
      const axis& inner = axes[i];
      if (kept > 0 && continues(axes[kept - 1], inner)) {
        axes[kept - 1].extent *= inner.extent;
        axes[kept - 1].stride = inner.stride;
        axes[kept - 1].dense = inner.dense;
      } else {
        axes[kept++] = inner;
      }
    }
    rank = kept;
  }

  static constexpr bool continues(const axis& outer, const axis& inner) noexcept {
    return !outer.is_channel && !inner.is_channel &&
           outer.stride == inner.stride * static_cast<std::ptrdiff_t>(inner.extent);
  }
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_TENSOR_WALK_HPP
