// SPDX-License-Identifier: Apache-2.0
/// @file any_floats.hpp A tensor whose element type is known at run time, as floats: what uses them is
/// compiled once, for floats alone.
#ifndef PTQ_MODEL_ANY_FLOATS_HPP
#define PTQ_MODEL_ANY_FLOATS_HPP

#include <cstddef>
#include <cstdint>

#include "ptq/detail/platform.hpp"
#include "ptq/kernels/dispatch.hpp"
#include "ptq/kernels/panel_kernels.hpp"
#include "ptq/numeric/bfloat16.hpp"
#include "ptq/numeric/element_type.hpp"
#include "ptq/numeric/half.hpp"
#include "ptq/tensor/any_view.hpp"
#include "ptq/tensor/panels.hpp"
#include "ptq/tensor/view.hpp"

namespace ptq::inline v0_1 {
namespace detail {
inline namespace PTQ_BUILD {

/// Calls f.operator()<T>() with the type that numbers of a tensor are rounded to: half, bfloat16 or float.
template <class F>
void visit_plain(element_type type, const F& f) {
  if (type == element_type::float16)
    f.template operator()<half>();
  else if (type == element_type::bfloat16)
    f.template operator()<bfloat16>();
  else
    f.template operator()<float>();
}

/// Elements of a tensor of floats, `step` apart from an offset on, as floats side by side.
inline void widen(const any_view& source, std::ptrdiff_t offset, std::ptrdiff_t step, std::size_t n,
                  float* floats) noexcept {
  visit(source,
        [&]<class T>(tensor_view<const T> view) { kernels::widen<T>(view.data + offset, step, n, floats); });
}

/// `kernels::as_floats` for run time.
template <class F>
void as_floats(const any_view& source, const panel& p, const F& f) {
  const bool is_aligned = reinterpret_cast<std::uintptr_t>(source.data) % alignof(float) == 0;
  if (source.type == element_type::float32 && is_aligned && p.step == 1) {
    f(static_cast<const float*>(source.data), p);
    return;
  }
  float buffer[kernels::block_size];
  for (const panel& tile : tiles(p, kernels::block_size)) {
    for (std::size_t r = 0; r < tile.rows; ++r)
      widen(source, tile.row(r), tile.step, tile.columns, buffer + r * tile.columns);
    f(static_cast<const float*>(buffer), tile.with_elements_apart());
  }
}

}  // namespace PTQ_BUILD
}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_MODEL_ANY_FLOATS_HPP
