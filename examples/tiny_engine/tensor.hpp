// SPDX-License-Identifier: Apache-2.0
/// @file tensor.hpp What flows through the graph: a type, a shape, and the elements in row-major order.
#ifndef TINY_ENGINE_TENSOR_HPP
#define TINY_ENGINE_TENSOR_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "ptq/adaptors/std_vector.hpp"
#include "ptq/formats/onnx/tensor.hpp"
#include "ptq/result.hpp"
#include "ptq/tensor/view.hpp"

namespace tiny {

using ptq::element_type;
using ptq::errc;
using ptq::error;
using ptq::result;
using shape = ptq::tensor_shape;

/// Owning. Codes of quantized tensors are elements like all others.
struct tensor {
  element_type type = element_type::float32;
  tiny::shape shape;
  std::vector<std::byte> bytes;

  tensor() = default;
  tensor(element_type element, const tiny::shape& extents)
      : type(element), shape(extents), bytes(extents.size() * ptq::bits_of(element) / 8) {}
  explicit tensor(const tiny::shape& extents) : tensor(element_type::float32, extents) {}

  std::size_t size() const noexcept { return shape.size(); }

  template <class T>
  std::span<T> as() noexcept {
    return {static_cast<T*>(static_cast<void*>(bytes.data())), bytes.size() / sizeof(T)};
  }
  template <class T>
  std::span<const T> as() const noexcept {
    return {static_cast<const T*>(static_cast<const void*>(bytes.data())), bytes.size() / sizeof(T)};
  }
  std::span<float> floats() noexcept { return as<float>(); }
  std::span<const float> floats() const noexcept { return as<float>(); }
};

/// A negative axis counts from the end. Nothing if there is no such axis.
inline result<std::size_t> axis_of(std::int64_t axis, std::size_t rank) {
  const auto signed_rank = static_cast<std::int64_t>(rank);
  if (axis < -signed_rank || axis >= signed_rank)
    return error(
        errc::axis_out_of_range, "",
        "there is no axis " + std::to_string(axis) + " in a tensor of rank " + std::to_string(rank) + ".");
  return static_cast<std::size_t>(axis < 0 ? axis + signed_rank : axis);
}

/// The product of the extents from `first` up to `last`.
inline std::size_t extent_between(const shape& s, std::size_t first, std::size_t last) noexcept {
  std::size_t product = 1;
  for (std::size_t i = first; i < last; ++i) product *= s[i];
  return product;
}

/// The extents beside each other: equal, or 1 in one of them. Strides of 0 repeat the latter.
struct broadcast {
  tiny::shape shape;
  std::array<ptq::tensor_strides, 2> strides{};

  static result<broadcast> of(const tiny::shape& a, const tiny::shape& b) {
    broadcast both;
    both.shape.rank = a.rank > b.rank ? a.rank : b.rank;
    const std::array<const tiny::shape*, 2> sides{&a, &b};
    std::array<std::ptrdiff_t, 2> steps{1, 1};
    for (std::size_t back = 1; back <= both.shape.rank; ++back) {
      const std::size_t axis = both.shape.rank - back;
      for (std::size_t side = 0; side < 2; ++side) {
        const std::size_t extent = back <= sides[side]->rank ? (*sides[side])[sides[side]->rank - back] : 1;
        std::size_t& common = both.shape.extents[axis];
        if (side == 0 || common == 1) common = extent;
        if (extent != 1 && extent != common)
          return error(errc::size_mismatch, "",
                       "extents " + std::to_string(common) + " and " + std::to_string(extent) +
                           " do not go together.");
        both.strides[side][axis] = extent == 1 ? 0 : steps[side];
        steps[side] *= static_cast<std::ptrdiff_t>(extent);
      }
    }
    return both;
  }
};

/// Calls f(offset of a, offset of b) for each index of the first `rank` axes, in row-major order.
template <class F>
void for_each_pair(const broadcast& both, std::size_t rank, F&& f) {
  std::array<std::size_t, ptq::max_rank> index{};
  std::ptrdiff_t a = 0;
  std::ptrdiff_t b = 0;
  if (extent_between(both.shape, 0, rank) == 0) return;
  for (;;) {
    f(a, b);
    std::size_t axis = rank;
    for (;;) {
      if (axis-- == 0) return;
      a += both.strides[0][axis];
      b += both.strides[1][axis];
      if (++index[axis] < both.shape[axis]) break;
      a -= both.strides[0][axis] * static_cast<std::ptrdiff_t>(both.shape[axis]);
      b -= both.strides[1][axis] * static_cast<std::ptrdiff_t>(both.shape[axis]);
      index[axis] = 0;
    }
  }
}

/// Calls f(offset of a, offset of b, stride of a, stride of b, count) for each run: the elements along as
/// many of the last axes as lie in one row in both tensors.
template <class F>
void for_each_run(const broadcast& both, F&& f) {
  std::size_t rank = both.shape.rank;
  std::ptrdiff_t count = 1;
  std::array<std::ptrdiff_t, 2> step{1, 1};
  while (rank > 0) {
    const auto extent = static_cast<std::ptrdiff_t>(both.shape[rank - 1]);
    const std::array<std::ptrdiff_t, 2> stride{both.strides[0][rank - 1], both.strides[1][rank - 1]};
    if (extent != 1) {
      if (count == 1)
        step = stride;
      else if (stride[0] != step[0] * count || stride[1] != step[1] * count)
        break;
      count *= extent;
    }
    --rank;
  }
  for_each_pair(both, rank, [&](std::ptrdiff_t a, std::ptrdiff_t b) { f(a, b, step[0], step[1], count); });
}

}  // namespace tiny

#endif  // TINY_ENGINE_TENSOR_HPP
