// SPDX-License-Identifier: Apache-2.0
/// @file store_layers.hpp Quantizes layers into a container of tensors: parts of many layers at once.
#ifndef PTQ_FORMATS_CHECKPOINT_STORE_LAYERS_HPP
#define PTQ_FORMATS_CHECKPOINT_STORE_LAYERS_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ptq/detail/platform.hpp"
#include "ptq/detail/strict_float.hpp"
#include "ptq/error.hpp"
#include "ptq/formats/checkpoint/copy_tensors.hpp"
#include "ptq/formats/checkpoint/run_parts.hpp"
#include "ptq/formats/checkpoint/stored_layer.hpp"
#include "ptq/formats/checkpoint/tensor_writer.hpp"
#include "ptq/kernels/executor.hpp"
#include "ptq/model/activation_range.hpp"
#include "ptq/model/apply.hpp"
#include "ptq/model/dtype_row.hpp"
#include "ptq/model/kernel_row.hpp"
#include "ptq/model/layer.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/model/weight_parts.hpp"
#include "ptq/quantize/scales.hpp"
#include "ptq/quantize/slices.hpp"
#include "ptq/result.hpp"
#include "ptq/tensor/any_view.hpp"
#include "ptq/tensor/walk.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// A layer whose weight becomes codes.
struct layer_to_store {
  const layer& source;
  const stored_layer& stored;
  const planned_layer& planned;
  const quantizer& how;
  granularity grain;
  const activation_range* input;

  weight_parts parts() const noexcept { return weight_parts(source.weight, grain, how.dtype()); }

  /// The layer with some of its rows as its weight, or all of them.
  quantized_layer with(const layer& rows, std::span<const std::byte> codes,
                       std::span<const float> scales) const {
    return {rows,
            planned,
            how,
            how.dtype(),
            grain,
            codes,
            dense_strides(rows.weight.shape, rows.weight.strides),
            scales,
            input};
  }
};

/// Whether a layer is one part, and large: memory holds its codes, so it is stored alone.
inline bool is_large_part(const layer_to_store& one) noexcept {
  return one.source.weight.size() > weight_parts::large_size && one.parts().count() == 1;
}

/// How many of these layers are to be stored together: enough for all threads to have work.
inline std::size_t count_together(std::span<const layer_to_store> layers) noexcept {
  constexpr std::size_t most_codes = std::size_t{1} << 24;
  std::size_t count = 0;
  for (std::size_t codes = 0; count < layers.size() && codes < most_codes; ++count) {
    if (is_large_part(layers[count])) return (std::max)(count, std::size_t{1});
    codes += layers[count].source.weight.size();
  }
  return count;
}

/// Of those that are not alone.
inline std::size_t count_parts(std::span<const layer_to_store> layers) noexcept {
  std::size_t count = 0;
  for (const layer_to_store& one : layers)
    if (!is_large_part(one)) count += one.parts().count();
  return count;
}

/// A layer that is being stored.
struct begun_layer {
  const layer_to_store* one;
  std::uint64_t place;  // of its codes in the file
  std::vector<float> scales;
  std::optional<float> shared;  // the scale to encode by, where parts share one
  result<void> refused;         // when that was looked for

  result<void> store_scales(tensor_writer& writer) const {
    const auto& declared = one->stored.tensors.scales;
    return declared ? writer.write(declared->name, std::as_bytes(std::span(scales))) : result<void>();
  }
};

inline result<begun_layer> begin_layer(tensor_writer& writer, const layer_to_store& one) {
  const any_view& weight = one.source.weight;
  const auto place = writer.claim(one.stored.tensors.weight->name, weight_bytes(one.stored));
  if (!place) return place.error();
  return begun_layer{&one, *place, std::vector<float>(scale_count(weight.shape, one.grain)), {}, {}};
}

