// SPDX-License-Identifier: Apache-2.0
/// @file dtype_row.hpp What is known of a dtype at run time: its facts, and what reads its codes.
#ifndef PTQ_MODEL_DTYPE_ROW_HPP
#define PTQ_MODEL_DTYPE_ROW_HPP

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

#include "ptq/backend/recipe.hpp"
#include "ptq/calibration/grid.hpp"
#include "ptq/detail/platform.hpp"
#include "ptq/detail/type_list.hpp"
#include "ptq/dtype/concept.hpp"
#include "ptq/dtype/stored_type.hpp"
#include "ptq/error.hpp"
#include "ptq/kernels/dispatch.hpp"
#include "ptq/kernels/executor.hpp"
#include "ptq/kernels/panel_kernels.hpp"
#include "ptq/policies.hpp"
#include "ptq/quantize/dequantize.hpp"
#include "ptq/quantize/error_metrics.hpp"
#include "ptq/quantize/pack.hpp"
#include "ptq/tensor/contiguous.hpp"
#include "ptq/tensor/traits.hpp"

namespace ptq::inline v0_1 {

/// One of each dtype, for as long as the program runs. Codes are untyped here: `code_size` bytes each.
struct dtype_row {
  const char* name;
  int bits;               ///< of a code; of fewer than 8, files hold several codes a byte
  bool is_signed;         ///< whether the highest of them is a sign that fills up the storage
  std::size_t code_size;  ///< bytes of a code in memory
  element_type stored;    ///< what codes are in files; unknown: no element type is known for them
  representable limits;
  grid levels;
  /// Values of codes at any address, by one scale or one a code (`ordinary`: see `typed_decoder`).
  void (*decode_run)(const void* codes, std::size_t n, float scale, float* values, bool streams);
  void (*decode_each)(const void* codes, std::size_t n, const float* scales, float* values, bool streams,
                      bool ordinary);

  constexpr bool is_packed() const noexcept { return bits < 8; }

  /// The bytes of codes in a file.
  constexpr std::size_t stored_size(std::size_t codes) const noexcept {
    return is_packed() ? packed_size(codes, bits) : codes * code_size;
  }
};

namespace detail {
inline namespace PTQ_BUILD {

template <dtype D>
struct untyped_decoding {
  using storage = typename D::storage;

  static void run(const void* codes, std::size_t n, float scale, float* values, bool streams) {
    for_each_aligned(codes, n, [&](const storage* block, std::size_t size, std::size_t first) {
      kernels::decode_run<D>(block, size, scale, values + first, streams);
    });
  }
  static void each(const void* codes, std::size_t n, const float* scales, float* values, bool streams,
                   bool ordinary) {
    for_each_aligned(codes, n, [&](const storage* block, std::size_t size, std::size_t first) {
      kernels::decode_each<D>(block, size, scales + first, values + first, streams, ordinary);
    });
  }

 private:
  /// Files hold codes at any address.
  template <class F>
  static void for_each_aligned(const void* codes, std::size_t n, F&& f) {
    if constexpr (alignof(storage) == 1) {
      f(static_cast<const storage*>(codes), n, 0);
    } else {
      storage block[kernels::block_size];
      for (std::size_t first = 0; first < n; first += kernels::block_size) {
        const std::size_t size = (std::min)(kernels::block_size, n - first);
        std::memcpy(block, static_cast<const std::byte*>(codes) + first * sizeof(storage),
                    size * sizeof(storage));
        f(static_cast<const storage*>(block), size, first);
      }
    }
  }
};

}  // namespace PTQ_BUILD
}  // namespace detail

inline namespace PTQ_BUILD {

/// The row of a dtype that is known when you compile.
template <dtype D>
inline constexpr dtype_row dtype_row_of{D::name,
                                        code_bits<D>(),
                                        std::is_signed_v<typename D::storage>,
                                        sizeof(typename D::storage),
                                        stored_type_of<D>,
                                        representable_range<D>(),
                                        grid_of<D>(),
                                        &detail::untyped_decoding<D>::run,
                                        &detail::untyped_decoding<D>::each};

/// The row of a word; null if the bundle has no such dtype.
template <class Policies = builtin>
const dtype_row* find_dtype_row(std::string_view word) noexcept {
  const dtype_row* found = nullptr;
  detail::for_each_type(typename Policies::dtypes{}, [&]<class D>(detail::type_tag<D>) {
    if (word == D::name) found = &dtype_row_of<D>;
  });
  return found;
}

}  // namespace PTQ_BUILD

namespace detail {
inline namespace PTQ_BUILD {

/// Reads codes in memory: `typed_decoder` for run time.
struct untyped_decoder {
  const dtype_row* dtype;
  const std::byte* codes;

  void run(std::size_t at, std::size_t n, float scale, float* values, bool streams) const {
    dtype->decode_run(codes + at * dtype->code_size, n, scale, values, streams);
  }
  void each(std::size_t at, std::size_t n, const float* scales, float* values, bool streams,
            bool ordinary) const {
    dtype->decode_each(codes + at * dtype->code_size, n, scales, values, streams, ordinary);
  }
};

/// Reads packed codes.
struct packed_decoder {
  const dtype_row* dtype;
  std::span<const std::byte> codes;

  void run(std::size_t at, std::size_t n, float scale, float* values, bool streams) const {
    for_each_unpacked(at, n, [&](const std::byte* block, std::size_t size, std::size_t first) {
      dtype->decode_run(block, size, scale, values + first, streams);
    });
  }
  void each(std::size_t at, std::size_t n, const float* scales, float* values, bool streams,
            bool ordinary) const {
    for_each_unpacked(at, n, [&](const std::byte* block, std::size_t size, std::size_t first) {
      dtype->decode_each(block, size, scales + first, values + first, streams, ordinary);
    });
  }

 private:
  template <class F>
  void for_each_unpacked(std::size_t at, std::size_t n, F&& f) const {
    std::byte block[kernels::block_size];
    for (std::size_t first = 0; first < n; first += kernels::block_size) {
      const std::size_t size = (std::min)(kernels::block_size, n - first);
      ptq::unpack(codes, dtype->bits, dtype->is_signed, at + first, {block, size});
      f(static_cast<const std::byte*>(block), size, first);
    }
  }
};

}  // namespace PTQ_BUILD
}  // namespace detail

inline namespace PTQ_BUILD {

/// `dequantize` with a dtype that is known at run time.
///
/// @param codes `code_size` bytes for each element, in the target's memory order (`dense_strides`)
/// @return as the other `dequantize`, with size_mismatch counting codes
template <adaptable_tensor Tensor, executor Executor = serial>
status dequantize(const dtype_row& dtype, contiguous<const std::byte> codes, contiguous<const float> scales,
                  granularity grain, Tensor&& target, const Executor& run = {}) {
  const auto view = view_of(target);
  if (!codes.lies_as(view.shape, view.strides)) return {errc::unsupported, 0};
  return detail::dequantize_view<typename decltype(view)::value_type>(
      view, grain, detail::untyped_decoder{&dtype, codes.data()}, codes.size() / dtype.code_size, scales,
      run);
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_MODEL_DTYPE_ROW_HPP
