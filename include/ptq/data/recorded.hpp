// SPDX-License-Identifier: Apache-2.0
/// @file recorded.hpp Recorded activations: the inputs of layers in a file, keyed by layer name or alias.
/// With them no engine is needed to calibrate.
#ifndef PTQ_DATA_RECORDED_HPP
#define PTQ_DATA_RECORDED_HPP

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/config/spec.hpp"
#include "ptq/data/array.hpp"
#include "ptq/data/data_file.hpp"
#include "ptq/data/scalars.hpp"
#include "ptq/model/classes.hpp"
#include "ptq/model/layer.hpp"
#include "ptq/model/plan.hpp"
#include "ptq/result.hpp"
#include "ptq/tensor/view.hpp"
#include "ptq/text/name_map.hpp"
#include "ptq/text/nearest_word.hpp"
#include "ptq/text/phrases.hpp"
#include "ptq/text/shape_text.hpp"

namespace ptq::inline v0_1 {

/// A callable that takes the inputs of a layer, a batch at a time. Each view is valid until it returns. An
/// error stops the reading and is passed on.
template <class Sink>
concept activation_sink =
    requires(Sink& sink, std::string_view layer, const tensor_view<const float>& batch) {
      { sink(layer, batch) } -> std::same_as<result<void>>;
    };

namespace detail {

/// Why an array cannot hold inputs of a layer, as far as the layer's weight tells; empty if it can. Channels
/// are counted from the end, so there may be more axes in front than the one of the samples.
inline std::string input_contradiction(const layer& fed, const tensor_shape& inputs) {
  const class_traits traits = traits_of_class(fed.class_name);
  const tensor_shape& weight = fed.weight.shape;
  if (!traits.weights || weight.rank != traits.rank || fed.used_rank || fed.weight_is_left) return {};
  const std::size_t output_axis = fed.output_axis.value_or(traits.output_axis);
  const std::size_t taken = weight[output_axis == 0 ? 1 : 0];  // in a group
  const bool has_groups = weight.rank > 2 && output_axis == 0;
  std::string wanted = "at least " + std::to_string(weight.rank) + " axes are needed, the first for samples.";
  if (inputs.rank >= weight.rank) {
    const std::size_t channels = inputs[inputs.rank - (weight.rank - 1)];
    const std::size_t groups = taken == 0 ? 0 : channels / taken;
    if (channels == taken) return {};
    if (has_groups && groups > 0 && channels % taken == 0 && weight[0] % groups == 0) return {};
    wanted = weight.rank == 2 ? "the last extent"
                              : "the extent of the channels, " + std::to_string(channels) + ",";
    wanted += " must be " + std::to_string(taken);
    wanted +=
        has_groups ? " times the number of groups, a divisor of " + std::to_string(weight[0]) + "." : ".";
  }
  return "the shape of its array is " + extents_text(inputs) + ", but the weight of this " + fed.class_name +
         " is " + extents_text(weight) + ": " + wanted;
}

/// The name under which a file has the array of a layer: its own, else one of its aliases.
inline std::string_view name_in(const data_file& file, const layer& wanted) {
  if (!file.has(wanted.name))
    for (const std::string& alias : wanted.aliases)
      if (file.has(alias)) return alias;
  return wanted.name;
}

/// The arrays of a file that belong to no layer, in words; empty if there are none.
inline std::string strangers_text(const data_file& file, std::span<const layer> layers) {
  name_map<no_value> known;
  for (const layer& l : layers) {
    known.add(l.name);
    for (const std::string& alias : l.aliases) known.add(alias);
  }
  const auto is_stranger = [&](std::string_view name) { return !known.contains(name); };
  const auto names = file.names();
  const auto first = std::find_if(names.begin(), names.end(), is_stranger);
  if (first == names.end() || first->empty()) return {};
  const auto count = static_cast<std::size_t>(std::count_if(first, names.end(), is_stranger));
  std::vector<std::string_view> lacking;
  for (const layer& l : layers)
    if (!file.has(name_in(file, l))) lacking.emplace_back(l.name);
  const std::string_view nearest = nearest_word(*first, lacking);
  return file.path() + ": " + counted(count, "array") + (count == 1 ? " is" : " are") +
         " not read, as no layer has " + (count == 1 ? "its name: " : "their names; the first is ") +
         in_quotes(*first) + "." + (nearest.empty() ? "" : " Did you mean " + in_quotes(nearest) + "?");
}

}  // namespace detail

/// Reads the recorded inputs of the layers whose activations a plan quantizes, one layer after the other,
/// each in batches of `batch_size` up to `max_samples`. Memory is bounded by a batch.
///
/// @param data    `activations` is the file: .npz or .safetensors with one array a layer under its name or an
///                alias, or .npy for a single layer; the first axis counts samples
/// @param layers  those that the plan was made for
/// @param formats the formats that the file may have
/// @return notes: what of the file is not read, in words. tensor_not_found for a layer that is not in the
///         file; size_mismatch for an array that cannot be the layer's inputs; not_finite with file, layer,
///         sample and index; wrong_rank for a single number; no_data where there are no samples
template <class Formats, activation_sink Sink>
result<std::vector<std::string>> read_recorded(const data_config& data, const plan& planned,
                                               std::span<const layer> layers, Formats formats, Sink&& sink) {
  PTQ_ASSERT(planned.layers.size() == layers.size());
  const auto file = data_file::open(data.activations, formats);
  if (!file) return file.error();
  const auto names = file->names();
  const auto wanted = std::count_if(planned.layers.begin(), planned.layers.end(),
                                    [](const planned_layer& l) { return l.activations.is_quantized(); });
  const bool is_unnamed = wanted == 1 && names.size() == 1 && names[0].empty();
  std::vector<float> values;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (!planned.layers[i].activations.is_quantized()) continue;
    const std::string& layer = layers[i].name;
    const std::string where = file->path() + ": layer \"" + layer + "\"";
    auto reader = file->read(is_unnamed ? std::string_view() : detail::name_in(*file, layers[i]));
    if (!reader) {
      error lacking = reader.error();
      if (lacking.code == errc::tensor_not_found)
        lacking.what += " Record the inputs of every layer whose activations are to be quantized.";
      return lacking;
    }
    const auto count = count_samples(*reader, data.max_samples, where);
    if (!count) return count.error();
    if (const std::string wrong = detail::input_contradiction(layers[i], reader->shape()); !wrong.empty())
      return error(errc::size_mismatch, where, wrong);
    const std::size_t step = (std::max<std::size_t>)(data.batch_size, 1);
    for (std::size_t first = 0; first < *count; first += step) {
      const auto rows = reader->next((std::min)(step, *count - first));
      if (!rows) return rows.error();
      values.resize(rows->size());
      const status converted = detail::convert_floats<float>(
          *rows, std::as_writable_bytes(std::span(values)).data(), [](double x, std::size_t) { return x; });
      if (!converted) return detail::describe_sample(converted, where, first, *rows, element_type::float32);
      if (auto taken = sink(std::string_view(layer), tensor_view<const float>(values.data(), rows->shape));
          !taken)
        return taken.error();
    }
  }
  std::vector<std::string> notes;
  if (std::string strangers = detail::strangers_text(*file, layers); !strangers.empty())
    notes.push_back(std::move(strangers));
  return notes;
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_DATA_RECORDED_HPP
