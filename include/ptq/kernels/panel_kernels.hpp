// SPDX-License-Identifier: Apache-2.0
/// @file panel_kernels.hpp The kernels over panels: amax, encode, decode.
#ifndef PTQ_KERNELS_PANEL_KERNELS_HPP
#define PTQ_KERNELS_PANEL_KERNELS_HPP

#include <concepts>
#include <cstddef>
#include <cstdint>

#include "ptq/backend/recipe.hpp"
#include "ptq/detail/platform.hpp"
#include "ptq/detail/strict_float.hpp"
#include "ptq/dtype/concept.hpp"
#include "ptq/kernels/dispatch.hpp"
#include "ptq/tensor/element.hpp"
#include "ptq/tensor/panels.hpp"

namespace ptq::inline v0_1 {
namespace kernels {
inline namespace PTQ_BUILD {

/// How many factors are prepared at once, and how many elements go through a buffer.
inline constexpr std::size_t block_size = PTQ_NATIVE ? 2048 : 256;

/// Rows shorter than this are taken together, with a factor an element.
inline constexpr std::size_t short_row = 64;

/// Whether there are rows for a set to take together.
constexpr bool has_short_rows(const panel& p) noexcept {
  return p.by == scaling::per_row && p.rows > 1 && p.columns < short_row && p.is_run() &&
         is_for_a_set(p.step);
}

/// The same where the columns have scales of their own: factors then come again row by row.
constexpr bool has_few_columns(const panel& p) noexcept {
  return p.by == scaling::per_column && p.rows > 1 && p.columns < short_row && p.is_run() &&
         is_for_a_set(p.step);
}

/// Factors of short rows as one factor an element. Sets write up to a row more.
struct repeated_factors {
  float each[block_size + short_row];

  const float* of(const float* factors, std::size_t rows, std::size_t columns) noexcept {
    const auto repeat = [&]<class Set>() { Set::repeat(factors, rows, columns, static_cast<float*>(each)); };
    if (with_active_set(repeat)) return static_cast<const float*>(each);
    // Another thread has chosen the portable set meanwhile.
    for (std::size_t i = 0; i < rows * columns; ++i) each[i] = factors[i / columns];
    return static_cast<const float*>(each);
  }
};

/// Calls f(const float* source, const panel&) with the elements of a panel as floats that lie side by side in
/// each row: as they are, or a tile at a time through a buffer on the stack.
template <element T, class F>
constexpr void as_floats(const T* source, const panel& p, const F& f) {
  if constexpr (std::same_as<T, float>) {
    if (p.step == 1) {
      f(source, p);
      return;
    }
  }
  float buffer[block_size];
  for (const panel& tile : tiles(p, block_size)) {
    for (std::size_t r = 0; r < tile.rows; ++r)
      widen<T>(source + tile.row(r), tile.step, tile.columns, buffer + r * tile.columns);
    f(static_cast<const float*>(buffer), tile.with_elements_apart());
  }
}

/// Raises the largest magnitudes that were found so far (as floats) to those of a panel of floats that lie
/// side by side in each row. NaN and infinity win.
///
/// @param source the element whose indices are all 0
/// @param found  one for each scale of the tensor
constexpr void amax(const float* source, const panel& p, float* found) noexcept {
  found += p.scale;
  if (has_short_rows(p) &&
      with_active_set([&]<class Set>() { Set::amax_rows(source + p.begin, p.rows, p.columns, found); }))
    return;
  if (has_few_columns(p)) {
    float seen[block_size] = {};
    const std::size_t at_once = block_size / p.columns * p.columns;
    const std::size_t all = p.rows * p.columns;
    for (std::size_t i = 0; i < all; i += at_once)
      amax_each(source + p.begin + i, all - i < at_once ? all - i : at_once, static_cast<float*>(seen));
    for (std::size_t i = 0; i < at_once; i += p.columns)
      amax_each(static_cast<const float*>(seen) + i, p.columns, found);
    return;
  }
  for (std::size_t r = 0; r < p.rows; ++r) {
    if (p.by == scaling::per_column) {
      amax_each(source + p.row(r), p.columns, found);
    } else {
      float& seen = found[p.by == scaling::per_row ? r : 0];
      seen = detail::float_of(amax_run<float>(source + p.row(r), p.columns, detail::bits_of(seen)));
    }
  }
}

/// The same for elements of any type and step.
template <element T>
constexpr void amax_of(const T* source, const panel& p, float* found) noexcept {
  as_floats<T>(source, p, [&](const float* floats, const panel& part) { amax(floats, part, found); });
}

/// Writes the codes of short rows: many at once, with a factor an element.
template <dtype D, arithmetic How, element T>
void encode_short_rows(const T* source, const panel& p, const float* scales, typename D::storage* codes,
                       bool streams) noexcept {
  float inverses[block_size];
  repeated_factors repeated_scales;
  repeated_factors repeated_inverses;
  const std::size_t at_once = block_size / p.columns;
  for (std::size_t r = 0; r < p.rows; r += at_once) {
    const std::size_t rows = p.rows - r < at_once ? p.rows - r : at_once;
    const T* const values = source + p.row(r);
    if (invert<How>(scales + r, rows, static_cast<float*>(inverses))) {
      const float* const each = repeated_inverses.of(static_cast<const float*>(inverses), rows, p.columns);
      const bool divides = How == arithmetic::divide;
      const factors by{divides ? repeated_scales.of(scales + r, rows, p.columns) : each, each, true};
      encode_run<D, How>(values, rows * p.columns, by, true, codes + p.code_row(r), streams);
    } else {  // rows of zeros, most of the time: they are not to slow down the others
      for (std::size_t k = 0; k < rows; ++k) {
        const factors by{scales + r + k, inverses + k, false};
        encode_run<D, How>(values + k * p.columns, p.columns, by, are_ordinary(by.of(How), 1),
                           codes + p.code_row(r + k), streams);
      }
    }
  }
}

/// Writes the codes of rows of few columns: many at once. False, and nothing is done, where a factor is not
/// ordinary.
template <dtype D, arithmetic How, element T>
bool encode_few_columns(const T* source, const panel& p, const float* scales, typename D::storage* codes,
                        bool streams) noexcept {
  float each_scale[block_size];
  float each_inverse[block_size];
  if (!invert<How>(scales, p.columns, static_cast<float*>(each_inverse))) return false;
  const std::size_t at_once = block_size / p.columns * p.columns;
  const std::size_t all = p.rows * p.columns;
  for (std::size_t i = 0; i < at_once; ++i) {
    each_scale[i] = scales[i % p.columns];
    each_inverse[i] = each_inverse[i % p.columns];
  }
  const factors by{each_scale, each_inverse, true};
  for (std::size_t i = 0; i < all; i += at_once)
    encode_run<D, How>(source + p.begin + i, all - i < at_once ? all - i : at_once, by, true,
                       codes + p.code + i, streams);
  return true;
}

/// Writes the codes of a panel of elements that lie side by side in each row: floats, or halves.
///
/// @param scales  to encode by, one for each scale of the tensor
/// @param codes   of the whole tensor
/// @param streams whether the codes are too many to stay in the cache
template <dtype D, arithmetic How, element T>
constexpr void encode(const T* source, const panel& p, const float* scales, typename D::storage* codes,
                      bool streams) noexcept {
  scales += p.scale;
  if constexpr (has_codes<D>)
    if (has_short_rows(p)) return encode_short_rows<D, How>(source, p, scales, codes, streams);
  if constexpr (has_codes<D>)
    if (has_few_columns(p) && encode_few_columns<D, How>(source, p, scales, codes, streams)) return;
  const bool per_row = p.by == scaling::per_row;
  const bool per_column = p.by == scaling::per_column;
  float inverses[block_size];
  // Factors are prepared in blocks: of all rows, or of some columns for all rows.
  const std::size_t count = per_row ? p.rows : per_column ? p.columns : 1;
  for (std::size_t first = 0; first < count; first += block_size) {
    const std::size_t n = count - first < block_size ? count - first : block_size;
    const bool all_ordinary = invert<How>(scales + first, n, static_cast<float*>(inverses));
    const std::size_t begin = per_row ? first : 0;
    const std::size_t end = per_row ? first + n : p.rows;
    for (std::size_t r = begin; r < end; ++r) {
      const std::size_t own = per_row ? r - begin : 0;
      const factors by{scales + first + own, static_cast<const float*>(inverses) + own, per_column};
      const std::size_t column = per_column ? first : 0;
      encode_run<D, How>(source + p.row(r) + column, per_column ? n : p.columns, by,
                         all_ordinary || (per_row && are_ordinary(by.of(How), 1)),
                         codes + p.code_row(r) + column, streams);
    }
  }
}

/// Rounds the quotients of a panel of floats to T, into a buffer.
template <arithmetic How, element T>
constexpr void round_panel(const float* source, const panel& p, const float* scales,
                           float* quotients) noexcept {
  float inverses[block_size];
  const bool each = p.by == scaling::per_column;
  for (std::size_t r = 0; r < p.rows; ++r) {
    const float* const own = scales + p.scale_of(r, 0);
    const bool ordinary = invert<How>(own, each ? p.columns : 1, static_cast<float*>(inverses));
    round_quotients<How, T>(source + p.row(r), p.columns, {own, static_cast<const float*>(inverses), each},
                            ordinary, quotients + r * p.columns);
  }
}

/// Writes the codes of a panel of floats whose quotients are rounded to T, a half type, before they are
/// rounded to codes. The panel has at most `block_size` elements.
///
/// @param encode f(floats, panel, scales): `encode` above
template <element T, class Encode>
constexpr void encode_rounded(const float* source, const panel& p, arithmetic how, const float* scales,
                              const Encode& encode) {
  float quotients[block_size];
  if (how == arithmetic::divide)
    round_panel<arithmetic::divide, T>(source, p, scales, static_cast<float*>(quotients));
  else
    round_panel<arithmetic::multiply_by_reciprocal, T>(source, p, scales, static_cast<float*>(quotients));
  panel unscaled = p.with_elements_apart();
  unscaled.by = scaling::one;
  unscaled.scale = 0;
  const float one = 1;
  encode(static_cast<const float*>(quotients), unscaled, &one);
}

/// Reads codes of a dtype known at compile time. A decoder reads `n` codes from a place on: `run` by one
/// scale, `each` by one scale a code, and `ordinary` tells whether `are_ordinary` holds for those.
template <dtype D>
struct typed_decoder {
  const typename D::storage* codes;

  constexpr void run(std::size_t at, std::size_t n, const float& scale, float* values,
                     bool streams) const noexcept {
    decode_run<D>(codes + at, n, scale, values, streams);
  }
  constexpr void each(std::size_t at, std::size_t n, const float* scales, float* values, bool streams,
                      bool ordinary) const noexcept {
    decode_each<D>(codes + at, n, scales, values, streams, ordinary);
  }
};

/// Decodes part of a row into the target: as it is where floats lie side by side, else through a buffer,
/// which is to stay in the cache.
///
/// @param decode f(first, n, values, streams)
template <element T, class Decode>
constexpr void decode_row(T* target, std::ptrdiff_t step, std::size_t n, bool streams, const Decode& decode) {
  if constexpr (std::same_as<T, float>) {
    if (step == 1) {
      decode(0, n, target, streams);
      return;
    }
  }
  float buffer[block_size];
  for (std::size_t first = 0; first < n; first += block_size) {
    const std::size_t size = n - first < block_size ? n - first : block_size;
    decode(first, size, static_cast<float*>(buffer), false);
    narrow<T>(static_cast<const float*>(buffer), size, step,
              target + static_cast<std::ptrdiff_t>(first) * step);
  }
}

/// Writes the values of a panel.
///
/// @param target the element whose indices are all 0
/// @param scales to decode by, one for each scale of the tensor
template <element T, class Decoder>
constexpr void decode(T* target, const panel& p, const float* scales, const Decoder& decoder, bool streams) {
  scales += p.scale;
  const bool each = p.by == scaling::per_column;
  const bool ordinary = each && are_ordinary(scales, p.columns);
  if constexpr (PTQ_NATIVE) {
    if (has_short_rows(p)) {
      repeated_factors repeated;
      const std::size_t at_once = block_size / p.columns;
      for (std::size_t r = 0; r < p.rows; r += at_once) {
        const std::size_t rows = p.rows - r < at_once ? p.rows - r : at_once;
        const float* const own = repeated.of(scales + r, rows, p.columns);
        const bool all = are_ordinary(scales + r, rows);
        decode_row<T>(target + p.row(r), p.step, rows * p.columns, streams,
                      [&](std::size_t first, std::size_t n, float* values, bool past_cache) {
                        decoder.each(p.code_row(r) + first, n, own + first, values, past_cache, all);
                      });
      }
      return;
    }
  }
  for (std::size_t r = 0; r < p.rows; ++r)
    decode_row<T>(target + p.row(r), p.step, p.columns, streams,
                  [&](std::size_t first, std::size_t n, float* values, bool past_cache) {
                    const std::size_t at = p.code_row(r) + first;
                    if (each)
                      decoder.each(at, n, scales + first, values, past_cache, ordinary);
                    else
                      decoder.run(at, n, scales[p.by == scaling::per_row ? r : 0], values, past_cache);
                  });
}

}  // namespace PTQ_BUILD
}  // namespace kernels
}  // namespace ptq::inline v0_1

#endif  // PTQ_KERNELS_PANEL_KERNELS_HPP