inline namespace PTQ_BUILD {

/// Finds the scale that the parts of a layer share.
template <class Run>
void find_shared_scale(begun_layer& begun, const Run& run) {
  const layer_to_store& one = *begun.one;
  const any_view& weight = one.source.weight;
  const untyped_quantization all{weight, &one.how, nullptr};
  float scale = amax_of_slices(walk(weight.shape, weight.strides, one.grain), all, run);
  if (!is_finite(bits_of(scale))) {
    begun.refused = refusal(one.source, {errc::not_finite, all.first_not_finite()});
    return;
  }
  all.scales({&scale, 1});
  begun.shared = scale;
  begun.scales[0] = decoding_scale_of(scale);
}

/// The codes of a part of a layer, and their scales where those are not shared.
template <class Run>
status quantize_part_of(const begun_layer& begun, const any_view& weight, std::span<std::byte> codes,
                        std::span<float> scales, const Run& run) {
  const layer_to_store& one = *begun.one;
  if (!begun.shared) return quantize(weight, one.how, codes, scales, one.grain, run);
  encode_slices(walk(weight.shape, weight.strides, one.grain),
                untyped_quantization{weight, &one.how, codes.data()}, std::span(&*begun.shared, 1), run);
  return {};
}

/// Quantizes and stores a part of a layer, unless a write has failed, `first` being the index of its first
/// element, and calls f(quantized_layer of the part).
template <class Run, class F>
result<void> store_part(tensor_writer& writer, const begun_layer& begun, const any_view& weight,
                        std::size_t first, std::span<float> scales, const Run& run, F&& f) {
  if (auto sound = writer.check(); !sound) return sound;
  const layer_to_store& one = *begun.one;
  const dtype_row& dtype = one.how.dtype();
  const std::size_t size = weight.size() * dtype.code_size;
  const auto codes = std::make_unique_for_overwrite<std::byte[]>(size);
  const std::span<std::byte> written(codes.get(), size);
  if (const status outcome = quantize_part_of(begun, weight, written, scales, run); !outcome)
    return refusal(one.source,
                   {outcome.code, outcome.code == errc::not_finite ? first + outcome.at : outcome.at});
  layer part = one.source;
  part.weight = weight;
  const quantized_layer q = one.with(part, written, scales);
  const auto fill = [&](std::uint64_t at, std::span<const std::byte> piece) {
    return writer.fill(begun.place + at, piece);
  };
  if (auto stored = for_each_piece(one.stored, q.view(), first, fill); !stored) return stored;
  return f(q);
}

/// Stores a layer and tells the sink of it, codes and all.
template <class OnLayer, class Run>
result<void> store_layer(tensor_writer& writer, const layer_to_store& one, OnLayer& on_layer,
                         const Run& run) {
  auto begun = begin_layer(writer, one);
  if (!begun) return begun.error();
  return store_part(writer, *begun, one.source.weight, 0, begun->scales, run,
                    [&](const quantized_layer& q) -> result<void> {
                      if (auto stored = begun->store_scales(writer); !stored) return stored;
                      return deliver(q, on_layer);
                    });
}

/// Stores layers, the parts of all of them at once and copies between them, and tells the sink of one after
/// the other. Of the layers before one that fails it is told, as if they had been stored one after the other;
/// after a write that fails no part begins any more.
template <part_sink OnLayer, class Run>
result<void> store_together(tensor_writer& writer, std::span<const layer_to_store> layers,
                            tensor_copies& copies, OnLayer& on_layer, const Run& run) {
  using findings = findings_of<OnLayer>;
  if (auto sound = writer.check(); !sound) return sound;
  std::vector<begun_layer> begun;
  std::vector<std::size_t> ends;  // of the parts of each layer, among those of all
  for (const layer_to_store& one : layers) {
    auto next = begin_layer(writer, one);
    if (!next) return next.error();
    begun.push_back(*std::move(next));
    if (one.parts().share_scale()) find_shared_scale(begun.back(), run);
    ends.push_back((ends.empty() ? 0 : ends.back()) + one.parts().count());
  }
  std::vector<findings> found(ends.back());
  const auto store = [&](std::size_t i, const auto& within) {
    const auto place = static_cast<std::size_t>(std::upper_bound(ends.begin(), ends.end(), i) - ends.begin());
    begun_layer& into = begun[place];
    if (!into.refused) return result<void>();
    const weight_parts parts = into.one->parts();
    const std::size_t part = i - (ends[place] - parts.count());
    return store_part(
        writer, into, parts.view(part), parts.first(part), parts.scales(part, into.scales), within,
        [&](const quantized_layer& q) -> result<void> { return found[i].add(q), result<void>(); });
  };
  std::vector<part_outcome> outcomes(found.size());
  if (found.size() == 1)
    outcomes[0] = outcome_of([&] { return store(0, run); });
  else
    copies.run_beside(found.size(), run, [&](std::size_t i) noexcept {
      outcomes[i] = outcome_of([&] { return store(i, serial{}); });
    });
  std::size_t first = 0;
  for (std::size_t k = 0; k < begun.size(); first = ends[k++]) {
    if (!begun[k].refused) return begun[k].refused;
    if (auto stored = first_error(std::span(outcomes).subspan(first, ends[k] - first)); !stored)
      return stored;
    if (auto stored = begun[k].store_scales(writer); !stored) return stored;
    for (std::size_t i = first + 1; i < ends[k]; ++i) found[first].merge(found[i]);
    const auto tell = [&](const quantized_layer& q) { return on_layer(q, std::as_const(found[first])); };
    if (auto told = deliver(layers[k].with(layers[k].source, {}, begun[k].scales), tell); !told) return told;
  }
  return {};
}

/// Stores the first of the layers, as many as are best stored together, and tells the sink.
///
/// @return those that are left
template <layer_sink OnLayer, class Run>
result<std::span<const layer_to_store>> store_some(tensor_writer& writer,
                                                   std::span<const layer_to_store> layers,
                                                   [[maybe_unused]] tensor_copies& copies, OnLayer& on_layer,
                                                   const Run& run) {
  result<void> stored;
  std::size_t count = 1;
  if constexpr (part_sink<OnLayer>) {
    count = count_together(layers);
    stored = store_together(writer, layers.first(count), copies, on_layer, run);
  } else {
    stored = store_layer(writer, layers.front(), on_layer, run);
  }
  if (!stored) return stored.error();
  return layers.subspan(count);
}

}  // namespace PTQ_BUILD
}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_CHECKPOINT_STORE_LAYERS_HPP
